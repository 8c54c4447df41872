#include "proxy/host/paths.hh"

namespace i3 {

bool HostParts::may_send_to(const Endpoint& endpoint) const {
  const IpAddress& address = endpoint.address;
  if (!endpoint.valid() || address.multicast() || address.loopback() || address.link_local() ||
      address == IpAddress::v4(0xffffffff))
    return false;
  // Asked for every packet through a node, and the prefix is a hash.
  static const IpPrefix virtual_ipv6 = virtual_ipv6_prefix();
  if (pool.ipv4().contains(address) || virtual_ipv6.contains(address) ||
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

Candidate* find(DirectPaths& direct, const Endpoint& endpoint) {
  for (Candidate& candidate : direct.candidates)
    if (candidate.endpoint == endpoint) return &candidate;
  return nullptr;
}

}  // namespace

wire::Hello Paths::hello(const Peer& peer) const {
  wire::Hello hello;
  hello.shortcuts = parts_.options.shortcuts && peer.shortcuts;
  hello.ipv4 = parts_.own4.address().to_v4();
  hello.ipv6 = parts_.own6.address().bytes;
  hello.mtu = parts_.options.mtu;
  if (peer.mine) hello.path = parts_.client.path(*peer.mine);
  if (peer.mine) hello.path.id = *peer.mine;
  if (!hello.shortcuts) return hello;
  hello.candidates = parts_.candidates;
  const Observed observed = parts_.client.observed();
  for (const auto& seen : {observed.v4.endpoint, observed.v6.endpoint})
    if (seen && std::find(hello.candidates.begin(), hello.candidates.end(), *seen) ==
                    hello.candidates.end())
      hello.candidates.push_back(*seen);
  if (hello.candidates.size() > wire::Hello::kMaxCandidates)
    hello.candidates.erase(hello.candidates.begin(),
                           hello.candidates.end() - wire::Hello::kMaxCandidates);
  return hello;
}

void Paths::learn(Peer& peer, const wire::Hello& hello, TimePoint now) {
  if (peer.theirs != hello.path) {
    peer.proof = Proof{};
    peer.proof.proved = false;
    peer.proof.next = now;
    parts_.peers.schedule(peer, now);
  }
  peer.theirs = hello.path;
  peer.theirs_at = 0;
  peer.welcomes_shortcuts = hello.shortcuts;
  peer.mtu = std::clamp<std::uint16_t>(hello.mtu, 1280, parts_.options.mtu);
  peer.their_candidates = hello.candidates;
  if (!wants_direct(peer)) {
    peer.direct = DirectPaths{};
    return;
  }
  for (const Endpoint& endpoint : hello.candidates) add_candidate(peer, endpoint, now);
}

bool Paths::wants_direct(const Peer& peer) const {
  return parts_.options.shortcuts && peer.shortcuts && peer.welcomes_shortcuts;
}

void Paths::add_candidate(Peer& peer, const Endpoint& endpoint, TimePoint now) {
  if (!parts_.may_send_to(endpoint)) return;
  Candidate* known = find(peer.direct, endpoint);
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
  known->tries = 0;
  known->next = now;
  parts_.peers.schedule(peer, now);
}

void Paths::challenge(Peer& peer, Candidate& candidate, TimePoint now) {
  // A nonce stays the same over retries, so that a late answer still counts.
  if (candidate.tries == 0) candidate.nonce = parts_.random.u64();
  candidate.sent = now;
  ++candidate.tries;
  std::array<std::uint8_t, 16> storage;
  const wire::NonceControl message{wire::Control::path_challenge, candidate.nonce};
  courier_.send_control_direct(peer, candidate.endpoint, written(message, storage), now);
}

void Paths::on_challenge(Peer& peer, std::uint64_t nonce,
                         const std::optional<Endpoint>& direct_from, TimePoint now) {
  std::array<std::uint8_t, 32> storage;
  wire::PathResponse response{nonce, {}};
  if (!direct_from) {
    courier_.send_control(peer, written(response, storage), now);
    return;
  }
  if (!wants_direct(peer)) {
    parts_.verdicts.count(Verdict::unexpected);
    return;
  }
  response.observed = *direct_from;
  courier_.send_control_direct(peer, *direct_from, written(response, storage), now);
  // It reached us from there, so we may reach it there: an address its NAT made for us.
  if (peer.direct.active != *direct_from) add_candidate(peer, *direct_from, now);
}

void Paths::on_response(Peer& peer, const wire::PathResponse& response,
                        const std::optional<Endpoint>& direct_from, TimePoint now) {
  if (!peer.proof.proved && peer.proof.tries > 0 && response.nonce == peer.proof.nonce) {
    peer.proof.proved = true;
    peer.proof.next = kNever;
    return;
  }
  if (!direct_from) return;
  Candidate* candidate = find(peer.direct, *direct_from);
  if (candidate == nullptr || candidate->nonce != response.nonce || candidate->tries == 0) {
    parts_.verdicts.count(Verdict::unexpected);
    return;
  }
  candidate->rtt = std::max<Duration>(now - candidate->sent, std::chrono::microseconds(1));
  candidate->tries = 0;
  candidate->next = now + kReproveEvery;
  peer.direct.unanswered = 0;
  const Candidate* active = peer.direct.active ? find(peer.direct, *peer.direct.active) : nullptr;
  // Changes only for a clearly shorter way, so that two equal ones do not alternate.
  if (active == nullptr || active->rtt > candidate->rtt * 3 / 2) {
    if (peer.direct.active != *direct_from)
      parts_.log.info("path_direct", {{"peer", peer.name}, {"endpoint", direct_from->text()}});
    peer.direct.active = *direct_from;
  }
  if (peer.direct.active == *direct_from) peer.rtt = candidate->rtt;
  parts_.peers.schedule(peer, candidate->next);
}

void Paths::suspect(Peer& peer, TimePoint now) {
  if (!peer.direct.active) return;
  Candidate* candidate = find(peer.direct, *peer.direct.active);
  parts_.log.info("path_lost", {{"peer", peer.name}, {"endpoint", peer.direct.active->text()}});
  peer.direct.active.reset();
  if (candidate != nullptr) {
    candidate->next = kNever;
    add_candidate(peer, candidate->endpoint, now);
  }
}

void Paths::restart(Peer& peer, TimePoint now) {
  peer.direct = DirectPaths{};
  if (!wants_direct(peer)) return;
  for (const Endpoint& endpoint : peer.their_candidates) add_candidate(peer, endpoint, now);
}

void Paths::keep_active_alive(Peer& peer, Candidate& candidate, TimePoint now) {
  if (candidate.tries >= kReproveTries) return suspect(peer, now);
  if (candidate.tries == 0 && now > peer.last_used + kInUse) {
    // Unused: left without a word; the next packet goes by a node and the way is tried again.
    candidate.next = kNever;
    peer.direct.active.reset();
    return;
  }
  challenge(peer, candidate, now);
  candidate.next = now + kReproveRetry;
}

// The answer may come any way: what it proves is that the challenge arrived, at the peer, by that
// label at that node.
void Paths::prove(Peer& peer, TimePoint now) {
  Proof& proof = peer.proof;
  proof.next = kNever;
  const auto* at = peer.current();
  if (proof.proved || at == nullptr || proof.tries >= kProofTries) return;
  proof.next = now + kChallengeEvery;
  if (!parts_.sessions.can_seal(peer.handle, now)) return;
  if (proof.tries == 0) proof.nonce = parts_.random.u64();
  ++proof.tries;
  std::array<std::uint8_t, 16> storage;
  const wire::NonceControl message{wire::Control::path_challenge, proof.nonce};
  courier_.send_control_labelled(peer, *at, written(message, storage), now);
}

void Paths::tell_if_moved(Peer& peer, TimePoint now) {
  if (!peer.mine) return;
  const wire::ReturnPath path = parts_.client.path(*peer.mine);
  if (!path.nodes.empty() && !(path == peer.mine_told)) trigger_changed(peer, now);
}

void Paths::on_timer(Peer& peer, TimePoint now) {
  if (!peer.mine_acknowledged && now >= peer.paths_retry) tell(peer, now);
  if (now >= peer.proof.next) prove(peer, now);
  if (!wants_direct(peer)) return;
  // By index: suspect() may touch the list.
  for (std::size_t i = 0; i < peer.direct.candidates.size(); ++i) {
    Candidate& candidate = peer.direct.candidates[i];
    if (now < candidate.next) continue;
    if (peer.direct.active == candidate.endpoint) {
      keep_active_alive(peer, candidate, now);
    } else if (candidate.tries >= kChallengeTries || now > peer.last_used + kInUse) {
      candidate.next = kNever;
      if (peer.direct.next_round == kNever) peer.direct.next_round = now + kRoundEvery;
    } else {
      challenge(peer, candidate, now);
      candidate.next = now + kChallengeEvery;
    }
  }
  if (now < peer.direct.next_round) return;
  peer.direct.next_round = kNever;
  if (peer.direct.active || now > peer.last_used + kInUse) return;
  for (Candidate& candidate : peer.direct.candidates) {
    candidate.tries = 0;
    candidate.next = now;
  }
  for (const Endpoint& endpoint : peer.their_candidates) add_candidate(peer, endpoint, now);
}

TimePoint Paths::next_deadline(const Peer& peer) const {
  TimePoint next = std::min(peer.mine_acknowledged ? kNever : peer.paths_retry, peer.proof.next);
  if (!wants_direct(peer)) return next;
  next = std::min(next, peer.direct.next_round);
  for (const Candidate& candidate : peer.direct.candidates) next = std::min(next, candidate.next);
  return next;
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
  if (!message.hello.path.nodes.empty()) {
    peer.mine_told = message.hello.path;
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
    learn(peer, paths.hello, now);
  }
  courier_.send_control(peer, written(reply, storage), now);
}

void Paths::on_acknowledged(Peer& peer, std::uint64_t sequence) {
  if (sequence == peer.mine_sequence) peer.mine_acknowledged = true;
}

bool Paths::label_gone(Peer& peer, const Endpoint& node, wire::Label label) {
  const auto* at = peer.current();
  if (at == nullptr || !at->node.owns(node) || !(at->label == label)) return false;
  ++peer.theirs_at;
  return true;
}

}  // namespace i3
