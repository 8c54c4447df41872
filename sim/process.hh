// Owns what the simulator knows of the process it runs in.
#pragma once

#include <cstddef>
#include <string>

namespace i3::sim {

// CPU time of this process so far.
double machine_seconds();
// Memory that it has resident.
std::size_t resident_bytes();
// For figures: cores and model.
std::string machine_name();

}  // namespace i3::sim
