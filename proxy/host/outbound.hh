// Owns the way out, from the TUN to the courier.
#pragma once

#include "proxy/host/direct_ways.hh"
#include "proxy/host/rendezvous.hh"

namespace i3 {

// 1 parse  2 find peer  3 note the flow  4 seal and send, or park until there is a session
class Outbound {
 public:
  Outbound(HostParts& parts, Courier& courier, DirectWays& direct, Rendezvous& rendezvous)
      : parts_(parts), courier_(courier), direct_(direct), rendezvous_(rendezvous) {}

  // One packet from a local program. `frame` is borrowed for the call and changed in place.
  Verdict on_packet(Frame frame, TimePoint now);
  // One that a middle-box sends on to the end that `leg` stands for.
  Verdict on_leg(Peer& leg, const IpPacket& packet, Frame frame, TimePoint now) {
    return for_peer(leg, packet, frame, now);
  }

 private:
  Verdict for_peer(Peer& peer, const IpPacket& packet, Frame frame, TimePoint now);

  HostParts& parts_;
  Courier& courier_;
  DirectWays& direct_;
  Rendezvous& rendezvous_;
};

// Inner packets of this size fit a 1500-byte underlay, IPv6 included, in an ID packet.
inline constexpr std::uint16_t kMtuById = 1360;

}  // namespace i3
