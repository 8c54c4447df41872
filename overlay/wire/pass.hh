// Owns what a host writes into IDs so that a box on the way passes its sealed packets on: passes,
// and addresses that only the box can read (docs/DESIGN.md, decision 26; seed 001, 6.4).
#pragma once

#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"
#include "overlay/wire/insert.hh"

namespace i3::wire {

// A pass is made for so many hours and one begun; a box takes none that claims more.
inline constexpr std::uint64_t kPassHours = 24;

// What box and client alone can compute:
//   BLAKE2b-256("i3 pass key", X25519(box, client), lower key, higher key)
using PassKey = std::array<std::uint8_t, 32>;
// Nothing if the other key is no valid point.
std::optional<PassKey> pass_key(const Identity& mine, const PublicKey& other);

// The last 128 bits of an ID under a box's prefix:
//  use 1 | ends 3 (whole hours since 1970) | code 12 = BLAKE2b-96("i3 pass", use 1, ends 3) under
//  the pass key
// No two clients have the same one, and nobody else can make one.
struct Pass {
  enum class Use : std::uint8_t {
    out = 0,  // from the client: the next ID is as it stands
    in = 1,   // to the client: the next ID is an Inward address
  };
  static constexpr std::size_t kSize = 16;
  Use use{};
  std::uint32_t hour = 0;  // the end, less than 2^24
  std::array<std::uint8_t, 12> code{};

  static Pass issue(Use use, std::uint32_t hour, const PassKey& key);
  // Of the last 128 bits of an ID; nothing for an unknown use.
  static std::optional<Pass> parse(const Id& id);
  Id under(const PublicKey& box) const;  // the whole ID
  auto operator<=>(const Pass&) const = default;
};

// When a pass that is made now ends, and whether one that ends then is good.
std::uint32_t pass_hour(WallTime wall);
bool pass_is_timely(std::uint32_t hour, WallTime wall);

// Where the client of an `in` pass is reached, so that only the box can read it:
//  sealed 20 = (salt 4, last 128 bits of the ID) XOR BLAKE2b-160("i3 inward stream", tag)
//  | tag 12 = BLAKE2b-96("i3 inward", end 3, salt 4, last 128 bits), both under the pass key
// The box makes the ID of it: the client's prefix under that salt, and those bits. So whoever has
// an `in` pass reaches that client by it, at an address that the client itself gave, and nobody
// else.
struct Inward {
  static Id seal(const Id& own, std::uint32_t salt, std::uint32_t hour, const PassKey& key);
  static std::optional<Id> open(const Id& sealed, const PublicKey& client, std::uint32_t hour,
                                const PassKey& key);
};

// Kinds of the carriers `packet` and `returned`, beside those of sessions and groups.
inline constexpr std::uint8_t kConsentAsk = 11;     // packet, to a client's `out` pass
inline constexpr std::uint8_t kConsentAnswer = 12;  // returned, from the box

// May this client's public ID under that salt lead to its pass? Longer than the answer, which is
// paid from it.
//  nonce 8 | salt 4 (0 or 1) | zeros 212
struct ConsentAsk {
  static constexpr std::size_t kSize = 224;
  std::uint64_t nonce = 0;
  std::uint32_t salt = 0;

  static std::optional<ConsentAsk> parse(Bytes payload);
  void write(Writer& writer) const;
};

// It may, until the pass ends.
//  nonce 8 of the ask | consent 140
struct ConsentAnswer {
  static constexpr std::size_t kSize = 8 + Consent::kSize;
  std::uint64_t nonce = 0;
  Consent consent;

  static std::optional<ConsentAnswer> parse(Bytes payload);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
