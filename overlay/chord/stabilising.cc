// Keeping the ring: stabilise, rectify, leave, fingers (Zave 2017, section 4; rule names are hers).
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr Duration kFingerFirst = std::chrono::milliseconds(150);
}

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

// One predecessor and one further successor each time round.
void Chord::check_neighbours(TimePoint now) {
  ++neighbour_turn_;
  const auto& predecessors = view_.predecessors();
  if (!predecessors.empty()) {
    if (neighbour_turn_ % 2 == 0)
      request(Purpose::walk, predecessors.front(), now);
    else
      request(Purpose::walk, predecessors[neighbour_turn_ / 2 % predecessors.size()], now);
  }
  const auto& successors = view_.successors();
  if (successors.size() > 1) {
    const RingPeer peer = successors[1 + neighbour_turn_ % (successors.size() - 1)];
    check_alive(peer, interval_, now);
  }
}

// StabilizeFromSuccessor and StabilizeFromPredecessor: a list is always a live head and what that
// head itself said, and a closer node counts only once it has answered.
void Chord::adopt_list(const RingPeer& head, const wire::StateBody& state, TimePoint now) {
  std::vector<RingPeer> list{head};
  for (const wire::NodeContact& contact : state.successors) {
    RingPeer peer(contact);
    if (peer.id == self_.id) break;
    if (!is_dead(peer.id, now)) list.push_back(std::move(peer));
  }
  if (view_.set_successors(list)) {
    view_.drop_useless_fingers();
    changed(now);
  }
}

void Chord::on_state(const Request& request, const wire::StateBody& state, TimePoint now) {
  const RingPeer& head = request.to;
  switch (request.purpose) {
    case Purpose::join: {
      if (phase_ != Phase::joining) return;
      std::vector<RingPeer> list{head};
      for (const wire::NodeContact& contact : state.successors) list.emplace_back(contact);
      return become_member(std::move(list), now);
    }
    case Purpose::stabilise: {
      const RingPeer* successor = view_.successor();
      if (!successor || successor->id != head.id) return;  // replaced meanwhile
      adopt_list(head, state, now);
      if (state.predecessor) {
        RingPeer closer(*state.predecessor);
        if (closer.id.in_open(self_.id, head.id) && !is_dead(closer.id, now))
          return this->request(Purpose::adopt, closer, now);
      }
      return send(head.contact, wire::RingKind::notify, {});
    }
    case Purpose::adopt: {
      const RingPeer* successor = view_.successor();
      if (successor && successor->id != head.id && !head.id.in_open(self_.id, successor->id))
        return;
      adopt_list(head, state, now);
      send(head.contact, wire::RingKind::notify, {});
      if (state.predecessor) {
        RingPeer closer(*state.predecessor);
        if (closer.id.in_open(self_.id, head.id) && !is_dead(closer.id, now))
          this->request(Purpose::adopt, closer, now);
      }
      return;
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
    default:
      return;
  }
}

void Chord::on_pong(const Request& request, TimePoint now) {
  switch (request.purpose) {
    case Purpose::prove:
      if (phase_ == Phase::member)
        answer(request.to, request.held_kind, request.held, request.held_from, now);
      return;
    case Purpose::candidate: {
      const RingPeer* predecessor = view_.predecessor();
      if (!predecessor || request.to.id.in_open(predecessor->id, self_.id))
        set_predecessor(request.to, now);
      return;
    }
    case Purpose::revive:
      return introduce(request.to, now);
    default:
      return;
  }
}

// Rectify: `sender` believes that it is our predecessor. It replaces one that is further away at
// once (it was proven), and another one only after that was found dead.
void Chord::on_notify(const RingPeer& sender, TimePoint now) {
  const RingPeer* predecessor = view_.predecessor();
  if (predecessor && predecessor->id == sender.id) return;
  if (!predecessor || sender.id.in_open(predecessor->id, self_.id)) {
    // Proven some minutes ago is not alive now.
    auto answered = proven_.find(sender.id);
    if (answered != proven_.end() && answered->second + settings_.calm_interval > now)
      return set_predecessor(sender, now);
    return request(Purpose::candidate, sender, now);
  }
  check_alive(*predecessor, settings_.fast_interval, now);
}

void Chord::set_predecessor(const RingPeer& peer, TimePoint now) {
  if (!view_.set_predecessor(peer)) return;
  changed(now);
  log_.debug("ring-predecessor", {{"address", peer.contact.primary().text()}});
  // A ring of one has become a ring of two.
  if (!view_.successor()) request(Purpose::adopt, peer, now);
}

void Chord::on_leave(const RingPeer& sender, const wire::LeaveBody& body, TimePoint now) {
  if (!view_.knows(sender.id)) return;
  const bool was_predecessor = view_.predecessor() && view_.predecessor()->id == sender.id;
  const bool was_successor = view_.successor() && view_.successor()->id == sender.id;
  std::erase_if(requests_, [&](const Request& request) { return request.to.id == sender.id; });
  if (dead_.size() >= kMaxDead) dead_.pop_front();
  dead_.push_back({sender, now + settings_.dead_memory});
  proven_.erase(sender.id);
  view_.remove(sender.id);
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

// One finger each time; quickly until all were looked up once. A look-up from the end of what is
// known already skips the bits that lead to the same member.
void Chord::fix_finger(TimePoint now) {
  next_finger_ = now + (fingers_complete_ ? settings_.calm_interval * 2 : kFingerFirst);
  const unsigned first = view_.first_useful_bit();
  if (first >= 128) {
    view_.drop_useless_fingers();
    fingers_complete_ = false;
    finger_bit_ = 0;
    next_finger_ = now + settings_.calm_interval;
    return;
  }
  if (finger_bit_ >= 128) {
    fingers_complete_ = true;
    finger_bit_ = 0;
  }
  finger_bit_ = std::max(finger_bit_, first);
  Find find;
  find.use = Find::Use::finger;
  find.token = finger_bit_;
  find.position = self_.id.plus_power(finger_bit_);
  ++finger_bit_;
  start_find(std::move(find), now);
}

}  // namespace i3
