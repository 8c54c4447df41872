// Owns what an IP-to-i3 gateway says inside its sessions: to a server whom a connection is for, and
// to the machine with the waypoints which name an address was given.
#pragma once

#include <string>

#include "overlay/base/endpoint.hh"
#include "overlay/wire/hello.hh"

namespace i3::wire {

// Further values of Control (hello.hh).
inline constexpr Control kClientNote{20}, kWaypointNote{21};

// "The connection that you see from my port is that client's." Sent once when it stands.
//  20 | protocol 1 (IP's number) | own port 2 | gateway's port 2 | client 16 (IPv4 mapped) | port 2
struct ClientNote {
  std::uint8_t protocol = 6;
  std::uint16_t own_port = 0;      // of the receiver
  std::uint16_t gateway_port = 0;  // of the sender's virtual address
  Endpoint client;

  static std::optional<ClientNote> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

// "I gave this address for that name: open its window." Sent twice, for it is not acknowledged.
//  21 | waypoint 4 | asker 16 (IPv4 mapped) | name: the rest, 1 to 253 bytes
struct WaypointNote {
  static constexpr std::size_t kMaxName = 253;
  IpAddress waypoint;  // IPv4
  IpAddress asker;
  std::string name;  // lower case, printable ASCII, without the overlay's suffix

  static std::optional<WaypointNote> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
