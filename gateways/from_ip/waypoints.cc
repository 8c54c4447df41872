#include "gateways/from_ip/waypoints.hh"

#include <algorithm>
#include <cassert>
#include <utility>

namespace i3 {

Waypoints::Waypoints(const Settings& settings) : settings_(settings) {
  for (const IpRange& range : settings.ranges) {
    assert(range.first.is_v4());
    for (std::uint64_t host = range.first.to_v4();
         host <= range.last.to_v4() && slots_.size() < kMaxGiven; ++host) {
      const IpAddress address = IpAddress::v4(static_cast<std::uint32_t>(host));
      if (index_.emplace(address, slots_.size()).second) slots_.push_back({.address = address});
    }
  }
}

std::optional<IpAddress> Waypoints::give(std::string_view name, const IpAddress& asker,
                                         TimePoint now) {
  Slot* slot = slot_for(name, asker, now);
  if (slot == nullptr) return std::nullopt;
  open_window(*slot, name, asker, now);
  return slot->address;
}

// The name's own window if it has one; else, of the addresses without a window, what this asker had
// for this name before; else the one that was given longest ago, those last that the asker was just
// given for another name: its client may be bound there.
Waypoints::Slot* Waypoints::slot_for(std::string_view name, const IpAddress& asker, TimePoint now) {
  const auto others = [&](const Slot& slot) { return slot.asker == asker && slot.name != name; };
  Slot* best = nullptr;
  std::size_t held = 0;
  for (Slot& slot : slots_) {
    if (slot.open(now)) {
      if (slot.name == name) return &slot;
      held += slot.asker == asker ? 1 : 0;
      continue;
    }
    if (slot.name == name && slot.asker == asker) {
      best = &slot;
    } else if (!best || (best->name != name || best->asker != asker)) {
      const bool nearer =
          best && (others(slot) != others(*best) ? others(*best) : slot.given < best->given);
      if (!best || nearer) best = &slot;
    }
  }
  return held < slots_.size() - slots_.size() / 4 ? best : nullptr;
}

void Waypoints::open_window(Slot& slot, std::string_view name, const IpAddress& asker,
                            TimePoint now) {
  if (slot.name != name) slot.name = name;
  slot.asker = asker;
  slot.given = now;
  slot.until = now + settings_.window;
}

IpAddress Waypoints::give_shared(const IpAddress& asker, TimePoint now) {
  assert(!slots_.empty());
  const auto slot =
      std::min_element(slots_.begin(), slots_.end(), [&](const Slot& left, const Slot& right) {
        const bool own_left = left.asker == asker, own_right = right.asker == asker;
        return own_left != own_right ? own_left : left.given < right.given;
      });
  slot->name.clear();
  slot->given = now;
  return slot->address;
}

bool Waypoints::expect(const IpAddress& address, std::string_view name, const IpAddress& asker,
                       TimePoint now) {
  const auto found = index_.find(address);
  if (found == index_.end()) return false;
  Slot& slot = slots_[found->second];
  if (slot.open(now) && slot.name != name) return false;
  open_window(slot, name, asker, now);
  return true;
}

// A client that is bound here to another name than the window's is taken to the new one only if it
// may have asked for it: if the same resolver asked for both.
std::optional<std::string_view> Waypoints::bind(const IpAddress& client, const IpAddress& waypoint,
                                                TimePoint now) {
  const auto index = index_.find(waypoint);
  if (index == index_.end()) return std::nullopt;
  const Slot& slot = slots_[index->second];
  auto found = by_key_.find({client, waypoint});
  if (found != by_key_.end() && now - found->second->used >= settings_.idle) {
    end(found->second);
    found = by_key_.end();
  }
  if (found == by_key_.end()) {
    if (!slot.open(now)) return std::nullopt;
    if (by_key_.size() >= settings_.max_bindings) end(order_.begin());
    order_.push_back({{client, waypoint}, slot.name, slot.asker, now});
    by_key_.emplace(Key{client, waypoint}, std::prev(order_.end()));
    changes_.push_back({client, waypoint, slot.name});
    return order_.back().name;
  }
  Binding& binding = *found->second;
  if (slot.open(now) && slot.asker == binding.asker && slot.name != binding.name) {
    binding.name = slot.name;
    changes_.push_back({client, waypoint, binding.name});
  }
  binding.used = now;
  order_.splice(order_.end(), order_, found->second);
  return binding.name;
}

std::string_view Waypoints::bound_to(const IpAddress& client, const IpAddress& waypoint) const {
  const auto found = by_key_.find({client, waypoint});
  return found == by_key_.end() ? std::string_view() : std::string_view(found->second->name);
}

void Waypoints::end(Order::iterator binding) {
  changes_.push_back({binding->key.client, binding->key.waypoint, {}});
  by_key_.erase(binding->key);
  order_.erase(binding);
}

std::vector<Waypoints::Change> Waypoints::take_changes() {
  return std::exchange(changes_, {});
}

std::vector<Waypoints::Window> Waypoints::take_windows(TimePoint now) {
  std::vector<Window> windows;
  next_shut_ = kNever;
  for (Slot& slot : slots_) {
    const bool open = slot.open(now);
    if (open) next_shut_ = std::min(next_shut_, slot.until);
    if (open && slot.told_name == slot.name && slot.told_asker == slot.asker) continue;
    if (!slot.told_name.empty()) windows.push_back({slot.address, slot.told_asker, {}});
    if (open) windows.push_back({slot.address, slot.asker, slot.name});
    slot.told_name = open ? slot.name : std::string();
    slot.told_asker = slot.asker;
  }
  return windows;
}

std::string_view Waypoints::window_of(const IpAddress& waypoint, TimePoint now) const {
  const auto found = index_.find(waypoint);
  if (found == index_.end() || !slots_[found->second].open(now)) return {};
  return slots_[found->second].name;
}

TimePoint Waypoints::sweep(TimePoint now) {
  while (!order_.empty() && now - order_.front().used >= settings_.idle) end(order_.begin());
  return order_.empty() ? kNever : order_.front().used + settings_.idle;
}

void Waypoints::forget_unless(const std::function<bool(std::string_view)>& known) {
  for (Slot& slot : slots_)
    if (!known(slot.name)) slot.name.clear();
  for (auto binding = order_.begin(); binding != order_.end();) {
    const auto next = std::next(binding);
    if (!known(binding->name)) end(binding);
    binding = next;
  }
}

std::size_t Waypoints::open_windows(TimePoint now) const {
  return static_cast<std::size_t>(std::count_if(slots_.begin(), slots_.end(),
                                                [&](const Slot& slot) { return slot.open(now); }));
}

}  // namespace i3
