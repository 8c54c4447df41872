// Owns the proxy's fixed port.
#pragma once

#include <cstdint>

namespace i3 {
// Of the node inside a proxy without entry nodes, where those it invites find it.
inline constexpr std::uint16_t kNodePort = 5100;
}  // namespace i3
