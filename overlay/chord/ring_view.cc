#include "overlay/chord/ring_view.hh"

#include <bit>

namespace i3 {
namespace {

// What a part of the ring without fingers gains by one; no round trip is so long.
constexpr Duration kRoom = std::chrono::seconds(1);

// The highest bit of a distance, and which quarter of [2^bit, 2^(bit + 1)) it lies in.
std::pair<unsigned, unsigned> part_of(RingId distance) {
  static_assert(RingView::kFingerParts == 4);
  const unsigned zeros = distance.high != 0
                             ? static_cast<unsigned>(std::countl_zero(distance.high))
                             : 64 + static_cast<unsigned>(std::countl_zero(distance.low));
  if (zeros >= 126) return {127 - zeros, 0};
  auto bit_at = [&](unsigned bit) {
    return static_cast<unsigned>(bit >= 64 ? distance.high >> (bit - 64) : distance.low >> bit) & 1;
  };
  const unsigned bit = 127 - zeros;
  return {bit, bit_at(bit - 1) * 2 + bit_at(bit - 2)};
}

}  // namespace

bool RingView::set_successors(const std::vector<RingPeer>& list) {
  std::vector<RingPeer> next;
  for (const RingPeer& peer : list) {
    if (next.size() == max_successors_ || peer.id == self_) break;
    // Going round a ring the distance only grows; where it shrinks the list has lapped us.
    if (!next.empty() && peer.id.minus(self_) <= next.back().id.minus(self_)) break;
    next.push_back(peer);
  }
  const bool changed = next != successors_;
  successors_ = std::move(next);
  return changed;
}

bool RingView::set_predecessor(const RingPeer& peer) {
  if (peer.id == self_ || (!predecessors_.empty() && predecessors_.front() == peer)) return false;
  std::erase_if(predecessors_, [&](const RingPeer& old) {
    return old.id == peer.id || !old.id.in_open(self_, peer.id);
  });
  predecessors_.insert(predecessors_.begin(), peer);
  if (predecessors_.size() > max_predecessors_) predecessors_.resize(max_predecessors_);
  return true;
}

bool RingView::set_predecessor_behind(std::size_t index, const RingPeer& peer) {
  if (index >= predecessors_.size()) return false;
  if (!peer.id.in_open(self_, predecessors_[index].id)) {
    // It is ourselves or lies before us: the ring has no further members.
    const bool changed = predecessors_.size() > index + 1;
    predecessors_.resize(index + 1);
    return changed;
  }
  if (index + 1 >= max_predecessors_) return false;
  if (index + 1 < predecessors_.size() && predecessors_[index + 1] == peer) return false;
  predecessors_.resize(index + 1);
  predecessors_.push_back(peer);
  return true;
}

std::pair<std::size_t, std::size_t> RingView::same_part(RingId distance) const {
  struct Before {
    using Part = std::pair<unsigned, unsigned>;
    bool operator()(const Finger& finger, const Part& part) const {
      return Part(finger.bit, finger.part) < part;
    }
    bool operator()(const Part& part, const Finger& finger) const {
      return part < Part(finger.bit, finger.part);
    }
  };
  const auto [first, last] =
      std::equal_range(fingers_.begin(), fingers_.end(), part_of(distance), Before{});
  return {first - fingers_.begin(), last - fingers_.begin()};
}

Duration RingView::finger_gain(RingId id, Duration rtt) const {
  if (id == self_ || successors_.empty() || whole_ring_known()) return {};
  const RingId distance = id.minus(self_);
  if (distance <= successors_.back().id.minus(self_)) return {};
  const auto [first, last] = same_part(distance);
  Duration furthest{};
  for (std::size_t i = first; i < last; ++i) {
    if (fingers_[i].peer.id == id) return {};
    furthest = std::max(furthest, fingers_[i].rtt);
  }
  if (last - first < kFingersPerPart) return std::max(kRoom - rtt, Duration(1));
  // A tenth nearer, or two would take turns for ever.
  return rtt * 10 < furthest * 9 ? furthest - rtt : Duration{};
}

bool RingView::wants_finger(RingId id, Duration rtt) const {
  return finger_gain(id, rtt) > Duration{};
}

bool RingView::offer_finger(const RingPeer& peer, Duration rtt, TimePoint now) {
  const RingId distance = peer.id.minus(self_);
  const auto [first, last] = same_part(distance);
  std::size_t furthest = first;
  for (std::size_t i = first; i < last; ++i) {
    Finger& finger = fingers_[i];
    if (finger.peer.id == peer.id) {
      finger = {finger.bit, finger.part, peer, rtt, now, finger.asked};
      return true;
    }
    if (finger.rtt > fingers_[furthest].rtt) furthest = i;
  }
  if (!wants_finger(peer.id, rtt)) return false;
  ++fingers_taken_;
  const auto [bit, part] = part_of(distance);
  if (last - first < kFingersPerPart)
    fingers_.insert(fingers_.begin() + static_cast<std::ptrdiff_t>(last),
                    {bit, part, peer, rtt, now, 0});
  else
    fingers_[furthest] = {bit, part, peer, rtt, now, 0};
  return true;
}

void RingView::drop_useless_fingers() {
  if (successors_.empty()) return;
  const RingId covered = successors_.back().id.minus(self_);
  std::erase_if(fingers_, [&](const Finger& finger) {
    return whole_ring_known() || finger.peer.id.minus(self_) <= covered;
  });
}

bool RingView::remove_finger(RingId id) {
  return std::erase_if(fingers_, [&](const Finger& finger) { return finger.peer.id == id; }) != 0;
}

bool RingView::remove(RingId id) {
  auto is_it = [&](const RingPeer& peer) { return peer.id == id; };
  std::size_t removed = std::erase_if(successors_, is_it) + std::erase_if(predecessors_, is_it);
  removed += remove_finger(id) ? 1 : 0;
  return removed != 0;
}

void RingView::update(const RingPeer& peer) {
  for (RingPeer& known : successors_)
    if (known.id == peer.id) known = peer;
  for (RingPeer& known : predecessors_)
    if (known.id == peer.id) known = peer;
  for (Finger& finger : fingers_)
    if (finger.peer.id == peer.id) finger.peer = peer;
}

bool RingView::neighbour(RingId id) const {
  auto is_it = [&](const RingPeer& peer) { return peer.id == id; };
  return std::any_of(successors_.begin(), successors_.end(), is_it) ||
         std::any_of(predecessors_.begin(), predecessors_.end(), is_it);
}

bool RingView::knows(RingId id) const {
  return neighbour(id) || std::any_of(fingers_.begin(), fingers_.end(),
                                      [&](const Finger& finger) { return finger.peer.id == id; });
}

bool RingView::owns(RingId position) const {
  if (alone()) return true;
  return !predecessors_.empty() && position.in_half_open(predecessors_.front().id, self_);
}

bool RingView::replicates(RingId position, std::size_t replicas) const {
  if (alone() || owns(position)) return true;
  if (predecessors_.empty()) return false;
  if (predecessors_.size() <= replicas) {
    // Fewer predecessors than asked for: either the ring is that small, or they are not yet known.
    if (whole_ring_known() && successors_.size() <= replicas) return true;
    return position.in_half_open(predecessors_.back().id, self_);
  }
  return position.in_half_open(predecessors_[replicas].id, self_);
}

unsigned RingView::first_useful_bit() const {
  if (successors_.empty() || whole_ring_known()) return 128;
  return part_of(successors_.back().id.minus(self_)).first;
}

RingId RingView::spacing() const {
  if (successors_.empty()) return {};
  const RingId covered = successors_.back().id.minus(self_);
  const auto count = static_cast<std::uint64_t>(successors_.size());
  // Positions are 128 bits; of rings with fewer than 2^60 members the high half says enough.
  return {covered.high / count, covered.high / count == 0 ? covered.low / count : 0};
}

}  // namespace i3
