// Owns the table that decides whether the early packet in a first message may be delivered
// (docs/DESIGN.md, decision 12). It never decides whether the handshake is answered.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"

namespace i3 {

// One entry for the state log; the all-zero key stands for the floor (see StampGate).
struct StampEntry {
  static constexpr std::size_t kSize = PublicKey::kSize + 8;
  PublicKey key;
  std::uint64_t stamp = 0;

  void write(Writer& writer) const;
  static StampEntry read(Reader& reader);
};

class StampGate {
 public:
  enum class Decision {
    deliver,  // never seen: deliver the early packet, early_accepted = true
    repeat,   // delivered before: do not deliver again, early_accepted = true
    hold,     // may be a replay: keep it until the session is confirmed, early_accepted = false
  };

  // clean_start: every entry of the earlier run was (or is about to be) restored, so a key that is
  // not in the table has never sent anything. After an unclean restart unknown keys are held.
  StampGate(std::size_t max_entries, bool clean_start);

  // Judges and, on deliver, records. Call only for keys that may talk to us.
  Decision check(const PublicKey& key, std::uint64_t stamp);
  // The session of that first message was confirmed, so it was no replay (Data::confirms,
  // Data::stamp): the next one of this key needs no holding. True if the entry changed.
  bool confirmed(const PublicKey& key, std::uint64_t stamp);

  // What the state log must hold: the entry as it is now, to be appended after deliver and after a
  // confirmed() that changed something.
  std::optional<StampEntry> entry(const PublicKey& key) const;
  // The greatest stamp of any entry that was evicted: unknown keys at or below it are held.
  std::optional<StampEntry> floor() const;
  void restore(const StampEntry& entry);
  // Every entry and the floor, for rewriting the log.
  std::vector<StampEntry> entries() const;
  std::size_t size() const { return last_.size(); }

 private:
  void record(const PublicKey& key, std::uint64_t stamp);

  std::size_t max_entries_;
  bool clean_start_;
  std::unordered_map<PublicKey, std::uint64_t> last_;
  std::set<std::pair<std::uint64_t, PublicKey>> by_stamp_;
  std::optional<std::uint64_t> floor_;
};

// Makes stamps for first messages: the wall clock, but never the same or an earlier one.
class StampClock {
 public:
  std::uint64_t next(WallTime wall) { return last_ = wall > last_ ? wall : last_ + 1; }
  // 0, 1, 2, ...: for identities that tell no time. Not to be mixed with next().
  std::uint64_t count() { return last_++; }

 private:
  std::uint64_t last_ = 0;
};

}  // namespace i3
