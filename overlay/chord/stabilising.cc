// Keeping the ring: stabilise, rectify, leave (Zave 2017, section 4; rule names are hers).
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
// When a nearest neighbour falls silent the others are asked at once, but not those who spoke
// within this, and not again within it.
constexpr Duration kCheckAgain = std::chrono::seconds(1);
}  // namespace

void Chord::changed(TimePoint now) {
  interval_ = settings_.fast_interval;
  // News travels one member a round along the lists: stay fast until it has passed through ours.
  fast_rounds_ = settings_.successors;
  if (phase_ != Phase::member) return;
  // A little later than now, not in step with everybody who saw the same change.
  const auto wait = Duration(static_cast<Duration::rep>(
      random_.below(static_cast<std::uint64_t>((settings_.fast_interval / 4).count()) + 1)));
  next_stabilise_ = std::min(next_stabilise_, now + wait);
}

void Chord::stabilise(TimePoint now) {
  const auto spread = static_cast<std::uint64_t>((interval_ / 4).count()) + 1;
  next_stabilise_ =
      now + interval_ * 7 / 8 + Duration(static_cast<Duration::rep>(random_.below(spread)));
  if (fast_rounds_ > 0)
    --fast_rounds_;
  else
    interval_ = std::min(interval_ * 3 / 2, settings_.calm_interval);
  std::erase_if(dead_, [&](const Dead& entry) { return entry.until <= now; });
  if (const RingPeer* successor = view_.successor()) {
    request(Purpose::stabilise, *successor, now);
  } else if (const RingPeer* predecessor = view_.predecessor()) {
    // All successors died. Whoever precedes us also follows us, the long way round.
    request(Purpose::adopt, *predecessor, now);
  } else if (!view_.fingers().empty()) {
    request(Purpose::adopt, view_.fingers().front().peer, now);
  }
  check_neighbours(now);
}

// The nearest predecessor shows that it lives by asking us; only its silence makes us ask.
TimePoint Chord::predecessor_due() const {
  if (view_.predecessor() == nullptr) return kNever;
  return std::max(predecessor_heard_, predecessor_asked_) + settings_.calm_interval * 5 / 4;
}

void Chord::check_predecessor(TimePoint now) {
  predecessor_asked_ = now;
  request(Purpose::walk, *view_.predecessor(), now);
}

// What lies behind the nearest predecessor, and the successors further on, have their turns.
void Chord::check_neighbours(TimePoint now) {
  ++neighbour_turn_;
  const auto& predecessors = view_.predecessors();
  const auto& successors = view_.successors();
  const std::size_t slower = interval_ < settings_.calm_interval ? 2 : 1;
  if (neighbour_turn_ % slower != 0) return;
  const std::size_t turn = neighbour_turn_ / slower;
  if (turn % 2 == 0 && !predecessors.empty())
    return request(Purpose::walk, predecessors[turn / 2 % predecessors.size()], now);
  if (successors.size() < 2) return;
  const RingPeer peer = successors[1 + turn / 2 % (successors.size() - 1)];
  check_alive(peer, interval_, now);
}

// Where one neighbour fell silent others may have: with all asked at once a row of dead ones costs
// no more time than one.
void Chord::check_all_neighbours(TimePoint now) {
  if (neighbours_checked_ + kCheckAgain > now) return;
  neighbours_checked_ = now;
  const auto successors = view_.successors();
  const auto predecessors = view_.predecessors();
  for (const RingPeer& peer : successors) check_alive(peer, kCheckAgain, now);
  for (const RingPeer& peer : predecessors) check_alive(peer, kCheckAgain, now);
}

// StabilizeFromSuccessor and StabilizeFromPredecessor: a list is always a live head and what that
// head itself said, and a closer node counts only once it has answered.
void Chord::adopt_list(const RingPeer& head, const wire::StateBody& state, TimePoint now) {
  std::vector<RingPeer> list{head};
  bool whole = true;
  for (const wire::NodeContact& contact : state.members) {
    RingPeer peer(contact);
    if (peer.id == self_.id) break;
    if (is_dead(peer.id, now))
      whole = false;
    else
      list.push_back(std::move(peer));
  }
  // What was left out is asked for again.
  list_head_ = head.id;
  list_digest_ = whole ? wire::StateBody::digest(state.members) : 0;
  if (view_.set_successors(list)) {
    view_.drop_useless_fingers();
    changed(now);
  }
}

void Chord::adopt_closer(const RingPeer& head, const std::optional<wire::NodeContact>& named,
                         TimePoint now) {
  if (!named) return;
  const RingPeer closer(*named);
  if (!closer.id.in_open(self_.id, head.id)) return;
  if (is_dead(closer.id, now)) return hear_of_dead(closer, now);
  request(Purpose::adopt, closer, now);
}

void Chord::on_state(const Request& request, const wire::StateBody& state, TimePoint now) {
  const RingPeer& head = request.to;
  const bool listed = state.holds == wire::StateBody::kSuccessors;
  switch (request.purpose) {
    case Purpose::join: {
      if (phase_ != Phase::joining) return;
      std::vector<RingPeer> list{head};
      for (const wire::NodeContact& contact : state.members) list.emplace_back(contact);
      return become_member(std::move(list), now);
    }
    case Purpose::stabilise: {
      const RingPeer* successor = view_.successor();
      if (!successor || successor->id != head.id) return;  // replaced meanwhile
      // Otherwise it is the list that we know.
      if (listed) adopt_list(head, state, now);
      return adopt_closer(head, state.predecessor, now);
    }
    case Purpose::adopt: {
      const RingPeer* successor = view_.successor();
      if (successor && successor->id != head.id && !head.id.in_open(self_.id, successor->id))
        return;
      adopt_list(head, state, now);
      send_body(head.contact, wire::RingKind::notify, NoBody{}, way_to(head.id, now));
      return adopt_closer(head, state.predecessor, now);
    }
    case Purpose::walk: {
      const auto& predecessors = view_.predecessors();
      for (std::size_t i = 0; i < predecessors.size(); ++i) {
        if (predecessors[i].id != head.id) continue;
        if (state.predecessor) {
          RingPeer behind(*state.predecessor);
          if (!is_dead(behind.id, now)) view_.set_predecessor_behind(i, behind);
        }
        return;
      }
      return;
    }
    case Purpose::fingers:
      if (state.holds == wire::StateBody::kFingers) hear_of_fingers(head, state, now);
      return;
    default:
      return;
  }
}

void Chord::on_pong(Request& request, TimePoint now) {
  switch (request.purpose) {
    case Purpose::prove: {
      if (phase_ != Phase::member || !request.held) return;
      const Held& held = *request.held;
      return answer(request.to, held.kind, held.body, held.via ? &*held.via : nullptr, true, now);
    }
    case Purpose::candidate: {
      const RingPeer* predecessor = view_.predecessor();
      if (!predecessor || request.to.id.in_open(predecessor->id, self_.id))
        set_predecessor(request.to, now);
      return;
    }
    case Purpose::revive:
      // Where one is back others may be.
      next_revive_ = std::min(next_revive_, now + settings_.fast_interval);
      return introduce(request.to, now);
    default:
      return;
  }
}

// Rectify: `sender` believes that it is our predecessor. It replaces one that is further away at
// once (it was proven), and another one only after that was found dead.
void Chord::on_notify(const RingPeer& sender, TimePoint now) {
  const RingPeer* predecessor = view_.predecessor();
  if (predecessor && predecessor->id == sender.id) {
    predecessor_heard_ = now;
    return;
  }
  if (!predecessor || sender.id.in_open(predecessor->id, self_.id)) {
    // Proven some minutes ago is not alive now.
    if (peers_.answered(sender.id) + settings_.calm_interval > now)
      return set_predecessor(sender, now);
    return request(Purpose::candidate, sender, now);
  }
  check_alive(*predecessor, settings_.fast_interval, now);
}

void Chord::set_predecessor(const RingPeer& peer, TimePoint now) {
  if (!view_.set_predecessor(peer)) return;
  changed(now);
  predecessor_heard_ = now;
  request(Purpose::walk, peer, now);
  if (log_.wants(LogLevel::debug))
    log_.debug("ring-predecessor", {{"address", peer.contact.primary().text()}});
  // A ring of one has become a ring of two.
  if (!view_.successor()) request(Purpose::adopt, peer, now);
}

// A leave shows the nonce that we asked its sender with last, so it is of this moment. One that
// does not may be an old one said again, or its sender was never asked: it is asked now.
void Chord::on_leave(const RingPeer& sender, const wire::LeaveBody& body, TimePoint now) {
  if (!view_.knows(sender.id)) return;
  const PeerTable::Peer* known = peers_.find(sender.id);
  bool fresh = known && body.nonce != 0 && known->our_nonce == body.nonce;
  for (const Request& request : requests_)
    fresh = fresh || (request.to.id == sender.id && request.nonce == body.nonce);
  if (!fresh) {
    output_.count("ring_leave_unproven");
    return check_alive(sender, Duration::zero(), now);
  }
  const bool was_predecessor = view_.predecessor() && view_.predecessor()->id == sender.id;
  const bool was_successor = view_.successor() && view_.successor()->id == sender.id;
  std::erase_if(requests_, [&](const Request& request) { return request.to.id == sender.id; });
  remember_dead(sender, now);
  peers_.erase(sender.id);
  view_.remove(sender.id);
  predecessor_asked_ = {};
  list_digest_ = 0;
  output_.count("ring_members_left");
  changed(now);
  // What it says is only where to ask: each node named is queried before it is adopted.
  if (was_predecessor && body.predecessor)
    if (RingPeer peer(*body.predecessor); !is_dead(peer.id, now))
      request(Purpose::candidate, peer, now);
  if (was_successor && !view_.successor())
    for (const wire::NodeContact& contact : body.successors)
      if (RingPeer peer(contact); peer.id != self_.id && !is_dead(peer.id, now)) {
        request(Purpose::adopt, peer, now);
        break;
      }
}

}  // namespace i3
