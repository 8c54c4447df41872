#include "overlay/triggers/trigger_table.hh"

namespace i3 {

bool TriggerTable::same_target(std::uint32_t slot, const TriggerSpec& spec) const {
  const Cold& row = cold_[slot];
  const std::span<const Id> stack =
      row.stack == kNone ? std::span<const Id>{} : stacks_[row.stack].span();
  return hot_[slot].observed == spec.observed &&
         std::equal(stack.begin(), stack.end(), spec.stack.begin(), spec.stack.end());
}

bool TriggerTable::prefix_full(const Endpoint& observed) const {
  const std::uint32_t known = prefixes_.find(limit_prefix(observed.address));
  return known != kNone && prefixes_[known].rows >= limits_.per_prefix;
}

wire::Label TriggerTable::label_of(std::uint32_t slot) const {
  return hot_[slot].leads ? wire::Label{slot, hot_[slot].secret} : wire::Label{};
}

TriggerTable::Put TriggerTable::check(const TriggerSpec& spec, std::uint32_t slot, TimePoint now) {
  if (slot != kNone) {
    const std::uint64_t sequence = cold_[slot].sequence;
    if (spec.sequence < sequence) return Put::stale;
    if (spec.sequence == sequence) return same_target(slot, spec) ? Put::stored : Put::stale;
    const bool moves =
        limit_prefix(hot_[slot].observed.address) != limit_prefix(spec.observed.address);
    return moves && prefix_full(spec.observed) ? Put::quota : Put::stored;
  }
  if (gone_.covers(name_of(spec.id, spec.owner, spec.member), spec.sequence, now))
    return Put::stale;
  if (live_ >= limits_.total) return Put::full;
  const std::uint32_t owner = keys_.find(spec.owner);
  if (owner != kNone && keys_[owner].rows >= limits_.per_key) return Put::quota;
  return prefix_full(spec.observed) ? Put::quota : Put::stored;
}

TriggerTable::Put TriggerTable::admissible(const TriggerSpec& spec, TimePoint now) {
  expire(now);
  return check(spec, live_row(spec, now), now);
}

TriggerTable::Stored TriggerTable::put(const TriggerSpec& spec, TimePoint now, WallTime wall) {
  expire(now);
  std::uint32_t slot = live_row(spec, now);
  if (const Put result = check(spec, slot, now); result != Put::stored) return {result, {}, {}};
  const bool fresh = slot == kNone;
  if (!fresh && cold_[slot].sequence == spec.sequence)
    return {Put::stored, label_of(slot), hot_[slot].expiry - now};
  if (fresh) {
    slot = allocate(spec);
  } else {
    set_matching(cold_[slot], false);
    unschedule(slot);
    count_prefix(hot_[slot].observed, false);
    count_prefix(spec.observed, true);
  }
  Hot& hot = hot_[slot];
  Cold& cold = cold_[slot];
  cold.sequence = spec.sequence;
  cold.exact = spec.exact;
  cold.as_owner = spec.as_owner;
  cold.not_after = spec.not_after;
  cold.put_at_ms = milliseconds_of(now);
  set_stack(cold, spec.stack);
  if (cold.stack != kNone) stacks_[cold.stack].every_stop = spec.every_stop;
  hot.observed = spec.observed;
  hot.leads = spec.stack.empty();
  if (hot.rate_pps != spec.rate_pps || fresh) {
    hot.rate_pps = spec.rate_pps;
    hot.tokens = static_cast<float>(spec.rate_pps);
    hot.tokens_at_ms = milliseconds_of(now);
  }
  const Duration wished =
      spec.lifetime == Duration::zero() ? limits_.default_lifetime : spec.lifetime;
  hot.lifetime_ms = milliseconds_of(
      TimePoint(std::clamp<Duration>(wished, std::chrono::seconds(1), limits_.max_lifetime)));
  hot.expiry = now;
  const Duration lifetime = extend(slot, now, now, wall);
  set_matching(cold, true);
  schedule(slot, hot.expiry);
  return {Put::stored, label_of(slot), lifetime};
}

TriggerTable::Put TriggerTable::remove(const TriggerSpec& spec, TimePoint now) {
  expire(now);
  const std::uint32_t slot = live_row(spec, now);
  const std::uint64_t name = name_of(spec.id, spec.owner, spec.member);
  if (slot == kNone && gone_.covers(name, spec.sequence + 1, now)) return Put::stale;
  if (slot != kNone) {
    if (spec.sequence < cold_[slot].sequence) return Put::stale;
    release(slot);
  }
  gone_.note(name, spec.sequence, now);
  return Put::stored;
}

Duration TriggerTable::extend(std::uint32_t slot, TimePoint granted, TimePoint now, WallTime wall) {
  Hot& row = hot_[slot];
  const WallTime left = cold_[slot].not_after > wall ? cold_[slot].not_after - wall : 0;
  const Duration lifetime = std::chrono::milliseconds(row.lifetime_ms);
  TimePoint until = std::min(now + lifetime, granted + 2 * lifetime);
  if (left < static_cast<WallTime>(lifetime.count()))
    until = std::min(until, now + Duration(static_cast<Duration::rep>(left)));
  // What it has already stays its own.
  row.expiry = std::max(row.expiry, until);
  return row.expiry - now;
}

void TriggerTable::collect(std::uint32_t slot, bool exact_too, std::size_t most, TimePoint now) {
  for (; slot != kNone && matches_.size() < most; slot = cold_[slot].next_same_id) {
    const Cold& row = cold_[slot];
    if (hot_[slot].expiry <= now || (row.exact && !exact_too)) continue;
    if (row.stack != kNone && stacks_[row.stack].suspended_until > now) continue;
    const Group& group = groups_[row.group];
    const bool delegated = group.owner != group.member;
    if (row.stack == kNone)
      matches_.push_back({slot, &row.id, &hot_[slot].observed, {}, delegated});
    else
      matches_.push_back({slot, &row.id, nullptr, stacks_[row.stack].span(), delegated,
                          stacks_[row.stack].every_stop});
  }
}

std::span<const TriggerTable::Match> TriggerTable::match(const Id& id, std::size_t most,
                                                         TimePoint now) {
  matches_.clear();
  collect(first_of(id), true, most, now);
  if (!matches_.empty() || inexact_.empty()) return matches_;
  expire(now);
  // Sorted as numbers, the ID with the longest common prefix is a neighbour.
  auto after = inexact_.lower_bound(id);
  const Id* best = nullptr;
  unsigned best_bits = Id::kMinimumMatch;
  auto consider = [&](const Id& candidate) {
    const unsigned bits = candidate.common_prefix(id);
    if (bits < best_bits || (best && bits == best_bits)) return;
    best = &candidate;
    best_bits = bits;
  };
  if (after != inexact_.end()) consider(after->first);
  if (after != inexact_.begin()) consider(std::prev(after)->first);
  if (best) collect(first_of(*best), false, most, now);
  return matches_;
}

// Sorted as numbers, common prefixes grow shorter in both directions.
std::span<const TriggerTable::Match> TriggerTable::nearest(const Id& id, std::size_t most,
                                                           TimePoint now) {
  matches_.clear();
  expire(now);
  auto after = inexact_.lower_bound(id);
  auto before = after;
  while (matches_.size() < most) {
    const unsigned up = after == inexact_.end() ? 0 : after->first.common_prefix(id);
    const unsigned down =
        before == inexact_.begin() ? 0 : std::prev(before)->first.common_prefix(id);
    if (std::max(up, down) < Id::kMinimumMatch) break;
    if (up >= down)
      collect(first_of((after++)->first), false, most, now);
    else
      collect(first_of((--before)->first), false, most, now);
  }
  return matches_;
}

bool TriggerTable::suspend(std::uint32_t slot, std::uint32_t generation, const Id& dead,
                           TimePoint now) {
  constexpr unsigned kLongest = 5;
  constexpr Duration kForgiven = std::chrono::seconds(60);
  if (slot >= hot_.size() || !hot_[slot].used || hot_[slot].generation != generation ||
      cold_[slot].stack == kNone)
    return true;
  Stack& stack = stacks_[cold_[slot].stack];
  const auto ids = stack.span();
  if (std::find(ids.begin(), ids.end(), dead) == ids.end()) return false;
  if (stack.suspended_until > now) return true;
  if (stack.suspended_until + kForgiven < now) stack.suspensions = 0;
  stack.suspended_until = now + std::chrono::seconds(1u << std::min(stack.suspensions, kLongest));
  ++stack.suspensions;
  return true;
}

bool TriggerTable::take_token(Hot& row, TimePoint now) {
  ++row.packets;
  if (row.rate_pps == 0) return true;
  const std::uint32_t ms = milliseconds_of(now);
  const auto rate = static_cast<float>(row.rate_pps);
  const auto elapsed = static_cast<float>(ms - row.tokens_at_ms);
  row.tokens = std::min(rate, row.tokens + rate * elapsed / 1000);
  row.tokens_at_ms = ms;
  if (row.tokens < 1) {
    ++row.limited;
    return false;
  }
  row.tokens -= 1;
  return true;
}

bool TriggerTable::within_rate(std::uint32_t slot, TimePoint now) {
  return take_token(hot_[slot], now);
}

TriggerTable::Labelled TriggerTable::by_label(wire::Label label, TimePoint now) {
  if (label.slot >= hot_.size()) return {Relay::no_label, {}};
  Hot& row = hot_[label.slot];
  if (!row.leads || row.secret != label.secret || row.expiry <= now) return {Relay::no_label, {}};
  if (!take_token(row, now)) return {Relay::limited, {}};
  return {Relay::forward, row.observed};
}

std::optional<Endpoint> TriggerTable::unlimited(wire::Label label, TimePoint now) const {
  if (label.slot >= hot_.size()) return std::nullopt;
  const Hot& row = hot_[label.slot];
  if (!row.leads || row.secret != label.secret || row.expiry <= now || row.rate_pps != 0)
    return std::nullopt;
  return row.observed;
}

std::vector<TriggerTable::Row> TriggerTable::snapshot(TimePoint now, std::size_t most) const {
  std::vector<Row> result;
  for (std::uint32_t slot = 0; slot < hot_.size() && result.size() < most; ++slot) {
    const Hot& hot = hot_[slot];
    if (!hot.used || hot.expiry <= now) continue;
    const Cold& cold = cold_[slot];
    const Group& group = groups_[cold.group];
    result.push_back({cold.id, keys_.key(group.owner), keys_.key(group.member), cold.exact,
                      cold.sequence, hot.observed,
                      cold.stack == kNone ? 0 : stacks_[cold.stack].count, hot.rate_pps,
                      hot.packets, hot.limited, hot.expiry - now,
                      cold.stack != kNone && stacks_[cold.stack].suspended_until > now});
  }
  return result;
}

}  // namespace i3
