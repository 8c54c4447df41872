// Owns the four messages that carry session messages: labelled, direct, by ID, and returned.
#pragma once

#include "overlay/base/id.hh"
#include "overlay/wire/header.hh"

namespace i3::wire {

// What a node calls a stored trigger towards senders: a slot of its table and 32 random bits. It
// dies with its trigger and is never used again (docs/DESIGN.md, decision 14).
struct Label {
  std::uint32_t slot = 0;
  std::uint32_t secret = 0;

  static Label read(Reader& reader) {
    Label label;
    label.slot = reader.u32();
    label.secret = reader.u32();
    return label;
  }
  void write(Writer& writer) const {
    writer.u32(slot);
    writer.u32(secret);
  }
  bool none() const { return slot == 0 && secret == 0; }
  bool operator==(const Label&) const = default;
};

//  header | label 8 | session message
// Nodes pass it on unchanged to the trigger's target.
inline constexpr std::size_t kLabelledSize = kHeaderSize + 8;
struct Labelled {
  std::uint8_t kind = 0;
  Label label;
  Bytes payload;  // borrowed

  static std::optional<Labelled> parse(Bytes message);
  // Writes all that stands before the payload.
  static void write_front(Writer& writer, std::uint8_t kind, Label label);
};

//  header | session message
inline constexpr std::size_t kDirectSize = kHeaderSize;
struct Direct {
  std::uint8_t kind = 0;
  Bytes payload;  // borrowed

  static std::optional<Direct> parse(Bytes message);
  static void write_front(Writer& writer, std::uint8_t kind);
};

// What a node saw of where an ID packet came from, opaque and keyed: the same source at the same
// node has the same tag for a while. A receiver may answer along it with `returned`.
using SourceTag = std::array<std::uint8_t, 8>;

//  header (flags: bit 0 want_node, bit 1 delivered, bit 2 nearest, bit 3 want_way,
//  bit 4 every_stop)
//  | hop limit 1 | copies 1 | IDs 1 | zero 1 | source tag 8 | nonce 8 | IDs 32 each | session
//  message
// The first ID routes it. `copies` bounds how often multicast may copy it and is split among
// copies. A host writes a zero tag; the delivering node stamps it and sets `delivered`. IDs behind
// the first are still to come: a host that has done its part sends the packet on to them. With
// `nearest` the copies go to the nearest triggers that are not exact, each of another ID. With
// `every_stop` an ID that nothing matches ends the packet; without, it is passed over.
inline constexpr std::size_t kMaxStack = 4;
inline constexpr std::uint8_t kDefaultHops = 32;
inline constexpr std::uint8_t kDefaultCopies = 16;
inline constexpr std::size_t id_packet_size(std::size_t ids) {
  return kHeaderSize + 20 + 32 * ids;
}
struct IdPacket {
  static constexpr std::uint8_t kWantNode = 1, kDelivered = 2, kNearest = 4, kWantWay = 8,
                                kEveryStop = 16;

  std::uint8_t kind = 0;
  std::uint8_t flags = 0;
  std::uint8_t hop_limit = kDefaultHops;
  std::uint8_t copies = kDefaultCopies;
  SourceTag tag{};
  std::uint64_t nonce = 0;
  std::size_t id_count = 1;
  std::array<Id, kMaxStack> ids{};
  Bytes payload;  // borrowed

  // Nothing for no ID, more than kMaxStack, or unknown flags.
  static std::optional<IdPacket> parse(Bytes message);
  void write_front(Writer& writer) const;
  void write(Writer& writer) const;  // front and payload
  const Id& target() const { return ids[0]; }
};

//  header | source tag 8 | session message
// From a host to the node that stamped the tag, and from there back to the tag's source.
struct Returned {
  std::uint8_t kind = 0;
  SourceTag tag{};
  Bytes payload;  // borrowed

  static std::optional<Returned> parse(Bytes message);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
