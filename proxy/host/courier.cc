#include "proxy/host/courier.hh"

namespace i3 {
namespace {

// Room for the session's header in front of a plaintext, and for its tag behind.
void open_up(Frame& frame) {
  frame.grow_front(kTransportHeader);
  frame.grow_back(kTransportTag);
}

void wrap_labelled(Frame& frame, SessionKind kind, wire::Label label) {
  frame.grow_front(wire::kLabelledSize);
  Writer writer(frame.bytes().first(wire::kLabelledSize));
  wire::Labelled::write_front(writer, static_cast<std::uint8_t>(kind), label);
}

}  // namespace

std::optional<Endpoint> Courier::reachable(const wire::NodeContact& node) const {
  if (parts_.options.relayed) return std::nullopt;
  auto endpoint = node.reachable(parts_.options.have_v4, parts_.options.have_v6);
  if (endpoint && !parts_.may_send_to(*endpoint)) return std::nullopt;
  return endpoint;
}

void Courier::send_to(const wire::Hello& said, const Peer* peer, SessionKind kind, Frame frame,
                      TimePoint now, std::size_t turn) {
  const wire::ReturnPath& path = said.path;
  if (said.stop || (peer != nullptr && peer->stop)) {
    const auto way =
        peer != nullptr ? stops_.way(*peer, said.stop, path.id) : Stops::Way(*said.stop, path.id);
    parts_.client.send_stack(way.ids(), static_cast<std::uint8_t>(kind), frame.bytes(), now);
    return;
  }
  for (std::size_t i = 0; i < path.nodes.size(); ++i) {
    const auto& at = path.nodes[(turn + i) % path.nodes.size()];
    auto endpoint = reachable(at.node);
    if (!endpoint || at.label.none()) continue;
    wrap_labelled(frame, kind, at.label);
    parts_.io.send(*endpoint, frame.bytes());
    return;
  }
  parts_.client.send_by_id(path.id, static_cast<std::uint8_t>(kind), frame.bytes(), now);
}

std::uint64_t Courier::send_to_public(const Peer& peer, std::size_t which, SessionKind kind,
                                      Bytes message, TimePoint now) {
  const Id id = public_id(peer.partner, which);
  const auto number = static_cast<std::uint8_t>(kind);
  if (!peer.stop) return parts_.client.send_by_id(id, number, message, now);
  return parts_.client.send_stack(stops_.way(peer, {}, id).ids(), number, message, now);
}

void Courier::send_direct(const Endpoint& to, SessionKind kind, Frame frame) {
  frame.grow_front(wire::kDirectSize);
  Writer writer(frame.bytes().first(wire::kDirectSize));
  wire::Direct::write_front(writer, static_cast<std::uint8_t>(kind));
  parts_.io.send(to, frame.bytes());
}

void Courier::send_by_node(Peer& peer, SessionKind kind, Frame frame, TimePoint now) {
  if (const auto* at = peer.current()) {
    auto endpoint = reachable(at->node);
    NodeWay& way = peer.ways.ways[peer.ways.at];
    if (endpoint && !way.proved && kind == SessionKind::transport) {
      if (way.budget < frame.size())
        endpoint.reset();
      else
        way.budget -= frame.size();
    }
    if (endpoint) {
      wrap_labelled(frame, kind, at->label);
      parts_.io.send(*endpoint, frame.bytes());
      if (peer.ways.second.at) send_again(peer, kind, frame);
      return;
    }
  }
  const bool known = peer.theirs.id != Id{};
  const Id target = known ? peer.theirs.id : public_id(peer.partner);
  if (peer.by_stops()) {
    const auto way = stops_.way(peer, known ? peer.their_stop : std::nullopt, target);
    parts_.client.send_stack(way.ids(), static_cast<std::uint8_t>(kind), frame.bytes(), now);
    return;
  }
  parts_.client.send_by_id(target, static_cast<std::uint8_t>(kind), frame.bytes(), now);
}

// Already wrapped: only the label changes, in a copy, for what was sent the first way may be lent
// until the end of the turn.
void Courier::send_again(Peer& peer, SessionKind kind, const Frame& frame) {
  SecondWay& second = peer.ways.second;
  if (kind != SessionKind::transport || second.budget < frame.size() ||
      *second.at >= peer.theirs.nodes.size())
    return;
  const auto& at = peer.theirs.nodes[*second.at];
  const auto endpoint = reachable(at.node);
  if (!endpoint || at.label.none()) return;
  second.budget -= frame.size();
  std::vector<std::uint8_t> copy(frame.bytes().begin(), frame.bytes().end());
  Writer writer(MutBytes(copy).first(wire::kLabelledSize));
  wire::Labelled::write_front(writer, static_cast<std::uint8_t>(kind), at.label);
  parts_.io.send(*endpoint, copy);
}

void Courier::send(Peer& peer, SessionKind kind, Frame frame, TimePoint now) {
  if (peer.direct.active && !peer.by_stops()) return send_direct(*peer.direct.active, kind, frame);
  send_by_node(peer, kind, frame, now);
}

bool Courier::seal_and_send(Peer& peer, Frame frame, TimePoint now) {
  const std::size_t size = frame.size();
  open_up(frame);
  if (!parts_.sessions.seal(peer.handle, frame.bytes(), now)) return false;
  note_sent(peer, size, now);
  send(peer, SessionKind::transport, frame, now);
  return true;
}

void Courier::note_sent(Peer& peer, std::size_t size, TimePoint now) {
  peer.traffic.tx_bytes += size;
  ++peer.traffic.tx_packets;
  peer.keepalive_at = kNever;
  if (size == 0) return;
  if (peer.unanswered_since == kNever) {
    peer.unanswered_since = now;
    parts_.peers.schedule(peer, now + std::chrono::seconds(1));
  }
  if (!peer.direct.active && !peer.ways.used) {
    peer.ways.used = true;
    const TimePoint check = std::max(now, peer.ways.checked + kWayCheckEvery);
    if (check < peer.ways.next) {
      peer.ways.next = check;
      parts_.peers.schedule(peer, check);
    }
  }
}

bool Courier::send_control(Peer& peer, Bytes plaintext, TimePoint now) {
  OwnFrame own(plaintext);
  Frame frame = own.frame();
  open_up(frame);
  if (!parts_.sessions.seal(peer.handle, frame.bytes(), now)) return false;
  peer.keepalive_at = kNever;
  send(peer, SessionKind::transport, frame, now);
  return true;
}

bool Courier::send_control_direct(Peer& peer, const Endpoint& to, Bytes plaintext, TimePoint now) {
  OwnFrame own(plaintext);
  Frame frame = own.frame();
  open_up(frame);
  if (!parts_.sessions.seal(peer.handle, frame.bytes(), now)) return false;
  send_direct(to, SessionKind::transport, frame);
  return true;
}

bool Courier::send_control_labelled(Peer& peer, const wire::ReturnPath::At& at, Bytes plaintext,
                                    TimePoint now) {
  auto endpoint = reachable(at.node);
  if (!endpoint) return false;
  OwnFrame own(plaintext);
  Frame frame = own.frame();
  open_up(frame);
  if (!parts_.sessions.seal(peer.handle, frame.bytes(), now)) return false;
  wrap_labelled(frame, SessionKind::transport, at.label);
  parts_.io.send(*endpoint, frame.bytes());
  return true;
}

}  // namespace i3
