#include "proxy/daemon/virtual_networks.hh"

#include <doctest/doctest.h>
#include <set>

#include "proxy/packet/address_pool.hh"

using namespace i3;

namespace {

HostRoute route(const char* destination, unsigned link, bool local = false) {
  std::string why;
  HostRoute row;
  row.destination = *IpPrefix::parse(destination, why);
  row.link = link;
  row.local = local;
  return row;
}

}  // namespace

TEST_CASE("the networks to choose from do not meet, and the first prefix is everybody's") {
  CHECK(prefixes_of_ipv6().front() == virtual_ipv6_prefix());
  std::set<IpPrefix> different(prefixes_of_ipv6().begin(), prefixes_of_ipv6().end());
  CHECK(different.size() == kVirtualIpv6Prefixes);
  for (const IpPrefix& prefix : prefixes_of_ipv6()) {
    CHECK(prefix.length == 48);
    CHECK(prefix.address.bytes[0] == 0xfd);
  }
  for (const IpPrefix& pool : pools_of_ipv4()) CHECK(AddressPool::check(pool).empty());
}

TEST_CASE("an interface to which a whole virtual network is routed is another daemon's") {
  const std::vector<HostRoute> routes{
      route("100.64.0.0/10", 7),
      route("fd5f:4baf:5759::/48", 8),
      route("10.77.0.0/16", 8),  // its pool, which somebody chose
      route("198.18.0.0/15", 9),
      route("192.168.1.0/24", 2),
      route("100.64.0.9/32", 3, true),
      route("100.64.0.0/16", 4),  // a part of one: a carrier's network
  };
  CHECK(other_tunnels(routes, 7) == std::unordered_set<unsigned>{8, 9});
  CHECK(other_tunnels({}, 7).empty());
  const auto networks = networks_of_others(routes, 7);
  const auto lead_there = [&](const char* address) {
    return std::any_of(networks.begin(), networks.end(), [&](const IpPrefix& network) {
      return network.contains(*IpAddress::parse(address));
    });
  };
  CHECK(lead_there("fd5f:4baf:5759::1"));
  CHECK(lead_there("10.77.3.4"));
  CHECK(lead_there("198.19.0.1"));
  CHECK_FALSE(lead_there("192.168.1.9"));
  CHECK_FALSE(lead_there("100.64.0.9"));  // our own is judged elsewhere
}
