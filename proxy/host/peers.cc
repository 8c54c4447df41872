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
  peer->key = key;
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

void Peers::each(const std::function<void(Peer&)>& visit) const {
  for (const auto& peer : by_handle_)
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
