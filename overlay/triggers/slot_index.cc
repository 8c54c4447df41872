#include "overlay/triggers/slot_index.hh"

#include <sodium.h>

namespace i3 {

std::uint64_t SecretHash::operator()(Bytes bytes) const {
  std::array<std::uint8_t, crypto_shorthash_BYTES> out;
  crypto_shorthash(out.data(), bytes.data(), bytes.size(), key_.data());
  return Reader(out).u64();
}

void SlotIndex::insert(std::uint64_t hash, std::uint32_t slot) {
  if ((used_ + 1) * 10 > entries_.size() * 7) grow();
  std::size_t at = hash & mask();
  while (entries_[at].slot != kNone) at = (at + 1) & mask();
  entries_[at] = {shorten(hash), slot};
  ++used_;
}

void SlotIndex::replace(std::uint64_t hash, std::uint32_t old, std::uint32_t slot) {
  for (std::size_t at = hash & mask(); entries_[at].slot != kNone; at = (at + 1) & mask()) {
    if (entries_[at].slot != old) continue;
    if (slot == kNone) return erase(at);
    entries_[at].slot = slot;
    return;
  }
  assert(false && "an entry that is not there");
}

// Moves later entries of the run back, so that no tombstones are needed. The table never has more
// than 2^32 places, so an entry's short hash tells its home.
void SlotIndex::erase(std::size_t hole) {
  for (std::size_t at = (hole + 1) & mask(); entries_[at].slot != kNone; at = (at + 1) & mask()) {
    const std::size_t home = entries_[at].hash & mask();
    if (((at - home) & mask()) < ((at - hole) & mask())) continue;
    entries_[hole] = entries_[at];
    hole = at;
  }
  entries_[hole] = Entry{};
  --used_;
}

void SlotIndex::grow() {
  std::vector<Entry> old(entries_.size() * 2);
  old.swap(entries_);
  for (const Entry& entry : old) {
    if (entry.slot == kNone) continue;
    std::size_t at = entry.hash & mask();
    while (entries_[at].slot != kNone) at = (at + 1) & mask();
    entries_[at] = entry;
  }
}

}  // namespace i3
