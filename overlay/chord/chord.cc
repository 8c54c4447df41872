#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr Duration kProvenFor = std::chrono::minutes(10);
constexpr std::size_t kMaxHeld = 64;
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
      interval_(settings.fast_interval) {
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

void Chord::leave(TimePoint) {
  if (phase_ == Phase::member) {
    wire::LeaveBody body;
    if (const RingPeer* predecessor = view_.predecessor()) body.predecessor = predecessor->contact;
    for (const RingPeer& peer : view_.successors()) body.successors.push_back(peer.contact);
    std::vector<RingPeer> told = view_.successors();
    told.resize(std::min<std::size_t>(told.size(), 3));
    for (const RingPeer& peer : view_.predecessors())
      if (std::find(told.begin(), told.end(), peer) == told.end()) told.push_back(peer);
    for (const RingPeer& peer : told) send_body(peer.contact, wire::RingKind::leave, body);
  }
  phase_ = Phase::left;
  requests_.clear();
  finds_.clear();
}

// 1 who speaks  2 answers to our own nonces  3 questions, from proven addresses only
void Chord::on_message(const wire::NodeContact& contact, wire::RingKind kind, Bytes body,
                       const Endpoint& from, TimePoint now) {
  if (phase_ == Phase::left || phase_ == Phase::idle || contact.key == self_.contact.key) return;
  const RingPeer sender(contact);
  if (sender.id == self_.id) return;

  switch (kind) {
    case wire::RingKind::pong: {
      auto pong = wire::NonceBody::parse(body);
      Request* request = pong ? find_request(pong->nonce) : nullptr;
      if (!request || request->to.id != sender.id) return output_.count("ring_unasked");
      Request answered = std::move(*request);
      std::erase_if(requests_, [&](const Request& other) { return other.nonce == pong->nonce; });
      confirm(sender, now);
      answered.to = sender;
      return on_pong(answered, now);
    }
    case wire::RingKind::state: {
      auto state = wire::StateBody::parse(body);
      Request* request = state ? find_request(state->nonce) : nullptr;
      if (!request || request->to.id != sender.id) return output_.count("ring_unasked");
      Request answered = std::move(*request);
      std::erase_if(requests_, [&](const Request& other) { return other.nonce == state->nonce; });
      confirm(sender, now);
      answered.to = sender;
      return on_state(answered, *state, now);
    }
    case wire::RingKind::found: {
      auto found = wire::FoundBody::parse(body);
      if (!found || !finds_.contains(found->nonce)) return output_.count("ring_unasked");
      return finish_find(found->nonce, found->contacts, now);
    }
    case wire::RingKind::leave: {
      auto leave = wire::LeaveBody::parse(body);
      if (!leave) return output_.count("ring_malformed");
      return on_leave(sender, *leave, now);
    }
    case wire::RingKind::ping: {
      auto ping = wire::NonceBody::parse(body);
      if (!ping) return output_.count("ring_malformed");
      // Only members ask whether others live.
      for (Seed& seed : seeds_)
        if (seed.answered && seed.answered->id == sender.id) seed.known_member = now;
      // Who is not yet a member answers so that its own questions are answered.
      return send_body(contact, wire::RingKind::pong, *ping);
    }
    case wire::RingKind::state_request:
    case wire::RingKind::find:
    case wire::RingKind::notify:
      if (phase_ != Phase::member) return output_.count("ring_not_member");
      if (!proven(sender.id, now)) return prove_first(sender, kind, body, from, now);
      return answer(sender, kind, body, from, now);
    default:
      return output_.count("ring_malformed");
  }
}

void Chord::answer(const RingPeer& sender, wire::RingKind kind, Bytes body, const Endpoint& from,
                   TimePoint now) {
  if (kind == wire::RingKind::notify) {
    if (!body.empty()) return output_.count("ring_malformed");
    return on_notify(sender, now);
  }
  if (kind == wire::RingKind::find) {
    auto find = wire::FindBody::parse(body);
    if (!find) return output_.count("ring_malformed");
    return on_find(sender, std::move(*find), now);
  }
  auto request = wire::NonceBody::parse(body);
  if (!request) return output_.count("ring_malformed");
  wire::StateBody state;
  state.nonce = request->nonce;
  state.observed = from;
  if (const RingPeer* predecessor = view_.predecessor()) state.predecessor = predecessor->contact;
  for (const RingPeer& peer : view_.successors()) state.successors.push_back(peer.contact);
  send_body(sender.contact, wire::RingKind::state, state);
}

// An answer may be several times longer than its question and a source address may be forged, so a
// node that has not answered a nonce of ours lately is pinged first; its question waits.
void Chord::prove_first(const RingPeer& sender, wire::RingKind kind, Bytes body,
                        const Endpoint& from, TimePoint now) {
  std::size_t held = 0;
  for (Request& request : requests_) {
    if (request.purpose != Purpose::prove) continue;
    ++held;
    if (request.to.id == sender.id) {
      request.held_kind = kind;
      request.held.assign(body.begin(), body.end());
      request.held_from = from;
      return;
    }
  }
  if (held >= kMaxHeld || requests_.size() >= kMaxRequests)
    return output_.count("ring_unproven_dropped");
  request(Purpose::prove, sender, now);
  Request& asked = requests_.back();
  asked.held_kind = kind;
  asked.held.assign(body.begin(), body.end());
  asked.held_from = from;
}

bool Chord::proven(RingId id, TimePoint now) const {
  auto found = proven_.find(id);
  return found != proven_.end() && found->second + kProvenFor > now;
}

void Chord::confirm(const RingPeer& peer, TimePoint now) {
  if (proven_.size() >= kMaxProven && !proven_.contains(peer.id)) {
    std::erase_if(proven_, [&](const auto& entry) { return entry.second + kProvenFor <= now; });
    if (proven_.size() >= kMaxProven) proven_.erase(proven_.begin());
  }
  proven_[peer.id] = now;
  std::erase_if(dead_, [&](const Dead& entry) { return entry.peer.id == peer.id; });
  view_.update(peer);
}

Chord::Request* Chord::find_request(std::uint64_t nonce) {
  for (Request& request : requests_)
    if (request.nonce == nonce) return &request;
  return nullptr;
}

bool Chord::requested(Purpose purpose, RingId id) const {
  for (const Request& request : requests_)
    if (request.purpose == purpose && request.to.id == id) return true;
  return false;
}

void Chord::request(Purpose purpose, const RingPeer& to, TimePoint now) {
  if (to.id == self_.id || requested(purpose, to.id)) return;
  if (requests_.size() >= kMaxRequests) return output_.count("ring_requests_full");
  Request request;
  request.nonce = random_.u64();
  request.purpose = purpose;
  request.to = to;
  requests_.push_back(std::move(request));
  send_request(requests_.back(), now);
}

void Chord::send_request(Request& request, TimePoint now) {
  const bool state = request.purpose == Purpose::join || request.purpose == Purpose::stabilise ||
                     request.purpose == Purpose::adopt || request.purpose == Purpose::walk;
  request.deadline = now + settings_.timeouts[request.tries];
  ++request.tries;
  send_body(request.to.contact, state ? wire::RingKind::state_request : wire::RingKind::ping,
            wire::NonceBody{request.nonce});
}

void Chord::run_requests(TimePoint now) {
  // By index: what a silence leads to may add requests.
  for (std::size_t i = 0; i < requests_.size();) {
    Request& request = requests_[i];
    if (request.deadline > now) {
      ++i;
      continue;
    }
    const bool once = request.purpose == Purpose::revive || request.purpose == Purpose::prove;
    if (request.tries < (once ? 2 : settings_.timeouts.size())) {
      send_request(request, now);
      ++i;
      continue;
    }
    Request silent = std::move(request);
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(i));
    on_silence(silent, now);
  }
}

void Chord::on_silence(const Request& request, TimePoint now) {
  switch (request.purpose) {
    case Purpose::prove:
      return output_.count("ring_unproven_dropped");
    case Purpose::revive:
      lost_.push_back(request.to);
      if (lost_.size() > kMaxLost) lost_.pop_front();
      return;
    case Purpose::join:
      joining_since_ = now;
      for (Seed& seed : seeds_) seed.next = std::min(seed.next, now);
      return;
    default:
      return dead(request.to, now);
  }
}

void Chord::dead(const RingPeer& peer, TimePoint now) {
  log_.info("ring-member-silent",
            {{"address", peer.contact.primary().text()}, {"id", peer.id.hex()}});
  output_.count("ring_members_lost");
  proven_.erase(peer.id);
  // Every other request to it would only come to the same end later.
  std::erase_if(requests_, [&](const Request& request) { return request.to.id == peer.id; });
  if (dead_.size() >= kMaxDead) dead_.pop_front();
  dead_.push_back({peer, now + settings_.dead_memory});
  if (std::find(lost_.begin(), lost_.end(), peer) == lost_.end()) {
    lost_.push_back(peer);
    if (lost_.size() > kMaxLost) lost_.pop_front();
  }
  if (view_.remove(peer.id)) changed(now);
}

bool Chord::is_dead(RingId id, TimePoint now) const {
  for (const Dead& entry : dead_)
    if (entry.peer.id == id && entry.until > now) return true;
  return false;
}

bool Chord::suspect(RingId id) const {
  for (const Request& request : requests_)
    if (request.to.id == id && request.tries > 1) return true;
  return false;
}

void Chord::check_alive(const RingPeer& peer, Duration if_older, TimePoint now) {
  auto found = proven_.find(peer.id);
  if (found != proven_.end() && found->second + if_older > now) return;
  for (const Request& request : requests_)
    if (request.to.id == peer.id) return;
  request(Purpose::liveness, peer, now);
}

TimePoint Chord::next_deadline() const {
  if (phase_ == Phase::left || phase_ == Phase::idle) return kNever;
  TimePoint next = next_revive_;
  if (phase_ == Phase::member) next = std::min({next, next_stabilise_, next_finger_});
  for (const Seed& seed : seeds_) next = std::min(next, seed.next);
  for (const Request& request : requests_) next = std::min(next, request.deadline);
  for (const auto& [nonce, find] : finds_) next = std::min(next, find.deadline);
  return next;
}

void Chord::on_timer(TimePoint now) {
  if (phase_ == Phase::left || phase_ == Phase::idle) return;
  run_requests(now);
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
  }
  if (phase_ != Phase::member) return;
  if (next_stabilise_ <= now) stabilise(now);
  if (next_finger_ <= now) fix_finger(now);
}

}  // namespace i3
