// Owns the messages by which hosts leave records of keys at nodes, and ask for them.
#pragma once

#include "overlay/base/key_record.hh"
#include "overlay/wire/carriers.hh"
#include "overlay/wire/insert.hh"

namespace i3::wire {

//  header | nonce 8 | cookie 16 | record 137
// With a zero cookie, or one that ran out, the answer is a challenge.
struct RecordPut {
  static constexpr std::size_t kSize = kHeaderSize + 8 + 16 + KeyRecord::kSize;
  std::uint64_t nonce = 0;
  Cookie cookie{};
  KeyRecord record;
  static std::optional<RecordPut> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 | lifetime s 4
struct RecordKept {
  std::uint64_t nonce = 0;
  std::uint32_t lifetime_s = 0;
  static std::optional<RecordKept> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 | key 32 | zeros to kSize
struct RecordAsk {
  static constexpr std::size_t kSize = 320;
  std::uint64_t nonce = 0;
  PublicKey key;
  static std::optional<RecordAsk> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 | key 32 | count 1 (0 to 2) | records 137 each, all of that key
struct Records {
  static constexpr std::size_t kMost = 2;
  std::uint64_t nonce = 0;
  PublicKey key;
  std::vector<KeyRecord> records;
  static std::optional<Records> parse(Bytes message);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
