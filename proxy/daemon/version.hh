// Owns the version that all programs print.
#pragma once

namespace i3 {
inline constexpr char kVersionText[] = I3_VERSION;
}
