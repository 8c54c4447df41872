// Owns the nftables table of an IP-to-i3 gateway: TCP to a waypoint goes to the worker's listener,
// UDP and echo requests to the virtual address that the waypoint means. It lives in the parent and
// belongs to its netlink socket, so that the kernel removes it with that.
#pragma once

#include <memory>
#include <unordered_map>

#include "dnsintercept/nft_context.hh"
#include "proxy/platform/forwarding.hh"
#include "proxy/platform/inherited.hh"
#include "proxy/platform/netlink.hh"
#include "proxy/platform/waypoint_names.hh"

namespace i3 {

class WaypointTable {
 public:
  struct Places {
    std::string tun;
    Endpoint listener4, listener6;   // the worker's, at the TUN's own addresses; port 0: none
    std::vector<std::uint16_t> udp;  // the host's own ports: the overlay's
  };
  // Throws PlatformError if nftables refuses.
  WaypointTable(WaypointRequest request, Places places, Log& log);
  ~WaypointTable();

  // Another worker: what the one before said means nothing.
  void new_worker();
  // All or nothing; empty, or why not. Switches forwarding on.
  std::string set(const std::vector<WaypointName>& names, Netlink& netlink);
  bool has(const IpAddress& waypoint) const;

 private:
  bool four() const { return !request_.ranges4.empty() && places_.listener4.port != 0; }
  std::string mine() const;
  std::string way() const;
  std::string own() const;
  std::string after() const;
  std::string ruleset() const;

  Log& log_;
  WaypointRequest request_;
  Places places_;
  std::string table_;
  NftContext nft_;
  std::unique_ptr<Forwarding> forwarding_;
  std::unordered_map<std::string, std::string> held_;  // map and key, to the target
};

}  // namespace i3
