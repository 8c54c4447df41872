// Owns an array that grows by chunks: no element ever moves, growing costs the same at any size,
// and what is not used yet is not resident.
#pragma once

#include <bit>
#include <cstdint>
#include <new>
#include <type_traits>
#include <vector>

#include "overlay/base/memory_block.hh"

namespace i3 {

template <class T>
class Chunks {
  static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 64);

 public:
  T& operator[](std::uint32_t at) { return chunk(at)[at & kMask]; }
  const T& operator[](std::uint32_t at) const { return chunk(at)[at & kMask]; }
  std::uint32_t size() const { return size_; }
  // Appends a value-initialised element and returns its place.
  std::uint32_t grow() {
    // The first chunk stays in small pages: most tables are small.
    if (size_ >> kBits == chunks_.size())
      chunks_.push_back(allocate_block(sizeof(T) << kBits, size_ != 0));
    new (&(*this)[size_]) T();
    return size_++;
  }

 private:
  // A huge page, or what comes near it.
  static constexpr unsigned kBits =
      static_cast<unsigned>(std::bit_width(kHugePage / sizeof(T)) - 1);
  static constexpr std::uint32_t kMask = (1u << kBits) - 1;
  T* chunk(std::uint32_t at) const { return static_cast<T*>(chunks_[at >> kBits].get()); }

  std::vector<MemoryBlock> chunks_;
  std::uint32_t size_ = 0;
};

}  // namespace i3
