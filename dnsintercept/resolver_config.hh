// Owns the reading of resolv.conf: which servers this host asks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "overlay/base/endpoint.hh"

namespace i3 {

inline constexpr std::size_t kMaxResolverConfig = 65536;
inline constexpr std::size_t kMaxNameservers = 8;

struct ResolverConfig {
  std::vector<IpAddress> nameservers;  // in order, each once, without our own line
  std::vector<std::string> search;
  // Servers that cannot be asked by address alone ("fe80::1%eth0"), for the log.
  std::vector<std::string> skipped;
  bool operator==(const ResolverConfig&) const = default;
};

// What stands in the comment of the line that resolv.conf mode writes; such lines are not read.
inline constexpr std::string_view kResolvConfMarker = "# written by i3-proxy";

// Reads at most kMaxResolverConfig bytes of `text`. Lines that say nothing to us are passed over:
// a resolv.conf is never wrong, it only says less.
ResolverConfig parse_resolver_config(std::string_view text);

// The servers to forward to: port 53 of each, without `own` (the stub's addresses).
std::vector<Endpoint> upstreams_of(const ResolverConfig& config, const std::vector<IpAddress>& own);

// The file's configuration; empty if it cannot be read.
ResolverConfig read_resolver_config(const std::string& path);

}  // namespace i3
