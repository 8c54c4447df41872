// Owns how a fuzz target says that something does not hold.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace i3::fuzz {

// Asserts that stay on whatever the build.
inline void must(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

}  // namespace i3::fuzz
