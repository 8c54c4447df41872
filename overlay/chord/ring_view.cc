#include "overlay/chord/ring_view.hh"

#include <bit>

namespace i3 {
namespace {

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

bool RingView::wants_finger(RingId id, std::optional<Duration> rtt) const {
  if (id == self_ || successors_.empty() || whole_ring_known()) return false;
  const RingId distance = id.minus(self_);
  if (distance <= successors_.back().id.minus(self_)) return false;
  const auto [bit, part] = part_of(distance);
  unsigned same = 0;
  for (const Finger& finger : fingers_) {
    if (finger.bit != bit || finger.part != part) continue;
    if (finger.peer.id == id) return true;
    // A tenth nearer, or two would take turns for ever.
    if (rtt && *rtt * 10 < finger.rtt * 9) return true;
    ++same;
  }
  return same < kFingersPerPart;
}

bool RingView::offer_finger(const RingPeer& peer, Duration rtt, TimePoint now) {
  if (!wants_finger(peer.id, rtt)) return false;
  const auto [bit, part] = part_of(peer.id.minus(self_));
  auto first = fingers_.begin();
  while (first != fingers_.end() && (first->bit < bit || (first->bit == bit && first->part < part)))
    ++first;
  auto last = first, furthest = first;
  for (; last != fingers_.end() && last->bit == bit && last->part == part; ++last) {
    if (last->peer.id == peer.id) {
      *last = {bit, part, peer, rtt, now};
      return true;
    }
    if (last->rtt > furthest->rtt) furthest = last;
  }
  if (last - first < static_cast<std::ptrdiff_t>(kFingersPerPart))
    fingers_.insert(last, {bit, part, peer, rtt, now});
  else
    *furthest = {bit, part, peer, rtt, now};
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
