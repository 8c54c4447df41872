// Owns what two hosts that have a session tell each other of where they are reached. Straight ways:
// direct_ways.hh; ways through nodes: node_ways.hh.
#pragma once

#include "proxy/host/direct_ways.hh"
#include "proxy/host/node_ways.hh"

namespace i3 {

class Paths {
 public:
  Paths(HostParts& parts, Courier& courier, DirectWays& direct, NodeWays& nodes, Stops& stops)
      : parts_(parts), courier_(courier), direct_(direct), nodes_(nodes), stops_(stops) {}

  // What we tell `peer` of ourselves; without early packet.
  wire::Hello hello(const Peer& peer) const;
  // Where our trigger for it stands, whether or not it is told.
  wire::ReturnPath own_path(const Peer& peer) const;
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
  // What it was told of where our trigger stands is no longer so, or was never said.
  void tell_if_moved(Peer& peer, TimePoint now);

  void on_timer(Peer& peer, TimePoint now);
  TimePoint next_deadline(const Peer& peer) const;

 private:
  void tell(Peer& peer, TimePoint now);

  HostParts& parts_;
  Courier& courier_;
  DirectWays& direct_;
  NodeWays& nodes_;
  Stops& stops_;
};

}  // namespace i3
