#include "proxy/host/paths.hh"

namespace i3 {

bool HostParts::may_send_to(const Endpoint& endpoint) const {
  const IpAddress& address = endpoint.address;
  if (!endpoint.valid() || address.multicast() || address.loopback() || address.link_local() ||
      address == IpAddress::v4(0xffffffff))
    return false;
  if (pool.ipv4().contains(address) || pool.ipv6().contains(address) ||
      peers.find(address) != nullptr)
    return false;
  return address.is_v4() ? options.have_v4 : options.have_v6;
}

namespace {

template <class Message>
Bytes written(const Message& message, MutBytes storage) {
  Writer writer(storage);
  message.write(writer);
  assert(writer.ok());
  return writer.written();
}

}  // namespace

wire::ReturnPath Paths::own_path(const Peer& peer) const {
  if (!peer.mine) return {};
  wire::ReturnPath path = parts_.client.path(*peer.mine);
  path.id = *peer.mine;
  return path;
}

wire::Hello Paths::hello(const Peer& peer) const {
  wire::Hello hello;
  hello.shortcuts = parts_.options.shortcuts && peer.shortcuts && !peer.by_stops();
  // A middle-box announces what it calls the other end, so that both ends may call it so too.
  hello.ipv4 = (peer.leg ? peer.leg->other4 : parts_.own4).address().to_v4();
  hello.ipv6 = (peer.leg ? peer.leg->other6 : parts_.own6).address().bytes;
  hello.mtu = parts_.options.mtu;
  hello.path = own_path(peer);
  if (stops_.tell(peer, hello) || !hello.shortcuts) return hello;
  hello.candidates = parts_.candidates;
  const Observed observed = parts_.client.observed();
  for (const auto& seen : {observed.v4.endpoint, observed.v6.endpoint})
    if (seen && std::find(hello.candidates.begin(), hello.candidates.end(), *seen) ==
                    hello.candidates.end())
      hello.candidates.push_back(*seen);
  hello.candidates.insert(hello.candidates.end(), peer.direct.predicted.begin(),
                          peer.direct.predicted.end());
  if (hello.candidates.size() > wire::Hello::kMaxCandidates)
    hello.candidates.erase(hello.candidates.begin(),
                           hello.candidates.end() - wire::Hello::kMaxCandidates);
  return hello;
}

void Paths::learn(Peer& peer, const wire::Hello& hello, TimePoint now) {
  peer.their_stop = hello.stop;
  wire::ReturnPath path = hello.path;
  if (peer.by_stops()) path.nodes.clear();  // they lead round the boxes
  nodes_.learn(peer, path, now);
  peer.welcomes_shortcuts = hello.shortcuts;
  peer.mtu = std::clamp<std::uint16_t>(hello.mtu, 1280, parts_.options.mtu);
  peer.their_candidates = hello.candidates;
  if (peer.by_stops())
    peer.direct = DirectPaths{};
  else
    direct_.learn(peer, hello.candidates, now);
}

void Paths::on_challenge(Peer& peer, std::uint64_t nonce,
                         const std::optional<Endpoint>& direct_from, TimePoint now) {
  if (direct_from) return direct_.on_challenge(peer, nonce, *direct_from, now);
  nodes_.on_challenge(peer, nonce, now);
}

void Paths::on_response(Peer& peer, const wire::PathResponse& response,
                        const std::optional<Endpoint>& direct_from, TimePoint now) {
  if (nodes_.on_response(peer, response.nonce, now)) return;
  if (direct_from) direct_.on_response(peer, response.nonce, *direct_from, now);
}

void Paths::tell_if_moved(Peer& peer, TimePoint now) {
  if (!peer.mine) return;
  const wire::ReturnPath path = parts_.client.path(*peer.mine);
  if (!path.nodes.empty() && !(path == peer.mine_told)) trigger_changed(peer, now);
}

void Paths::on_timer(Peer& peer, TimePoint now) {
  if (!peer.mine_acknowledged && now >= peer.paths_retry) tell(peer, now);
}

TimePoint Paths::next_deadline(const Peer& peer) const {
  return peer.mine_acknowledged ? kNever : peer.paths_retry;
}

void Paths::trigger_changed(Peer& peer, TimePoint now) {
  if (!parts_.sessions.can_seal(peer.handle, now)) return;
  ++peer.mine_sequence;
  peer.mine_acknowledged = false;
  peer.paths_tries = 0;
  tell(peer, now);
}

void Paths::tell(Peer& peer, TimePoint now) {
  if (peer.paths_tries >= 20) {
    peer.mine_acknowledged = true;  // a new handshake will tell it
    return;
  }
  wire::Paths message;
  message.sequence = peer.mine_sequence;
  message.hello = hello(peer);
  if (const wire::ReturnPath own = own_path(peer); !own.nodes.empty()) {
    peer.mine_told = own;
    std::array<std::uint8_t, 1024> storage;
    courier_.send_control(peer, written(message, storage), now);
  }
  ++peer.paths_tries;
  peer.paths_retry = now + std::chrono::milliseconds(peer.paths_tries < 5 ? 300 : 1000);
  parts_.peers.schedule(peer, peer.paths_retry);
}

void Paths::on_paths(Peer& peer, const wire::Paths& paths, TimePoint now) {
  std::array<std::uint8_t, 16> storage;
  const wire::NonceControl reply{wire::Control::paths_ack, paths.sequence};
  if (paths.sequence > peer.theirs_sequence) {
    peer.theirs_sequence = paths.sequence;
    // Its addresses changed: the straight way is tested before it is used again.
    if (peer.their_candidates != paths.hello.candidates) direct_.suspect(peer, now);
    learn(peer, paths.hello, now);
  }
  courier_.send_control(peer, written(reply, storage), now);
}

void Paths::on_acknowledged(Peer& peer, std::uint64_t sequence) {
  if (sequence == peer.mine_sequence) peer.mine_acknowledged = true;
}

}  // namespace i3
