#include "overlay/base/memory_block.hh"

#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace i3 {

MemoryBlock allocate_block(std::size_t size, bool huge) {
  huge = huge && size % kHugePage == 0;
  const std::size_t alignment = huge ? kHugePage : 64;
  MemoryBlock block(std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment));
  if (!block) throw std::bad_alloc();
#ifdef __linux__
  // Advice only: without it everything works, slower.
  if (huge) static_cast<void>(madvise(block.get(), size, MADV_HUGEPAGE));
#endif
  return block;
}

}  // namespace i3
