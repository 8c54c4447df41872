// Asking single members: repetition, ways round broken pairs, silence and death, proof of address.
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr std::size_t kMaxHeld = 64;
// Through a third member an answer takes two round trips.
constexpr Duration kRelayedPatience[] = {std::chrono::milliseconds(400),
                                         std::chrono::milliseconds(600)};
// After how many sendings other members are asked to pass the message on.
constexpr unsigned kStraightTries = 2;
// A node that is believed dead and speaks is asked again after so long at the earliest.
constexpr Duration kAskAgain = std::chrono::seconds(2);
}  // namespace

void Chord::request(Purpose purpose, const RingPeer& to, TimePoint now,
                    std::unique_ptr<Held> held) {
  if (to.id == self_.id || requested(purpose, to.id)) return;
  if (requests_.size() >= kMaxRequests) return output_.count("ring_requests_full");
  Request request;
  request.nonce = random_.u64() | 1;
  request.purpose = purpose;
  request.to = to;
  request.held = std::move(held);
  requests_.push_back(std::move(request));
  send_request(requests_.back(), now);
}

bool Chord::requested(Purpose purpose, RingId id) const {
  for (const Request& request : requests_)
    if (request.purpose == purpose && request.to.id == id) return true;
  return false;
}

bool Chord::may_be_relayed(Purpose purpose) {
  return purpose != Purpose::prove && purpose != Purpose::revive && purpose != Purpose::measure &&
         purpose != Purpose::fingers;
}

// Straight first; then, where it is a neighbour that we cannot do without, through others too.
void Chord::send_request(Request& request, TimePoint now) {
  const bool relayed = request.tries >= kStraightTries && may_be_relayed(request.purpose);
  const wire::NodeContact* way = way_to(request.to.id, now);
  // The way that its question came.
  if (request.held) way = request.held->via ? &*request.held->via : nullptr;
  auto send = [&](const wire::NodeContact* via) {
    switch (request.purpose) {
      case Purpose::join:
      case Purpose::stabilise:
      case Purpose::adopt:
      case Purpose::walk:
      case Purpose::fingers: {
        using Body = wire::StateRequestBody;
        Body body;
        body.nonce = request.nonce;
        body.digest = request.digest;
        if (request.purpose == Purpose::fingers)
          body.wants = Body::kFingers;
        else if (request.purpose == Purpose::stabilise)
          body.wants = Body::kSuccessors | Body::kNotify;
        else if (request.purpose != Purpose::walk)
          body.wants = Body::kSuccessors;
        return send_body(request.to.contact, wire::RingKind::state_request, body, via);
      }
      default:
        return send_body(request.to.contact, wire::RingKind::ping, wire::NonceBody{request.nonce},
                         via);
    }
  };
  if (request.tries == 0) {
    request.sent = now;
    if (request.purpose == Purpose::stabilise && list_head_ == request.to.id)
      request.digest = list_digest_;
  }
  // An address that may be forged gets one ping for each question that names it.
  if (request.purpose != Purpose::prove || request.tries == 0) send(way);
  if (relayed)
    if (const wire::NodeContact* relay = relay_for(request, request.tries - kStraightTries))
      send(relay);
  Duration wait = peers_.patience(request.to.id, settings_.timeouts[0]);
  wait = wait * (4 + request.tries) / 4;
  if (peers_.rtt(request.to.id) == Duration{}) wait = settings_.timeouts[request.tries];
  if (relayed) wait = std::max(wait, kRelayedPatience[request.tries - kStraightTries]);
  request.deadline = now + wait;
  ++request.tries;
}

// Its neighbours are ours too.
const wire::NodeContact* Chord::relay_for(const Request& request, unsigned turn) const {
  if (request.purpose == Purpose::join) {
    for (const Seed& seed : seeds_)
      if (seed.answered && seed.answered->id != request.to.id && turn-- == 0)
        return &seed.answered->contact;
    for (const Seed& seed : seeds_)
      if (seed.answered && seed.answered->id != request.to.id) return &seed.answered->contact;
    return nullptr;
  }
  const wire::NodeContact* last = nullptr;
  auto consider = [&](const RingPeer& peer) {
    if (peer.id == request.to.id || peers_.missing(peer.id) || peers_.rtt(peer.id) == Duration{})
      return false;
    last = &peer.contact;
    return turn-- == 0;
  };
  const auto& successors = view_.successors();
  const auto& predecessors = view_.predecessors();
  for (std::size_t i = 0; i < std::max(successors.size(), predecessors.size()); ++i) {
    if (i < successors.size() && consider(successors[i])) break;
    if (i < predecessors.size() && consider(predecessors[i])) break;
  }
  return last;
}

// The answer counts only from the very address that was asked.
std::optional<Chord::Request> Chord::take_request(std::uint64_t nonce, const RingPeer& from,
                                                  const wire::NodeContact* via, TimePoint now) {
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i].nonce != nonce) continue;
    const wire::NodeContact& asked = requests_[i].to.contact;
    if (requests_[i].to.id != from.id || asked.v4 != from.contact.v4 || asked.v6 != from.contact.v6)
      return std::nullopt;
    Request request = std::move(requests_[i]);
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(i));
    // Which of several sendings it answers is not known.
    std::optional<Duration> rtt;
    if (request.tries == 1 || peers_.rtt(from.id) == Duration{}) rtt = now - request.sent;
    confirm(from, nonce, rtt, via, now);
    request.to = from;
    return request;
  }
  return std::nullopt;
}

void Chord::confirm(const RingPeer& peer, std::uint64_t nonce, std::optional<Duration> rtt,
                    const wire::NodeContact* via, TimePoint now) {
  const PeerTable::Peer& known = peers_.confirm(peer, nonce, rtt, via, now);
  std::erase_if(dead_, [&](const Dead& entry) { return entry.peer.id == peer.id; });
  view_.update(peer);
  if (via)
    view_.remove_finger(peer.id);
  else if (known.rtt != Duration{})
    view_.offer_finger(peer, known.rtt, now);
}

void Chord::run_requests(TimePoint now) {
  // By index: what a silence leads to may add requests.
  for (std::size_t i = 0; i < requests_.size();) {
    Request& request = requests_[i];
    if (request.deadline > now) {
      ++i;
      continue;
    }
    if (request.tries == 1) peers_.missed(request.to.id);
    const bool neighbour = may_be_relayed(request.purpose);
    const std::size_t most = neighbour                            ? settings_.timeouts.size()
                             : request.purpose == Purpose::revive ? 1
                                                                  : kStraightTries;
    if (request.tries < most) {
      const RingPeer* predecessor = view_.predecessor();
      const bool nearest =
          request.purpose == Purpose::stabilise ||
          (request.purpose == Purpose::walk && predecessor && predecessor->id == request.to.id);
      if (request.tries == 1 && nearest) check_all_neighbours(now);
      // The check may have moved the requests.
      send_request(requests_[i], now);
      ++i;
      continue;
    }
    Request silent = std::move(request);
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(i));
    on_silence(silent, now);
  }
}

void Chord::on_silence(Request& request, TimePoint now) {
  switch (request.purpose) {
    case Purpose::prove:
      return output_.count("ring_unproven_dropped");
    case Purpose::measure:
    case Purpose::fingers:
      return finger_silent(request.to, now);
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
  if (log_.wants(LogLevel::info))
    log_.info("ring-member-silent",
              {{"address", peer.contact.primary().text()}, {"id", peer.id.hex()}});
  output_.count("ring_members_lost");
  // Who never answered was only a name.
  const bool lived = peers_.find(peer.id) != nullptr || view_.knows(peer.id);
  const bool neighbour = (view_.successor() && view_.successor()->id == peer.id) ||
                         (view_.predecessor() && view_.predecessor()->id == peer.id);
  peers_.erase(peer.id);
  // Every other request to it would only come to the same end later.
  std::erase_if(requests_, [&](const Request& request) { return request.to.id == peer.id; });
  remember_dead(peer, now);
  if (lived && std::find(lost_.begin(), lost_.end(), peer) == lost_.end()) {
    lost_.push_back(peer);
    if (lost_.size() > kMaxLost) lost_.pop_front();
  }
  if (!view_.remove(peer.id)) return;
  list_digest_ = 0;
  if (neighbour) check_all_neighbours(now);
  predecessor_asked_ = {};  // the nearest may be another one
  changed(now);
}

void Chord::remember_dead(const RingPeer& peer, TimePoint now) {
  std::erase_if(dead_, [&](const Dead& entry) { return entry.peer.id == peer.id; });
  if (dead_.size() >= kMaxDead) dead_.pop_front();
  dead_.push_back({peer, now + settings_.dead_memory, now + kAskAgain});
}

bool Chord::is_dead(RingId id, TimePoint now) const {
  for (const Dead& entry : dead_)
    if (entry.peer.id == id && entry.until > now) return true;
  return false;
}

// One that was given up by mistake comes back as soon as it, or somebody, speaks of it.
void Chord::hear_of_dead(const RingPeer& peer, TimePoint now) {
  for (Dead& entry : dead_) {
    if (entry.peer.id != peer.id || entry.ask_again > now) continue;
    entry.ask_again = now + kAskAgain;
    return request(Purpose::revive, peer, now);
  }
}

void Chord::check_alive(const RingPeer& peer, Duration if_older, TimePoint now) {
  if (peers_.answered(peer.id) + if_older > now) return;
  for (const Request& request : requests_)
    if (request.to.id == peer.id) return;
  request(view_.neighbour(peer.id) ? Purpose::liveness : Purpose::measure, peer, now);
}

// An answer may be several times longer than its question and a source address may be forged, so a
// node that has not answered a nonce of ours lately is pinged first; its question waits.
void Chord::prove_first(const RingPeer& sender, wire::RingKind kind, Bytes body,
                        const wire::NodeContact* via, TimePoint now) {
  auto held = std::make_unique<Held>();
  held->kind = kind;
  held->body.assign(body.begin(), body.end());
  if (via) held->via = *via;
  auto waits = [&] {
    // It need not try another way; this is no longer than what came.
    if (auto find = kind == wire::RingKind::find ? wire::FindBody::parse(body) : std::nullopt)
      send_body(sender.contact, wire::RingKind::taken, wire::NonceBody{find->step}, via);
  };
  std::size_t waiting = 0;
  for (Request& request : requests_) {
    if (request.purpose != Purpose::prove) continue;
    ++waiting;
    if (request.to.id != sender.id) continue;
    if (request.to.contact != sender.contact) return output_.count("ring_unproven_dropped");
    // A look-up is worth more than the next beat of something that comes again by itself.
    if (!request.held || request.held->kind != wire::RingKind::find || kind == request.held->kind)
      request.held = std::move(held);
    send_body(sender.contact, wire::RingKind::ping, wire::NonceBody{request.nonce}, via);
    return waits();
  }
  if (waiting >= kMaxHeld || requests_.size() >= kMaxRequests)
    return output_.count("ring_unproven_dropped");
  request(Purpose::prove, sender, now, std::move(held));
  waits();
}

}  // namespace i3
