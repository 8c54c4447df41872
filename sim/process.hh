// Owns what the simulator knows of the process it runs in.
#pragma once

#include <cstddef>
#include <string>

namespace i3::sim {

// CPU time of this process so far.
double machine_seconds();
// Memory that it has allocated and not freed.
std::size_t allocated_bytes();
// For figures: cores and model.
std::string machine_name();

}  // namespace i3::sim
