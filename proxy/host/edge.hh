// Owns the place where a gateway adds to a host: packets for addresses that are neither its own nor
// a peer's, and controls that only gateways understand.
#pragma once

#include "proxy/host/inbound.hh"
#include "proxy/host/peer.hh"

namespace i3 {

class Edge {
 public:
  virtual ~Edge() = default;

  // A packet from an authenticated peer for `packet.destination()`, which is not this host's own;
  // the source is the peer's address here already. What is taken is written to the TUN by the edge
  // itself. Nothing: not its business, and the host takes the packet as meant for itself.
  virtual std::optional<Inbound::Result> from_peer(Peer& peer, IpPacket& packet, MutBytes answer,
                                                   TimePoint now) = 0;
  // A packet of the TUN whose source is not this host's own address: the peer that it is for,
  // whose address it has as its destination already, or null.
  virtual Peer* to_peer(IpPacket& packet, TimePoint now) = 0;
  // A control of a session that the host does not know. False: nobody does.
  virtual bool on_control(Peer& peer, Bytes plaintext, TimePoint now) = 0;
};

}  // namespace i3
