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
  const Duration trip = way.round_trip.smoothed;
  if (trip == Duration{}) return kUnknownWayPatience;
  return std::clamp<Duration>(trip * 3 / 2 + kWayPatienceExtra, kLeastWayPatience,
                              kMostWayPatience);
}

Duration doubt(const NodeWay& way) {
  const RoundTrip& trip = way.round_trip;
  if (trip.smoothed == Duration{}) return patience(way);
  return std::min(trip.smoothed + std::max<Duration>(trip.varies * 4, kLeastWayDoubt),
                  patience(way));
}

Duration pace(const NodeWay& way) {
  return std::max<Duration>(kWayCheckEvery, way.round_trip.smoothed / 3);
}

// Something goes that way, or an answer is late; one that is on its way needs no further question.
bool wants_answers(const NodePaths& ways, const NodeWay& way, TimePoint now) {
  return ways.used || (!way.asked.none() && now >= way.asked.since() + doubt(way));
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
    if (way.proved || !way.asked.none()) continue;
    way.next_try = peer.ways.next = now;
    parts_.peers.schedule(peer, now);
  }
}

void NodeWays::challenge(Peer& peer, std::size_t at, TimePoint now) {
  NodeWay& way = peer.ways.ways[at];
  ++way.tries;
  std::array<std::uint8_t, 16> storage;
  const wire::NonceControl message{wire::Control::path_challenge,
                                   way.asked.next(parts_.random.u64() | 1, now)};
  courier_.send_control_labelled(peer, peer.theirs.nodes[at], written(message, storage), now);
}

// The answer may come any way: what it proves is that the challenge arrived, at the peer, by that
// label at that node.
bool NodeWays::on_response(Peer& peer, std::uint64_t nonce, TimePoint now) {
  NodePaths& ways = peer.ways;
  for (std::size_t i = 0; i < peer.theirs.nodes.size(); ++i) {
    NodeWay& way = ways.ways[i];
    Duration round_trip{};
    if (!way.asked.answered(nonce, now, round_trip)) continue;
    if (round_trip != Duration{}) way.round_trip.add(round_trip);
    way.tries = 0;
    way.confirmed = now;
    way.next_try = kNever;
    way.proved = true;
    way.silent = false;
    if (i == ways.at) ways.second.at.reset();
    if (!usable(peer, ways.at) || ways.ways[ways.at].silent) {
      ways.at = i;
      ways.second.at.reset();
    }
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
  const bool sure = !peer.ways.second.at && usable(peer, at);
  if (sure && peer.ways.ways[at].confirmed + kWayFresh > now) return;
  if (const auto other = another(peer))
    courier_.send_control_labelled(peer, peer.theirs.nodes[*other], answer, now);
}

std::optional<std::size_t> NodeWays::another(const Peer& peer) const {
  const std::size_t count = peer.theirs.nodes.size();
  for (std::size_t i = 1; i <= count; ++i) {
    const std::size_t other = (peer.ways.at + i) % count;
    if (other != peer.ways.at && usable(peer, other) && !peer.ways.ways[other].silent) return other;
  }
  return std::nullopt;
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
  const std::size_t next = another(peer).value_or(count);
  ways.at = next;
  ways.second.at.reset();
  ++ways.changes;
  for (std::size_t i = 0; i < count; ++i) ways.ways[i].next_try = now;
  // Perhaps it is us whom nobody reaches.
  parts_.client.verify(now);
  parts_.log.info(
      "path_by_other_node",
      {{"peer", peer.name},
       {"node", next < count ? peer.theirs.nodes[next].node.primary().text() : "none"}});
}

// In doubt packets go another way as well, since waiting for certainty would take as long again;
// who gets one twice takes it for a replay.
void NodeWays::check_current(Peer& peer, TimePoint now) {
  NodePaths& ways = peer.ways;
  if (!usable(peer, ways.at)) return;
  NodeWay& way = ways.ways[ways.at];
  if (way.asked.none()) return;
  if (way.asked.since() + patience(way) <= now) {
    way.silent = true;
    way.asked.forget();
    take_next(peer, now);
    if (!usable(peer, ways.at)) return;
    ways.checked = now;
    return challenge(peer, ways.at, now);
  }
  if (ways.second.at || way.asked.since() + doubt(way) > now || now < ways.second.again) return;
  ways.second = {another(peer), SecondWay::kBudget, now + SecondWay::kRest};
}

void NodeWays::ask_current(Peer& peer, TimePoint now) {
  NodePaths& ways = peer.ways;
  if (!usable(peer, ways.at)) return;
  const NodeWay& way = ways.ways[ways.at];
  if (!wants_answers(ways, way, now) || now < ways.checked + pace(way)) return;
  ways.checked = now;
  ways.used = false;
  challenge(peer, ways.at, now);
}

// Those that were never proved, and those that fell silent.
void NodeWays::check_others(Peer& peer, TimePoint now) {
  NodePaths& ways = peer.ways;
  for (std::size_t i = 0; i < peer.theirs.nodes.size(); ++i) {
    NodeWay& way = ways.ways[i];
    if (now < way.next_try) continue;
    way.next_try = kNever;
    const bool current = i == ways.at && (ways.used || !way.asked.none());
    if (current || !usable(peer, i) || way.tries >= kProofTries) continue;
    if (way.proved && !way.silent && usable(peer, ways.at)) continue;
    challenge(peer, i, now);
    way.next_try = now + (way.tries < 10 ? 2 * kWayCheckEvery : 10 * kWayCheckEvery);
  }
}

void NodeWays::on_timer(Peer& peer, TimePoint now) {
  NodePaths& ways = peer.ways;
  if (now < ways.next) return;
  ways.next = kNever;
  if (!parts_.sessions.can_seal(peer.handle, now)) return;  // see prove()
  if (peer.direct.active) ways.used = false;
  check_current(peer, now);
  ask_current(peer, now);
  check_others(peer, now);
  if (usable(peer, ways.at)) {
    const NodeWay& way = ways.ways[ways.at];
    if (wants_answers(ways, way, now)) ways.next = ways.checked + pace(way);
    if (!way.asked.none()) {
      const TimePoint doubtful = way.asked.since() + doubt(way);
      const TimePoint late = now < doubtful ? doubtful : way.asked.since() + patience(way);
      ways.next = std::min(ways.next, std::max(now + kWayPatienceExtra / 10, late));
    }
  }
  for (std::size_t i = 0; i < peer.theirs.nodes.size(); ++i)
    ways.next = std::min(ways.next, ways.ways[i].next_try);
  parts_.peers.schedule(peer, ways.next);
}

}  // namespace i3
