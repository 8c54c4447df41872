// Owns one large block of memory, which the kernel may be asked to back with huge pages.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace i3 {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

struct FreeMemory {
  void operator()(void* block) const { std::free(block); }
};
using MemoryBlock = std::unique_ptr<void, FreeMemory>;

// Not touched, so what is never used costs no memory; throws std::bad_alloc. With `huge`, a block
// of whole huge pages is one step of the processor's address translation for 2 MiB instead of 512,
// but resident as a whole from the first touch on.
MemoryBlock allocate_block(std::size_t size, bool huge);

}  // namespace i3
