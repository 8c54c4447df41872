#include "proxy/host/inbound.hh"

#include "proxy/host/edge.hh"
#include "proxy/packet/icmp.hh"
#include "proxy/packet/rewrite.hh"

namespace i3 {

Inbound::Result Inbound::on_packet(Peer& peer, MutBytes bytes, MutBytes answer, TimePoint now) {
  auto packet = IpPacket::parse(bytes);
  if (!packet) return {Verdict::malformed};
  const bool v4 = packet->family() == Family::v4;
  const IpAddress source =
      names_.local_source(peer, *packet, now).value_or((v4 ? peer.ipv4 : peer.ipv6).address());
  const IpAddress& own = (v4 ? parts_.own4 : parts_.own6).address();
  if (packet->destination().multicast()) return {Verdict::multicast};
  if (parts_.edge != nullptr && packet->destination() != own) {
    if (packet->source() != source) {
      rewrite_source(*packet, source);
      packet = IpPacket::parse(bytes);
      if (!packet) return {Verdict::malformed};
    }
    peer.last_used = now;
    if (auto taken = parts_.edge->from_peer(peer, *packet, answer, now)) return *taken;
  }
  if (packet->source() != source || packet->destination() != own) {
    rewrite_addresses(*packet, source, own);
    packet = IpPacket::parse(bytes);
    if (!packet) return {Verdict::malformed};
  }
  peer.last_used = now;
  // What our programs send back must fit the way there.
  if ((peer.size.limit != 0 || peer.by_stops()) && (packet->tcp_flags() & tcp_flag::kSyn) != 0)
    clamp_mss(*packet, peer.largest());
  switch (parts_.rules.inbound(peer.key, *packet, now)) {
    case InboundVerdict::pass: {
      std::vector<EarlyFragments::Held> after;
      if (!early_.empty() && packet->is_first_fragment())
        after = early_.take(EarlyFragments::Way::in, packet->source(), *packet);
      parts_.to_program(bytes);
      for (EarlyFragments::Held& one : after) followed(peer, one, now);
      return {Verdict::passed};
    }
    case InboundVerdict::reset:
      return {Verdict::not_allowed, build_tcp_reset(*packet, answer).size()};
    case InboundVerdict::prohibited:
      return {Verdict::not_allowed,
              build_unreachable(*packet, Unreachable::prohibited, own, answer).size()};
    case InboundVerdict::silent:
      break;
  }
  // Whether it may come in, its packet's first fragment decides, which may be behind it.
  if (packet->has_transport() || !packet->is_fragment()) return {Verdict::not_allowed};
  for (std::size_t over = early_.expired(now).size(); over > 0; --over)
    parts_.verdicts.count(Verdict::not_allowed);
  return {early_.hold(EarlyFragments::Way::in, packet->source(), *packet, now)
              ? Verdict::fragment_held
              : Verdict::not_allowed};
}

void Inbound::followed(Peer& peer, EarlyFragments::Held& one, TimePoint now) {
  const auto packet = IpPacket::parse(one.bytes);
  if (!packet || now >= one.until ||
      parts_.rules.inbound(peer.key, *packet, now) != InboundVerdict::pass) {
    parts_.verdicts.count(Verdict::not_allowed);
    return;
  }
  parts_.to_program(one.bytes);
}

}  // namespace i3
