// Owns what the steps of a packet's way share: the host's tables and its outside world.
#pragma once

#include <functional>

#include "overlay/base/log.hh"
#include "overlay/client/client.hh"
#include "overlay/session/stamp_gate.hh"
#include "proxy/host/frame.hh"
#include "proxy/host/group_events.hh"
#include "proxy/host/peers.hh"
#include "proxy/host/verdict.hh"
#include "proxy/packet/inbound_rules.hh"

namespace i3 {

// What a host asks of its driver or simulator.
class HostIo {
 public:
  virtual ~HostIo() = default;
  virtual void send(const Endpoint& to, Bytes datagram) = 0;
  // A packet for local programs.
  virtual void to_tun(Bytes packet) = 0;
  // A /32 route to the TUN for a peer's address outside the pool.
  virtual void set_route(const VirtualIp& address, bool present) = 0;
  // A second socket, opened anew each time at a port of the system's choice, which is returned;
  // what comes to it goes to Host::on_aside. Nothing: not offered.
  virtual std::optional<std::uint16_t> open_aside() { return std::nullopt; }
  virtual void send_aside(const Endpoint&, Bytes) {}
  virtual void close_aside() {}
  // A key moved or was revoked: names may mean others than before.
  virtual void people_changed() {}
  // One line for the state log; without the newline.
  virtual void log_state(const std::string& line) = 0;
};

struct HostOptions {
  bool shortcuts = true;
  bool have_v4 = true, have_v6 = true;  // of the underlay
  std::uint16_t mtu = 1400;             // of the TUN
  std::string suffix = "i3";
  Duration idle = std::chrono::hours(2);  // state is kept so long after its last use
  std::size_t max_peers = 65536;
  // Everything goes through one relay (decision 25): to it by ID, never by a label of another node.
  bool relayed = false;
  std::size_t max_addresses = 0;  // where an edge gives out more than peers have
};

class Edge;

struct HostParts {
  const Identity& identity;
  Clock& clock;
  Random& random;
  Log& log;
  HostIo& io;
  HostOptions options;
  AddressPool& pool;
  Peers& peers;
  Sessions& sessions;
  OverlayAccess& client;
  InboundRules& rules;
  StampGate& gate;
  StampClock& stamps;
  VerdictCounters& verdicts;
  VirtualIp own4, own6;
  std::vector<Endpoint> candidates;  // our own addresses for shortcuts
  // An ICMP answer to whoever sent a packet for that peer: a local program, or, on a middle-box,
  // the other end of the conversation.
  std::function<void(const Peer& peer, MutBytes packet)> answer_sender;
  Edge* edge = nullptr;           // of a gateway
  GroupEvents* groups = nullptr;  // outlives its place here

  // A packet for local programs, by the addresses that they know.
  void to_program(MutBytes packet) {
    if (groups == nullptr || groups->to_program(packet)) io.to_tun(packet);
  }

  // May packets go there because a peer says so? Not to groups, to links, to this machine, or into
  // the tunnel itself, where they would go round in a circle.
  bool may_send_to(const Endpoint& endpoint) const;
};

}  // namespace i3
