// Owns the checks of what else on this host would get in the way of the virtual addresses.
#pragma once

#include <string>
#include <vector>

#include "overlay/base/xml/values.hh"

namespace i3 {

// Routes and addresses of other interfaces inside `pool`, and Tailscale's packet filter, which
// drops 100.64.0.0/10 from every interface but its own and shows in no route. Each is one phrase:
// "route 100.64.0.0/10 dev tailscale0". Empty: the pool is free. `own_tun` is not looked at.
// Needs no privilege but for the filter, which is then judged by the interface alone.
std::vector<std::string> pool_conflicts(const IpPrefix& pool, const std::string& own_tun);

// The first of `pools` without a conflict, else the first.
IpPrefix first_free_pool(const std::vector<IpPrefix>& pools, const std::string& own_tun);

// Base chains of nftables that drop by default what comes in (needs CAP_NET_ADMIN): a firewall
// that may swallow packets from the TUN. "table inet filter, chain input". Ours are left out.
// Rules before the default are not judged, nor iptables-legacy's.
std::vector<std::string> dropping_firewalls();

}  // namespace i3
