// Owns what the kernel is asked about the way of a packet: its route, and its neighbour's address.
#pragma once

#include <array>
#include <optional>

#include "overlay/base/endpoint.hh"

namespace i3 {

// The index of an interface, and the neighbour there; unspecified: left to the kernel.
struct Way {
  unsigned out = 0;
  IpAddress next_hop;
};

// How packets from `source`, an address of this machine, to `target` leave; `out` is 0 without a
// route. Both of one family.
Way way_towards(const IpAddress& source, const IpAddress& target);

// Hardware addresses of a neighbour, and of this machine's interface towards it.
using Mac = std::array<std::uint8_t, 6>;
struct Hop {
  Mac neighbour{}, own{};
};

// Nothing while the neighbour is unknown or does not answer. One that has not been heard of for
// long is asked by the kernel, as if it had sent the neighbour a packet: who sends frames by this
// answer goes round the table that would ask. Needs CAP_NET_ADMIN for that.
std::optional<Hop> hop_towards(const Way& way);

}  // namespace i3
