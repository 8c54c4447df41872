// Owns the order of a rewrite: addresses, IP header checksum, transport checksum, quoted packet.
#include "proxy/packet/rewrite.hh"

namespace i3 {
namespace {

constexpr std::size_t kIpv4Checksum = 10;
constexpr std::size_t kTcpChecksum = 16;
constexpr std::size_t kUdpChecksum = 6;
constexpr std::size_t kIcmpChecksum = 2;

// The address's bytes as they stand in a header of `family`.
Bytes wire_bytes(const IpAddress& address, Family family) {
  return Bytes(address.bytes).subspan(family == Family::v4 ? 12 : 0);
}

// Puts an address into the IP header at the start of `header` and returns what that adds to sums.
void put_address(MutBytes header, Family family, bool source, const IpAddress& address,
                 ChecksumDelta& delta) {
  const std::size_t offset = family == Family::v4 ? (source ? 12 : 16) : (source ? 8 : 24);
  const Bytes fresh = wire_bytes(address, family);
  const MutBytes field = header.subspan(offset, fresh.size());
  delta.replace(field, fresh);
  std::copy(fresh.begin(), fresh.end(), field.begin());
}

// Where the checksum over the pseudo header stands in a transport header; nothing for protocols
// whose checksum does not cover it.
std::optional<std::size_t> pseudo_checksum_offset(std::uint8_t protocol, Family family) {
  if (protocol == ip_protocol::kTcp) return kTcpChecksum;
  if (protocol == ip_protocol::kUdp) return kUdpChecksum;
  if (protocol == ip_protocol::kIcmp6 && family == Family::v6) return kIcmpChecksum;
  return std::nullopt;
}

std::uint16_t changed(std::uint16_t before, const ChecksumDelta& delta, bool udp,
                      TransportChecksum kind) {
  if (kind == TransportChecksum::partial) return delta.apply_partial(before);
  if (udp && before == 0) return 0;  // not computed by the sender
  const std::uint16_t after = delta.apply(before);
  return udp && after == 0 ? std::uint16_t{0xffff} : after;
}

// Changes one checksum field in place and returns through `outer` what that adds to a checksum
// that covers the field.
void change_field(MutBytes bytes, std::size_t offset, const ChecksumDelta& delta, bool udp,
                  TransportChecksum kind, ChecksumDelta* outer) {
  if (bytes.size() < 2 || offset > bytes.size() - 2) return;  // a quotation may end earlier
  const std::uint16_t before = load16(bytes, offset);
  const std::uint16_t after = changed(before, delta, udp, kind);
  store16(bytes, offset, after);
  if (outer) outer->replace16(before, after);
}

// The packet that an ICMP error quotes went the other way: its destination is the error's sender,
// its source the error's receiver. Returns what the changes add to the ICMP checksum.
ChecksumDelta rewrite_quoted(MutBytes bytes, const QuotedPacket& quote, const IpAddress& from,
                             const IpAddress& to, const IpAddress& new_from,
                             const IpAddress& new_to) {
  const Family family = quote.headers.family;
  const MutBytes header = bytes.subspan(quote.offset);
  ChecksumDelta addresses;
  if (quote.destination == from) put_address(header, family, false, new_from, addresses);
  if (quote.source == to) put_address(header, family, true, new_to, addresses);
  ChecksumDelta all = addresses;
  if (family == Family::v4)
    change_field(header, kIpv4Checksum, addresses, false, TransportChecksum::full, &all);
  const auto offset = pseudo_checksum_offset(quote.headers.protocol, family);
  if (offset && quote.headers.fragment_offset == 0)
    change_field(bytes, quote.transport + *offset, addresses,
                 quote.headers.protocol == ip_protocol::kUdp, TransportChecksum::full, &all);
  return all;
}

// Lowers the value of the MSS option at `offset` of the TCP header.
bool lower_mss(IpPacket& packet, std::size_t offset, std::uint16_t limit,
               TransportChecksum checksum) {
  const MutBytes tcp = packet.mutable_transport();
  const std::uint16_t before = load16(tcp, offset);
  if (before <= limit) return false;
  store16(tcp, offset, limit);
  if (checksum == TransportChecksum::partial) return true;  // that sum has no TCP bytes in it
  const auto swapped = [](std::uint16_t value) {
    return static_cast<std::uint16_t>(value << 8 | value >> 8);
  };
  ChecksumDelta delta;
  // At an odd offset the two bytes belong to different words, which swaps their weights.
  if (offset % 2 == 0)
    delta.replace16(before, limit);
  else
    delta.replace16(swapped(before), swapped(limit));
  store16(tcp, kTcpChecksum, delta.apply(load16(tcp, kTcpChecksum)));
  return true;
}

}  // namespace

bool rewrite_addresses(IpPacket& packet, const IpAddress& source, const IpAddress& destination,
                       TransportChecksum checksum) {
  const Family family = packet.family();
  const bool v4 = family == Family::v4;
  if (source.is_v4() != v4 || destination.is_v4() != v4) return false;
  const IpAddress old_source = packet.source();
  const IpAddress old_destination = packet.destination();
  const bool source_changes = source != old_source;
  const bool destination_changes = destination != old_destination;
  if (!source_changes && !destination_changes) return true;
  const auto quote = packet.quoted();

  const MutBytes bytes = packet.mutable_bytes();
  ChecksumDelta addresses;
  if (source_changes) put_address(bytes, family, true, source, addresses);
  if (destination_changes) put_address(bytes, family, false, destination, addresses);
  if (v4) change_field(bytes, kIpv4Checksum, addresses, false, TransportChecksum::full, nullptr);

  if (!packet.has_transport()) return true;
  const MutBytes transport = packet.mutable_transport();
  if (const auto offset = pseudo_checksum_offset(packet.protocol(), family))
    change_field(transport, *offset, addresses, packet.is_udp(), checksum, nullptr);
  if (quote) {
    const ChecksumDelta inner =
        rewrite_quoted(bytes, *quote, old_source, old_destination, source, destination);
    change_field(transport, kIcmpChecksum, inner, false, TransportChecksum::full, nullptr);
  }
  return true;
}

bool clamp_mss(IpPacket& packet, std::size_t mtu, TransportChecksum checksum) {
  constexpr std::uint8_t kEnd = 0, kNop = 1, kMss = 2;
  if ((packet.tcp_flags() & tcp_flag::kSyn) == 0) return false;
  const std::size_t headers =
      kTcpHeaderSize + (packet.family() == Family::v4 ? kIpv4HeaderSize : kIpv6HeaderSize);
  if (mtu <= headers) return false;
  const auto limit = static_cast<std::uint16_t>(std::min<std::size_t>(mtu - headers, 0xffff));
  const Bytes tcp = packet.transport();
  const std::size_t end = tcp_header_length(tcp);
  std::size_t at = kTcpHeaderSize;
  while (at < end && tcp[at] != kEnd) {
    if (tcp[at] == kNop) {
      ++at;
      continue;
    }
    const std::size_t length = at + 1 < end ? tcp[at + 1] : 0;
    if (length < 2 || length > end - at) return false;
    if (tcp[at] == kMss && length == 4) return lower_mss(packet, at + 2, limit, checksum);
    at += length;
  }
  return false;
}

}  // namespace i3
