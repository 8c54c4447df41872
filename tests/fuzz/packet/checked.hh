// Owns what the packet targets have in common.
#pragma once

#include <cstdlib>

#include "proxy/packet/checksum.hh"

// A broken invariant ends the run, as a sanitizer's finding does.
inline void require(bool holds) {
  if (!holds) std::abort();
}

// The value of a one's complement sum: zero and all ones are the same.
inline std::uint16_t ones_complement(i3::ChecksumSum sum) {
  return static_cast<std::uint16_t>(i3::fold(sum) % 0xffff);
}
