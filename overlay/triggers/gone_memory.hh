// Owns the sequences of triggers that are gone, for as long as a recorded insertion could be
// replayed.
#pragma once

#include <deque>

#include "overlay/base/time.hh"
#include "overlay/triggers/slot_index.hh"

namespace i3 {

// Rows are named by a secret hash; two that share one cost at worst a refusal as stale, which a
// client answers with a higher sequence.
class GoneMemory {
 public:
  GoneMemory(Duration lasts, std::size_t most)
      : lasts_(lasts), most_(std::max<std::size_t>(most, 1)) {}

  // Remembers the highest sequence noted for `row`; when there are too many the oldest goes.
  void note(std::uint64_t row, std::uint64_t sequence, TimePoint now) {
    expire(now);
    const std::uint32_t known = find(row);
    if (known != SlotIndex::kNone) {
      sequence = std::max(sequence, at(known).sequence);
      at(known).live = false;
      index_.replace(row, known, SlotIndex::kNone);
    }
    if (entries_.size() >= most_) pop();
    if (first_ + static_cast<std::uint32_t>(entries_.size()) == SlotIndex::kNone)
      entries_.push_back({0, 0, now + lasts_, false});
    index_.insert(row, first_ + static_cast<std::uint32_t>(entries_.size()));
    entries_.push_back({row, sequence, now + lasts_, true});
  }

  // Whether an insertion of this sequence may be one from before the row went.
  bool covers(std::uint64_t row, std::uint64_t sequence, TimePoint now) {
    expire(now);
    const std::uint32_t known = find(row);
    return known != SlotIndex::kNone && sequence <= at(known).sequence;
  }

  void expire(TimePoint now) {
    for (int i = 0; i < kMostAtOnce && !entries_.empty() && entries_.front().until <= now; ++i)
      pop();
  }
  std::size_t size() const { return index_.size(); }

 private:
  static constexpr int kMostAtOnce = 64;  // more than one call adds, so that it shrinks
  struct Entry {
    std::uint64_t row = 0;
    std::uint64_t sequence = 0;
    TimePoint until{};
    bool live = false;  // not noted again since
  };
  Entry& at(std::uint32_t number) { return entries_[number - first_]; }
  std::uint32_t find(std::uint64_t row) {
    return index_.find(row, [&](std::uint32_t number) { return at(number).row == row; });
  }
  void pop() {
    if (entries_.front().live) index_.replace(entries_.front().row, first_, SlotIndex::kNone);
    entries_.pop_front();
    ++first_;
  }

  Duration lasts_;
  std::size_t most_;
  std::deque<Entry> entries_;  // numbered from first_, in the order of `until`
  std::uint32_t first_ = 0;
  SlotIndex index_;
};

}  // namespace i3
