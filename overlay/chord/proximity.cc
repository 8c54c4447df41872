// Finding near members to route by: hearing of candidates, measuring them, asking near ones whom
// they know. Of each part of the ring the nearest few stay (RingView::offer_finger).
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr Duration kQuickTick = std::chrono::milliseconds(150);
// The quick turns end when so many in a row have brought no new finger, or after so many.
constexpr unsigned kFruitless = 24;
constexpr unsigned kQuickTicks = 50;
constexpr Duration kFastestTick = std::chrono::milliseconds(1500);
constexpr Duration kCalmTick = std::chrono::milliseconds(2500);
// A finger is measured again after so many ticks at the latest; by then each had its turn.
constexpr std::int64_t kTicksFresh = 60;
// Nearly all of a member's fingers are heard of by a few questions.
constexpr std::size_t kGiven = wire::StateBody::kMaxSuccessors;
// Of a member of which nothing else is known.
constexpr Duration kUnknownWay = std::chrono::milliseconds(80);
// What each question before takes from a member's nearness when one is chosen to ask.
constexpr Duration kAskedBefore = std::chrono::milliseconds(5);
}  // namespace

// True while a turn is worth its bytes at once.
bool Chord::settling() {
  fruitless_turns_ = view_.fingers_taken() != fingers_taken_ ? 0 : fruitless_turns_ + 1;
  fingers_taken_ = view_.fingers_taken();
  return finger_turn_ < kQuickTicks && fruitless_turns_ < kFruitless;
}

void Chord::fix_fingers(TimePoint now) {
  const bool quick = settling();
  finger_interval_ = std::min(finger_interval_ + finger_interval_ / 50, kCalmTick);
  next_finger_ = now + (quick ? kQuickTick : finger_interval_);
  ++finger_turn_;
  if (view_.first_useful_bit() >= 128) {
    // Everybody is in the successor list.
    view_.drop_useless_fingers();
    candidates_.clear();
    next_finger_ = now + settings_.calm_interval;
    return;
  }
  if (!quick && finger_turn_ % 2 == 0) return check_oldest_finger(now);
  if (const auto peer = best_candidate(now)) return request(Purpose::measure, *peer, now);
  look_for_candidates(now);
}

// The one that is expected to be worth most.
std::optional<RingPeer> Chord::best_candidate(TimePoint now) {
  while (!candidates_.empty()) {
    std::size_t best = 0;
    Duration most{};
    for (std::size_t i = 0; i < candidates_.size();) {
      const Duration gain = view_.finger_gain(candidates_[i].peer.id, candidates_[i].expected);
      if (gain == Duration{}) {
        candidates_[i] = std::move(candidates_.back());
        candidates_.pop_back();
        continue;
      }
      if (gain > most) {
        most = gain;
        best = i;
      }
      ++i;
    }
    if (candidates_.empty()) break;
    RingPeer peer = std::move(candidates_[best].peer);
    candidates_.erase(candidates_.begin() + static_cast<std::ptrdiff_t>(best));
    if (!view_.knows(peer.id) && !is_dead(peer.id, now)) return peer;
  }
  return std::nullopt;
}

// In turn: members that near ones know, for they are near too; whoever owns a place in any part of
// the ring; members that any other one knows.
void Chord::look_for_candidates(TimePoint now) {
  auto& fingers = view_.fingers();
  if (fingers.empty() && view_.successor()) request(Purpose::fingers, *view_.successor(), now);
  const auto turn = random_.below(4);
  if (turn == 0 || fingers.empty()) return look_in_any_part(now);
  Finger* chosen = &fingers[random_.below(fingers.size())];
  auto cost = [](const Finger& finger) { return finger.rtt + kAskedBefore * finger.asked; };
  for (Finger& finger : fingers)
    if (turn != 3 && cost(finger) < cost(*chosen)) chosen = &finger;
  ++chosen->asked;
  request(Purpose::fingers, chosen->peer, now);
}

void Chord::look_in_any_part(TimePoint now) {
  const unsigned first = view_.first_useful_bit();
  const unsigned bit = first + static_cast<unsigned>(random_.below(128 - first));
  Find find;
  find.use = Find::Use::finger;
  // Anywhere in [2^bit, 2^(bit + 1)).
  RingId offset{random_.u64(), random_.u64()};
  if (bit >= 64) {
    offset.high &= (std::uint64_t{1} << (bit - 64)) - 1;
    offset.high |= std::uint64_t{1} << (bit - 64);
  } else {
    offset.high = 0;
    offset.low &= (std::uint64_t{1} << bit) - 1;
    offset.low |= std::uint64_t{1} << bit;
  }
  find.position = offset.minus(RingId{}.minus(self_.id));
  start_find(std::move(find), now);
}

void Chord::check_oldest_finger(TimePoint now) {
  const Finger* oldest = nullptr;
  for (const Finger& finger : view_.fingers())
    if (!oldest || finger.answered < oldest->answered) oldest = &finger;
  if (oldest && oldest->answered + finger_interval_ * kTicksFresh <= now)
    request(Purpose::measure, oldest->peer, now);
}

// It may still live: others may reach it.
void Chord::finger_silent(const RingPeer& peer, TimePoint now) {
  if (view_.neighbour(peer.id)) return check_alive(peer, Duration::zero(), now);
  if (!view_.remove_finger(peer.id)) return;
  output_.count("ring_fingers_lost");
  finger_interval_ = std::max(finger_interval_ * 3 / 4, kFastestTick);
}

// Others' word: members to measure, and perhaps closer neighbours than ours. Nobody is believed in
// before having answered.
void Chord::hear_of(const std::vector<wire::NodeContact>& contacts, TimePoint now) {
  if (phase_ != Phase::member) return;
  for (const wire::NodeContact& contact : contacts) {
    const RingPeer peer(contact);
    if (!may_be_neighbour(peer, now)) consider(peer, kUnknownWay);
  }
}

// How far it is lies between the difference of both ways and their sum; the longer one of the two
// is expected.
void Chord::hear_of_fingers(const RingPeer& from, const wire::StateBody& state, TimePoint now) {
  if (phase_ != Phase::member) return;
  const Duration way = peers_.rtt(from.id);
  for (std::size_t i = 0; i < state.members.size(); ++i) {
    const RingPeer peer(state.members[i]);
    if (may_be_neighbour(peer, now)) continue;
    consider(peer, std::max(way, wire::StateBody::round_trip_of(state.round_trips[i])));
  }
}

// True if there is nothing more to do about it.
bool Chord::may_be_neighbour(const RingPeer& peer, TimePoint now) {
  if (peer.id == self_.id || is_dead(peer.id, now)) return true;
  const RingPeer* successor = view_.successor();
  const RingPeer* predecessor = view_.predecessor();
  if (successor && peer.id.in_open(self_.id, successor->id))
    request(Purpose::adopt, peer, now);
  else if (predecessor && peer.id.in_open(predecessor->id, self_.id))
    request(Purpose::candidate, peer, now);
  else
    return false;
  return true;
}

void Chord::consider(const RingPeer& peer, Duration expected) {
  const std::uint64_t mark = peer.id.low;
  if (std::find(tested_.begin(), tested_.end(), mark) != tested_.end()) return;
  if (const Duration measured = peers_.rtt(peer.id); measured != Duration{}) expected = measured;
  const Duration gain = view_.finger_gain(peer.id, expected);
  if (gain == Duration{}) return;
  if (candidates_.size() >= kMaxCandidates) return;
  tested_[next_tested_++ % tested_.size()] = mark;
  candidates_.push_back({peer, expected});
}

// For one that asks whom we route by: every so many, from all parts of the ring.
void Chord::give_fingers(wire::StateBody& state) {
  state.holds = wire::StateBody::kFingers;
  auto give = [&](const RingPeer& peer, Duration round_trip) {
    state.members.push_back(peer.contact);
    state.round_trips.push_back(wire::StateBody::round_trip_byte(round_trip));
  };
  const auto& fingers = view_.fingers();
  const auto& successors = view_.successors();
  if (fingers.empty()) {
    for (std::size_t i = 0; i < std::min(successors.size(), kGiven); ++i)
      give(successors[i], peers_.rtt(successors[i].id));
    return;
  }
  const std::size_t count = std::min(fingers.size(), kGiven);
  const std::size_t first = random_.below(fingers.size());
  for (std::size_t i = 0; i < count; ++i) {
    const Finger& finger = fingers[(first + i * fingers.size() / count) % fingers.size()];
    give(finger.peer, finger.rtt);
  }
}

}  // namespace i3
