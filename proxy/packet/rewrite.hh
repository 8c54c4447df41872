// Owns the rewriting of addresses in a packet, with every checksum that covers them kept right by
// incremental change (RFC 1624): a checksum that was wrong stays wrong.
#pragma once

#include "proxy/packet/checksum.hh"

namespace i3 {

// Puts `source` and `destination` into the packet; pass the present ones to keep them. Changed are
// the IPv4 header checksum, the TCP, UDP and ICMPv6 checksum (not in later fragments, which carry
// none; a zero UDP checksum stays zero), and in ICMP errors the quoted packet: where it was sent
// to the old source or by the old destination it gets the new ones, with its own checksums as far
// as they are quoted (a checksum of which only half is quoted stays). False, and nothing changed,
// when an address is of another family.
bool rewrite_addresses(IpPacket& packet, const IpAddress& source, const IpAddress& destination,
                       TransportChecksum checksum = TransportChecksum::full);

inline bool rewrite_source(IpPacket& packet, const IpAddress& source,
                           TransportChecksum checksum = TransportChecksum::full) {
  return rewrite_addresses(packet, source, packet.destination(), checksum);
}
inline bool rewrite_destination(IpPacket& packet, const IpAddress& destination,
                                TransportChecksum checksum = TransportChecksum::full) {
  return rewrite_addresses(packet, packet.source(), destination, checksum);
}

// Lowers the MSS option of a SYN or SYN+ACK so that its segments fit packets of `mtu` bytes. True
// when it was lowered. A SYN without the option means 536 or 1220 bytes and is left alone.
bool clamp_mss(IpPacket& packet, std::size_t mtu,
               TransportChecksum checksum = TransportChecksum::full);

}  // namespace i3
