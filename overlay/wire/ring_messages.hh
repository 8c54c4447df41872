// Owns the messages between nodes: an authenticated envelope and its bodies.
#pragma once

#include "overlay/base/time.hh"
#include "overlay/wire/carriers.hh"
#include "overlay/wire/contact.hh"

namespace i3::wire {

enum class RingKind : std::uint8_t {
  ping = 1,  // body: nonce 8
  pong = 2,
  state_request = 3,
  state = 4,
  notify = 5,  // body: empty; "I may be your predecessor"
  find = 6,
  found = 7,
  forward = 8,
  reply = 9,
  leave = 10,
  taken = 11,  // body: nonce 8; "the find that you passed to me has come"
  relay = 12,
  relayed = 13,    // body: a ring message, as its maker sealed it for the receiver
  reach_for = 32,  // a Reached to a host, from here (reach.hh)
};
inline constexpr std::uint8_t kLastRingKind = 13;

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

// A question to a node that may know nothing of its sender is followed by zeros, so that what comes
// back to an address that may be forged is no longer than what came from there: for a ping a pong;
// for a find, state_request and notify the ping that proves the address first, for a find a taken
// with it. Through another member (`via`, or null) both travel inside a message to and from that
// one, whose address may be forged just as well. How many zeros; `body` without them.
std::size_t question_padding(RingKind kind, const NodeContact& sender, const NodeContact& receiver,
                             const NodeContact* via, bool members_only, std::size_t body);
// The body without them; as it is where it has none, or is no such question.
Bytes unpadded(RingKind kind, Bytes body);

// Bodies that hold only a nonce: ping, taken.
struct NonceBody {
  std::uint64_t nonce = 0;
  static std::optional<NonceBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  nonce 8 | proof 8
// The proof is what the asker may show as a sign that its address was proven (FindBody).
struct PongBody {
  std::uint64_t nonce = 0;
  std::uint64_t proof = 0;
  static std::optional<PongBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  nonce 8 | wants 1 | digest 8
struct StateRequestBody {
  // The successor list, unless its digest is the one given; or some of the nodes that the receiver
  // routes by. Not both.
  static constexpr std::uint8_t kSuccessors = 1, kFingers = 2;
  // "And I may be your predecessor", as in notify.
  static constexpr std::uint8_t kNotify = 4;
  std::uint64_t nonce = 0;
  std::uint8_t wants = 0;
  std::uint64_t digest = 0;
  static std::optional<StateRequestBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  nonce 8 | holds 1 | predecessor: contacts (0 or 1) | members: contacts | with fingers, for each
//  member its round trip 1
struct StateBody {
  static constexpr std::size_t kMaxSuccessors = 16;
  // What `members` are, as in StateRequestBody; without either there are none.
  static constexpr std::uint8_t kSuccessors = 1, kFingers = 2;
  std::uint64_t nonce = 0;
  std::uint8_t holds = 0;
  std::optional<NodeContact> predecessor;
  std::vector<NodeContact> members;  // successors: nearest first
  // Of fingers: how far each is from the sender, as round_trip_byte() writes it.
  std::vector<std::uint8_t> round_trips;
  static std::optional<StateBody> parse(Bytes body);
  void write(Writer& writer) const;
  // In steps of 4 ms, rounded down; 255: 1020 ms or more.
  static std::uint8_t round_trip_byte(Duration round_trip);
  static Duration round_trip_of(std::uint8_t byte) { return std::chrono::milliseconds(4) * byte; }
  // Of a successor list: the first half of BLAKE2b-128("i3 ring list", contacts).
  static std::uint64_t digest(const std::vector<NodeContact>& successors);
};

//  nonce 8 | step 8 | proof 8 | position 16 | hops 1 | flags 1 | asker's contact
// Passed on recursively towards the position. Each node that takes it tells the one before it so by
// `taken` with the step. The owner answers with `found`: to the asker with the nonce; or, if flag
// bit 0 is set, back along the path, each node giving the one before it that one's step.
struct FindBody {
  static constexpr std::uint8_t kByPath = 1;
  std::uint64_t nonce = 0;
  std::uint64_t step = 0;
  std::uint64_t proof = 0;  // from the receiver's pong; 0: none
  RingId position;
  std::uint8_t hops = 0;
  std::uint8_t flags = 0;
  NodeContact asker;
  static std::optional<FindBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  nonce or step 8 | position 16 | hops 1 | contacts: the owner, then its successors (1 to 4)
struct FoundBody {
  static constexpr std::size_t kMaxContacts = 4;
  std::uint64_t nonce = 0;
  RingId position;
  std::uint8_t hops = 0;
  std::vector<NodeContact> contacts;
  static std::optional<FoundBody> parse(Bytes body);
  void write(Writer& writer) const;
};

//  receiver's contact | a ring message sealed for it
// Two members that cannot reach each other speak through one that reaches both; it passes the
// message on as `relayed`.
struct RelayBody {
  NodeContact to;
  Bytes message;  // borrowed
  static std::optional<RelayBody> parse(Bytes body);
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

//  nonce 8 | predecessor: contacts (0 or 1) | successors: contacts
// The sender leaves; these remain. The nonce is the last one that the receiver asked the sender
// with, so that nobody can say it a second time.
struct LeaveBody {
  std::uint64_t nonce = 0;
  std::optional<NodeContact> predecessor;
  std::vector<NodeContact> successors;
  static std::optional<LeaveBody> parse(Bytes body);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
