#include "overlay/chord/ring_view.hh"

#include <bit>

namespace i3 {

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

void RingView::set_finger(unsigned bit, const RingPeer& peer) {
  std::erase_if(fingers_, [&](const Finger& finger) {
    return finger.bit == bit || finger.peer.id == peer.id;
  });
  if (peer.id == self_) return;
  auto place = fingers_.begin();
  while (place != fingers_.end() && place->bit < bit) ++place;
  fingers_.insert(place, Finger{bit, peer});
}

void RingView::drop_useless_fingers() {
  const unsigned first = first_useful_bit();
  std::erase_if(fingers_, [&](const Finger& finger) { return finger.bit < first; });
}

bool RingView::remove(RingId id) {
  auto is_it = [&](const RingPeer& peer) { return peer.id == id; };
  std::size_t removed = std::erase_if(successors_, is_it) + std::erase_if(predecessors_, is_it);
  removed += std::erase_if(fingers_, [&](const Finger& finger) { return finger.peer.id == id; });
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

bool RingView::knows(RingId id) const {
  auto is_it = [&](const RingPeer& peer) { return peer.id == id; };
  return std::any_of(successors_.begin(), successors_.end(), is_it) ||
         std::any_of(predecessors_.begin(), predecessors_.end(), is_it) ||
         std::any_of(fingers_.begin(), fingers_.end(),
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

std::vector<const RingPeer*> RingView::preceding(RingId position) const {
  std::vector<const RingPeer*> result;
  auto consider = [&](const RingPeer& peer) {
    if (!peer.id.in_open(self_, position)) return;
    for (const RingPeer* known : result)
      if (known->id == peer.id) return;
    result.push_back(&peer);
  };
  for (const Finger& finger : fingers_) consider(finger.peer);
  for (const RingPeer& peer : successors_) consider(peer);
  std::sort(result.begin(), result.end(), [&](const RingPeer* a, const RingPeer* b) {
    return position.minus(a->id) < position.minus(b->id);
  });
  return result;
}

unsigned RingView::bit_beyond(const RingPeer& peer) const {
  const RingId distance = peer.id.minus(self_);
  // 2^bit > distance: the number of bits that the distance takes.
  if (distance.high != 0) return 128 - static_cast<unsigned>(std::countl_zero(distance.high));
  return 64 - static_cast<unsigned>(std::countl_zero(distance.low));
}

unsigned RingView::first_useful_bit() const {
  if (successors_.empty() || whole_ring_known()) return 128;
  return bit_beyond(successors_.back());
}

}  // namespace i3
