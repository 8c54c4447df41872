#include "overlay/node/relay_gate.hh"

namespace i3 {
namespace {

// What passes between a host and a node. Packets between hosts, and between nodes, do not.
bool is_relayed(wire::Type type) {
  return type != wire::Type::direct && type != wire::Type::ring;
}
bool is_carrier(wire::Type type) {
  return static_cast<std::uint8_t>(type) < static_cast<std::uint8_t>(wire::Type::probe);
}

bool may_be_node(const IpAddress& address) {
  return !address.unspecified() && !address.multicast() && !address.loopback() &&
         !address.link_local() && address != IpAddress::v4(0xffffffff);
}

}  // namespace

// 1 a message between host and node  2 the host's allowance  3 to this node, to a node known to be
// one, or to one that is asked first
void RelayGate::from_host(TunnelId id, const wire::TunnelDatagram& datagram, TimePoint now) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  Tunnel& tunnel = found->second;
  if (!may_pass(tunnel, datagram.message, now)) return;
  if (io_.is_self(id, datagram.node)) {
    counters_.add("tunnel_to_self");
    return io_.to_core(id, datagram.node, datagram.message);
  }
  if (io_.is_member(datagram.node) || is_node(datagram.node, now))
    return relay(tunnel, id, datagram.node, datagram.message, now);
  if (!may_be_node(datagram.node.address)) return counters_.add("tunnel_no_node");
  ask(tunnel, id, datagram.node, datagram.message, now);
}

bool RelayGate::may_pass(const Tunnel& tunnel, Bytes message, TimePoint now) {
  const auto header = wire::Header::parse(message);
  if (!header || !is_relayed(header->type)) {
    counters_.add("tunnel_type");
    return false;
  }
  const Endpoint source{tunnel.host, 1};
  const bool fine = is_carrier(header->type)
                        ? header->type == wire::Type::labelled || limits_.packet(source, now)
                        : limits_.request(source, header->type == wire::Type::probe ? 4 : 1, now);
  if (!fine) counters_.add("tunnel_limit");
  return fine;
}

bool RelayGate::is_node(const Endpoint& endpoint, TimePoint now) const {
  const auto known = nodes_.find(endpoint);
  return known != nodes_.end() && now < known->second;
}

void RelayGate::relay(Tunnel& tunnel, TunnelId id, const Endpoint& to, Bytes message,
                      TimePoint now) {
  auto spoken = tunnel.spoken_to.find(to);
  if (spoken == tunnel.spoken_to.end()) {
    if (tunnel.spoken_to.size() >= kMaxSpokenTo) {
      std::erase_if(tunnel.spoken_to,
                    [&](const auto& entry) { return entry.second + kSpokenToFor < now; });
      if (tunnel.spoken_to.size() >= kMaxSpokenTo) return counters_.add("tunnel_destinations");
    }
    spoken = tunnel.spoken_to.emplace(to, now).first;
  }
  spoken->second = now;
  counters_.add("tunnel_relayed");
  io_.to_network(id, to, message);
}

void RelayGate::ask(Tunnel& tunnel, TunnelId id, const Endpoint& to, Bytes message, TimePoint now) {
  std::erase_if(tunnel.asked,
                [&](const auto& entry) { return entry.second.since + kAskedFor < now; });
  auto asked = tunnel.asked.find(to);
  if (asked == tunnel.asked.end()) {
    if (tunnel.asked.size() >= kMaxAsked || !tunnel.strangers.take(now))
      return counters_.add("tunnel_destinations");
    asked = tunnel.asked.emplace(to, Asked{random_.u64() | 1, now, {}, {}}).first;
    probe(id, to, asked->second, now);
  } else if (now >= asked->second.sent + kAskAgain) {
    probe(id, to, asked->second, now);
  }
  if (asked->second.held.size() >= kMaxHeld) return counters_.add("tunnel_not_held");
  asked->second.held.emplace_back(message.begin(), message.end());
}

void RelayGate::probe(TunnelId id, const Endpoint& to, Asked& asked, TimePoint now) {
  asked.sent = now;
  std::array<std::uint8_t, wire::Probe::kSize> message;
  Writer writer(message);
  wire::Probe{asked.nonce}.write(writer);
  io_.to_network(id, to, writer.written());
}

void RelayGate::from_network(TunnelId id, const Endpoint& from, Bytes message, TimePoint now,
                             WallTime wall) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  Tunnel& tunnel = found->second;
  const auto header = wire::Header::parse(message);
  if (!header || message.size() > wire::kMaxMessage || !is_relayed(header->type))
    return counters_.add("tunnel_type");
  if (header->type == wire::Type::probe_reply && answers(tunnel, id, from, message, now, wall))
    return;
  const auto spoken = tunnel.spoken_to.find(from);
  const bool invited = spoken != tunnel.spoken_to.end() && now <= spoken->second + kSpokenToFor;
  if (!invited && !io_.is_self(id, from)) return counters_.add("tunnel_uninvited");
  counters_.add("tunnel_returned");
  io_.to_host(id, from, message);
}

// True where it was for us: whoever asked by our nonce is a node, or is found out not to be.
bool RelayGate::answers(Tunnel& tunnel, TunnelId id, const Endpoint& from, Bytes message,
                        TimePoint now, WallTime wall) {
  const auto asked = tunnel.asked.find(from);
  if (asked == tunnel.asked.end()) return false;
  const auto reply = wire::ProbeReply::parse(message);
  if (!reply || reply->nonce != asked->second.nonce) return false;
  if (!limits_.verification({tunnel.host, 1}, SourceLimits::Address::proven, now)) {
    counters_.add("tunnel_limit");
    return true;
  }
  const bool node =
      wire::ProbeReply::valid_signature(message, reply->contact.key) &&
      (!operator_key_ ||
       (reply->membership && reply->membership->valid(*operator_key_, reply->contact.key, wall)));
  const auto held = std::move(asked->second.held);
  tunnel.asked.erase(asked);
  if (!node) {
    counters_.add("tunnel_no_node");
    return true;
  }
  if (nodes_.size() >= kMaxNodes)
    std::erase_if(nodes_, [&](const auto& entry) { return entry.second <= now; });
  if (nodes_.size() < kMaxNodes) nodes_[from] = now + kNodeFor;
  for (const auto& waiting : held) relay(tunnel, id, from, waiting, now);
  return true;
}

void RelayGate::sweep(TimePoint now) {
  std::erase_if(nodes_, [&](const auto& entry) { return entry.second <= now; });
  for (auto& [id, tunnel] : tunnels_) {
    std::erase_if(tunnel.asked,
                  [&](const auto& entry) { return entry.second.since + kAskedFor < now; });
    std::erase_if(tunnel.spoken_to,
                  [&](const auto& entry) { return entry.second + kSpokenToFor < now; });
  }
}

}  // namespace i3
