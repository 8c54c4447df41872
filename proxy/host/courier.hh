// Owns the last step out: wraps a session message in the carrier of the best way to the peer.
#pragma once

#include "proxy/host/parts.hh"
#include "proxy/host/stops.hh"

namespace i3 {

class Courier {
 public:
  Courier(HostParts& parts, Stops& stops) : parts_(parts), stops_(stops) {}

  // Sends the session message in `frame`: straight if proved, else by label (with a budget until
  // that way is proved), else by private ID, else by public ID. `frame` needs the headroom for the
  // carrier.
  void send(Peer& peer, SessionKind kind, Frame frame, TimePoint now);
  // The same without the direct way: what opens sessions must not depend on it.
  void send_by_node(Peer& peer, SessionKind kind, Frame frame, TimePoint now);
  // To where a message says that its sender is reached, without believing it any further.
  // `turn` says with which of its nodes to begin; `peer`: whoever that is, if it is known.
  void send_to(const wire::Hello& said, const Peer* peer, SessionKind kind, Frame frame,
               TimePoint now, std::size_t turn = 0);
  // To the public ID of whom its sessions are with; the nonce of the answers, 0 if none will come.
  std::uint64_t send_to_public(const Peer& peer, std::size_t which, SessionKind kind, Bytes message,
                               TimePoint now);
  void send_direct(const Endpoint& to, SessionKind kind, Frame frame);

  // Seals a plaintext and sends it; false when there is no session.
  bool seal_and_send(Peer& peer, Frame frame, TimePoint now);
  bool send_control(Peer& peer, Bytes plaintext, TimePoint now);
  // Counts a packet that left, whatever in; what is silent from now on is missed.
  void note_sent(Peer& peer, std::size_t size, TimePoint now);
  bool send_control_direct(Peer& peer, const Endpoint& to, Bytes plaintext, TimePoint now);
  // True where packets travel in the small carriers; an ID packet's is larger.
  bool has_small_way(const Peer& peer) const {
    return parts_.options.relayed || (peer.direct.active && !peer.by_stops()) ||
           (peer.current() != nullptr && reachable(peer.current()->node));
  }
  // Over the node that `at` names, whatever way is in use.
  bool send_control_labelled(Peer& peer, const wire::ReturnPath::At& at, Bytes plaintext,
                             TimePoint now);
  bool usable(const wire::ReturnPath::At& at) const {
    return !at.label.none() && reachable(at.node);
  }

 private:
  // Where to send for that node; nothing for an address that a peer has no business naming.
  std::optional<Endpoint> reachable(const wire::NodeContact& node) const;

  // What just went the way in use, over the second one too.
  void send_again(Peer& peer, SessionKind kind, const Frame& frame);

  HostParts& parts_;
  Stops& stops_;
};

}  // namespace i3
