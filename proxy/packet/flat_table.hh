// Owns a hash table of small keys to 32-bit values in one flat array: one cache line a look-up,
// however many entries there are.
#pragma once

#include <bit>
#include <utility>

#include "overlay/base/bytes.hh"

namespace i3 {

// Mixes two words under a secret, so that whoever grinds keys cannot aim at one cell. Not a MAC.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b, std::uint64_t secret) {
  __extension__ using Wide = unsigned __int128;
  const std::uint64_t left = a ^ secret ^ 0x9e3779b97f4a7c15ull;
  const std::uint64_t right = b ^ std::rotl(secret, 32) ^ 0xd6e8feb86659fd93ull;
  const Wide product = static_cast<Wide>(left) * right;
  const auto folded =
      static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  return (folded ^ (folded >> 29)) * 0xbf58476d1ce4e5b9ull;
}

// Linear probing at most half full, deletion by moving back (no tombstones). Key is a small value
// with == and `std::uint64_t hash(std::uint64_t secret) const`. The caller bounds the number of
// entries. Grows by doubling, so an insertion may allocate; look-ups and removals never do.
template <class Key>
class FlatTable {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  explicit FlatTable(std::uint64_t secret) : secret_(secret), cells_(16) {}

  // kNone where there is no such key.
  std::uint32_t find(const Key& key) const {
    for (std::size_t at = home(key);; at = next(at)) {
      const Cell& cell = cells_[at];
      if (cell.value == kNone) return kNone;
      if (cell.key == key) return cell.value;
    }
  }
  // Starts fetching what find() will look at. A driver that takes packets in batches calls it for
  // the whole batch first, so that the cache misses of a large table overlap.
  void prefetch(const Key& key) const {
    const Cell* cell = &cells_[home(key)];
    __builtin_prefetch(cell);
    asm volatile("" : : "r"(cell));  // else g++ 12 takes the call for one without any effect
  }
  // Adds or replaces. `value` is not kNone.
  void insert(const Key& key, std::uint32_t value) {
    assert(value != kNone);
    if ((size_ + 1) * 2 > cells_.size()) grow();
    std::size_t at = home(key);
    while (cells_[at].value != kNone && !(cells_[at].key == key)) at = next(at);
    if (cells_[at].value == kNone) ++size_;
    cells_[at] = Cell{key, value};
  }
  bool erase(const Key& key) {
    std::size_t at = home(key);
    while (!(cells_[at].key == key) || cells_[at].value == kNone) {
      if (cells_[at].value == kNone) return false;
      at = next(at);
    }
    close_gap(at);
    --size_;
    return true;
  }
  std::size_t size() const { return size_; }

 private:
  struct Cell {
    Key key{};
    std::uint32_t value = kNone;
  };

  std::size_t home(const Key& key) const { return key.hash(secret_) >> shift_; }
  std::size_t next(std::size_t at) const { return (at + 1) & (cells_.size() - 1); }

  // Moves later members of the run into the gap so that no look-up stops early.
  void close_gap(std::size_t gap) {
    const std::size_t mask = cells_.size() - 1;
    for (std::size_t at = next(gap); cells_[at].value != kNone; at = next(at)) {
      const std::size_t distance_to_home = (at - home(cells_[at].key)) & mask;
      if (distance_to_home < ((at - gap) & mask)) continue;
      cells_[gap] = cells_[at];
      gap = at;
    }
    cells_[gap] = Cell{};
  }
  void grow() {
    std::vector<Cell> old(cells_.size() * 2);
    old.swap(cells_);
    --shift_;
    size_ = 0;
    for (const Cell& cell : old)
      if (cell.value != kNone) insert(cell.key, cell.value);
  }

  std::uint64_t secret_;
  std::vector<Cell> cells_;
  unsigned shift_ = 60;  // 64 - log2 of the number of cells
  std::size_t size_ = 0;
};

}  // namespace i3
