// Owns binding the sockets that survive workers, with messages that say who is in the way.
#pragma once

#include <string>

#include "overlay/base/log.hh"
#include "proxy/platform/inherited.hh"

namespace i3 {

// [::] means both families where the host has IPv6, else IPv4 alone. PlatformError if taken.
BoundSocket bind_udp(const Endpoint& local, const std::string& purpose);
BoundSocket listen_tcp(const Endpoint& local, const std::string& purpose);
// UDP and TCP. Port 0: the same kernel-chosen port for both.
DnsPair bind_dns(const IpAddress& address, std::uint16_t port);

// A listening unix socket, 0660 for root and `group`; a missing group is a warning and leaves
// 0600. Makes the folder. A stale file is replaced; a living owner is a PlatformError.
UniqueFd listen_control(const std::string& path, const std::string& group,
                        const std::string& program, Log& log);
// True if somebody accepts connections at `path`.
bool control_alive(const std::string& path);

}  // namespace i3
