// How rows are found, linked, let go and dropped when they run out.
#include <sodium.h>

#include "overlay/triggers/trigger_table.hh"

namespace i3 {
namespace {
constexpr Duration kWheelStep = std::chrono::milliseconds(250);
// Rows looked at by one call of expire(), so that none holds up the packets; a row that has run out
// matches nothing whether it was dropped or not.
constexpr std::size_t kMostAtOnce = 4096;
}  // namespace

TriggerTable::TriggerTable(const TriggerLimits& limits, Random& random)
    : limits_(limits),
      hash_(random),
      label_key_(random.array<16>()),
      keys_(hash_),
      groups_(hash_),
      prefixes_(hash_),
      gone_(kGoneMemory, limits.total),
      wheel_(static_cast<std::size_t>(limits.max_lifetime / kWheelStep) + 3, kNone) {}

std::uint32_t TriggerTable::first_of(const Id& id) const {
  return by_id_.find(hash_(id.bytes), [&](std::uint32_t slot) { return cold_[slot].id == id; });
}

std::uint32_t TriggerTable::row_of(const TriggerSpec& spec) const {
  std::uint32_t slot = first_of(spec.id);
  for (; slot != kNone; slot = cold_[slot].next_same_id) {
    const Group& group = groups_[cold_[slot].group];
    if (keys_.key(group.owner) == spec.owner && keys_.key(group.member) == spec.member) break;
  }
  return slot;
}

// Like row_of, but one that has run out goes now.
std::uint32_t TriggerTable::live_row(const TriggerSpec& spec, TimePoint now) {
  const std::uint32_t slot = row_of(spec);
  if (slot == kNone || hot_[slot].expiry > now) return slot;
  forget(slot, now);
  return kNone;
}

std::uint64_t TriggerTable::name_of(const Id& id, const PublicKey& owner,
                                    const PublicKey& member) const {
  std::array<std::uint8_t, Id::kSize + 2 * PublicKey::kSize> bytes;
  Writer writer(bytes);
  id.write(writer);
  owner.write(writer);
  member.write(writer);
  return hash_(bytes);
}

std::uint32_t TriggerTable::allocate(const TriggerSpec& spec) {
  std::uint32_t slot;
  if (free_.empty()) {
    slot = hot_.grow();
    cold_.grow();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Hot& hot = hot_[slot];
  Cold& cold = cold_[slot];
  hot.used = true;
  hot.observed = spec.observed;
  hot.secret = label_secret(slot, ++hot.generation);
  while (slot == 0 && hot.secret == 0) hot.secret = label_secret(slot, ++hot.generation);
  cold.id = spec.id;

  const std::uint64_t hash = hash_(spec.id.bytes);
  const std::uint32_t first =
      by_id_.find(hash, [&](std::uint32_t other) { return cold_[other].id == spec.id; });
  if (first == kNone) {
    by_id_.insert(hash, slot);
  } else {
    cold.next_same_id = cold_[first].next_same_id;
    cold_[first].next_same_id = slot;
  }
  cold.group = join_group(spec, slot);
  count_prefix(spec.observed, true);
  ++live_;
  return slot;
}

std::uint32_t TriggerTable::join_group(const TriggerSpec& spec, std::uint32_t slot) {
  const std::uint32_t owner = keys_.find_or_add(spec.owner);
  const std::uint32_t member = spec.member == spec.owner ? owner : keys_.find_or_add(spec.member);
  const std::uint32_t number = groups_.find_or_add(GroupKey::of(owner, member));
  Group& group = groups_[number];
  if (group.count == 0) {
    group.owner = owner;
    group.member = member;
    ++keys_[owner].groups;
    ++keys_[member].groups;
  }
  cold_[slot].group_next = group.first;
  if (group.first != kNone) cold_[group.first].group_previous = slot;
  group.first = slot;
  ++group.count;
  ++keys_[owner].rows;
  return number;
}

void TriggerTable::leave_group(std::uint32_t slot) {
  const Cold& row = cold_[slot];
  Group& group = groups_[row.group];
  if (row.group_previous != kNone)
    cold_[row.group_previous].group_next = row.group_next;
  else
    group.first = row.group_next;
  if (row.group_next != kNone) cold_[row.group_next].group_previous = row.group_previous;
  --keys_[group.owner].rows;
  if (--group.count != 0) return;
  for (const std::uint32_t key : {group.owner, group.member})
    if (--keys_[key].groups == 0) keys_.erase(key);
  groups_.erase(row.group);
}

void TriggerTable::release(std::uint32_t slot) {
  Hot& hot = hot_[slot];
  Cold& cold = cold_[slot];
  assert(hot.used);
  set_matching(cold, false);
  set_stack(cold, {});
  unschedule(slot);
  const std::uint32_t first = first_of(cold.id);
  if (first == slot) {
    by_id_.replace(hash_(cold.id.bytes), slot, cold.next_same_id);
  } else {
    std::uint32_t before = first;
    while (cold_[before].next_same_id != slot) before = cold_[before].next_same_id;
    cold_[before].next_same_id = cold.next_same_id;
  }
  leave_group(slot);
  count_prefix(hot.observed, false);

  const std::uint32_t generation = hot.generation;
  hot = Hot{};
  hot.generation = generation;
  cold = Cold{};
  free_.push_back(slot);
  --live_;
}

// A row that ran out goes; its insertion could still be replayed if its cookie can be alive.
void TriggerTable::forget(std::uint32_t slot, TimePoint now) {
  const Cold& row = cold_[slot];
  if (milliseconds_of(now) - row.put_at_ms < milliseconds_of(TimePoint(kGoneMemory))) {
    const Group& group = groups_[row.group];
    gone_.note(name_of(row.id, keys_.key(group.owner), keys_.key(group.member)), row.sequence, now);
  }
  release(slot);
}

void TriggerTable::set_stack(Cold& row, const std::vector<Id>& ids) {
  if (row.stack != kNone && ids.empty()) {
    free_stacks_.push_back(row.stack);
    row.stack = kNone;
  }
  if (ids.empty()) return;
  if (row.stack == kNone) {
    if (free_stacks_.empty()) {
      row.stack = stacks_.grow();
    } else {
      row.stack = free_stacks_.back();
      free_stacks_.pop_back();
    }
  }
  Stack& stack = stacks_[row.stack];
  stack = Stack{};
  stack.count = std::min(ids.size(), stack.ids.size());
  std::copy_n(ids.begin(), stack.count, stack.ids.begin());
}

void TriggerTable::set_matching(const Cold& row, bool matching) {
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
  const IpAddress prefix = limit_prefix(endpoint.address);
  if (more) {
    ++prefixes_[prefixes_.find_or_add(prefix)].rows;
    return;
  }
  const std::uint32_t known = prefixes_.find(prefix);
  if (--prefixes_[known].rows == 0) prefixes_.erase(known);
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

void TriggerTable::schedule(std::uint32_t slot, TimePoint at) {
  const Duration ahead = std::max(at - wheel_due_, Duration::zero());
  const std::size_t steps =
      std::min(static_cast<std::size_t>(ahead / kWheelStep) + 1, wheel_.size() - 1);
  Cold& row = cold_[slot];
  row.wheel_bucket = static_cast<std::uint16_t>((wheel_at_ + steps) % wheel_.size());
  std::uint32_t& first = wheel_[row.wheel_bucket];
  row.wheel_previous = kNone;
  row.wheel_next = first;
  if (first != kNone) cold_[first].wheel_previous = slot;
  first = slot;
}

void TriggerTable::unschedule(std::uint32_t slot) {
  const Cold& row = cold_[slot];
  if (row.wheel_previous != kNone)
    cold_[row.wheel_previous].wheel_next = row.wheel_next;
  else
    wheel_[row.wheel_bucket] = row.wheel_next;
  if (row.wheel_next != kNone) cold_[row.wheel_next].wheel_previous = row.wheel_previous;
}

void TriggerTable::expire(TimePoint now) {
  gone_.expire(now);
  if (!wheel_started_ || live_ == 0) {
    // Nothing can be due: start the wheel here.
    wheel_due_ = now + kWheelStep;
    wheel_started_ = true;
    return;
  }
  std::size_t budget = kMostAtOnce;
  for (std::size_t steps = 0; wheel_due_ <= now; ++steps) {
    // After a long sleep one turn of the wheel visits everything.
    if (steps > wheel_.size()) wheel_due_ = now;
    while (wheel_[wheel_at_] != kNone) {
      if (budget-- == 0) return;
      const std::uint32_t slot = wheel_[wheel_at_];
      if (hot_[slot].expiry <= now) {
        forget(slot, now);
      } else {
        unschedule(slot);
        schedule(slot, hot_[slot].expiry);
      }
    }
    wheel_at_ = (wheel_at_ + 1) % wheel_.size();
    wheel_due_ += kWheelStep;
  }
}

}  // namespace i3
