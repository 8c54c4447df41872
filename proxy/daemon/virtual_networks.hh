// Owns which networks this program's daemons choose their virtual addresses from, and how several
// of them live on one machine.
#pragma once

#include <unordered_set>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "proxy/platform/netlink.hh"

namespace i3 {

// Where a daemon's virtual addresses lie.
struct VirtualNetworks {
  IpPrefix ipv4, ipv6;
};

// Tried in this order, IPv4 only where the settings do not choose.
const std::vector<IpPrefix>& pools_of_ipv4();
const std::vector<IpPrefix>& prefixes_of_ipv6();

// The interfaces of other daemons such as this one: those to which one of these networks is routed
// as a whole. A network that somebody chose himself shows by the IPv6 prefix beside it.
std::unordered_set<unsigned> other_tunnels(const std::vector<HostRoute>& routes, unsigned own_link);
// Networks that lead into those: underlay addresses lie there no more than in our own tunnel.
std::vector<IpPrefix> networks_of_others(const std::vector<HostRoute>& routes, unsigned own_link);

}  // namespace i3
