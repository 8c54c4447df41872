#include "proxy/host/outbound.hh"

#include "proxy/host/edge.hh"
#include "proxy/host/paths.hh"
#include "proxy/packet/icmp.hh"
#include "proxy/packet/rewrite.hh"

namespace i3 {

Verdict Outbound::on_packet(Frame frame, TimePoint now) {
  auto packet = IpPacket::parse(frame.bytes());
  if (!packet) return Verdict::malformed;
  const IpAddress destination = packet->destination();
  if (destination.multicast() || destination.link_local()) return Verdict::multicast;
  const IpAddress source = packet->source();
  if (source != parts_.own4.address() && source != parts_.own6.address()) {
    Peer* peer = parts_.edge != nullptr ? parts_.edge->to_peer(*packet, now) : nullptr;
    return peer != nullptr ? for_peer(*peer, *packet, frame, now) : Verdict::foreign_source;
  }
  Peer* peer = parts_.peers.find(destination);
  if (peer != nullptr) return for_peer(*peer, *packet, frame, now);
  GatewayNames::Name* name = names_.at(destination);
  Peer* gateway = name != nullptr ? names_.gateway_of(*name) : nullptr;
  if (gateway == nullptr) return no_such_address(*packet);
  name->used = now;
  return for_peer(*gateway, *packet, frame, now, name);
}

Verdict Outbound::no_such_address(const IpPacket& packet) {
  std::array<std::uint8_t, kReplyCapacity> reply;
  const MutBytes answer = build_unreachable(packet, Unreachable::host, packet.destination(), reply);
  if (!answer.empty()) parts_.to_program(answer);
  return Verdict::no_such_address;
}

Verdict Outbound::for_peer(Peer& peer, IpPacket& packet, Frame frame, TimePoint now,
                           const GatewayNames::Name* name) {
  // In use again after a pause: the straight way, given up meanwhile, is worth another try.
  if (now > peer.last_used + kInUse) direct_.used_again(peer, now);
  peer.last_used = now;
  std::uint16_t mtu = sizes_.limit(peer);
  if (peer.ever_ready && !courier_.has_small_way(peer)) mtu = std::min(mtu, kMtuById);
  const bool least_of_v6 = packet.family() == Family::v6 && packet.size() <= kLeastMtuOfV6;
  if (packet.size() > mtu && !least_of_v6) {
    sizes_.sending(peer, packet.size(), now);  // perhaps it passes by now
    std::array<std::uint8_t, kReplyCapacity> reply;
    const MutBytes answer = build_too_big(packet, mtu, packet.destination(), reply);
    if (!answer.empty()) parts_.answer_sender(peer, answer);
    return Verdict::too_big;
  }
  // Better told at the start than by packets that are refused.
  if (IpPacket opening = packet; (packet.tcp_flags() & tcp_flag::kSyn) != 0)
    clamp_mss(opening, sizes_.limit(peer));
  if (!peer.leg) parts_.rules.outbound(peer.key, packet, now);
  if (now < peer.absent_until) {
    rendezvous_.answer_unreachable(peer, packet.bytes());
    return Verdict::absent;
  }
  if (name != nullptr && !names_.to_inner(*name, packet)) return no_such_address(packet);
  if (packet.size() > mtu && sizes_.send_in_two(peer, packet.bytes(), now)) return Verdict::passed;
  const std::size_t size = packet.size();
  if (courier_.seal_and_send(peer, frame, now)) {
    sizes_.sending(peer, size, now);
    return Verdict::passed;
  }
  return rendezvous_.park(peer, packet.bytes(), now);
}

}  // namespace i3
