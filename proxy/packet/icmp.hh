// Owns the answers that the proxy gives to a captured packet in somebody's place: ICMP errors and
// TCP resets. Rate limiting is the caller's (overlay/base/token_bucket.hh).
#pragma once

#include "proxy/packet/ip_packet.hh"

namespace i3 {

// Enough for every answer: an IPv4 error is at most 576 bytes, an IPv6 one 1280.
inline constexpr std::size_t kReplyCapacity = 1280;

enum class Unreachable : std::uint8_t {
  host,        // IPv4 3/1, IPv6 1/3: programs see EHOSTUNREACH
  port,        // IPv4 3/3, IPv6 1/4: ECONNREFUSED
  prohibited,  // IPv4 3/13, IPv6 1/1: administratively
};

// The builders write one whole packet into `out` and return it. It is empty when no answer may be
// given (RFC 1122 3.2.2, RFC 4443 2.4 e): to ICMP errors and redirects, to later fragments, to
// packets from or to an address that is multicast, broadcast, loopback or
// unspecified; and when `out` is
// smaller than kReplyCapacity or `from` of another family. `from` becomes the sender: usually
// packet.destination(). It must not be an address of the host itself, whose kernel would drop it.
MutBytes build_unreachable(const IpView& packet, Unreachable reason, const IpAddress& from,
                           MutBytes out);
// Fragmentation needed (IPv4 3/4) or packet too big (IPv6 2), for whole packets of at most `mtu`
// bytes. Also for IPv4 packets without DF: their kernel learns the MTU all the same. Below 68 and
// 1280 the announced MTU is 68 and 1280: less is ignored by kernels.
MutBytes build_too_big(const IpView& packet, std::size_t mtu, const IpAddress& from, MutBytes out);
// Time exceeded in transit (IPv4 11/0, IPv6 3/0).
MutBytes build_time_exceeded(const IpView& packet, const IpAddress& from, MutBytes out);
// The reset that refuses a TCP segment (RFC 9293 3.10.7.1), from its destination to its source.
// Empty for everything but TCP, for resets and under the conditions above.
MutBytes build_tcp_reset(const IpView& packet, MutBytes out);

}  // namespace i3
