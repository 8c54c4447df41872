// The core's outline: life, what comes in, what falls due.
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr Duration kReviveInterval = std::chrono::seconds(10);
}  // namespace

Chord::Chord(const ChordSettings& settings, const wire::NodeContact& self, Random& random, Log& log,
             ChordOutput& output)
    : settings_(settings),
      random_(random),
      log_(log),
      output_(output),
      self_(self),
      view_(self_.id, settings.successors, settings.replicas + 1),
      proof_secret_(random.array<16>()),
      interval_(settings.fast_interval),
      finger_interval_(settings.fast_interval) {
  assert(settings.successors >= 1 && settings.successors <= wire::StateBody::kMaxSuccessors);
}

void Chord::start(const std::vector<ChordSeed>& seeds, TimePoint now) {
  assert(phase_ == Phase::idle);
  for (const ChordSeed& seed : seeds)
    seeds_.push_back({seed.address, seed.key, 0, 0, now, {}, {}, {}});
  next_revive_ = now + kReviveInterval;
  if (seeds_.empty()) {
    become_member({}, now);
    return;
  }
  phase_ = Phase::joining;
  joining_since_ = now;
  probe_seeds(now);
}

void Chord::leave(TimePoint now) {
  if (phase_ == Phase::member) {
    wire::LeaveBody body;
    if (const RingPeer* predecessor = view_.predecessor()) body.predecessor = predecessor->contact;
    for (const RingPeer& peer : view_.successors()) body.successors.push_back(peer.contact);
    std::vector<RingPeer> told = view_.successors();
    told.resize(std::min<std::size_t>(told.size(), 3));
    for (const RingPeer& peer : view_.predecessors())
      if (std::find(told.begin(), told.end(), peer) == told.end()) told.push_back(peer);
    for (const RingPeer& peer : told) {
      const PeerTable::Peer* known = peers_.find(peer.id);
      body.nonce = known ? known->their_nonce : 0;
      send_body(peer.contact, wire::RingKind::leave, body, way_to(peer.id, now));
    }
  }
  phase_ = Phase::left;
  requests_.clear();
  finds_.clear();
  hops_.clear();
}

// 1 who speaks  2 answers to our own nonces  3 questions, from proven addresses only
void Chord::on_message(const wire::NodeContact& contact, wire::RingKind kind, Bytes body,
                       TimePoint now, const wire::NodeContact* via) {
  if (phase_ == Phase::left || phase_ == Phase::idle || contact.key == self_.contact.key) return;
  const RingPeer sender(contact);
  if (sender.id == self_.id) return;
  if (!dead_.empty()) hear_of_dead(sender, now);

  switch (kind) {
    case wire::RingKind::pong: {
      const auto pong = wire::PongBody::parse(body);
      auto request = pong ? take_request(pong->nonce, sender, via, now) : std::nullopt;
      if (!request) return output_.count("ring_unasked");
      if (PeerTable::Peer* peer = peers_.find(sender.id)) peer->proof = pong->proof;
      return on_pong(*request, now);
    }
    case wire::RingKind::state: {
      const auto state = wire::StateBody::parse(body);
      const auto request = state ? take_request(state->nonce, sender, via, now) : std::nullopt;
      if (!request) return output_.count("ring_unasked");
      return on_state(*request, *state, now);
    }
    case wire::RingKind::taken: {
      const auto taken = wire::NonceBody::parse(body);
      if (!taken) return output_.count("ring_malformed");
      return on_taken(sender, taken->nonce, now);
    }
    case wire::RingKind::found: {
      auto found = wire::FoundBody::parse(body);
      if (!found) return output_.count("ring_malformed");
      return on_found(sender, std::move(*found), now);
    }
    case wire::RingKind::leave: {
      const auto leave = wire::LeaveBody::parse(body);
      if (!leave) return output_.count("ring_malformed");
      return on_leave(sender, *leave, now);
    }
    case wire::RingKind::ping: {
      const auto ping = wire::NonceBody::parse(body);
      if (!ping) return output_.count("ring_malformed");
      // Only members ask whether others live.
      for (Seed& seed : seeds_)
        if (seed.answered && seed.answered->id == sender.id) seed.known_member = now;
      peers_.asked_by(sender.id, ping->nonce, now);
      // Who is not yet a member answers so that its own questions are answered.
      return send_body(contact, wire::RingKind::pong,
                       wire::PongBody{ping->nonce, proof_for(contact, proof_epoch(now))}, via);
    }
    case wire::RingKind::state_request:
    case wire::RingKind::find:
    case wire::RingKind::notify:
      if (phase_ != Phase::member) return output_.count("ring_not_member");
      return answer(sender, kind, body, via, false, now);
    default:
      return output_.count("ring_malformed");
  }
}

void Chord::answer(const RingPeer& sender, wire::RingKind kind, Bytes body,
                   const wire::NodeContact* via, bool waited, TimePoint now) {
  const bool proven = this->proven(sender.contact, via, now);
  if (kind == wire::RingKind::find) {
    const auto find = wire::FindBody::parse(body);
    if (!find) return output_.count("ring_malformed");
    if (!proven && !shows_proof(sender.contact, find->proof, now))
      return prove_first(sender, kind, body, via, now);
    return on_find(sender, *find, via, waited, now);
  }
  if (!proven) return prove_first(sender, kind, body, via, now);
  if (kind == wire::RingKind::notify) {
    if (!body.empty()) return output_.count("ring_malformed");
    return on_notify(sender, now);
  }
  const auto request = wire::StateRequestBody::parse(body);
  if (!request) return output_.count("ring_malformed");
  answer_state(sender, *request, via, now);
}

void Chord::answer_state(const RingPeer& sender, const wire::StateRequestBody& asked,
                         const wire::NodeContact* via, TimePoint now) {
  using Asked = wire::StateRequestBody;
  peers_.asked_by(sender.id, asked.nonce, now);
  if (asked.wants & Asked::kNotify) on_notify(sender, now);
  wire::StateBody state;
  state.nonce = asked.nonce;
  if (const RingPeer* predecessor = view_.predecessor()) state.predecessor = predecessor->contact;
  if (asked.wants & Asked::kSuccessors) {
    for (const RingPeer& peer : view_.successors()) state.members.push_back(peer.contact);
    if (wire::StateBody::digest(state.members) == asked.digest)
      state.members.clear();
    else
      state.holds = wire::StateBody::kSuccessors;
  } else if (asked.wants & Asked::kFingers) {
    give_fingers(state);
  }
  send_body(sender.contact, wire::RingKind::state, state, via);
}

bool Chord::proven(const wire::NodeContact& contact, const wire::NodeContact* via,
                   TimePoint now) const {
  const RingId id = contact.ring_id();
  if (via == nullptr) return peers_.proven(contact, id, false, now);
  return peers_.proven_by(contact, id, *via, now) ||
         (peers_.proven(contact, id, true, now) && peers_.proven(*via, via->ring_id(), false, now));
}

const wire::NodeContact* Chord::way_to(RingId to, TimePoint now) const {
  const PeerTable::Peer* peer = peers_.find(to);
  return peer && peer->via && peer->via_until > now ? peer->via.get() : nullptr;
}

bool Chord::may_relay(const wire::NodeContact& sender, const wire::NodeContact& to, TimePoint now) {
  if (phase_ != Phase::member || sender.key == to.key || to.key == self_.contact.key) return false;
  const RingPeer from(sender), destination(to);
  const bool sender_proven = peers_.proven(sender, from.id, false, now);
  // Whoever is not proven is asked, so that the next message passes.
  if (!sender_proven) {
    request(Purpose::prove, from, now);
  } else if (!peers_.proven(to, destination.id, false, now)) {
    request(Purpose::measure, destination, now);
  } else if (!peers_.missing(destination.id)) {
    return true;
  }
  output_.count("relay_unproven");
  return false;
}

TimePoint Chord::next_deadline() const {
  if (phase_ == Phase::left || phase_ == Phase::idle) return kNever;
  TimePoint next = next_revive_;
  if (phase_ == Phase::member)
    next = std::min({next, next_stabilise_, next_finger_, predecessor_due()});
  for (const Seed& seed : seeds_) next = std::min(next, seed.next);
  for (const Request& request : requests_) next = std::min(next, request.deadline);
  for (const auto& [nonce, find] : finds_) next = std::min(next, find.deadline);
  for (const auto& [step, hop] : hops_) next = std::min(next, hop.deadline);
  return next;
}

void Chord::on_timer(TimePoint now) {
  if (phase_ == Phase::left || phase_ == Phase::idle) return;
  run_requests(now);
  run_hops(now);
  std::vector<std::uint64_t> late;
  for (auto& [nonce, find] : finds_)
    if (find.deadline <= now) late.push_back(nonce);
  // In an order that does not depend on the hash table, so that simulations repeat.
  std::sort(late.begin(), late.end());
  for (std::uint64_t nonce : late) {
    auto found = finds_.find(nonce);
    if (found != finds_.end()) send_find(nonce, found->second, now);
  }
  probe_seeds(now);
  if (next_revive_ <= now) {
    next_revive_ = now + kReviveInterval;
    revive_lost(now);
    peers_.purge([&](RingId id) { return view_.knows(id); }, now);
  }
  if (phase_ != Phase::member) return;
  if (next_stabilise_ <= now) stabilise(now);
  if (predecessor_due() <= now) check_predecessor(now);
  if (next_finger_ <= now) fix_fingers(now);
}

}  // namespace i3
