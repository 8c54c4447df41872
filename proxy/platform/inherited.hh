// Owns what a worker receives from its parent before anything else: descriptors and the key.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/xml/values.hh"
#include "proxy/platform/unique_fd.hh"

namespace i3 {

// A socket that is bound (UDP) or listening (TCP), non-blocking. The same open socket is given to
// every worker in turn: what arrived while none was alive is still in it.
struct BoundSocket {
  Endpoint local;  // with the port that the kernel chose
  UniqueFd fd;
};

struct DnsPair {
  IpAddress address;
  BoundSocket udp;
  BoundSocket tcp;
};

struct Inherited {
  std::array<std::uint8_t, 32> seed{};
  unsigned incarnation = 0;  // 0 for the first worker, one more with every respawn

  std::string tun_name;
  unsigned tun_index = 0;
  std::uint16_t mtu = 0;
  bool virtio_header = false;    // each packet of the TUN has a virtio_net_hdr in front
  bool ipv6 = false;             // the TUN has its IPv6 address
  std::vector<UniqueFd> tun;     // one a queue, non-blocking
  std::vector<IpPrefix> routes;  // added by earlier workers with add_route, still there

  std::vector<BoundSocket> udp;   // in the order of PlatformRequest::udp_listen
  std::vector<BoundSocket> tcp;   // in the order of PlatformRequest::tcp_listen
  std::vector<DnsPair> stubs;     // port 53 of the TUN's addresses
  std::vector<DnsPair> loopback;  // ::1 is missing on hosts without IPv6
  std::vector<DnsPair> zone;      // in the order of PlatformRequest::zone_listen
  // What TCP to waypoints is sent to: IPv4, IPv6 where there are such, each with its local address.
  std::vector<BoundSocket> waypoints;
  UniqueFd control;      // listening unix socket
  UniqueFd inspect_in;   // the interface on which a middle-box shows its packets
  UniqueFd inspect_out;  // the one from which they come back
  UniqueFd plugins;      // listening unix socket
  UniqueFd state;        // read and write
};

// The worker's first act. `fd` is the number after --worker; it stays open and is then given to
// the Broker. Also binds the worker's life to the parent's and closes /proc/self to others.
// Throws PlatformError, after which the worker should end: only a parent can talk to it.
Inherited receive_inherited(int fd);

// The parent's half: the same descriptors, duplicated into a message. False if the worker is gone.
bool send_inherited(int fd, const Inherited& held);

}  // namespace i3
