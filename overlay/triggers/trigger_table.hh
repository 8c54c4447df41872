// Owns a node's triggers: soft-state rows (ID, owner, member) with expiry, matching, labels and
// quotas. Whether an insertion may be believed is admission.hh's to say.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"
#include "overlay/triggers/gone_memory.hh"
#include "overlay/triggers/keyed_pool.hh"
#include "overlay/wire/carriers.hh"

namespace i3 {

struct TriggerLimits {
  std::size_t total = 1'000'000;
  std::size_t per_key = 1024;
  std::size_t per_prefix = 16384;  // of observed addresses, see limit_prefix()
  Duration default_lifetime = std::chrono::seconds(30);
  Duration max_lifetime = std::chrono::seconds(120);
};

// What one insertion says, once it is believed.
struct TriggerSpec {
  Id id;
  PublicKey owner;
  PublicKey member;  // the owner itself, or whom it delegated to
  bool exact = true;
  std::uint64_t sequence = 0;
  Endpoint observed;
  std::vector<Id> stack;    // the target; empty: the observed endpoint
  bool every_stop = false;  // none of the stack is passed over
  std::uint32_t rate_pps = 0;
  Duration lifetime{};                     // 0: the default
  WallTime not_after = ~std::uint64_t{0};  // no refresh carries it beyond
  bool as_owner = true;  // inserted at the node that owns the ID, not at a replica
};

class TriggerTable {
 public:
  enum class Put { stored, stale, quota, full };
  // The sequence of a row that was removed or ran out is remembered for as long as a cookie lives,
  // so that its insertion cannot be replayed.
  static constexpr Duration kGoneMemory = std::chrono::seconds(120);

  // `random` is used only here, for the secrets of this table.
  TriggerTable(const TriggerLimits& limits, Random& random);
  TriggerTable(const TriggerTable&) = delete;
  TriggerTable& operator=(const TriggerTable&) = delete;

  // What put() would say, without storing anything.
  Put admissible(const TriggerSpec& spec, TimePoint now);
  struct Stored {
    Put result{};
    wire::Label label;  // none for a stack target
    Duration lifetime{};
  };
  // A higher sequence number replaces the row of the same ID, owner and member; the same one from
  // the same address and for the same target is acknowledged again (the first acknowledgement was
  // lost) and changes nothing: a replay keeps no row alive.
  Stored put(const TriggerSpec& spec, TimePoint now, WallTime wall);
  // Needs a sequence at least the row's. A row that is not there is removed already; an insertion
  // from before that arrives later is stale all the same.
  Put remove(const TriggerSpec& spec, TimePoint now);

  struct Refreshed {
    std::size_t count = 0;
    std::size_t not_ours = 0;   // rows that `ours` refused
    std::size_t elsewhere = 0;  // rows last inserted from another address
    Duration lifetime{};        // the shortest one given
    RingId first_not_ours;
  };
  // All rows of a member at one address; the right to do so was given at `granted`, and carries no
  // row further than two of its lifetimes from then. Rows for which ours(position, as_owner) is
  // false run out.
  template <class Ours>
  Refreshed refresh(const PublicKey& owner, const PublicKey& member, const Endpoint& observed,
                    TimePoint granted, TimePoint now, WallTime wall, Ours ours);

  // One target of a packet. Borrowed until the next call that is not const.
  struct Match {
    std::uint32_t slot = 0;
    const Id* id = nullptr;
    const Endpoint* target = nullptr;  // null for a stack
    std::span<const Id> stack;
    bool delegated = false;  // a group's: a node that does not own the ID may lack other members
    bool every_stop = false;
  };
  // The rows with this very ID; where there are none, those with the one ID, among the rows that
  // are not exact, that shares the most leading bits, at least Id::kMinimumMatch. At most `most`.
  std::span<const Match> match(const Id& id, std::size_t most, TimePoint now);
  // The rows that are not exact and share at least Id::kMinimumMatch bits, those with the most
  // leading bits in common first: where match() gives the nearest, this gives the nearest few.
  std::span<const Match> nearest(const Id& id, std::size_t most, TimePoint now);

  // False if the row's packet rate is used up; counts this packet if not.
  bool within_rate(std::uint32_t slot, TimePoint now);

  // Names the present row of a slot.
  std::uint32_t generation(std::uint32_t slot) const { return hot_[slot].generation; }
  // A packet that went on by this row came to an end at `dead`, which nobody has inserted. If that
  // is an ID of the row, it matches nothing for a while: a second, twice as long each time, 32 at
  // most; a new insertion ends it. False if the row is there and has no such ID.
  bool suspend(std::uint32_t slot, std::uint32_t generation, const Id& dead, TimePoint now);

  // Of a row; none if its target is no address.
  wire::Label label_of(std::uint32_t slot) const;

  enum class Relay { forward, no_label, limited };
  struct Labelled {
    Relay verdict{};
    Endpoint target;
  };
  // The fast path: neither allocates nor hashes, and looks at one cache line.
  Labelled by_label(wire::Label label, TimePoint now);
  // Where packets with this label may go without being looked at one by one: the label is good and
  // its row has no packet rate.
  std::optional<Endpoint> unlimited(wire::Label label, TimePoint now) const;
  // Has that line fetched while other work is done: called for a batch before its by_label calls.
  [[gnu::always_inline]] void prefetch(std::uint32_t slot) const {
    if (slot < hot_.size()) __builtin_prefetch(&hot_[slot], 1);
  }

  // Drops what has run out, a bounded part of it in one call; cheap when nothing has. Called by put
  // and match as well.
  void expire(TimePoint now);
  TimePoint next_deadline() const { return live_ == 0 ? kNever : wheel_due_; }

  std::size_t size() const { return live_; }
  const TriggerLimits& limits() const { return limits_; }
  void set_limits(const TriggerLimits& limits) { limits_ = limits; }

  struct Row {
    Id id;
    PublicKey owner;
    PublicKey member;
    bool exact = true;
    std::uint64_t sequence = 0;
    Endpoint target;
    std::size_t stack_size = 0;
    std::uint32_t rate_pps = 0;
    std::uint64_t packets = 0;
    std::uint64_t limited = 0;
    Duration left{};
    bool suspended = false;  // leads to an ID that is not there
  };
  // A copy of at most `most` rows, for people.
  std::vector<Row> snapshot(TimePoint now, std::size_t most) const;

 private:
  static constexpr std::uint32_t kNone = SlotIndex::kNone;

  struct GroupKey {  // numbers in keys_: owner, member
    std::array<std::uint8_t, 8> bytes;
    static GroupKey of(std::uint32_t owner, std::uint32_t member) {
      GroupKey key;
      std::memcpy(key.bytes.data(), &owner, 4);
      std::memcpy(key.bytes.data() + 4, &member, 4);
      return key;
    }
    bool operator==(const GroupKey&) const = default;
  };
  // The rows of one member under one owner.
  struct Group {
    std::uint32_t owner = kNone, member = kNone;  // in keys_
    std::uint32_t first = kNone;
    std::uint32_t count = 0;
  };
  struct KeyUse {
    std::uint32_t rows = 0;    // that it owns
    std::uint32_t groups = 0;  // it is owner or member of; counted twice where it is both
  };
  struct PrefixUse {
    std::uint32_t rows = 0;
  };

  // All that a labelled packet looks at, in one cache line.
  struct alignas(64) Hot {
    Endpoint observed;
    bool used = false;
    bool leads = false;  // to `observed`, and a label says so; not to IDs
    std::uint32_t secret = 0;
    TimePoint expiry{};
    std::uint64_t packets = 0;
    std::uint32_t rate_pps = 0;
    float tokens = 0;
    std::uint32_t tokens_at_ms = 0;
    std::uint32_t limited = 0;
    std::uint32_t generation = 0;
    std::uint32_t lifetime_ms = 0;
  };
  static_assert(sizeof(Hot) == 64);
  struct Cold {
    Id id;
    std::uint64_t sequence = 0;
    WallTime not_after = 0;
    std::uint32_t put_at_ms = 0;
    std::uint32_t group = kNone;
    std::uint32_t stack = kNone;
    std::uint32_t next_same_id = kNone;
    std::uint32_t group_next = kNone, group_previous = kNone;
    std::uint32_t wheel_next = kNone, wheel_previous = kNone;
    std::uint16_t wheel_bucket = 0;
    bool exact = true;
    bool as_owner = true;
  };
  struct Stack {
    std::array<Id, wire::kMaxStack> ids;
    std::size_t count = 0;
    bool every_stop = false;
    TimePoint suspended_until{};
    unsigned suspensions = 0;  // in a row
    std::span<const Id> span() const { return {ids.data(), count}; }
  };

  static std::uint32_t milliseconds_of(TimePoint now) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  }

  // trigger_rows.cc
  std::uint32_t first_of(const Id& id) const;
  std::uint32_t row_of(const TriggerSpec& spec) const;
  std::uint32_t live_row(const TriggerSpec& spec, TimePoint now);
  std::uint64_t name_of(const Id& id, const PublicKey& owner, const PublicKey& member) const;
  std::uint32_t allocate(const TriggerSpec& spec);
  std::uint32_t join_group(const TriggerSpec& spec, std::uint32_t slot);
  void leave_group(std::uint32_t slot);
  void release(std::uint32_t slot);
  void forget(std::uint32_t slot, TimePoint now);
  void set_stack(Cold& row, const std::vector<Id>& ids);
  void set_matching(const Cold& row, bool matching);
  void count_prefix(const Endpoint& endpoint, bool more);
  void schedule(std::uint32_t slot, TimePoint at);
  void unschedule(std::uint32_t slot);
  std::uint32_t label_secret(std::uint32_t slot, std::uint32_t generation) const;

  // trigger_table.cc
  Put check(const TriggerSpec& spec, std::uint32_t slot, TimePoint now);
  bool same_target(std::uint32_t slot, const TriggerSpec& spec) const;
  bool prefix_full(const Endpoint& observed) const;
  Duration extend(std::uint32_t slot, TimePoint granted, TimePoint now, WallTime wall);
  bool take_token(Hot& row, TimePoint now);
  // Adds the live rows of one ID, from `slot` on, to matches_; exact ones only with `exact_too`.
  void collect(std::uint32_t slot, bool exact_too, std::size_t most, TimePoint now);

  TriggerLimits limits_;
  SecretHash hash_;
  std::array<std::uint8_t, 16> label_key_;
  Chunks<Hot> hot_;
  Chunks<Cold> cold_;
  std::vector<std::uint32_t> free_;
  Chunks<Stack> stacks_;
  std::vector<std::uint32_t> free_stacks_;
  SlotIndex by_id_;                      // the first row of each ID; others by next_same_id
  std::map<Id, std::uint32_t> inexact_;  // IDs of rows that are not exact, with their number
  KeyedPool<PublicKey, KeyUse> keys_;
  KeyedPool<GroupKey, Group> groups_;
  KeyedPool<IpAddress, PrefixUse> prefixes_;
  GoneMemory gone_;
  std::vector<std::uint32_t> wheel_;  // the first row of each bucket
  std::size_t wheel_at_ = 0;
  TimePoint wheel_due_{};
  bool wheel_started_ = false;
  std::vector<Match> matches_;
  std::size_t live_ = 0;
};

template <class Ours>
TriggerTable::Refreshed TriggerTable::refresh(const PublicKey& owner, const PublicKey& member,
                                              const Endpoint& observed, TimePoint granted,
                                              TimePoint now, WallTime wall, Ours ours) {
  Refreshed result;
  result.lifetime = limits_.max_lifetime;
  const std::uint32_t owner_key = keys_.find(owner), member_key = keys_.find(member);
  if (owner_key == kNone || member_key == kNone) return result;
  const std::uint32_t group = groups_.find(GroupKey::of(owner_key, member_key));
  if (group == kNone) return result;
  for (std::uint32_t slot = groups_[group].first; slot != kNone; slot = cold_[slot].group_next) {
    if (hot_[slot].expiry <= now) continue;
    const RingId position = cold_[slot].id.ring();
    if (hot_[slot].observed != observed) {
      ++result.elsewhere;
    } else if (!ours(position, cold_[slot].as_owner)) {
      if (result.not_ours++ == 0) result.first_not_ours = position;
    } else if (const Duration given = extend(slot, granted, now, wall); given > Duration::zero()) {
      ++result.count;
      result.lifetime = std::min(result.lifetime, given);
    }
  }
  return result;
}

}  // namespace i3
