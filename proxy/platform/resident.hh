// Owns giving back memory that only a program's start needed.
#pragma once

#include <cstddef>

namespace i3 {

// The pages of code and constants of this program and its libraries: those that are used come back
// from the files, or the page cache, at their next use; those that only the start read (a library's
// test of itself, parsers, tables) do not. Returns how many bytes of address space were told about.
// Needs no privilege.
std::size_t give_back_code();

}  // namespace i3
