// Owns the messages between nodes: an authenticated envelope and its bodies.
#pragma once

#include "overlay/wire/carriers.hh"
#include "overlay/wire/contact.hh"

namespace i3::wire {

enum class RingKind : std::uint8_t {
  ping = 1,           // body: nonce 8
  pong = 2,           // body: nonce 8
  state_request = 3,  // body: nonce 8
  state = 4,
  notify = 5,  // body: empty; "I may be your predecessor"
  find = 6,
  found = 7,
  forward = 8,
  reply = 9,
  leave = 10,
};

//  header (kind; flags: bit 0 has membership) | sender's contact | membership 72, if any | mac 16 |
//  body
// The MAC is BLAKE2b-128 over "i3 ring v1" || every byte of the message but the MAC, under the key
//   BLAKE2b-256("i3 ring key", X25519(sender, receiver), lower key, higher key)
// of the two nodes' X25519 keys and Ed25519 keys in byte order.
using PairKey = std::array<std::uint8_t, 32>;
// Nothing if the other key is no valid point.
std::optional<PairKey> pair_key(const Identity& mine, const PublicKey& other);

struct RingMessage {
  RingKind kind{};
  NodeContact sender;
  std::optional<Membership> membership;
  std::array<std::uint8_t, 16> mac{};
  Bytes body;  // borrowed

  // Does not check the MAC: the receiver finds the pair's key by `sender.key` first.
  static std::optional<RingMessage> parse(Bytes message);
  bool valid_mac(Bytes message, const PairKey& key) const;
  void write(Writer& writer, const PairKey& key) const;
};

// Bodies that hold only a nonce: ping, pong, state_request.
struct NonceBody {
  std::uint64_t nonce = 0;
  static std::optional<NonceBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  nonce 8 | observed endpoint of the asker 18 | predecessor: contacts (0 or 1) | successors:
//  contacts
struct StateBody {
  static constexpr std::size_t kMaxSuccessors = 16;
  std::uint64_t nonce = 0;
  Endpoint observed;
  std::optional<NodeContact> predecessor;
  std::vector<NodeContact> successors;  // nearest first
  static std::optional<StateBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  nonce 8 | position 16 | hops 1 | asker's contact
// Passed on recursively towards the position; its owner answers the asker with `found`.
struct FindBody {
  std::uint64_t nonce = 0;
  RingId position;
  std::uint8_t hops = 0;
  NodeContact asker;
  static std::optional<FindBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  nonce 8 | position 16 | hops 1 | contacts: the owner, then its successors (1 to 4)
struct FoundBody {
  static constexpr std::size_t kMaxContacts = 4;
  std::uint64_t nonce = 0;
  RingId position;
  std::uint8_t hops = 0;
  std::vector<NodeContact> contacts;
  static std::optional<FoundBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  entry node's contact | entry's tag of the origin 8 | an ID packet message
// Answers for the origin go to the entry node as `reply`; nobody else learns the host's address.
struct ForwardBody {
  NodeContact entry;
  SourceTag origin{};
  Bytes packet;  // borrowed; parse with IdPacket::parse
  static std::optional<ForwardBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  origin tag 8 | a message for that origin (forwarded, not_present or returned)
struct ReplyBody {
  SourceTag origin{};
  Bytes message;  // borrowed
  static std::optional<ReplyBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  predecessor: contacts (0 or 1) | successors: contacts. The sender leaves; these remain.
struct LeaveBody {
  std::optional<NodeContact> predecessor;
  std::vector<NodeContact> successors;
  static std::optional<LeaveBody> parse(Bytes body);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
