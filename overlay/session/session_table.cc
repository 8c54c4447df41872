#include "overlay/session/session_table.hh"

#include <bit>
#include <sodium.h>

namespace i3 {

PendingHandshake::~PendingHandshake() {
  sodium_memzero(psk.data(), psk.size());
}

SlotTable::SlotTable(Random& random, std::size_t max_slots)
    : random_(random),
      mask_(static_cast<std::uint32_t>(std::bit_ceil(std::max<std::size_t>(max_slots, 2)) - 1)) {
  // Four random bits must remain above the slot number, for take() to find a new index.
  assert(max_slots <= kMostSlots);
}

SlotTable::Slot SlotTable::take(PeerHandle peer, TimePoint deadline) {
  Slot slot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else if (entries_.size() <= mask_) {
    slot = static_cast<Slot>(entries_.size());
    entries_.emplace_back();
  } else {
    return kNone;
  }
  Entry& entry = entries_[slot];
  std::uint32_t index;
  do {
    index = (random_.u32() & ~mask_) | slot;
  } while (index == 0 || index == entry.index);
  entry = Entry{index, peer, true, deadline, nullptr};
  deadlines_.emplace(deadline, slot);
  return slot;
}

void SlotTable::release(Slot slot) {
  Entry& entry = entries_[slot];
  assert(entry.used);
  deadlines_.erase({entry.deadline, slot});
  entry.session.reset();
  entry.used = false;
  free_.push_back(slot);
}

void SlotTable::set_deadline(Slot slot, TimePoint deadline) {
  Entry& entry = entries_[slot];
  assert(entry.used);
  deadlines_.erase({entry.deadline, slot});
  entry.deadline = deadline;
  deadlines_.emplace(deadline, slot);
}

}  // namespace i3
