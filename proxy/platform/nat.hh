// Owns what a gateway's worker asks of its parent about NAT: which inner address stands for which
// real one, and what may be opened there. Values of requests (broker_messages.hh).
#pragma once

#include <optional>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/xml/values.hh"

namespace i3 {

inline constexpr std::size_t kMaximumNatNames = 256;         // in one request
inline constexpr std::size_t kMaximumNatRanges = 512;        // of one protocol
inline constexpr std::size_t kMaximumNatOpens = 1024;        // different ones
inline constexpr std::size_t kMaximumNatAddresses = 200000;  // inner ones at a time

// | number 2 | icmp 1 | TCP: count 2, first 2 and last 2 each | UDP the same |
struct NatOpens {
  std::uint16_t number = 0;  // for NatName::opens, of this worker
  bool icmp = false;
  std::vector<Ports::Range> tcp, udp;  // sorted, apart from each other

  static NatOpens read(Reader& reader);
  void write(Writer& writer) const;
  bool operator==(const NatOpens&) const = default;
};

// | inner 16 | has real 1 | real 16 | opens 2 |; zeros where there is no real address.
struct NatName {
  IpAddress inner;
  std::optional<IpAddress> real;  // of the same family; none: it stands for nothing any more
  std::uint16_t opens = 0;

  bool operator==(const NatName&) const = default;
};
std::vector<NatName> read_nat_names(Reader& reader);  // | count 2 | each |
void write_nat_names(Writer& writer, const std::vector<NatName>& names);

// False for loopback, link-local, multicast, 0.0.0.0/8, 240.0.0.0/4, the metadata addresses of
// clouds, and IPv6 forms of such: what no name may lead to unless a rule names the address.
bool may_be_reached(const IpAddress& real);

}  // namespace i3
