// Owns the four bytes that begin every overlay datagram.
#pragma once

#include <optional>

#include "overlay/base/bytes.hh"

namespace i3::wire {

//  0               1               2               3
// +---------------+---------------+---------------+---------------+
// | version 0xc1  | type          | kind          | flags         |
// +---------------+---------------+---------------+---------------+
inline constexpr std::uint8_t kVersion = 0xc1;
inline constexpr std::size_t kHeaderSize = 4;
// No message is longer; a longer datagram is dropped unread.
inline constexpr std::size_t kMaxMessage = 2048;

enum class Type : std::uint8_t {
  // Carriers of session messages; `kind` is the session message's kind.
  labelled = 0x01,
  direct = 0x02,
  packet = 0x03,
  returned = 0x04,
  // Between a host and a node.
  probe = 0x10,
  probe_reply = 0x11,
  lookup = 0x12,
  lookup_reply = 0x13,
  insert = 0x14,
  challenge = 0x15,
  inserted = 0x16,
  refresh = 0x17,
  refreshed = 0x18,
  refused = 0x19,
  forwarded = 0x1a,
  not_present = 0x1b,
  no_label = 0x1c,
  way = 0x1d,
  // How a host is reached, and the way to an ID.
  reach = 0x30,
  reach_seen = 0x31,
  reached = 0x32,
  step = 0x33,
  step_reply = 0x34,
  // What keys said of themselves.
  record_put = 0x40,
  record_kept = 0x41,
  record_ask = 0x42,
  records = 0x43,
  // Between nodes; `kind` is the ring message's kind.
  ring = 0x20,
};

struct Header {
  Type type{};
  std::uint8_t kind = 0;
  std::uint8_t flags = 0;

  // Looks only at the first four bytes; nothing for another version or a short datagram.
  static std::optional<Header> parse(Bytes message);
  static Header read(Reader& reader);  // fails the reader on another version
  void write(Writer& writer) const;
};

inline Header Header::read(Reader& reader) {
  if (reader.u8() != kVersion) reader.fail();
  Header header;
  header.type = static_cast<Type>(reader.u8());
  header.kind = reader.u8();
  header.flags = reader.u8();
  return header;
}

inline std::optional<Header> Header::parse(Bytes message) {
  Reader reader(message);
  Header header = read(reader);
  if (!reader.ok()) return std::nullopt;
  return header;
}

inline void Header::write(Writer& writer) const {
  writer.u8(kVersion);
  writer.u8(static_cast<std::uint8_t>(type));
  writer.u8(kind);
  writer.u8(flags);
}

}  // namespace i3::wire
