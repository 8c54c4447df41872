#include "overlay/node/passages.hh"

namespace i3 {

std::optional<wire::Label> Passages::open(const Endpoint& host, const Onward& to, TimePoint now) {
  expire(now);
  const Way way{to.node, number(to.label), host};
  if (const auto known = by_way_.find(way); known != by_way_.end()) {
    Entry& entry = entries_.at(known->second);
    entry.until = now + kLifetime;
    return wire::Label{known->second, entry.secret};
  }
  const IpAddress prefix = limit_prefix(host.address);
  const auto held = of_prefix_.find(prefix);
  const bool full = held != of_prefix_.end() && held->second >= kMostOfPrefix;
  // What was closed keeps its place among the ages until it is due.
  if (full || ages_.size() >= 2 * most_) return std::nullopt;
  while (entries_.size() >= most_) {
    const std::uint32_t oldest = ages_.front().slot;
    ages_.pop_front();
    erase(oldest);
  }
  std::uint32_t slot;
  do slot = kMark | next_slot_++;
  while (entries_.contains(slot));
  const std::uint32_t secret = random_.u32();
  ++of_prefix_[prefix];
  entries_.emplace(slot, Entry{way, to, secret, now + kLifetime});
  by_way_.emplace(way, slot);
  ages_.push_back({slot, now + kLifetime});
  return wire::Label{slot, secret};
}

const Passages::Onward* Passages::find(wire::Label label, const Endpoint& host,
                                       TimePoint now) const {
  const auto found = entries_.find(label.slot);
  if (found == entries_.end()) return nullptr;
  const Entry& entry = found->second;
  const bool good = entry.secret == label.secret && entry.way.host == host && entry.until > now;
  return good ? &entry.onward : nullptr;
}

std::vector<Passages::Closed> Passages::close(const Endpoint& node, wire::Label label) {
  std::vector<Closed> closed;
  const Way first{node, number(label), Endpoint{}};
  for (auto at = by_way_.lower_bound(first);
       at != by_way_.end() && at->first.node == node && at->first.label == first.label; ++at)
    closed.push_back({at->first.host, {at->second, entries_.at(at->second).secret}});
  for (const Closed& one : closed) erase(one.label.slot);
  return closed;
}

void Passages::erase(std::uint32_t slot) {
  const auto found = entries_.find(slot);
  if (found == entries_.end()) return;
  const auto held = of_prefix_.find(limit_prefix(found->second.way.host.address));
  if (--held->second == 0) of_prefix_.erase(held);
  by_way_.erase(found->second.way);
  entries_.erase(found);
}

void Passages::expire(TimePoint now) {
  while (!ages_.empty() && ages_.front().until <= now) {
    const std::uint32_t slot = ages_.front().slot;
    ages_.pop_front();
    const auto found = entries_.find(slot);
    if (found == entries_.end()) continue;
    if (found->second.until > now)
      ages_.push_back({slot, found->second.until});
    else
      erase(slot);
  }
}

}  // namespace i3
