// Owns the straight ways between two hosts that have a session: which addresses are tried, when
// both ends try at once so that their NATs open, which way is used, and when it is given up
// (docs/DESIGN.md, decisions 13 and 21).
#pragma once

#include <functional>

#include "proxy/host/courier.hh"

namespace i3 {

class DirectWays {
 public:
  DirectWays(HostParts& parts, Courier& courier) : parts_(parts), courier_(courier) {}

  // Both ends allow it.
  bool wanted(const Peer& peer) const;
  // The peer told where it may be reached: what is not being tried is tried now.
  void learn(Peer& peer, const std::vector<Endpoint>& told, TimePoint now);
  // Forgets all ways and tries anew: our own addresses changed.
  void restart(Peer& peer, TimePoint now);
  // A new binding of our own NAT was seen there: the next ones follow in order.
  void port_sampled(Peer& peer, const Endpoint& seen, TimePoint now);
  // Nodes see us elsewhere than before: perhaps our NAT gave us other ports.
  void own_address_changed(Peer& peer, TimePoint now);
  // It is used again after a pause.
  void used_again(Peer& peer, TimePoint now);

  // Challenge and answer that came straight from `from`.
  void on_challenge(Peer& peer, std::uint64_t nonce, const Endpoint& from, TimePoint now);
  void on_response(Peer& peer, std::uint64_t nonce, const Endpoint& from, TimePoint now);
  // Anything else that was authenticated: straight from there, or through a node.
  void heard(Peer& peer, const Endpoint& from, TimePoint now);
  void heard_by_node(Peer& peer, TimePoint now);
  // Data goes out and nothing comes back: leaves the straight way at once and tests it again.
  void suspect(Peer& peer, TimePoint now);

  void on_timer(Peer& peer, TimePoint now);
  TimePoint next_deadline(const Peer& peer) const;

  // Tells the peer, by a node, our addresses as they are now: it tries its ways on hearing that.
  std::function<void(Peer&, TimePoint)> call_peer;

 private:
  bool waits_for_sample(Peer& peer, TimePoint now);
  void take_sample(Peer& peer, TimePoint now);
  void try_all(Peer& peer, const std::vector<Endpoint>& told, TimePoint now);
  void add(Peer& peer, const Endpoint& endpoint, bool told, TimePoint now);
  void challenge(Peer& peer, Candidate& candidate, TimePoint now);
  void check_active(Peer& peer, Candidate& candidate, TimePoint now);
  void verify(Peer& peer, TimePoint now);
  void begin_round(Peer& peer, TimePoint now);
  void end_round(Peer& peer, TimePoint now);

  HostParts& parts_;
  Courier& courier_;
};

inline constexpr unsigned kChallengeTries = 5;
inline constexpr Duration kChallengeEvery = std::chrono::milliseconds(200);
// A proved way in use is asked for an answer when nothing came over it for so long, and at least
// every kReproveEvery; that many unanswered, kReproveRetry apart, and it is left.
inline constexpr Duration kQuietWay = std::chrono::seconds(2);
inline constexpr Duration kReproveEvery = std::chrono::seconds(10);
inline constexpr Duration kReproveRetry = std::chrono::milliseconds(300);
inline constexpr unsigned kReproveTries = 4;
// Rounds of tries: the pause after one doubles from the first to the last.
inline constexpr Duration kFirstRoundPause = std::chrono::seconds(2);
inline constexpr Duration kLastRoundPause = std::chrono::seconds(60);
// Ports in order: how many that are expected next are told, and how long a look at them may take.
inline constexpr int kPredictedPorts = 4;
inline constexpr unsigned kSamples = 4;  // asked for, before it goes without
inline constexpr Duration kSampleWithin = std::chrono::milliseconds(500);
inline constexpr Duration kInUse = std::chrono::seconds(30);

}  // namespace i3
