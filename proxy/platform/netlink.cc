#include "proxy/platform/netlink.hh"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include "proxy/platform/platform_error.hh"

namespace i3 {
namespace {

// libnl's objects are counted references; each of ours is given back by its own function.
template <class T, void (*Release)(T*)>
struct Releaser {
  void operator()(T* object) const { Release(object); }
};
using SocketPtr = std::unique_ptr<nl_sock, Releaser<nl_sock, nl_socket_free>>;
using CachePtr = std::unique_ptr<nl_cache, Releaser<nl_cache, nl_cache_free>>;
using AddrPtr = std::unique_ptr<nl_addr, Releaser<nl_addr, nl_addr_put>>;
using LinkPtr = std::unique_ptr<rtnl_link, Releaser<rtnl_link, rtnl_link_put>>;
using AddressPtr = std::unique_ptr<rtnl_addr, Releaser<rtnl_addr, rtnl_addr_put>>;
using RoutePtr = std::unique_ptr<rtnl_route, Releaser<rtnl_route, rtnl_route_put>>;

constexpr unsigned char kStaticProtocol = RTPROT_STATIC;

[[noreturn]] void fail(const std::string& what, int nl_error) {
  if (nl_error == -NLE_PERM) throw lacks_privilege("CAP_NET_ADMIN", what);
  throw PlatformError("cannot " + what + ": " + nl_geterror(nl_error));
}

int family_of(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

AddrPtr to_netlink(const IpAddress& address, unsigned length) {
  const std::uint8_t* octets = address.bytes.data() + (address.is_v4() ? 12 : 0);
  AddrPtr result(nl_addr_build(family_of(address), octets, address.is_v4() ? 4 : 16));
  if (!result) throw PlatformError("out of memory");
  nl_addr_set_prefixlen(result.get(), static_cast<int>(length));
  return result;
}

// Nothing for other families. The address of a default route has no bytes.
std::optional<IpAddress> from_netlink(nl_addr* addr, int family) {
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  std::array<std::uint8_t, 16> octets{};
  std::size_t size = family == AF_INET ? 4 : 16;
  if (addr && nl_addr_get_len(addr) == size)
    std::memcpy(octets.data(), nl_addr_get_binary_addr(addr), size);
  if (family == AF_INET6) return IpAddress::v6(octets);
  Reader reader(octets);
  return IpAddress::v4(reader.u32());
}

template <class Row, class Convert>
std::vector<Row> rows_of(nl_cache* cache, Convert convert) {
  std::vector<Row> rows;
  for (nl_object* object = nl_cache_get_first(cache); object; object = nl_cache_get_next(object)) {
    if (rows.size() >= Netlink::kMaximumRows) break;
    convert(object, rows);
  }
  return rows;
}

void append_route(nl_object* object, std::vector<HostRoute>& rows) {
  auto* route = reinterpret_cast<rtnl_route*>(object);
  int family = rtnl_route_get_family(route);
  int type = rtnl_route_get_type(route);
  bool counts = type == RTN_UNICAST || type == RTN_LOCAL || type == RTN_BLACKHOLE ||
                type == RTN_UNREACHABLE || type == RTN_PROHIBIT || type == RTN_THROW;
  nl_addr* destination = rtnl_route_get_dst(route);
  auto network = from_netlink(destination, family);
  if (!counts || !network) return;
  HostRoute row;
  row.destination = {*network, destination ? nl_addr_get_prefixlen(destination) : 0};
  row.table = rtnl_route_get_table(route);
  row.metric = rtnl_route_get_priority(route);
  row.local = type == RTN_LOCAL;
  if (rtnl_route_get_nnexthops(route) == 1) {
    rtnl_nexthop* hop = rtnl_route_nexthop_n(route, 0);
    row.link = static_cast<unsigned>(rtnl_route_nh_get_ifindex(hop));
    if (nl_addr* gateway = rtnl_route_nh_get_gateway(hop))
      row.gateway = from_netlink(gateway, nl_addr_get_family(gateway));
  }
  rows.push_back(row);
}

void write_setting(const std::string& path, const char* value) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  // A container may have these read-only; the addresses are then added without detection anyway.
  if (file) [[maybe_unused]]
    ssize_t ignored = ::write(file.get(), value, std::strlen(value));
}

void quieten_ipv6(const std::string& link) {
  const std::string folder = "/proc/sys/net/ipv6/conf/" + link + "/";
  write_setting(folder + "disable_ipv6", "0");
  write_setting(folder + "addr_gen_mode", "1");
  write_setting(folder + "autoconf", "0");
  write_setting(folder + "accept_ra", "0");
  write_setting(folder + "accept_dad", "0");
  write_setting(folder + "router_solicitations", "0");
}

std::string name_of_link(unsigned link) {
  char name[IF_NAMESIZE] = "";
  return if_indextoname(link, name) ? name : "interface " + std::to_string(link);
}

// A single address, of one host or of a group, or a network.
RoutePtr route_to(unsigned link, const IpPrefix& destination) {
  RoutePtr route(rtnl_route_alloc());
  const IpAddress& address = destination.address;
  // Every interface has a route of ff00::/8 in the local table, which is looked at first.
  const bool group6 = address.multicast() && !address.is_v4();
  AddrPtr network = to_netlink(address, destination.length);
  rtnl_route_set_family(route.get(), static_cast<std::uint8_t>(family_of(address)));
  rtnl_route_set_table(route.get(), group6 ? RT_TABLE_LOCAL : RT_TABLE_MAIN);
  rtnl_route_set_type(route.get(), group6 ? RTN_MULTICAST : RTN_UNICAST);
  rtnl_route_set_scope(route.get(), destination.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
  rtnl_route_set_dst(route.get(), network.get());
  if (address.multicast()) rtnl_route_set_metric(route.get(), RTAX_MTU, kMulticastMtu);
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, static_cast<int>(link));
  rtnl_route_add_nexthop(route.get(), hop);  // the route owns it now
  return route;
}

}  // namespace

struct Netlink::Impl {
  SocketPtr socket{nl_socket_alloc()};

  void change(unsigned link, const LinkPtr& wanted, const std::string& what) {
    LinkPtr original(rtnl_link_alloc());
    rtnl_link_set_ifindex(original.get(), static_cast<int>(link));
    if (int error = rtnl_link_change(socket.get(), original.get(), wanted.get(), 0); error < 0)
      fail(what, error);
  }
};

Netlink::Netlink() : impl_(std::make_unique<Impl>()) {
  if (!impl_->socket) throw PlatformError("out of memory");
  if (int error = nl_connect(impl_->socket.get(), NETLINK_ROUTE); error < 0)
    fail("open a netlink socket", error);
}
Netlink::~Netlink() = default;

std::vector<HostLink> Netlink::links() {
  nl_cache* cache = nullptr;
  if (int error = rtnl_link_alloc_cache(impl_->socket.get(), AF_UNSPEC, &cache); error < 0)
    fail("list interfaces", error);
  CachePtr owner(cache);
  return rows_of<HostLink>(cache, [](nl_object* object, std::vector<HostLink>& rows) {
    auto* link = reinterpret_cast<rtnl_link*>(object);
    unsigned flags = rtnl_link_get_flags(link);
    const char* name = rtnl_link_get_name(link);
    rows.push_back({static_cast<unsigned>(rtnl_link_get_ifindex(link)), name ? name : "",
                    rtnl_link_get_mtu(link), (flags & IFF_UP) != 0, (flags & IFF_LOOPBACK) != 0});
  });
}

std::vector<HostAddress> Netlink::addresses() {
  nl_cache* cache = nullptr;
  if (int error = rtnl_addr_alloc_cache(impl_->socket.get(), &cache); error < 0)
    fail("list addresses", error);
  CachePtr owner(cache);
  return rows_of<HostAddress>(cache, [](nl_object* object, std::vector<HostAddress>& rows) {
    auto* row = reinterpret_cast<rtnl_addr*>(object);
    auto address = from_netlink(rtnl_addr_get_local(row), rtnl_addr_get_family(row));
    if (!address) return;
    unsigned unusable = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;
    rows.push_back({*address, static_cast<unsigned>(rtnl_addr_get_prefixlen(row)),
                    static_cast<unsigned>(rtnl_addr_get_ifindex(row)),
                    (rtnl_addr_get_flags(row) & unusable) == 0});
  });
}

std::vector<HostRoute> Netlink::routes() {
  nl_cache* cache = nullptr;
  if (int error = rtnl_route_alloc_cache(impl_->socket.get(), AF_UNSPEC, 0, &cache); error < 0)
    fail("list routes", error);
  CachePtr owner(cache);
  return rows_of<HostRoute>(cache, append_route);
}

void Netlink::bring_up(unsigned link, std::uint16_t mtu) {
  quieten_ipv6(name_of_link(link));
  LinkPtr wanted(rtnl_link_alloc());
  rtnl_link_set_ifindex(wanted.get(), static_cast<int>(link));
  rtnl_link_set_mtu(wanted.get(), mtu);
  rtnl_link_set_flags(wanted.get(), IFF_UP);
  impl_->change(link, wanted, "switch " + name_of_link(link) + " on");
}

void Netlink::set_mtu(unsigned link, std::uint16_t mtu) {
  LinkPtr wanted(rtnl_link_alloc());
  rtnl_link_set_ifindex(wanted.get(), static_cast<int>(link));
  rtnl_link_set_mtu(wanted.get(), mtu);
  impl_->change(link, wanted, "set the MTU of " + name_of_link(link));
}

void Netlink::add_address(unsigned link, const IpAddress& address, unsigned length) {
  AddressPtr row(rtnl_addr_alloc());
  AddrPtr local = to_netlink(address, length);
  rtnl_addr_set_ifindex(row.get(), static_cast<int>(link));
  rtnl_addr_set_family(row.get(), family_of(address));
  rtnl_addr_set_local(row.get(), local.get());
  rtnl_addr_set_prefixlen(row.get(), static_cast<int>(length));
  rtnl_addr_set_flags(row.get(), IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
  int error = rtnl_addr_add(impl_->socket.get(), row.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (error < 0 && error != -NLE_EXIST)
    fail("give " + name_of_link(link) + " the address " + address.text(), error);
}

void Netlink::add_route(unsigned link, const IpPrefix& destination,
                        const std::optional<IpAddress>& source) {
  RoutePtr route = route_to(link, destination);
  rtnl_route_set_protocol(route.get(), kStaticProtocol);
  if (source) {
    AddrPtr preferred = to_netlink(*source, source->is_v4() ? 32 : 128);
    rtnl_route_set_pref_src(route.get(), preferred.get());
  }
  const std::string what = "route " + destination.text() + " to " + name_of_link(link);
  int error = rtnl_route_add(impl_->socket.get(), route.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (error == -NLE_EXIST) {
    // Replacing would take a route of the same network away from another interface.
    for (const HostRoute& row : routes())
      if (row.destination == destination && row.link == link && !row.local) return;
  }
  if (error < 0) fail(what, error);
}

void Netlink::remove_route(unsigned link, const IpPrefix& destination) {
  RoutePtr route = route_to(link, destination);
  int error = rtnl_route_delete(impl_->socket.get(), route.get(), 0);
  if (error < 0 && error != -NLE_OBJ_NOTFOUND && error != -NLE_FAILURE)
    fail("remove the route " + destination.text(), error);
}

NetlinkWatch::NetlinkWatch()
    : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (!fd_ || ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw system_error("cannot watch the host's network", errno);
}

bool NetlinkWatch::changed() {
  bool any = false;
  for (;;) {
    std::uint8_t scrap[4096];
    ssize_t size = ::recv(fd_.get(), scrap, sizeof scrap, MSG_TRUNC);
    // ENOBUFS: so many changes that some were lost; they are all of the same meaning here.
    if (size < 0 && errno != ENOBUFS && errno != EINTR) return any;
    if (size >= 0 || errno == ENOBUFS) any = true;
  }
}

}  // namespace i3
