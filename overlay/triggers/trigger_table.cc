#include "overlay/triggers/trigger_table.hh"

#include <sodium.h>

namespace i3 {
namespace {
constexpr Duration kWheelStep = std::chrono::milliseconds(250);
// Rows looked at by one call of expire(), so that none holds up the packets; a row that has run out
// matches nothing whether it was dropped or not.
constexpr std::size_t kMostAtOnce = 4096;
constexpr std::uint32_t kNone = SlotIndex::kNone;

std::uint32_t milliseconds_of(TimePoint now) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
}
}  // namespace

TriggerTable::TriggerTable(const TriggerLimits& limits, Random& random)
    : limits_(limits),
      hash_(random),
      label_key_(random.array<16>()),
      groups_(16, GroupHash{&hash_}),
      wheel_(static_cast<std::size_t>(std::max(limits.max_lifetime, kRemovalMemory) / kWheelStep) +
             3) {}

std::uint32_t TriggerTable::first_of(const Id& id) const {
  return by_id_.find(hash_(id.bytes), [&](std::uint32_t slot) { return rows_[slot].id == id; });
}

std::uint32_t TriggerTable::row_of(const TriggerSpec& spec) const {
  std::uint32_t slot = first_of(spec.id);
  while (slot != kNone && rows_[slot].group->first != GroupKey{spec.owner, spec.member})
    slot = rows_[slot].next_same_id;
  return slot;
}

bool TriggerTable::same_target(const Slot& row, const TriggerSpec& spec) const {
  const bool same_stack = row.stack ? *row.stack == spec.stack : spec.stack.empty();
  return row.observed == spec.observed && same_stack;
}

bool TriggerTable::prefix_full(const Endpoint& observed) const {
  auto found = prefixes_.find(limit_prefix(observed.address));
  return found != prefixes_.end() && found->second >= limits_.per_prefix;
}

TriggerTable::Put TriggerTable::check(const TriggerSpec& spec, std::uint32_t slot) const {
  if (slot != kNone) {
    const Slot& row = rows_[slot];
    if (spec.sequence < row.sequence) return Put::stale;
    if (spec.sequence == row.sequence && (row.removed || !same_target(row, spec)))
      return Put::stale;
    const bool moves = limit_prefix(row.observed.address) != limit_prefix(spec.observed.address);
    return moves && prefix_full(spec.observed) ? Put::quota : Put::stored;
  }
  if (live_ + removed_ >= limits_.total) return Put::full;
  auto owner = groups_.find(GroupKey{spec.owner, spec.owner});
  if (owner != groups_.end() && owner->second.owned >= limits_.per_key) return Put::quota;
  return prefix_full(spec.observed) ? Put::quota : Put::stored;
}

TriggerTable::Put TriggerTable::admissible(const TriggerSpec& spec, TimePoint now) {
  expire(now);
  return check(spec, row_of(spec));
}

TriggerTable::Stored TriggerTable::put(const TriggerSpec& spec, TimePoint now, WallTime wall) {
  expire(now);
  std::uint32_t slot = row_of(spec);
  if (slot != kNone && !rows_[slot].removed && rows_[slot].expiry <= now) {
    release(slot);
    slot = kNone;
  }
  if (const Put result = check(spec, slot); result != Put::stored) return {result, {}, {}};
  const bool fresh = slot == kNone;
  if (fresh) slot = allocate(spec);
  Slot& row = rows_[slot];
  if (row.removed) {
    // A removed trigger comes back as a new one: its old label stays dead.
    release(slot);
    return put(spec, now, wall);
  }
  if (!fresh) {
    set_matching(slot, false);
    count_prefix(row.observed, false);
    count_prefix(spec.observed, true);
  }
  row.sequence = spec.sequence;
  row.observed = spec.observed;
  row.exact = spec.exact;
  row.as_owner = spec.as_owner;
  row.not_after = spec.not_after;
  row.stack = spec.stack.empty() ? nullptr : std::make_unique<std::vector<Id>>(spec.stack);
  if (row.rate_pps != spec.rate_pps || fresh) {
    row.rate_pps = spec.rate_pps;
    row.tokens = static_cast<float>(spec.rate_pps);
    row.tokens_at_ms = milliseconds_of(now);
  }
  const Duration wished =
      spec.lifetime == Duration::zero() ? limits_.default_lifetime : spec.lifetime;
  row.lifetime_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(
          std::clamp<Duration>(wished, std::chrono::seconds(1), limits_.max_lifetime))
          .count());
  const Duration lifetime = extend(row, now, wall);
  set_matching(slot, true);
  if (fresh) schedule(slot, row.expiry);
  const wire::Label label = row.stack ? wire::Label{} : wire::Label{slot, row.secret};
  return {Put::stored, label, lifetime};
}

TriggerTable::Put TriggerTable::remove(const TriggerSpec& spec, TimePoint now) {
  expire(now);
  const std::uint32_t slot = row_of(spec);
  if (slot == kNone) return Put::stored;
  Slot& row = rows_[slot];
  if (spec.sequence < row.sequence) return Put::stale;
  row.sequence = spec.sequence;
  row.expiry = now + kRemovalMemory;
  if (row.removed) return Put::stored;
  set_matching(slot, false);
  row.removed = true;
  row.stack.reset();
  --live_;
  ++removed_;
  return Put::stored;
}

Duration TriggerTable::extend(Slot& row, TimePoint now, WallTime wall) {
  const WallTime left = row.not_after > wall ? row.not_after - wall : 0;
  Duration lifetime = std::chrono::milliseconds(row.lifetime_ms);
  if (left < static_cast<WallTime>(lifetime.count()))
    lifetime = Duration(static_cast<Duration::rep>(left));
  row.expiry = now + lifetime;
  return lifetime;
}

std::uint32_t TriggerTable::allocate(const TriggerSpec& spec) {
  std::uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(rows_.size());
    rows_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Slot& row = rows_[slot];
  row.used = true;
  row.id = spec.id;
  row.observed = spec.observed;
  row.secret = label_secret(slot, ++row.generation);
  while (slot == 0 && row.secret == 0) row.secret = label_secret(slot, ++row.generation);

  const std::uint32_t first = first_of(spec.id);
  if (first == kNone) {
    row.next_same_id = kNone;
    by_id_.insert(hash_(spec.id.bytes), slot);
  } else {
    row.next_same_id = rows_[first].next_same_id;
    rows_[first].next_same_id = slot;
  }
  auto& group = *groups_.try_emplace(GroupKey{spec.owner, spec.member}).first;
  row.group = &group;
  row.group_previous = kNone;
  row.group_next = group.second.first;
  if (row.group_next != kNone) rows_[row.group_next].group_previous = slot;
  group.second.first = slot;
  ++group.second.count;
  ++groups_.try_emplace(GroupKey{spec.owner, spec.owner}).first->second.owned;
  count_prefix(spec.observed, true);
  ++live_;
  return slot;
}

void TriggerTable::release(std::uint32_t slot) {
  Slot& row = rows_[slot];
  assert(row.used);
  if (row.removed) {
    --removed_;
  } else {
    set_matching(slot, false);
    --live_;
  }
  const std::uint64_t hash = hash_(row.id.bytes);
  const std::uint32_t first = first_of(row.id);
  if (first == slot) {
    by_id_.replace(hash, slot, row.next_same_id);
  } else {
    std::uint32_t before = first;
    while (rows_[before].next_same_id != slot) before = rows_[before].next_same_id;
    rows_[before].next_same_id = row.next_same_id;
  }
  if (row.group_previous != kNone)
    rows_[row.group_previous].group_next = row.group_next;
  else
    row.group->second.first = row.group_next;
  if (row.group_next != kNone) rows_[row.group_next].group_previous = row.group_previous;
  --row.group->second.count;
  const GroupKey key = row.group->first;
  auto owner = groups_.find(GroupKey{key.owner, key.owner});
  --owner->second.owned;
  if (owner->second.count == 0 && owner->second.owned == 0) groups_.erase(owner);
  if (key.owner != key.member)
    if (auto group = groups_.find(key); group->second.count == 0) groups_.erase(group);
  count_prefix(row.observed, false);

  const std::uint32_t generation = row.generation;
  row = Slot{};
  row.generation = generation;
  free_.push_back(slot);
}

void TriggerTable::set_matching(std::uint32_t slot, bool matching) {
  const Slot& row = rows_[slot];
  if (row.exact) return;
  if (matching) {
    ++inexact_[row.id];
    return;
  }
  // Not there while a new row is being filled in.
  auto found = inexact_.find(row.id);
  if (found != inexact_.end() && --found->second == 0) inexact_.erase(found);
}

void TriggerTable::count_prefix(const Endpoint& endpoint, bool more) {
  auto entry = prefixes_.try_emplace(limit_prefix(endpoint.address), 0u).first;
  if (more)
    ++entry->second;
  else if (--entry->second == 0)
    prefixes_.erase(entry);
}

// Four rounds over 16-bit halves: a permutation of the generations of a slot, so that no label of
// it comes twice in 2^32 lives, and unpredictable without the key.
std::uint32_t TriggerTable::label_secret(std::uint32_t slot, std::uint32_t generation) const {
  std::uint32_t left = generation >> 16, right = generation & 0xffff;
  for (std::uint8_t round = 0; round < 4; ++round) {
    std::array<std::uint8_t, 9> input;
    Writer writer(input);
    writer.u8(round);
    writer.u32(slot);
    writer.u32(right);
    std::array<std::uint8_t, crypto_shorthash_BYTES> out;
    crypto_shorthash(out.data(), input.data(), input.size(), label_key_.data());
    const std::uint32_t mixed = left ^ Reader(out).u16();
    left = right;
    right = mixed;
  }
  return left << 16 | right;
}

std::span<const TriggerTable::Match> TriggerTable::match(const Id& id, std::size_t most,
                                                         TimePoint now) {
  matches_.clear();
  auto collect = [&](std::uint32_t slot, bool any) {
    for (; slot != kNone && matches_.size() < most; slot = rows_[slot].next_same_id) {
      const Slot& row = rows_[slot];
      if (row.removed || row.expiry <= now || (row.exact && !any)) continue;
      matches_.push_back({slot, &row.id, row.stack ? nullptr : &row.observed, row.stack.get()});
    }
  };
  collect(first_of(id), true);
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
  if (best) collect(first_of(*best), false);
  return matches_;
}

bool TriggerTable::take_token(Slot& row, TimePoint now) {
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
  return take_token(rows_[slot], now);
}

TriggerTable::Labelled TriggerTable::by_label(wire::Label label, TimePoint now) {
  if (label.slot >= rows_.size()) return {Relay::no_label, {}};
  Slot& row = rows_[label.slot];
  if (!row.used || row.removed || row.secret != label.secret || row.stack || row.expiry <= now)
    return {Relay::no_label, {}};
  if (!take_token(row, now)) return {Relay::limited, {}};
  return {Relay::forward, row.observed};
}

void TriggerTable::schedule(std::uint32_t slot, TimePoint at) {
  const Duration ahead = std::max(at - wheel_due_, Duration::zero());
  const std::size_t steps =
      std::min(static_cast<std::size_t>(ahead / kWheelStep) + 1, wheel_.size() - 1);
  wheel_[(wheel_at_ + steps) % wheel_.size()].push_back({slot, rows_[slot].generation});
}

void TriggerTable::drop_if_over(std::uint32_t slot, TimePoint now) {
  if (rows_[slot].expiry <= now)
    release(slot);
  else
    schedule(slot, rows_[slot].expiry);
}

void TriggerTable::expire(TimePoint now) {
  if (!wheel_started_ || live_ + removed_ == 0) {
    // Nothing can be due: start the wheel here.
    for (std::vector<Due>& bucket : wheel_) bucket.clear();
    wheel_due_ = now + kWheelStep;
    wheel_started_ = true;
    return;
  }
  std::size_t budget = kMostAtOnce;
  for (std::size_t steps = 0; wheel_due_ <= now; ++steps) {
    // After a long sleep one turn of the wheel visits everything.
    if (steps > wheel_.size()) wheel_due_ = now;
    std::vector<Due>& due = wheel_[wheel_at_];
    while (!due.empty()) {
      if (budget-- == 0) return;
      const Due entry = due.back();
      due.pop_back();
      if (rows_[entry.slot].used && rows_[entry.slot].generation == entry.generation)
        drop_if_over(entry.slot, now);
    }
    wheel_at_ = (wheel_at_ + 1) % wheel_.size();
    wheel_due_ += kWheelStep;
  }
}

std::vector<TriggerTable::Row> TriggerTable::snapshot(TimePoint now, std::size_t most) const {
  std::vector<Row> result;
  for (const Slot& row : rows_) {
    if (result.size() >= most) break;
    if (!row.used || row.removed || row.expiry <= now) continue;
    result.push_back({row.id, row.group->first.owner, row.group->first.member, row.exact,
                      row.sequence, row.observed, row.stack ? row.stack->size() : 0, row.rate_pps,
                      row.packets, row.limited, row.expiry - now});
  }
  return result;
}

}  // namespace i3
