// Owns the drawing of charts as one SVG picture.
#pragma once

#include "sim/report.hh"

namespace i3::sim {

// All charts in a grid of two columns. `subtitle` says what they come from. Charts without a point
// are left out.
std::string svg(const std::vector<Chart>& charts, const std::string& subtitle);

}  // namespace i3::sim
