// Owns opening TUN devices: packets of the kernel as reads and writes.
#pragma once

#include <string>
#include <vector>

#include "proxy/platform/unique_fd.hh"

namespace i3 {

struct TunDevice {
  std::string name;
  unsigned index = 0;
  std::vector<UniqueFd>
      queues;  // non-blocking; one IP packet a read or write, no header of its own
};

struct TunOptions {
  std::string name;
  unsigned queues = 1;         // more than one sets IFF_MULTI_QUEUE
  bool virtio_header = false;  // IFF_VNET_HDR, 10 bytes before each packet
};

// A new interface that vanishes with its last descriptor. PlatformError: no permission (exit code
// 3, names the capability), name taken, no /dev/net/tun.
TunDevice open_tun(const TunOptions& options);

// What the kernel may give and take in one piece through a queue with virtio headers.
struct TunOffloads {
  bool tcp = false;  // TCP super-packets and partial checksums
  bool udp = false;  // UDP super-packets (Linux 6.2)
};
// Switches on what the kernel has. Needs no privilege.
TunOffloads enable_offloads(int queue);

}  // namespace i3
