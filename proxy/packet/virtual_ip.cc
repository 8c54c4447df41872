// Owns the search for a route that is in a pool's way.
#include "proxy/packet/virtual_ip.hh"

namespace i3 {

std::optional<IpPrefix> first_overlap(const IpPrefix& pool, std::span<const IpPrefix> routes) {
  for (const IpPrefix& route : routes)
    if (route.length != 0 && pool.overlaps(route)) return route;
  return std::nullopt;
}

}  // namespace i3
