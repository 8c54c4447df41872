// Owns the wish that memory be on its way to the processor before it is read.
#pragma once

#include <cstddef>

namespace i3 {

// Of tables that are larger than the caches: whoever handles a batch asks for what all of it will
// look at first, and so waits for memory once and not once for each.
inline void prefetch(const void* first, std::size_t size) {
  constexpr std::size_t kLine = 64;
  const char* at = static_cast<const char*>(first);
  for (std::size_t done = 0; done < size; done += kLine) {
    __builtin_prefetch(at + done);
    asm volatile("" : : "r"(at + done));  // else g++ 12 takes the call for one without any effect
  }
}

}  // namespace i3
