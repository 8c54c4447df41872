// Owns the short messages between a host and a node; insertions have a file of their own.
#pragma once

#include "overlay/wire/carriers.hh"
#include "overlay/wire/contact.hh"

namespace i3::wire {

// Requests are padded with zeros so that no answer to an unproven address is longer than the
// question was.

//  header | nonce 8 | zeros to kSize
struct Probe {
  static constexpr std::size_t kSize = 256;
  std::uint64_t nonce = 0;
  static std::optional<Probe> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header (flags: bit 0 has membership) | nonce 8 | observed endpoint 18 | contact | membership 72,
//  if any | signature 64 by the node over "i3 probe v1" || all bytes after the header and before it
struct ProbeReply {
  std::uint64_t nonce = 0;
  Endpoint observed;
  NodeContact contact;
  std::optional<Membership> membership;

  // Does not check the signature; `valid_signature` does.
  static std::optional<ProbeReply> parse(Bytes message);
  static bool valid_signature(Bytes message, const PublicKey& node);
  void write(Writer& writer, const Identity& node) const;
};

//  header | nonce 8 | position 16 | zeros to kSize
struct Lookup {
  static constexpr std::size_t kSize = 320;
  std::uint64_t nonce = 0;
  RingId position;
  static std::optional<Lookup> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 | position 16 | contacts: the owner, then those who would own it next (at most
//  4)
// No contact: the ring could not find the owner in time; ask again.
struct LookupReply {
  static constexpr std::size_t kMaxContacts = 4;
  std::uint64_t nonce = 0;
  RingId position;
  std::vector<NodeContact> contacts;
  static std::optional<LookupReply> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 | owner key 32 | member key 32 | token 16 | zeros to kSize
// One refresh covers all triggers that member inserted for owner at this node.
struct Refresh {
  static constexpr std::size_t kSize = 96;
  std::uint64_t nonce = 0;
  PublicKey owner;
  PublicKey member;
  std::array<std::uint8_t, 16> token{};
  static std::optional<Refresh> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 | triggers refreshed 2 | lifetime 4 (ms)
struct Refreshed {
  std::uint64_t nonce = 0;
  std::uint16_t count = 0;
  std::uint32_t lifetime_ms = 0;
  std::array<std::uint8_t, 16> token{};  // for the next one
  static std::optional<Refreshed> parse(Bytes message);
  void write(Writer& writer) const;
};

enum class Refusal : std::uint8_t {
  not_owner = 1,      // the contact, if any, owns the ID instead
  bad_proof = 2,      // signature, ownership, delegation or consent does not hold
  stale = 3,          // a higher sequence number is stored
  quota = 4,          // the key or the address prefix has too many triggers here
  full = 5,           // the node's table is full
  unknown_token = 6,  // this address holds no such token: insert again
  not_ready = 7,      // the node has not joined its ring
};

//  header | nonce 8 | reason 1 | contacts (0 or 1)
struct Refused {
  std::uint64_t nonce = 0;
  Refusal reason{};
  std::optional<NodeContact> contact;
  static std::optional<Refused> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 of the ID packet | matches 1 | ID 32 | contact of the node that holds the
//  trigger
// "Delivered to so many targets; send packets for this ID to that node from now on."
struct Forwarded {
  static constexpr std::size_t kMaxSize = kHeaderSize + 8 + 1 + 32 + NodeContact::kMaxSize;
  std::uint64_t nonce = 0;
  std::uint8_t matches = 0;
  Id id;
  NodeContact contact;
  static std::optional<Forwarded> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 of the ID packet | ID 32
struct NotPresent {
  std::uint64_t nonce = 0;
  Id id;
  static std::optional<NotPresent> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 of the ID packet | ID 32 | label 8
// "What you send me under that label goes the way of this ID." From the node that delivered to the
// node where the packet entered, whose own label the host is told instead (docs/PROTOCOL.md).
struct Way {
  std::uint64_t nonce = 0;
  Id id;
  Label label;
  static std::optional<Way> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | label 8
struct NoLabel {
  Label label;
  static std::optional<NoLabel> parse(Bytes message);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
