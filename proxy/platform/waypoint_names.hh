// Owns what an IP-to-i3 gateway's worker asks of its parent about waypoints: where the kernel sends
// UDP and echo requests that come to one. Values of requests (broker_messages.hh).
#pragma once

#include <optional>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/xml/values.hh"

namespace i3 {

inline constexpr std::size_t kMaximumWaypointNames = 512;     // in one request
inline constexpr std::size_t kMaximumWaypointsHeld = 100000;  // at a time

// | client 16 | waypoint 16 | has target 1 | target 16 | window 1 |; zeros where there is no
// target.
struct WaypointName {
  IpAddress client;  // whom it means that to; IPv6 waypoints mean it to everybody: ::
  IpAddress waypoint;
  std::optional<IpAddress> target;  // virtual, of the same family; none: nothing any more
  // It means it to whoever opens a flow of UDP or pings while this stands, and is bound to nothing.
  // `client` is then the network that asked (/24), or :: for all others. IPv4 only.
  bool window = false;

  bool operator==(const WaypointName&) const = default;
};
std::vector<WaypointName> read_waypoint_names(Reader& reader);  // | count 2 | each |
void write_waypoint_names(Writer& writer, const std::vector<WaypointName>& names);

// What main asks for: the waypoints, and what of them stays this host's own.
struct WaypointRequest {
  std::vector<IpRange> ranges4;
  std::optional<IpPrefix> prefix6;
  Ports ports;                    // of TCP, taken from the host
  std::vector<Endpoint> listen;   // of the zone's DNS server, UDP and TCP
  std::string forwarding_record;  // as of NatRequest
  bool any() const { return !ranges4.empty() || prefix6; }
};

}  // namespace i3
