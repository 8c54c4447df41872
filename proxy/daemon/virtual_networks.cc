#include "proxy/daemon/virtual_networks.hh"

#include <algorithm>

#include "proxy/packet/address_pool.hh"

namespace i3 {

// The shared address space, then parts of private and benchmarking space that home routers do not
// use.
const std::vector<IpPrefix>& pools_of_ipv4() {
  static const std::vector<IpPrefix> all{{IpAddress::v4(0x64400000), 10},   // 100.64.0.0/10
                                         {IpAddress::v4(0xc6120000), 15},   // 198.18.0.0/15
                                         {IpAddress::v4(0x0ab30000), 16},   // 10.179.0.0/16
                                         {IpAddress::v4(0xac1b0000), 16}};  // 172.27.0.0/16
  return all;
}

const std::vector<IpPrefix>& prefixes_of_ipv6() {
  static const std::vector<IpPrefix> all = [] {
    std::vector<IpPrefix> prefixes;
    for (std::uint8_t number = 0; number < kVirtualIpv6Prefixes; ++number)
      prefixes.push_back(virtual_ipv6_prefix(number));
    return prefixes;
  }();
  return all;
}

std::unordered_set<unsigned> other_tunnels(const std::vector<HostRoute>& routes,
                                           unsigned own_link) {
  std::unordered_set<unsigned> links;
  const auto is_one_of = [](const std::vector<IpPrefix>& networks, const IpPrefix& network) {
    return std::find(networks.begin(), networks.end(), network) != networks.end();
  };
  for (const HostRoute& route : routes)
    if (route.link != 0 && route.link != own_link && !route.local && !route.gateway &&
        (is_one_of(pools_of_ipv4(), route.destination) ||
         is_one_of(prefixes_of_ipv6(), route.destination)))
      links.insert(route.link);
  return links;
}

std::vector<IpPrefix> networks_of_others(const std::vector<HostRoute>& routes, unsigned own_link) {
  const std::unordered_set<unsigned> links = other_tunnels(routes, own_link);
  std::vector<IpPrefix> networks;
  for (const HostRoute& route : routes)
    if (links.contains(route.link) && !route.destination.address.multicast())
      networks.push_back(route.destination);
  return networks;
}

}  // namespace i3
