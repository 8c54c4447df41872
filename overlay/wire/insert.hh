// Owns the insertion of a trigger: request, challenge, proof and acknowledgement.
#pragma once

#include "overlay/wire/host_messages.hh"

namespace i3::wire {

using Cookie = std::array<std::uint8_t, 16>;

// The last 128 bits of an ID.
using Suffix = std::array<std::uint8_t, 16>;

// A group's word that a member may hold triggers under its prefixes, whatever their salt:
//  member 32 | suffix bits 1 (0 to 128) | suffix 16 (zero beyond those bits) | expiry 8 (wall, ns)
//  | signature 64 by the owner over "i3 delegation v1" || the rest
// The first `suffix_bits` bits of the trigger ID's last 128 are those of `suffix`.
struct Delegation {
  static constexpr std::size_t kSize = 32 + 1 + 16 + 8 + 64;
  PublicKey member;
  std::uint8_t suffix_bits = 0;
  Suffix suffix{};
  std::uint64_t expiry = 0;
  Signature signature{};

  static Delegation read(Reader& reader);
  void write(Writer& writer) const;
  // `suffix` beyond the first `suffix_bits` (at most 128) is taken as zero.
  static Delegation issue(const Identity& owner, const PublicKey& member, std::uint64_t expiry,
                          std::uint8_t suffix_bits = 0, Suffix suffix = {});
  bool valid(const PublicKey& owner, std::uint64_t wall) const;
  // Whether it speaks of that ID, as far as the last 128 bits say.
  bool covers(const Id& id) const;
  bool operator==(const Delegation&) const = default;
};

// Consent of an ID's owner to being a trigger's target:
//  ID 32 | owner 32 | salt 4 | expiry 8 | signature 64 over "i3 consent v1" || ID || source ID ||
//  expiry
struct Consent {
  static constexpr std::size_t kSize = 32 + 32 + 4 + 8 + 64;
  Id id;
  PublicKey owner;
  std::uint32_t salt = 0;
  std::uint64_t expiry = 0;
  Signature signature{};

  static Consent read(Reader& reader);
  void write(Writer& writer) const;
  static Consent issue(const Identity& owner, const Id& id, std::uint32_t salt, const Id& source,
                       std::uint64_t expiry);
  bool valid(const Id& source, std::uint64_t wall) const;  // also: id lies under owner's prefix
  bool operator==(const Consent&) const = default;
};

//  header (flags: exact bit 0, remove bit 1, delegation bit 2, stack bit 3, proof bit 4,
//  every_stop bit 5, with a stack only)
//  | nonce 8 | ID 32 | owner 32 | salt 4 | sequence 8 | lifetime 4 (ms) | packets a second 4 (0: no
//  limit) | delegation 121, if any | count 1 and that many consents 140 (1 to 4), if a stack |
//  cookie 16 | signature 64
// The target is the address the node observed, or with `stack` the consents' IDs in order. Without
// `proof` cookie and signature are zero and the answer is a challenge. The signature is the
// owner's, or the delegation's member's, over
//   "i3 insert v1" || observed endpoint 18 || node's ring ID 16 || all bytes before the signature.
struct Insert {
  static constexpr std::uint8_t kExact = 1, kRemove = 2, kDelegation = 4, kStack = 8, kProof = 16,
                                kEveryStop = 32;
  static constexpr std::size_t kMinSize = kHeaderSize + 8 + 32 + 32 + 4 + 8 + 4 + 4 + 16 + 64;

  std::uint64_t nonce = 0;
  bool exact = true;  // matches this ID only, not the longest prefix
  bool remove = false;
  bool proof = false;
  bool every_stop = false;  // no ID of the stack is passed over
  Id id;
  PublicKey owner;
  std::uint32_t salt = 0;
  std::uint64_t sequence = 0;
  std::uint32_t lifetime_ms = 0;
  std::uint32_t rate_pps = 0;
  std::optional<Delegation> delegation;
  std::vector<Consent> stack;
  Cookie cookie{};
  Signature signature{};

  static std::optional<Insert> parse(Bytes message);
  // Unsigned form: cookie and signature zero.
  void write(Writer& writer) const;
  // Signed form for one node's challenge; sets proof, cookie and signature.
  void write_proof(Writer& writer, const Identity& member, const Cookie& from_challenge,
                   const Endpoint& observed, RingId node);
  // True if `message` (this insertion's bytes) bears the signature of the one who may insert.
  // Ownership of the ID, delegation, consents and the cookie are the trigger table's to check.
  bool valid_signature(Bytes message, const Endpoint& observed, RingId node) const;
  const PublicKey& member() const { return delegation ? delegation->member : owner; }
};

//  header | nonce 8 | cookie 16 | observed endpoint 18 | contact of the node
// The cookie is good for all IDs with the same first 128 bits, from the same address, for 60 to 120
// s.
struct Challenge {
  std::uint64_t nonce = 0;
  Cookie cookie{};
  Endpoint observed;
  NodeContact contact;
  static std::optional<Challenge> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 | ID 32 | label 8 (zero after a removal) | lifetime 4 (ms) | refresh token 16
//  | contacts of the replicas (at most 3)
struct Inserted {
  static constexpr std::size_t kMaxReplicas = 3;
  std::uint64_t nonce = 0;
  Id id;
  Label label;
  std::uint32_t lifetime_ms = 0;
  std::array<std::uint8_t, 16> token{};
  std::vector<NodeContact> replicas;
  static std::optional<Inserted> parse(Bytes message);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
