// Owns what main asks of the host on behalf of its settings: the one input of the parent process.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/xml/values.hh"
#include "proxy/platform/netlink.hh"
#include "proxy/platform/waypoint_names.hh"

namespace i3 {

// One address of the TUN and the network that is routed to it. The route carries the address as
// its source, so that connections to virtual addresses leave with the announced one.
struct TunAddress {
  IpAddress address;
  unsigned length = 0;  // of the routed network: 10 with 100.64.0.1 routes 100.64.0.0/10

  IpPrefix network() const;
};

struct TunRequest {
  std::string name = "i3";
  std::uint16_t mtu = 1400;
  std::optional<TunAddress> ipv4;
  std::optional<TunAddress> ipv6;
  // Further addresses of the TUN, without a network of their own: the DNS stub's.
  std::vector<IpAddress> host_addresses;
  // Networks beside those of ipv4 and ipv6.
  std::vector<IpPrefix> routes;
  // Multi-queue TUNs and virtio headers (docs/DESIGN.md, decision 24); one descriptor a queue.
  unsigned queues = 1;
  bool virtio_header = false;
};

// A file that the worker may have. Every other path is refused.
struct FileAccess {
  std::string path;
  bool replace = false;      // the worker may replace it, or make it where it is missing
  bool names_files = false;  // a configuration: what it names becomes allowed on a reload
};

struct DnsRequest {
  std::vector<IpAddress> stubs;  // UDP and TCP port 53 of each; each is one of the TUN's addresses
  bool loopback = false;  // further pairs on 127.0.0.1 and ::1, ports that the kernel chooses
  bool may_edit_resolv_conf = false;  // only where the user asked for it by name
  std::string resolv_conf = "/etc/resolv.conf";
};

// NAT between the TUN's networks and the world: a gateway's.
struct NatRequest {
  // Single addresses that the settings name: the worker may lead to those even where they are this
  // host's own, loopback or link-local. Called again on a reload.
  std::function<std::vector<IpAddress>()> named;
  // Networks that lead into tunnels of other daemons here: never given, as our own.
  std::function<std::vector<IpPrefix>(const std::vector<HostRoute>&, unsigned own_link)> tunnels;
  std::string forwarding_record;  // a file that remembers what forwarding was, for --cleanup
};

// A middle-box's.
struct InspectRequest {
  std::string link = "i3-inspect";
  bool inline_ = false;  // packets go on only if they come out of LINK-out
  std::string program;   // run by root, again when it ends; {tun} is the link; empty: none
  std::string plugins;   // path of the socket for plug-ins; empty: none
};

// Filled by main from checked settings. Addresses and ports that are in use are errors of the
// Parent's constructor.
struct PlatformRequest {
  std::string program = "i3-proxy";                  // in messages
  std::string pool_setting = "<virtual-addresses>";  // in messages: what to change on a collision
  std::optional<TunRequest> tun;     // none: a daemon without interface, such as i3-node
  std::vector<Endpoint> udp_listen;  // overlay sockets; port 0: chosen once, kept for good
  std::vector<Endpoint> tcp_listen;  // listening sockets: the metrics port
  DnsRequest dns;
  std::optional<NatRequest> nat;
  std::optional<InspectRequest> inspect;
  std::vector<Endpoint> zone_listen;  // of a gateway's DNS zone, UDP and TCP
  std::optional<WaypointRequest> waypoints;
  std::string control_socket;  // empty: none
  std::string control_group;   // empty or missing in the system: root only
  std::string state_file;      // empty: none
  std::vector<FileAccess> files;
  // Called before a reload: the files that the settings name by now. Throws, or is empty: the old
  // list stays.
  std::function<std::vector<FileAccess>()> reread_files;
  // Why a new text for a file with `names_files` is refused; empty: it is not. A worker that was
  // taken over must not reach other files by naming them in a configuration, hence a text must
  // name the same files, key and sockets as before. Without this function those files are
  // read-only.
  std::function<std::string(const std::string& path, const std::string& text)> refuse_replacement;
  // A worker that was ready and answers nothing for so long is killed and replaced.
  std::chrono::milliseconds hang_after = std::chrono::seconds(30);
  // Seed of the host's key; loaded by main, for the worker cannot read the key file.
  std::array<std::uint8_t, 32> seed{};
};

}  // namespace i3
