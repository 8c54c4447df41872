// Owns the messages by which a host learns how it is reached and which way its packets take: what
// its NAT does, and the nodes on the way to an ID.
#pragma once

#include "overlay/wire/contact.hh"
#include "overlay/wire/insert.hh"

namespace i3::wire {

// Where a node's answer to a Reach comes from.
enum class ReachHow : std::uint8_t {
  seen = 0,        // the asker gets a ReachSeen: no cookie needed
  same = 1,        // a Reached to the target from the port that was asked
  other_port = 2,  // from another port of the node
  other_node = 3,  // from another member, at another address
};

//  header (kind: how) | nonce 8 | target endpoint 18 | cookie 16 | zeros to kSize
// The cookie is the one that a ReachSeen took to the target, so a node writes only to who asked it.
struct Reach {
  static constexpr std::size_t kSize = 128;
  ReachHow how{};
  std::uint64_t nonce = 0;
  Endpoint target;  // none with `seen`
  Cookie cookie{};
  static std::optional<Reach> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 | observed endpoint 18 | cookie 16 | other port 2 (0: none) | knows another
//  member at another address 1 (0 or 1)
struct ReachSeen {
  std::uint64_t nonce = 0;
  Endpoint observed;
  Cookie cookie{};
  std::uint16_t other_port = 0;
  bool other_node = false;
  static std::optional<ReachSeen> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header (kind: how) | nonce 8
struct Reached {
  ReachHow how{};
  std::uint64_t nonce = 0;
  static std::optional<Reached> parse(Bytes message);
  void write(Writer& writer) const;
};

// Between nodes: send a Reached (other_node) with that nonce there.
//  nonce 8 | target endpoint 18
struct ReachForBody {
  std::uint64_t nonce = 0;
  Endpoint target;
  static std::optional<ReachForBody> parse(Bytes body);
  void write(Writer& writer) const;
};

// "Where would you send a packet for this ID?"
//  header | nonce 8 | ID 32 | zeros to kSize
struct Step {
  static constexpr std::size_t kSize = 192;
  std::uint64_t nonce = 0;
  Id id;
  static std::optional<Step> parse(Bytes message);
  void write(Writer& writer) const;
};

//  header | nonce 8 | ID 32 | flags 1 (bit 0 owner of the ID, bit 1 in a ring) | triggers that
//  match here 1 (at most 255) | contacts: the node itself, then the next one if there is one (1 or
//  2)
struct StepReply {
  static constexpr std::size_t kMaxSize = kHeaderSize + 8 + 32 + 2 + 1 + 2 * NodeContact::kMaxSize;
  std::uint64_t nonce = 0;
  Id id;
  bool owner = false;
  bool in_ring = false;
  std::uint8_t matches = 0;
  NodeContact node;
  std::optional<NodeContact> next;
  static std::optional<StepReply> parse(Bytes message);
  void write(Writer& writer) const;
};
static_assert(StepReply::kMaxSize <= Step::kSize);

}  // namespace i3::wire
