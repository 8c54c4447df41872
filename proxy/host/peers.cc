#include "proxy/host/peers.hh"

namespace i3 {

Peer* Peers::find(const PublicKey& key) const {
  auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : at(found->second);
}

Peer* Peers::get(const PublicKey& key, const std::string& name, Standing standing,
                 const AnnouncedAddresses& announced) {
  if (Peer* peer = find(key)) return peer;
  const AddressPool::Entry* entry = pool_.assign(public_id(key), standing, announced);
  if (entry == nullptr) return nullptr;
  auto peer = std::make_unique<Peer>();
  peer->handle = entry->slot;
  peer->key = peer->partner = key;
  peer->name = name;
  peer->ipv4 = entry->ipv4;
  peer->ipv6 = entry->ipv6;
  peer->needs_route = entry->needs_route;
  if (peer->handle >= by_handle_.size()) by_handle_.resize(peer->handle + 1);
  by_key_[key] = peer->handle;
  return (by_handle_[peer->handle] = std::move(peer)).get();
}

void Peers::remove(Peer& peer) {
  pool_.release(public_id(peer.key));
  by_key_.erase(peer.key);
  by_handle_[peer.handle].reset();
}

Peer* Peers::leg(const PublicKey& end, const PublicKey& other) const {
  const auto found = by_ends_.find({end, other});
  return found == by_ends_.end() ? nullptr : at(found->second);
}

std::size_t Peers::conversations_of(const PublicKey& end) const {
  std::size_t count = 0;
  for (auto at = by_ends_.lower_bound({end, PublicKey{}});
       at != by_ends_.end() && at->first.first == end; ++at)
    ++count;
  return count;
}

void Peers::add_legs(const Peer& one, const Peer& two) {
  add_leg(one, two);
  add_leg(two, one);
}

void Peers::add_leg(const Peer& end, const Peer& other) {
  auto leg = std::make_unique<Peer>();
  if (unused_legs_.empty()) {
    leg->handle = kFirstLeg + static_cast<PeerHandle>(legs_.size());
    legs_.emplace_back();
  } else {
    leg->handle = unused_legs_.back();
    unused_legs_.pop_back();
  }
  leg->key = leg->partner = end.key;
  leg->name = end.name;
  leg->shortcuts = end.shortcuts;
  leg->last_used = std::max(end.last_used, other.last_used);
  leg->ipv4 = end.ipv4;
  leg->ipv6 = end.ipv6;
  leg->leg.emplace();
  leg->leg->other = other.key;
  leg->leg->other4 = other.ipv4;
  leg->leg->other6 = other.ipv6;
  by_ends_[{end.key, other.key}] = leg->handle;
  legs_[leg->handle - kFirstLeg] = std::move(leg);
}

void Peers::remove_legs(const PublicKey& one, const PublicKey& two) {
  for (const auto& ends : {std::pair(one, two), std::pair(two, one)}) {
    const auto found = by_ends_.find(ends);
    if (found == by_ends_.end()) continue;
    legs_[found->second - kFirstLeg].reset();
    unused_legs_.push_back(found->second);
    by_ends_.erase(found);
  }
}

void Peers::each(const std::function<void(Peer&)>& visit) const {
  for (const auto* table : {&by_handle_, &legs_})
    for (const auto& peer : *table)
      if (peer) visit(*peer);
}

void Peers::schedule(Peer& peer, TimePoint when) {
  if (when >= peer.scheduled) return;
  peer.scheduled = when;
  timers_.push({when, peer.handle});
}

TimePoint Peers::next_deadline() const {
  return timers_.empty() ? kNever : timers_.top().when;
}

void Peers::due(TimePoint now, const std::function<void(Peer&)>& visit) {
  while (!timers_.empty() && timers_.top().when <= now) {
    const Timer timer = timers_.top();
    timers_.pop();
    Peer* peer = at(timer.handle);
    // An entry that was overtaken by an earlier one, or whose slot another peer has by now.
    if (peer == nullptr || peer->scheduled != timer.when) continue;
    peer->scheduled = kNever;
    visit(*peer);
  }
}

}  // namespace i3
