// Owns rtnetlink: links, addresses and routes of this network namespace, read and changed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/xml/values.hh"
#include "proxy/platform/unique_fd.hh"

namespace i3 {

// What a packet to a group may have, inside (proxy/host/multicast.hh): the kernel cuts longer ones.
inline constexpr std::uint32_t kMulticastMtu = 1320;

struct HostLink {
  unsigned index = 0;
  std::string name;
  unsigned mtu = 0;
  bool up = false;
  bool loopback = false;
};

struct HostAddress {
  IpAddress address;
  unsigned length = 0;
  unsigned link = 0;
  bool usable = true;  // neither tentative nor duplicate nor deprecated
};

struct HostRoute {
  IpPrefix destination;
  std::optional<IpAddress> gateway;
  unsigned link = 0;  // 0: none, such as unreachable and multipath routes
  std::uint32_t table = 0;
  std::uint32_t metric = 0;
  bool local = false;  // an address of this host
};

// Reading needs no privilege; the worker reads the underlay with it. Changing needs CAP_NET_ADMIN
// and throws PlatformError. Single-threaded.
class Netlink {
 public:
  Netlink();
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  // At most kMaximumRows of each; a router with a full table is not a host.
  static constexpr std::size_t kMaximumRows = 16384;
  std::vector<HostLink> links();
  std::vector<HostAddress> addresses();
  std::vector<HostRoute> routes();  // unicast, local and unreachable ones of all tables

  // Up, with this MTU; IPv6 without automatic addresses, router solicitation and duplicate
  // detection, so that an address is usable at once.
  void bring_up(unsigned link, std::uint16_t mtu);
  void set_mtu(unsigned link, std::uint16_t mtu);
  // Without the network's route.
  void add_address(unsigned link, const IpAddress& address, unsigned length);
  // A group's address has kMulticastMtu on its way. Replaces the same route; `source` is what
  // connections to it leave with.
  void add_route(unsigned link, const IpPrefix& destination,
                 const std::optional<IpAddress>& source);
  void remove_route(unsigned link, const IpPrefix& destination);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Tells that links, addresses or routes changed, without saying which: the owner reads again.
// Needs no privilege. descriptor() becomes readable; changed() empties it.
class NetlinkWatch {
 public:
  NetlinkWatch();
  int descriptor() const { return fd_.get(); }
  bool changed();

 private:
  UniqueFd fd_;
};

}  // namespace i3
