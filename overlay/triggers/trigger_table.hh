// Owns a node's triggers: soft-state rows (ID, owner, member) with expiry, matching, labels and
// quotas. Whether an insertion may be believed is admission.hh's to say.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"
#include "overlay/triggers/slot_index.hh"
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
  std::vector<Id> stack;  // the target; empty: the observed endpoint
  std::uint32_t rate_pps = 0;
  Duration lifetime{};                     // 0: the default
  WallTime not_after = ~std::uint64_t{0};  // no refresh carries it beyond
  bool as_owner = true;  // inserted at the node that owns the ID, not at a replica
};

class TriggerTable {
 public:
  enum class Put { stored, stale, quota, full };
  // A removed row's sequence is remembered for as long as a cookie lives, so that an insertion from
  // before the removal cannot be replayed.
  static constexpr Duration kRemovalMemory = std::chrono::seconds(120);

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
  // the same address refreshes it (its acknowledgement was lost).
  Stored put(const TriggerSpec& spec, TimePoint now, WallTime wall);
  // Needs a sequence at least the row's. A row that is not there is removed already.
  Put remove(const TriggerSpec& spec, TimePoint now);

  struct Refreshed {
    std::size_t count = 0;
    std::size_t not_ours = 0;   // rows that `ours` refused
    std::size_t elsewhere = 0;  // rows last inserted from another address
    Duration lifetime{};        // the shortest one given
    RingId first_not_ours;
  };
  // All rows of a member at one address. Rows for which ours(position, as_owner) is false run out.
  template <class Ours>
  Refreshed refresh(const PublicKey& owner, const PublicKey& member, const Endpoint& observed,
                    TimePoint now, WallTime wall, Ours ours);

  // One target of a packet. Borrowed until the next call that is not const.
  struct Match {
    std::uint32_t slot = 0;
    const Id* id = nullptr;
    const Endpoint* target = nullptr;  // null for a stack
    const std::vector<Id>* stack = nullptr;
  };
  // The rows with this very ID; where there are none, those with the one ID, among the rows that
  // are not exact, that shares the most leading bits, at least Id::kMinimumMatch. At most `most`.
  std::span<const Match> match(const Id& id, std::size_t most, TimePoint now);

  // False if the row's packet rate is used up; counts this packet if not.
  bool within_rate(std::uint32_t slot, TimePoint now);

  enum class Relay { forward, no_label, limited };
  struct Labelled {
    Relay verdict{};
    Endpoint target;
  };
  // The fast path: neither allocates nor hashes.
  Labelled by_label(wire::Label label, TimePoint now);

  // Drops what has run out, a bounded part of it in one call; cheap when nothing has. Called by put
  // and match as well.
  void expire(TimePoint now);
  TimePoint next_deadline() const { return live_ + removed_ == 0 ? kNever : wheel_due_; }

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
  };
  // A copy of at most `most` rows, for people.
  std::vector<Row> snapshot(TimePoint now, std::size_t most) const;

 private:
  struct GroupKey {
    PublicKey owner, member;
    bool operator==(const GroupKey&) const = default;
  };
  struct GroupHash {
    const SecretHash* hash;
    std::size_t operator()(const GroupKey& key) const {
      return (*hash)(key.owner.bytes) ^ ((*hash)(key.member.bytes) * 0x9e3779b97f4a7c15ull);
    }
  };
  // The rows of one member under one owner; `owned` (kept at member == owner) counts all under it.
  struct Group {
    std::uint32_t first = SlotIndex::kNone;
    std::uint32_t count = 0;
    std::uint32_t owned = 0;
  };
  using Groups = std::unordered_map<GroupKey, Group, GroupHash>;

  struct Slot {  // one slot
    Id id;
    Groups::value_type* group = nullptr;
    std::uint64_t sequence = 0;
    TimePoint expiry{};
    WallTime not_after = 0;
    std::unique_ptr<std::vector<Id>> stack;
    std::uint64_t packets = 0;
    Endpoint observed;
    std::uint32_t generation = 0;
    std::uint32_t secret = 0;
    std::uint32_t next_same_id = SlotIndex::kNone;
    std::uint32_t group_next = SlotIndex::kNone;
    std::uint32_t group_previous = SlotIndex::kNone;
    std::uint32_t rate_pps = 0;
    std::uint32_t lifetime_ms = 0;
    std::uint32_t limited = 0;
    float tokens = 0;
    std::uint32_t tokens_at_ms = 0;
    bool used = false;
    bool removed = false;
    bool exact = true;
    bool as_owner = true;
  };
  struct Due {
    std::uint32_t slot, generation;
  };

  std::uint32_t first_of(const Id& id) const;
  std::uint32_t row_of(const TriggerSpec& spec) const;
  Put check(const TriggerSpec& spec, std::uint32_t slot) const;
  bool same_target(const Slot& row, const TriggerSpec& spec) const;
  bool prefix_full(const Endpoint& observed) const;
  std::uint32_t allocate(const TriggerSpec& spec);
  void release(std::uint32_t slot);
  void set_matching(std::uint32_t slot, bool matching);
  void count_prefix(const Endpoint& endpoint, bool more);
  void schedule(std::uint32_t slot, TimePoint at);
  Duration extend(Slot& row, TimePoint now, WallTime wall);
  std::uint32_t label_secret(std::uint32_t slot, std::uint32_t generation) const;
  void drop_if_over(std::uint32_t slot, TimePoint now);
  bool take_token(Slot& row, TimePoint now);

  TriggerLimits limits_;
  SecretHash hash_;
  std::array<std::uint8_t, 16> label_key_;
  std::deque<Slot> rows_;
  std::vector<std::uint32_t> free_;
  SlotIndex by_id_;                      // the first row of each ID; others by next_same_id
  std::map<Id, std::uint32_t> inexact_;  // IDs of live rows that are not exact, with their number
  Groups groups_;
  std::unordered_map<IpAddress, std::uint32_t> prefixes_;
  std::vector<std::vector<Due>> wheel_;
  std::size_t wheel_at_ = 0;
  TimePoint wheel_due_{};
  bool wheel_started_ = false;
  std::vector<Match> matches_;
  std::size_t live_ = 0;
  std::size_t removed_ = 0;
};

template <class Ours>
TriggerTable::Refreshed TriggerTable::refresh(const PublicKey& owner, const PublicKey& member,
                                              const Endpoint& observed, TimePoint now,
                                              WallTime wall, Ours ours) {
  Refreshed result;
  result.lifetime = limits_.max_lifetime;
  auto group = groups_.find(GroupKey{owner, member});
  if (group == groups_.end()) return result;
  for (std::uint32_t slot = group->second.first; slot != SlotIndex::kNone;
       slot = rows_[slot].group_next) {
    Slot& row = rows_[slot];
    if (row.removed || row.expiry <= now) continue;
    if (row.observed != observed) {
      ++result.elsewhere;
    } else if (!ours(row.id.ring(), row.as_owner)) {
      if (result.not_ours++ == 0) result.first_not_ours = row.id.ring();
    } else if (const Duration given = extend(row, now, wall); given > Duration::zero()) {
      ++result.count;
      result.lifetime = std::min(result.lifetime, given);
    }
  }
  return result;
}

}  // namespace i3
