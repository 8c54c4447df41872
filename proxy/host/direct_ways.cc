#include "proxy/host/direct_ways.hh"

namespace i3 {
namespace {

// An address that did not answer is challenged again for what comes from it, but not more often.
constexpr Duration kRechallenge = std::chrono::seconds(2);

std::int64_t whole_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

bool DirectWays::wanted(const Peer& peer) const {
  return parts_.options.shortcuts && peer.shortcuts && peer.welcomes_shortcuts && !peer.by_stops();
}

void DirectWays::learn(Peer& peer, const std::vector<Endpoint>& told, TimePoint now) {
  if (!wanted(peer)) {
    peer.direct = DirectPaths{};
    return;
  }
  if (peer.direct.wanted_since == TimePoint{}) peer.direct.wanted_since = now;
  if (!waits_for_sample(peer, now)) try_all(peer, told, now);
}

// Each address that is tried takes a port of ours: outside ones first, so that what was told of the
// next ports fits them.
void DirectWays::try_all(Peer& peer, const std::vector<Endpoint>& told, TimePoint now) {
  for (const bool inside : {false, true})
    for (const Endpoint& endpoint : told)
      if (endpoint.address.is_private() == inside) add(peer, endpoint, true, now);
}

bool DirectWays::waits_for_sample(Peer& peer, TimePoint now) {
  DirectPaths& direct = peer.direct;
  if (direct.sampled || parts_.client.port_step() == 0) return false;
  if (direct.sample_until == kNever) take_sample(peer, now);
  return true;
}

void DirectWays::take_sample(Peer& peer, TimePoint now) {
  ++peer.direct.samples;
  peer.direct.sample_until = now + kSampleWithin;
  parts_.client.sample_port(now);
  parts_.peers.schedule(peer, peer.direct.sample_until);
}

void DirectWays::port_sampled(Peer& peer, const Endpoint& seen, TimePoint now) {
  DirectPaths& direct = peer.direct;
  if (direct.sample_until == kNever) return;
  direct.sample_until = kNever;
  direct.sampled = true;
  for (int i = 1; i <= kPredictedPorts; ++i) {
    const int port = seen.port + i * parts_.client.port_step();
    if (port >= 1024 && port <= 65535)
      direct.predicted.push_back({seen.address, static_cast<std::uint16_t>(port)});
  }
  if (call_peer) call_peer(peer, now);
  try_all(peer, peer.their_candidates, now);
}

void DirectWays::restart(Peer& peer, TimePoint now) {
  peer.direct = DirectPaths{};
  if (wanted(peer)) learn(peer, peer.their_candidates, now);
}

void DirectWays::own_address_changed(Peer& peer, TimePoint now) {
  if (!wanted(peer) || now > peer.last_used + kInUse) return;
  if (peer.direct.active) return verify(peer, now);
  peer.direct.rounds = 0;
  peer.direct.sampled = false;
  peer.direct.samples = 0;
  peer.direct.predicted.clear();
  peer.direct.next_round = now;
  parts_.peers.schedule(peer, now);
}

void DirectWays::used_again(Peer& peer, TimePoint now) {
  if (!wanted(peer) || peer.direct.active || peer.direct.candidates.empty()) return;
  peer.direct.rounds = 0;
  peer.direct.wanted_since = now;
  peer.direct.took.reset();
  peer.direct.next_round = now;
  parts_.peers.schedule(peer, now);
}

void DirectWays::add(Peer& peer, const Endpoint& endpoint, bool told, TimePoint now) {
  if (!parts_.may_send_to(endpoint)) return;
  Candidate* known = peer.direct.find(endpoint);
  if (known == nullptr) {
    auto& all = peer.direct.candidates;
    if (all.size() >= DirectPaths::kMaxCandidates) {
      // The oldest that is not in use gives way.
      auto idle = std::find_if(all.begin(), all.end(), [&](const Candidate& candidate) {
        return peer.direct.active != candidate.endpoint;
      });
      all.erase(idle);
    }
    known = &all.emplace_back();
    known->endpoint = endpoint;
  } else if (known->next != kNever) {
    return;
  }
  known->told = known->told || told;
  known->tries = 0;
  known->next = now;
  parts_.peers.schedule(peer, now);
}

void DirectWays::challenge(Peer& peer, Candidate& candidate, TimePoint now) {
  // A nonce stays the same over retries, so that a late answer still counts.
  if (candidate.tries == 0) candidate.nonce = parts_.random.u64();
  candidate.sent = now;
  ++candidate.tries;
  std::array<std::uint8_t, 16> storage;
  Writer writer(storage);
  wire::NonceControl{wire::Control::path_challenge, candidate.nonce}.write(writer);
  courier_.send_control_direct(peer, candidate.endpoint, writer.written(), now);
}

void DirectWays::on_challenge(Peer& peer, std::uint64_t nonce, const Endpoint& from,
                              TimePoint now) {
  if (!wanted(peer)) {
    parts_.verdicts.count(Verdict::unexpected);
    return;
  }
  std::array<std::uint8_t, 32> storage;
  Writer writer(storage);
  wire::PathResponse{nonce, from}.write(writer);
  courier_.send_control_direct(peer, from, writer.written(), now);
  // It reached us from there, so we may reach it there: an address its NAT made for us.
  if (peer.direct.active != from) add(peer, from, false, now);
}

void DirectWays::on_response(Peer& peer, std::uint64_t nonce, const Endpoint& from, TimePoint now) {
  DirectPaths& direct = peer.direct;
  Candidate* candidate = direct.find(from);
  if (candidate == nullptr || candidate->nonce != nonce || candidate->tries == 0) {
    parts_.verdicts.count(Verdict::unexpected);
    return;
  }
  candidate->rtt = std::max<Duration>(now - candidate->sent, std::chrono::microseconds(1));
  candidate->tries = 0;
  candidate->next = now + kReproveEvery;
  const Candidate* active = direct.active ? direct.find(*direct.active) : nullptr;
  // Changes only for a clearly shorter way, so that two equal ones do not alternate, or for one
  // that lives while the other is silent.
  const bool better = active == nullptr || active->rtt > candidate->rtt * 3 / 2 ||
                      now > direct.active_heard + kQuietWay;
  if (better && direct.active != from) {
    if (!direct.took) direct.took = now - direct.wanted_since;
    parts_.log.info(
        "path_direct",
        {{"peer", peer.name}, {"endpoint", from.text()}, {"after_ms", whole_ms(*direct.took)}});
    direct.active = from;
    direct.rounds = 0;
    direct.next_round = kNever;
  }
  if (direct.active == from) {
    peer.rtt = candidate->rtt;
    direct.active_heard = now;
    candidate->next = now + kQuietWay;
  }
  parts_.peers.schedule(peer, candidate->next);
}

void DirectWays::heard(Peer& peer, const Endpoint& from, TimePoint now) {
  DirectPaths& direct = peer.direct;
  if (direct.active == from) {
    direct.active_heard = now;
    return;
  }
  // The peer's NAT gave it another address, or it found a way that we have not proved.
  if (!wanted(peer) || (direct.active && now < direct.active_heard + kQuietWay / 4)) return;
  const Candidate* known = direct.find(from);
  if (known != nullptr && known->tries > 0 && now < known->sent + kRechallenge) return;
  add(peer, from, false, now);
}

// It uses a node though we think that it could be reached straight: does it still hear us?
void DirectWays::heard_by_node(Peer& peer, TimePoint now) {
  if (peer.direct.active && now >= peer.direct.active_heard + kQuietWay / 2) verify(peer, now);
}

void DirectWays::verify(Peer& peer, TimePoint now) {
  Candidate* candidate = peer.direct.find(*peer.direct.active);
  if (candidate == nullptr || candidate->tries > 0) return;
  challenge(peer, *candidate, now);
  candidate->next = now + kReproveRetry;
  parts_.peers.schedule(peer, candidate->next);
}

void DirectWays::suspect(Peer& peer, TimePoint now) {
  DirectPaths& direct = peer.direct;
  if (!direct.active) return;
  Candidate* candidate = direct.find(*direct.active);
  parts_.log.info("path_lost", {{"peer", peer.name}, {"endpoint", direct.active->text()}});
  direct.active.reset();
  direct.wanted_since = now;
  direct.took.reset();
  if (candidate == nullptr) return;
  candidate->next = kNever;
  add(peer, candidate->endpoint, candidate->told, now);
  // Both ends try again at once, and should our own NAT have forgotten us, nodes will know it.
  direct.rounds = 0;
  direct.next_round = now;
  parts_.peers.schedule(peer, now);
  parts_.client.verify(now);
}

void DirectWays::check_active(Peer& peer, Candidate& candidate, TimePoint now) {
  DirectPaths& direct = peer.direct;
  if (direct.active_heard > candidate.sent) candidate.tries = 0;
  if (candidate.tries >= kReproveTries) return suspect(peer, now);
  if (candidate.tries == 0) {
    if (now > peer.last_used + kInUse) {
      // Unused: left without a word; the next packet goes by a node and the way is tried again.
      candidate.next = kNever;
      direct.active.reset();
      return;
    }
    const TimePoint due =
        std::min(direct.active_heard + kQuietWay,
                 candidate.sent + std::min(kReproveEvery, parts_.client.keep_alive()));
    if (now < due) {
      candidate.next = due;
      return;
    }
  }
  challenge(peer, candidate, now);
  candidate.next = now + std::max(kReproveRetry, candidate.rtt * 2);
}

// Everything at once, and the peer as well: what each sends opens its NAT for the other.
void DirectWays::begin_round(Peer& peer, TimePoint now) {
  peer.direct.next_round = kNever;
  if (peer.direct.active || now > peer.last_used + kInUse) return;
  ++peer.direct.rounds;
  // What nobody names any more and what never answered is not worth another round.
  std::erase_if(peer.direct.candidates, [&](const Candidate& candidate) {
    const auto& told = peer.their_candidates;
    return candidate.rtt == Duration{} &&
           std::find(told.begin(), told.end(), candidate.endpoint) == told.end();
  });
  for (Candidate& candidate : peer.direct.candidates) {
    candidate.tries = 0;
    candidate.next = now;
  }
  for (const Endpoint& endpoint : peer.their_candidates) add(peer, endpoint, true, now);
  if (call_peer) call_peer(peer, now);
}

void DirectWays::end_round(Peer& peer, TimePoint now) {
  if (peer.direct.next_round != kNever) return;
  const unsigned doubled = std::min(peer.direct.rounds, 5u);
  peer.direct.next_round = now + std::min(kLastRoundPause, kFirstRoundPause * (1 << doubled));
}

void DirectWays::on_timer(Peer& peer, TimePoint now) {
  if (!wanted(peer)) return;
  if (now >= peer.direct.sample_until && peer.direct.samples < kSamples) {
    // Lost, or the NAT was being looked at. Once an address is tried its port is spent.
    take_sample(peer, now);
  } else if (now >= peer.direct.sample_until) {
    peer.direct.sample_until = kNever;
    peer.direct.sampled = true;
    try_all(peer, peer.their_candidates, now);
  }
  // By index: suspect() may touch the list.
  for (std::size_t i = 0; i < peer.direct.candidates.size(); ++i) {
    Candidate& candidate = peer.direct.candidates[i];
    if (now < candidate.next) continue;
    if (peer.direct.active == candidate.endpoint) {
      check_active(peer, candidate, now);
    } else if (candidate.tries >= kChallengeTries || now > peer.last_used + kInUse) {
      candidate.next = kNever;
      if (!peer.direct.active) end_round(peer, now);
    } else {
      challenge(peer, candidate, now);
      candidate.next = now + kChallengeEvery;
    }
  }
  if (now >= peer.direct.next_round) begin_round(peer, now);
}

TimePoint DirectWays::next_deadline(const Peer& peer) const {
  if (!wanted(peer)) return kNever;
  TimePoint next = std::min(peer.direct.next_round, peer.direct.sample_until);
  for (const Candidate& candidate : peer.direct.candidates) next = std::min(next, candidate.next);
  return next;
}

}  // namespace i3
