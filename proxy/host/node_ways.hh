// Owns the ways to a peer through the nodes that hold its trigger: each is proved by a challenge,
// the one in use is asked while packets go there; when an answer is late packets go another way as
// well, and when it falls silent that one takes over (docs/DESIGN.md, decision 8).
#pragma once

#include "proxy/host/courier.hh"

namespace i3 {

class NodeWays {
 public:
  NodeWays(HostParts& parts, Courier& courier) : parts_(parts), courier_(courier) {}

  // The peer told where it is reached. Ways that stay keep what is known of them.
  void learn(Peer& peer, const wire::ReturnPath& path, TimePoint now);

  // A session stands: ways that were never proved are, now.
  void prove(Peer& peer, TimePoint now);

  // A challenge came through a node: answered the way that is in use, and another one as well if
  // that was not proved just now, for the same node may have died for both.
  void on_challenge(Peer& peer, std::uint64_t nonce, TimePoint now);
  // True if this answers a challenge over one of the ways.
  bool on_response(Peer& peer, std::uint64_t nonce, TimePoint now);
  // A node says that it has no such label. True if the peer has no way left.
  bool label_gone(Peer& peer, const Endpoint& node, wire::Label label, TimePoint now);

  void on_timer(Peer& peer, TimePoint now);
  TimePoint next_deadline(const Peer& peer) const { return peer.ways.next; }

 private:
  bool usable(const Peer& peer, std::size_t way) const;
  void challenge(Peer& peer, std::size_t way, TimePoint now);
  // The next one after the one in use that may be sent by and did not fall silent.
  std::optional<std::size_t> another(const Peer& peer) const;
  void check_current(Peer& peer, TimePoint now);
  void ask_current(Peer& peer, TimePoint now);
  void check_others(Peer& peer, TimePoint now);
  void take_next(Peer& peer, TimePoint now);

  HostParts& parts_;
  Courier& courier_;
};

// The way in use is in doubt when an answer is late: a round trip, four times what it varies and at
// least this. It is left after one and a half round trips and a bit, within these bounds.
inline constexpr Duration kLeastWayDoubt = std::chrono::milliseconds(40);
inline constexpr Duration kWayPatienceExtra = std::chrono::milliseconds(100);
inline constexpr Duration kLeastWayPatience = std::chrono::milliseconds(250);
inline constexpr Duration kMostWayPatience = std::chrono::milliseconds(900);
inline constexpr Duration kUnknownWayPatience = std::chrono::milliseconds(650);  // never measured
inline constexpr unsigned kProofTries = 25;
// An answer goes a second way if the first was not confirmed for so long.
inline constexpr Duration kWayFresh = std::chrono::milliseconds(300);

}  // namespace i3
