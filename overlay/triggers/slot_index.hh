// Owns a hash index from 256-bit IDs to slot numbers: open addressing, eight bytes an entry.
#pragma once

#include <cstdint>
#include <vector>

#include "overlay/base/id.hh"
#include "overlay/base/random.hh"

namespace i3 {

// SipHash under a secret: nobody outside can choose keys that collide.
class SecretHash {
 public:
  explicit SecretHash(Random& random) : key_(random.array<16>()) {}
  std::uint64_t operator()(Bytes bytes) const;

 private:
  std::array<std::uint8_t, 16> key_;
};

// Holds (hash, slot); whoever calls compares the IDs themselves, through `is_it(slot)`.
class SlotIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  SlotIndex() : entries_(kSmallest) {}

  template <class IsIt>
  std::uint32_t find(std::uint64_t hash, IsIt is_it) const {
    const auto short_hash = shorten(hash);
    for (std::size_t at = hash & mask(); entries_[at].slot != kNone; at = (at + 1) & mask())
      if (entries_[at].hash == short_hash && is_it(entries_[at].slot)) return entries_[at].slot;
    return kNone;
  }
  void insert(std::uint64_t hash, std::uint32_t slot);
  // `slot` stands in for whatever entry of this hash holds `old`; kNone removes it.
  void replace(std::uint64_t hash, std::uint32_t old, std::uint32_t slot);
  std::size_t size() const { return used_; }

 private:
  static constexpr std::size_t kSmallest = 16;
  struct Entry {
    std::uint32_t hash = 0;
    std::uint32_t slot = kNone;
  };
  static std::uint32_t shorten(std::uint64_t hash) { return static_cast<std::uint32_t>(hash); }
  std::size_t mask() const { return entries_.size() - 1; }
  void grow();
  void erase(std::size_t at);

  std::vector<Entry> entries_;
  std::size_t used_ = 0;
};

}  // namespace i3
