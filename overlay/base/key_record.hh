// Owns what a key says last about itself: that it is another key now, or that nobody shall believe
// it any more. Signed by the key itself, so whoever holds such a record may pass it on.
#pragma once

#include <optional>
#include <string>

#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"

namespace i3 {

//  kind 1 (1 moved, 2 revoked) | key 32 | successor 32 (zeros where revoked) | made 8 (wall)
//  | signature 64 by the key over "i3 record v1" || all before it
struct KeyRecord {
  enum class Kind : std::uint8_t { moved = 1, revoked = 2 };
  static constexpr std::size_t kSize = 137;
  static constexpr std::string_view kPrefix = "i3-record:";

  Kind kind{};
  PublicKey key;
  PublicKey successor;
  WallTime made = 0;  // for people: a thief writes any time that he likes, so it decides nothing
  Signature signature{};

  static KeyRecord move(const Identity& old, const PublicKey& successor, WallTime made);
  static KeyRecord revoke(const Identity& old, WallTime made);

  // Fails the reader on an unknown kind, a revocation with a successor, and a key that moves to
  // itself. Does not look at the signature.
  static KeyRecord read(Reader& reader);
  void write(Writer& writer) const;
  // Also that both keys are good points.
  bool valid() const;
  // The same thing said, perhaps at another time.
  bool says_as(const KeyRecord& other) const {
    return kind == other.kind && key == other.key && successor == other.successor;
  }

  // One line to be pasted, as an invitation is: kPrefix and base32 of version 1, the record, and a
  // checksum of 4. decode checks the signature, and says in `why` what is wrong.
  std::string encode() const;
  static std::optional<KeyRecord> decode(std::string_view text, std::string& why);
};

}  // namespace i3
