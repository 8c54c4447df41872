// Owns the judgement of inbound packets.
#include "proxy/packet/inbound_rules.hh"

#include <algorithm>

namespace i3 {
namespace {

using Ports = std::vector<PortRange>;
constexpr PortRange kAllPorts{0, 0xffff};

// Sorted, and merged where they touch, so that one binary search decides.
void merge(Ports& ports) {
  std::sort(ports.begin(), ports.end());
  Ports merged;
  for (const PortRange& range : ports) {
    if (!merged.empty() && range.first <= std::uint32_t{merged.back().last} + 1)
      merged.back().last = std::max(merged.back().last, range.last);
    else
      merged.push_back(range);
  }
  ports = std::move(merged);
}

bool among(const Ports& ports, std::uint16_t port) {
  auto after = std::upper_bound(ports.begin(), ports.end(), port,
                                [](std::uint16_t p, const PortRange& r) { return p < r.first; });
  return after != ports.begin() && port <= std::prev(after)->last;
}

FlowKey flow_of(const IpAddress& peer, std::uint16_t peer_port, std::uint16_t own_port,
                std::uint8_t protocol) {
  return {peer, peer_port, own_port, protocol};
}

FlowKey fragment_of(const IpView& packet) {
  const std::uint32_t id = packet.fragment_id();
  return {packet.source(), static_cast<std::uint16_t>(id >> 16), static_cast<std::uint16_t>(id),
          packet.protocol()};
}

// Unreachable, too big, time exceeded, parameter problem.
bool is_advice(const IpView& packet) {
  const std::uint8_t type = packet.icmp_type();
  if (packet.family() == Family::v6) return type >= 1 && type <= 4;
  return type == 3 || type == 11 || type == 12;
}

}  // namespace

void InboundRules::PeerRules::add(const Allow& line) {
  using Protocol = Allow::Protocol;
  const bool all = line.protocol == Protocol::usual || line.protocol == Protocol::every;
  const Ports ports = line.ports.empty() ? Ports{kAllPorts} : line.ports;
  any_line = true;
  if (all || line.protocol == Protocol::tcp) tcp.insert(tcp.end(), ports.begin(), ports.end());
  if (all || line.protocol == Protocol::udp) udp.insert(udp.end(), ports.begin(), ports.end());
  merge(tcp);
  merge(udp);
  if (!line.ports.empty()) return;
  if (all || line.protocol == Protocol::icmp) icmp = true;
  if (line.protocol == Protocol::every) every = true;
}

bool InboundRules::PeerRules::allows(const IpView& packet, std::uint16_t own_port) const {
  if (packet.is_tcp()) return among(tcp, own_port);
  if (packet.is_udp()) return among(udp, own_port);
  if (packet.is_icmp()) return icmp;
  return every;
}

std::uint64_t InboundRules::PeerKey::hash(std::uint64_t secret) const {
  Reader reader(key.bytes);
  const std::uint64_t first = mix(reader.u64(), reader.u64(), secret);
  return mix(first ^ reader.u64(), reader.u64(), secret);
}

InboundRules::InboundRules(const std::vector<Allow>& lines, Random& random, const Limits& limits)
    : secret_(random.u64()),
      by_peer_(secret_),
      flows_(limits.flows, limits.flow_lifetime, random),
      fragments_(limits.fragments, limits.fragment_lifetime, random) {
  replace(lines);
}
InboundRules::InboundRules(const std::vector<Allow>& lines, Random& random)
    : InboundRules(lines, random, Limits{}) {}

void InboundRules::replace(const std::vector<Allow>& lines) {
  by_peer_ = FlatTable<PeerKey>(secret_);
  peers_.clear();
  anybody_ = PeerRules{};
  for (const Allow& line : lines) {
    if (!line.from) {
      anybody_.add(line);
      continue;
    }
    std::uint32_t index = by_peer_.find({*line.from});
    if (index == FlatTable<PeerKey>::kNone) {
      index = static_cast<std::uint32_t>(peers_.size());
      by_peer_.insert({*line.from}, index);
      peers_.emplace_back();
    }
    peers_[index].add(line);
  }
}

const InboundRules::PeerRules* InboundRules::rules_of(const PublicKey& peer) const {
  const std::uint32_t index = by_peer_.find({peer});
  return index == FlatTable<PeerKey>::kNone ? nullptr : &peers_[index];
}

bool InboundRules::has_line(const PublicKey& peer) const {
  return anybody_.any_line || rules_of(peer) != nullptr;
}

bool InboundRules::line_allows(const PublicKey& peer, const IpView& packet,
                               std::uint16_t own_port) const {
  if (anybody_.allows(packet, own_port)) return true;
  const PeerRules* rules = rules_of(peer);
  return rules && rules->allows(packet, own_port);
}

void InboundRules::outbound(const PublicKey& peer, const IpView& packet, TimePoint now) {
  if (packet.is_tcp() || packet.is_icmp() || !packet.has_transport()) return;
  const FlowKey key = flow_of(packet.destination(), packet.destination_port(), packet.source_port(),
                              packet.protocol());
  if (flows_.refresh(key, now) || line_allows(peer, packet, packet.source_port())) return;
  flows_.open(key, now);
}

// 1 later fragments 2 TCP 3 ICMP 4 UDP and the rest
bool InboundRules::passes(const PublicKey& peer, const IpView& packet, TimePoint now) {
  if (!packet.has_transport())
    return has_line(peer) || fragments_.contains(fragment_of(packet), now);
  if (packet.is_tcp())
    return !packet.is_tcp_open() || line_allows(peer, packet, packet.destination_port());
  if (packet.is_icmp()) return icmp_passes(peer, packet);
  const FlowKey key =
      flow_of(packet.source(), packet.source_port(), packet.destination_port(), packet.protocol());
  return flows_.refresh(key, now) || line_allows(peer, packet, packet.destination_port());
}

bool InboundRules::icmp_passes(const PublicKey& peer, const IpView& packet) const {
  if (packet.is_echo_reply()) return true;
  if (packet.is_echo_request()) return line_allows(peer, packet, 0);
  if (!packet.is_icmp_error() || !is_advice(packet)) return false;
  const auto quote = packet.quoted();
  return quote && quote->source == packet.destination() && quote->destination == packet.source();
}

InboundVerdict InboundRules::refusal(const PublicKey& peer, const IpView& packet) const {
  if (!has_line(peer) || !packet.has_transport()) return InboundVerdict::silent;
  if (packet.is_tcp()) return InboundVerdict::reset;
  if (packet.is_icmp() && !packet.is_echo_request()) return InboundVerdict::silent;
  return InboundVerdict::prohibited;
}

InboundVerdict InboundRules::inbound(const PublicKey& peer, const IpView& packet, TimePoint now) {
  if (!passes(peer, packet, now)) return refusal(peer, packet);
  if (packet.is_first_fragment() && !has_line(peer)) fragments_.open(fragment_of(packet), now);
  return InboundVerdict::pass;
}

}  // namespace i3
