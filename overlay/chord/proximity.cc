// Finding near members to route by: hearing of candidates, measuring them, asking near ones whom
// they know. Of each part of the ring the nearest few stay (RingView::offer_finger).
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr Duration kFirstTicks = std::chrono::milliseconds(150);
constexpr unsigned kQuickTicks = 60;
constexpr Duration kFastestTick = std::chrono::milliseconds(1500);
constexpr Duration kCalmTick = std::chrono::milliseconds(2500);
// A finger is measured again after so many ticks at the latest; by then each had its turn.
constexpr std::int64_t kTicksFresh = 60;
constexpr std::size_t kAskedFor = 12;
}  // namespace

void Chord::fix_fingers(TimePoint now) {
  const bool quick = finger_turn_ < kQuickTicks;
  finger_interval_ = std::min(finger_interval_ + finger_interval_ / 50, kCalmTick);
  next_finger_ = now + (quick ? kFirstTicks : finger_interval_);
  ++finger_turn_;
  if (view_.first_useful_bit() >= 128) {
    // Everybody is in the successor list.
    view_.drop_useless_fingers();
    candidates_.clear();
    next_finger_ = now + settings_.calm_interval;
    return;
  }
  if (!quick && finger_turn_ % 2 == 0) return check_oldest_finger(now);
  while (!candidates_.empty()) {
    const RingPeer peer = candidates_.front();
    candidates_.pop_front();
    if (view_.knows(peer.id) || is_dead(peer.id, now)) continue;
    return request(Purpose::measure, peer, now);
  }
  look_for_candidates(now);
}

// In turn: whoever owns a place in a part of the ring that few fingers are known of; members that
// near ones know, for they are near too; members that any other one knows.
void Chord::look_for_candidates(TimePoint now) {
  const auto& fingers = view_.fingers();
  const unsigned turn = static_cast<unsigned>(random_.below(4));
  if (turn == 0 || fingers.empty()) {
    if (fingers.empty() && view_.successor()) request(Purpose::fingers, *view_.successor(), now);
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
    return;
  }
  const Finger* chosen = &fingers[random_.below(fingers.size())];
  // The nearest of a few at random: not always the same one.
  for (int i = 0; turn != 3 && i < 8; ++i) {
    const Finger& other = fingers[random_.below(fingers.size())];
    if (other.rtt < chosen->rtt) chosen = &other;
  }
  request(Purpose::fingers, chosen->peer, now);
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
    if (peer.id == self_.id || view_.knows(peer.id)) continue;
    if (is_dead(peer.id, now)) continue;
    const RingPeer* successor = view_.successor();
    const RingPeer* predecessor = view_.predecessor();
    if (successor && peer.id.in_open(self_.id, successor->id)) {
      request(Purpose::adopt, peer, now);
      continue;
    }
    if (predecessor && peer.id.in_open(predecessor->id, self_.id)) {
      request(Purpose::candidate, peer, now);
      continue;
    }
    const std::uint64_t mark = peer.id.low;
    if (candidates_.size() >= kMaxCandidates ||
        std::find(tested_.begin(), tested_.end(), mark) != tested_.end())
      continue;
    const Duration rtt = peers_.rtt(peer.id);
    if (rtt != Duration{} && !view_.wants_finger(peer.id, rtt)) continue;
    tested_[next_tested_++ % tested_.size()] = mark;
    candidates_.push_back(peer);
  }
}

// For one that asks whom we route by.
std::vector<wire::NodeContact> Chord::some_fingers() {
  std::vector<wire::NodeContact> result;
  const auto& fingers = view_.fingers();
  if (fingers.empty()) {
    for (const RingPeer& peer : view_.successors())
      if (result.size() < kAskedFor) result.push_back(peer.contact);
    return result;
  }
  const std::size_t first = random_.below(fingers.size());
  // Every so many: from all parts of the ring.
  const std::size_t step = std::max<std::size_t>(1, fingers.size() / kAskedFor);
  for (std::size_t i = 0; i < fingers.size() && result.size() < kAskedFor; i += step)
    result.push_back(fingers[(first + i) % fingers.size()].peer.contact);
  return result;
}

}  // namespace i3
