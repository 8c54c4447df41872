#include "proxy/host/node_ways.hh"

namespace i3 {
namespace {

template <class Message>
Bytes written(const Message& message, MutBytes storage) {
  Writer writer(storage);
  message.write(writer);
  assert(writer.ok());
  return writer.written();
}

Duration patience(const NodeWay& way) {
  if (way.rtt == Duration{}) return kMostWayPatience;
  return std::clamp<Duration>(way.rtt * 3 / 2 + kWayPatienceExtra, kLeastWayPatience,
                              kMostWayPatience);
}

}  // namespace

bool NodeWays::usable(const Peer& peer, std::size_t way) const {
  return way < peer.theirs.nodes.size() && !peer.ways.ways[way].gone &&
         courier_.usable(peer.theirs.nodes[way]);
}

void NodeWays::learn(Peer& peer, const wire::ReturnPath& path, TimePoint now) {
  if (peer.theirs == path) return prove(peer, now);
  const NodePaths before = peer.ways;
  NodePaths ways;
  ways.changes = before.changes;
  ways.used = before.used;
  ways.next = now;
  for (std::size_t i = 0; i < path.nodes.size(); ++i) {
    ways.ways[i].next_try = now;
    for (std::size_t j = 0; j < peer.theirs.nodes.size(); ++j) {
      if (!(path.nodes[i] == peer.theirs.nodes[j])) continue;
      ways.ways[i] = before.ways[j];
      if (before.at == j && !before.ways[j].silent && !before.ways[j].gone) ways.at = i;
    }
  }
  peer.theirs = path;
  peer.ways = ways;
  parts_.peers.schedule(peer, now);
}

void NodeWays::prove(Peer& peer, TimePoint now) {
  for (std::size_t i = 0; i < peer.theirs.nodes.size(); ++i) {
    NodeWay& way = peer.ways.ways[i];
    if (way.proved || way.nonce != 0) continue;
    way.next_try = peer.ways.next = now;
    parts_.peers.schedule(peer, now);
  }
}

// Its nonce stays the same until it is answered, so that a late answer still counts.
void NodeWays::challenge(Peer& peer, std::size_t at, TimePoint now) {
  NodeWay& way = peer.ways.ways[at];
  if (way.nonce == 0) {
    way.nonce = parts_.random.u64() | 1;
    way.asked = now;
    way.tries = 0;
  }
  ++way.tries;
  std::array<std::uint8_t, 16> storage;
  const wire::NonceControl message{wire::Control::path_challenge, way.nonce};
  courier_.send_control_labelled(peer, peer.theirs.nodes[at], written(message, storage), now);
}

// The answer may come any way: what it proves is that the challenge arrived, at the peer, by that
// label at that node.
bool NodeWays::on_response(Peer& peer, std::uint64_t nonce, TimePoint now) {
  for (std::size_t i = 0; i < peer.theirs.nodes.size(); ++i) {
    NodeWay& way = peer.ways.ways[i];
    if (way.nonce == 0 || way.nonce != nonce) continue;
    const Duration sample = std::max<Duration>(now - way.asked, std::chrono::microseconds(1));
    if (way.tries == 1) way.rtt = way.rtt == Duration{} ? sample : (way.rtt * 3 + sample) / 4;
    way.nonce = 0;
    way.tries = 0;
    way.confirmed = now;
    way.next_try = kNever;
    way.proved = true;
    way.silent = false;
    NodePaths& ways = peer.ways;
    if (!usable(peer, ways.at) || ways.ways[ways.at].silent) ways.at = i;
    return true;
  }
  return false;
}

void NodeWays::on_challenge(Peer& peer, std::uint64_t nonce, TimePoint now) {
  std::array<std::uint8_t, 32> storage;
  const Bytes answer = written(wire::PathResponse{nonce, {}}, storage);
  courier_.send_control(peer, answer, now);
  if (peer.direct.active) return;
  const std::size_t at = peer.ways.at;
  if (usable(peer, at) && peer.ways.ways[at].confirmed + kWayFresh > now) return;
  for (std::size_t i = 1; i <= peer.theirs.nodes.size(); ++i) {
    const std::size_t other = (at + i) % peer.theirs.nodes.size();
    if (other == at || !usable(peer, other) || peer.ways.ways[other].silent) continue;
    courier_.send_control_labelled(peer, peer.theirs.nodes[other], answer, now);
    return;
  }
}

bool NodeWays::label_gone(Peer& peer, const Endpoint& node, wire::Label label, TimePoint now) {
  for (std::size_t i = 0; i < peer.theirs.nodes.size(); ++i) {
    const auto& at = peer.theirs.nodes[i];
    if (!at.node.owns(node) || !(at.label == label) || peer.ways.ways[i].gone) continue;
    peer.ways.ways[i].gone = true;
    if (peer.ways.at == i) take_next(peer, now);
    return !usable(peer, peer.ways.at);
  }
  return false;
}

// The next one that did not fall silent; when all did, packets go by ID, all are asked, and the
// first one that answers is taken.
void NodeWays::take_next(Peer& peer, TimePoint now) {
  NodePaths& ways = peer.ways;
  const std::size_t count = peer.theirs.nodes.size();
  std::size_t next = count;
  for (std::size_t i = 1; i < count && next == count; ++i) {
    const std::size_t other = (ways.at + i) % count;
    if (usable(peer, other) && !ways.ways[other].silent) next = other;
  }
  ways.at = next;
  ++ways.changes;
  for (std::size_t i = 0; i < count; ++i) ways.ways[i].next_try = now;
  // Perhaps it is us whom nobody reaches.
  parts_.client.verify(now);
  parts_.log.info(
      "path_by_other_node",
      {{"peer", peer.name},
       {"node", next < count ? peer.theirs.nodes[next].node.primary().text() : "none"}});
}

void NodeWays::check_current(Peer& peer, TimePoint now) {
  NodePaths& ways = peer.ways;
  if (!usable(peer, ways.at)) return;
  NodeWay& way = ways.ways[ways.at];
  if (way.nonce != 0 && way.asked + patience(way) <= now) {
    way.silent = true;
    way.nonce = 0;
    take_next(peer, now);
    if (!usable(peer, ways.at)) return;
  }
  if (ways.used || ways.ways[ways.at].nonce != 0) challenge(peer, ways.at, now);
}

// Those that were never proved, and those that fell silent.
void NodeWays::check_others(Peer& peer, TimePoint now) {
  NodePaths& ways = peer.ways;
  for (std::size_t i = 0; i < peer.theirs.nodes.size(); ++i) {
    NodeWay& way = ways.ways[i];
    if (now < way.next_try) continue;
    way.next_try = kNever;
    const bool current = i == ways.at && (ways.used || way.nonce != 0);
    if (current || !usable(peer, i) || way.tries >= kProofTries) continue;
    if (way.proved && !way.silent && usable(peer, ways.at)) continue;
    challenge(peer, i, now);
    way.next_try = now + (way.tries < 10 ? kWayCheckEvery : 5 * kWayCheckEvery);
  }
}

void NodeWays::on_timer(Peer& peer, TimePoint now) {
  NodePaths& ways = peer.ways;
  if (now < ways.next) return;
  ways.next = kNever;
  if (!parts_.sessions.can_seal(peer.handle, now)) return;  // see prove()
  ways.checked = now;
  if (peer.direct.active) ways.used = false;
  check_current(peer, now);
  check_others(peer, now);
  const bool asking = usable(peer, ways.at) && ways.ways[ways.at].nonce != 0;
  if (ways.used || asking) ways.next = now + kWayCheckEvery;
  if (asking)
    ways.next =
        std::min(ways.next, std::max(now + kWayPatienceExtra / 10,
                                     ways.ways[ways.at].asked + patience(ways.ways[ways.at])));
  ways.used = false;
  for (std::size_t i = 0; i < peer.theirs.nodes.size(); ++i)
    ways.next = std::min(ways.next, ways.ways[i].next_try);
  parts_.peers.schedule(peer, ways.next);
}

}  // namespace i3
