// Owns the Internet checksum (RFC 1071) and its incremental change (RFC 1624).
#pragma once

#include "proxy/packet/ip_packet.hh"

namespace i3 {

// Whether a packet's TCP or UDP checksum is complete, or holds only the pseudo header's sum and is
// to be completed by an offload (virtio's NEEDS_CSUM, Linux's CHECKSUM_PARTIAL).
enum class TransportChecksum : std::uint8_t { full, partial };

// A one's complement sum that is not folded yet; 64 bits hold that of any packet.
using ChecksumSum = std::uint64_t;

ChecksumSum sum_of(Bytes bytes, ChecksumSum sum = 0);
inline std::uint16_t fold(ChecksumSum sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}
// The pseudo header of TCP, UDP and ICMPv6 (RFC 9293, RFC 8200 8.1). Both addresses in one family.
ChecksumSum pseudo_header_sum(const IpAddress& source, const IpAddress& destination,
                              std::uint8_t protocol, std::size_t length);

// What replacing some bytes adds to a sum: ~old + new (RFC 1624, equation 3). The bytes replaced
// start at an even offset.
class ChecksumDelta {
 public:
  void replace16(std::uint16_t from, std::uint16_t to) {
    sum_ += static_cast<std::uint16_t>(~from);
    sum_ += to;
  }
  // Same size on both sides, an even number of bytes.
  void replace(Bytes from, Bytes to);

  // The checksum field after the change, from the one before it.
  std::uint16_t apply(std::uint16_t checksum) const {
    return static_cast<std::uint16_t>(~fold(static_cast<std::uint16_t>(~checksum) + sum_));
  }
  // The same for a field that holds an uncomplemented sum.
  std::uint16_t apply_partial(std::uint16_t sum) const { return fold(sum + sum_); }

 private:
  ChecksumSum sum_ = 0;
};

}  // namespace i3
