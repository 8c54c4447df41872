#include "proxy/host/anycast_flows.hh"

#include <algorithm>

namespace i3 {
namespace {

bool has_ports(std::uint8_t protocol) {
  return protocol == ip_protocol::kTcp || protocol == ip_protocol::kUdp;
}

// The conversation that a quoted packet was part of. `ours`: this host sent it.
std::optional<FlowKey> quoted_key(const IpView& packet, const QuotedPacket& quote, bool ours) {
  if (quote.headers.fragment_offset != 0) return std::nullopt;
  const Bytes bytes = packet.bytes();
  FlowKey key;
  key.peer = ours ? quote.destination : quote.source;
  key.protocol = quote.headers.protocol;
  if (has_ports(quote.headers.protocol)) {
    const std::uint16_t from = load16(bytes, quote.transport);
    const std::uint16_t to = load16(bytes, quote.transport + 2);
    key.own_port = ours ? from : to;
    key.peer_port = ours ? to : from;
  } else if (quote.headers.protocol == ip_protocol::kIcmp ||
             quote.headers.protocol == ip_protocol::kIcmp6) {
    key.own_port = load16(bytes, quote.transport + 4);
  }
  return key;
}

FlowKey plain_key(const IpView& packet, const IpAddress& remote, bool out) {
  FlowKey key;
  key.peer = remote;
  key.protocol = packet.protocol();
  if (packet.is_icmp()) {
    key.own_port = packet.icmp_id();
  } else {
    key.own_port = out ? packet.source_port() : packet.destination_port();
    key.peer_port = out ? packet.destination_port() : packet.source_port();
  }
  return key;
}

}  // namespace

std::optional<FlowKey> AnycastFlows::key_out(const IpView& packet) {
  const IpAddress remote = packet.destination();
  if (!packet.has_transport()) return of_fragment(packet, remote);
  if (packet.is_icmp_error()) {
    const auto quote = packet.quoted();
    return quote ? quoted_key(packet, *quote, false) : std::nullopt;
  }
  const FlowKey key = plain_key(packet, remote, true);
  if (packet.is_first_fragment()) note_fragment(packet, remote, key);
  return key;
}

std::optional<FlowKey> AnycastFlows::key_in(const IpView& packet) {
  const IpAddress remote = packet.source();
  if (!packet.has_transport()) return of_fragment(packet, remote);
  std::optional<FlowKey> key;
  if (packet.is_icmp_error()) {
    if (const auto quote = packet.quoted()) key = quoted_key(packet, *quote, true);
  } else {
    key = plain_key(packet, remote, false);
  }
  if (!key) return std::nullopt;
  const auto found = back_.find(*key);
  std::optional<FlowKey> ours;
  if (found != back_.end()) ours = found->second;
  // That it is none of ours is worth knowing where later ones may be.
  if (packet.is_first_fragment() && (ours || addresses_.contains(remote)))
    note_fragment(packet, remote, ours);
  return ours;
}

bool AnycastFlows::is_early(const IpView& packet) const {
  if (packet.has_transport() || !packet.is_fragment()) return false;
  const IpAddress remote = packet.source();
  return addresses_.contains(remote) && seen_first(packet, remote) == nullptr;
}

const AnycastFlows::Fragment* AnycastFlows::seen_first(const IpView& packet,
                                                       const IpAddress& remote) const {
  const auto found = std::find_if(fragments_.rbegin(), fragments_.rend(), [&](const Fragment& one) {
    return one.remote == remote && one.id == packet.fragment_id() &&
           one.protocol == packet.protocol();
  });
  return found == fragments_.rend() ? nullptr : &*found;
}

std::optional<FlowKey> AnycastFlows::of_fragment(const IpView& packet,
                                                 const IpAddress& remote) const {
  const Fragment* first = seen_first(packet, remote);
  return first != nullptr ? first->key : std::nullopt;
}

void AnycastFlows::note_fragment(const IpView& packet, const IpAddress& remote,
                                 const std::optional<FlowKey>& key) {
  if (fragments_.size() >= kMaxFragments) fragments_.pop_front();
  fragments_.push_back({remote, packet.fragment_id(), packet.protocol(), key});
}

AnycastFlow* AnycastFlows::find(const FlowKey& key) {
  const auto found = flows_.find(key);
  return found == flows_.end() ? nullptr : &found->second;
}

AnycastFlow* AnycastFlows::open(const FlowKey& key, const PublicKey& member, const IpAddress& at,
                                TimePoint now) {
  close(key);
  if (flows_.size() >= kMaxFlows) sweep(now);
  if (flows_.size() >= kMaxFlows) return nullptr;
  AnycastFlow& flow = flows_[key];
  flow.member = member;
  flow.at = at;
  flow.seen = now;
  count(member, true);
  link_back(key, at);
  return &flow;
}

void AnycastFlows::link_back(const FlowKey& key, const IpAddress& at) {
  if (back_.insert_or_assign(with_peer(key, at), key).second) ++addresses_[at];
}

// Unless another conversation has taken its place.
void AnycastFlows::unlink_back(const FlowKey& key, const IpAddress& at) {
  const auto back = back_.find(with_peer(key, at));
  if (back == back_.end() || !(back->second == key)) return;
  back_.erase(back);
  const auto address = addresses_.find(at);
  if (--address->second == 0) addresses_.erase(address);
}

bool AnycastFlows::move(const FlowKey& key, const PublicKey& member, const IpAddress& at) {
  AnycastFlow* flow = find(key);
  if (flow == nullptr) return false;
  unlink_back(key, flow->at);
  count(flow->member, false);
  count(member, true);
  flow->member = member;
  flow->at = at;
  flow->answered = false;
  link_back(key, at);
  return true;
}

void AnycastFlows::close(const FlowKey& key) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) return;
  unlink_back(key, found->second.at);
  count(found->second.member, false);
  flows_.erase(found);
}

std::vector<FlowKey> AnycastFlows::of_member(const PublicKey& member) const {
  std::vector<FlowKey> keys;
  for (const auto& [key, flow] : flows_)
    if (flow.member == member) keys.push_back(key);
  return keys;
}

std::vector<FlowKey> AnycastFlows::of_group(const IpAddress& group) const {
  std::vector<FlowKey> keys;
  for (const auto& [key, flow] : flows_)
    if (key.peer == group) keys.push_back(key);
  return keys;
}

std::vector<FlowKey> AnycastFlows::keys() const {
  std::vector<FlowKey> keys;
  for (const auto& [key, flow] : flows_) keys.push_back(key);
  return keys;
}

void AnycastFlows::count(const PublicKey& member, bool more) {
  if (more) {
    ++counts_[member];
    return;
  }
  const auto found = counts_.find(member);
  if (--found->second == 0) counts_.erase(found);
}

void AnycastFlows::sweep(TimePoint now) {
  std::vector<FlowKey> over;
  for (const auto& [key, flow] : flows_) {
    const bool tcp = key.protocol == ip_protocol::kTcp;
    const Duration most = flow.ended ? kEndedIdle : tcp && flow.answered ? kTcpIdle : kUdpIdle;
    if (now > flow.seen + most) over.push_back(key);
  }
  for (const FlowKey& key : over) close(key);
}

}  // namespace i3
