// Owns the ways between two hosts that have a session: what each tells the other of where it is
// reached, and the straight way, believed only after an authenticated challenge over it
// (docs/DESIGN.md, decisions 13 and 21).
#pragma once

#include "proxy/host/courier.hh"

namespace i3 {

class Paths {
 public:
  Paths(HostParts& parts, Courier& courier) : parts_(parts), courier_(courier) {}

  // What we tell `peer` of ourselves; without early packet.
  wire::Hello hello(const Peer& peer) const;
  // What it told us in a handshake.
  void learn(Peer& peer, const wire::Hello& hello, TimePoint now);

  // Our private trigger for the peer moved: tells it, until it acknowledges.
  void trigger_changed(Peer& peer, TimePoint now);
  void on_paths(Peer& peer, const wire::Paths& paths, TimePoint now);
  void on_acknowledged(Peer& peer, std::uint64_t sequence);

  // `direct_from` is where a challenge or an answer came from, if it came straight.
  void on_challenge(Peer& peer, std::uint64_t nonce, const std::optional<Endpoint>& direct_from,
                    TimePoint now);
  void on_response(Peer& peer, const wire::PathResponse& response,
                   const std::optional<Endpoint>& direct_from, TimePoint now);
  // A node says that it has no such label: the next node of the path, or the ID, is used.
  // False if that label is not in use.
  bool label_gone(Peer& peer, const Endpoint& node, wire::Label label);
  // What it was told of where our trigger stands is no longer so, or was never said.
  void tell_if_moved(Peer& peer, TimePoint now);
  // Data goes out and nothing comes back: leaves the straight way at once and tests it again.
  void suspect(Peer& peer, TimePoint now);
  // Our own addresses changed: every straight way is tried anew.
  void restart(Peer& peer, TimePoint now);

  void on_timer(Peer& peer, TimePoint now);
  TimePoint next_deadline(const Peer& peer) const;

 private:
  bool wants_direct(const Peer& peer) const;
  void add_candidate(Peer& peer, const Endpoint& endpoint, TimePoint now);
  void challenge(Peer& peer, Candidate& candidate, TimePoint now);
  void keep_active_alive(Peer& peer, Candidate& candidate, TimePoint now);
  void tell(Peer& peer, TimePoint now);
  void prove(Peer& peer, TimePoint now);

  HostParts& parts_;
  Courier& courier_;
};

inline constexpr unsigned kChallengeTries = 5;
inline constexpr unsigned kProofTries = 25;
inline constexpr Duration kChallengeEvery = std::chrono::milliseconds(200);
// A proved way is proved again this often while the peer is in use, which also keeps NATs open.
inline constexpr Duration kReproveEvery = std::chrono::seconds(10);
inline constexpr Duration kReproveRetry = std::chrono::seconds(1);
inline constexpr unsigned kReproveTries = 3;
// Candidates that did not answer are tried again while the peer is in use.
inline constexpr Duration kRoundEvery = std::chrono::seconds(60);
inline constexpr Duration kInUse = std::chrono::seconds(30);

}  // namespace i3
