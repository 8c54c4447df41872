// Owns the way out, from the TUN to the courier.
#pragma once

#include "proxy/host/direct_ways.hh"
#include "proxy/host/gateway_names.hh"
#include "proxy/host/path_size.hh"
#include "proxy/host/rendezvous.hh"

namespace i3 {

// 1 parse  2 find peer  3 note the flow  4 seal and send, or park until there is a session
class Outbound {
 public:
  Outbound(HostParts& parts, Courier& courier, DirectWays& direct, PathSizes& sizes,
           Rendezvous& rendezvous, GatewayNames& names)
      : parts_(parts),
        courier_(courier),
        direct_(direct),
        sizes_(sizes),
        rendezvous_(rendezvous),
        names_(names) {}

  // One packet from a local program. `frame` is borrowed for the call and changed in place.
  Verdict on_packet(Frame frame, TimePoint now);
  // One that a middle-box sends on to the end that `leg` stands for.
  Verdict on_leg(Peer& leg, IpPacket& packet, Frame frame, TimePoint now) {
    return for_peer(leg, packet, frame, now);
  }

 private:
  // `name`: what behind the peer it is for; null for the peer itself.
  Verdict for_peer(Peer& peer, IpPacket& packet, Frame frame, TimePoint now,
                   const GatewayNames::Name* name = nullptr);
  Verdict no_such_address(const IpPacket& packet);

  HostParts& parts_;
  Courier& courier_;
  DirectWays& direct_;
  PathSizes& sizes_;
  Rendezvous& rendezvous_;
  GatewayNames& names_;
};

// No IPv6 sender need send less (RFC 8200, 5).
inline constexpr std::size_t kLeastMtuOfV6 = 1280;

// Inner packets of this size fit a 1500-byte underlay, IPv6 included, in an ID packet.
inline constexpr std::uint16_t kMtuById = mtu_by_ids(1);

}  // namespace i3
