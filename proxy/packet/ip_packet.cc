// Owns the walk over IP headers and the checks that make a packet's fields safe to read.
#include "proxy/packet/ip_packet.hh"

namespace i3 {
namespace {

constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr int kMaxExtensionHeaders = 8;

constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNop = 1;
constexpr std::uint8_t kOptionLooseSourceRoute = 131;
constexpr std::uint8_t kOptionStrictSourceRoute = 137;

// Options are well formed and do not route.
bool options_acceptable(Bytes options) {
  std::size_t at = 0;
  while (at < options.size()) {
    const std::uint8_t kind = options[at];
    if (kind == kOptionEnd) return true;
    if (kind == kOptionNop) {
      ++at;
      continue;
    }
    if (kind == kOptionLooseSourceRoute || kind == kOptionStrictSourceRoute) return false;
    const std::size_t length = load8(options, at + 1);
    if (length < 2 || length > options.size() - at) return false;
    at += length;
  }
  return true;
}

std::optional<IpHeaders> walk_v4(Bytes bytes) {
  const std::size_t header = static_cast<std::size_t>(bytes[0] & 0x0f) * 4;
  if (header < kIpv4HeaderSize || header > bytes.size()) return std::nullopt;
  if (!options_acceptable(bytes.subspan(kIpv4HeaderSize, header - kIpv4HeaderSize)))
    return std::nullopt;
  IpHeaders found;
  found.family = Family::v4;
  found.protocol = bytes[9];
  const std::uint16_t fragment = load16(bytes, 6);
  found.more_fragments = (fragment & 0x2000) != 0;
  found.fragment_offset = static_cast<std::uint16_t>((fragment & 0x1fff) * 8);
  found.fragment_id = load16(bytes, 4);
  found.transport = static_cast<std::uint32_t>(header);
  found.total_length = load16(bytes, 2);
  if (found.total_length < header) return std::nullopt;
  return found;
}

bool mapped_v4(Bytes address) {
  for (std::size_t i = 0; i < 10; ++i)
    if (address[i] != 0) return false;
  return address[10] == 0xff && address[11] == 0xff;
}

// Steps over the extension header of kind found.protocol at found.transport.
bool step_over(Bytes bytes, IpHeaders& found) {
  const std::size_t at = found.transport;
  if (bytes.size() < at + 8) return false;
  std::size_t length = 8;
  if (found.protocol == kFragment) {
    const std::uint16_t field = load16(bytes, at + 2);
    found.fragment_offset = static_cast<std::uint16_t>(field & 0xfff8);
    found.more_fragments = (field & 1) != 0;
    found.fragment_id = load32(bytes, at + 4);
  } else {
    if (found.protocol == kRouting && bytes[at + 3] != 0) return false;
    length = (std::size_t{bytes[at + 1]} + 1) * 8;
  }
  if (bytes.size() < at + length) return false;
  found.protocol = bytes[at];
  found.transport = static_cast<std::uint32_t>(at + length);
  return true;
}

bool is_extension(std::uint8_t protocol) {
  return protocol == kHopByHop || protocol == kRouting || protocol == kFragment ||
         protocol == kDestinationOptions;
}

std::optional<IpHeaders> walk_v6(Bytes bytes) {
  if (bytes.size() < kIpv6HeaderSize) return std::nullopt;
  if (mapped_v4(bytes.subspan(8, 16)) || mapped_v4(bytes.subspan(24, 16))) return std::nullopt;
  IpHeaders found;
  found.family = Family::v6;
  found.protocol = bytes[6];
  found.transport = kIpv6HeaderSize;
  found.total_length = static_cast<std::uint32_t>(kIpv6HeaderSize + load16(bytes, 4));
  bool fragment_seen = false;
  for (int count = 0; is_extension(found.protocol); ++count) {
    if (count == kMaxExtensionHeaders) return std::nullopt;
    if (found.protocol == kFragment && std::exchange(fragment_seen, true)) return std::nullopt;
    if (!step_over(bytes, found)) return std::nullopt;
    if (found.fragment_offset != 0) break;  // what follows is data, not headers
  }
  if (found.total_length < found.transport) return std::nullopt;
  return found;
}

// The transport header is complete where this packet holds it, and a later fragment leaves the
// first one's alone.
bool transport_acceptable(Bytes payload, const IpHeaders& headers) {
  const bool tcp = headers.protocol == ip_protocol::kTcp;
  if (headers.fragment_offset != 0) return !tcp || headers.fragment_offset >= kTcpHeaderSize;
  if (tcp) {
    if (payload.size() < kTcpHeaderSize) return false;
    const std::size_t header = tcp_header_length(payload);
    return header >= kTcpHeaderSize && header <= payload.size();
  }
  if (headers.protocol == ip_protocol::kUdp) {
    if (payload.size() < kUdpHeaderSize) return false;
    const std::size_t length = load16(payload, 4);
    return length >= kUdpHeaderSize && (headers.more_fragments || length <= payload.size());
  }
  const bool icmp =
      headers.protocol == (headers.family == Family::v4 ? ip_protocol::kIcmp : ip_protocol::kIcmp6);
  return !icmp || payload.size() >= kIcmpHeaderSize;
}

IpAddress address_at(Bytes header, Family family, std::size_t v4_offset, std::size_t v6_offset) {
  if (family == Family::v4) return IpAddress::v4(load32(header, v4_offset));
  IpAddress address;
  if (header.size() >= v6_offset + 16)
    std::copy_n(header.data() + v6_offset, 16, address.bytes.data());
  return address;
}

}  // namespace

IpAddress source_in(Bytes header, Family family) {
  return address_at(header, family, 12, 8);
}
IpAddress destination_in(Bytes header, Family family) {
  return address_at(header, family, 16, 24);
}

std::optional<IpHeaders> IpHeaders::walk(Bytes bytes) {
  if (bytes.size() < kIpv4HeaderSize) return std::nullopt;
  switch (bytes[0] >> 4) {
    case 4:
      return walk_v4(bytes);
    case 6:
      return walk_v6(bytes);
    default:
      return std::nullopt;
  }
}

std::optional<IpView> IpView::parse(Bytes packet) {
  const auto headers = IpHeaders::walk(packet);
  if (!headers || headers->total_length != packet.size()) return std::nullopt;
  if (!transport_acceptable(packet.subspan(headers->transport), *headers)) return std::nullopt;
  return IpView(packet, *headers);
}

IpAddress IpView::source() const {
  return source_in(bytes_, family());
}
IpAddress IpView::destination() const {
  return destination_in(bytes_, family());
}

bool IpView::dont_fragment() const {
  return family() == Family::v6 || (load16(bytes_, 6) & 0x4000) != 0;
}

bool IpView::is_echo_request() const {
  return has_icmp() && icmp_type() == (family() == Family::v4 ? 8 : 128);
}
bool IpView::is_echo_reply() const {
  return has_icmp() && icmp_type() == (family() == Family::v4 ? 0 : 129);
}
std::uint16_t IpView::icmp_id() const {
  return is_echo_request() || is_echo_reply() ? load16(transport(), 4) : std::uint16_t{0};
}

bool IpView::is_icmp_error() const {
  if (!has_icmp()) return false;
  const std::uint8_t type = icmp_type();
  if (family() == Family::v6) return type < 128;
  return (type >= 3 && type <= 5) || type == 11 || type == 12;
}

std::optional<QuotedPacket> IpView::quoted() const {
  if (!is_icmp_error()) return std::nullopt;
  QuotedPacket quote;
  quote.offset = headers_.transport + kIcmpHeaderSize;
  const Bytes bytes = bytes_.subspan(quote.offset);
  const auto headers = IpHeaders::walk(bytes);
  if (!headers || headers->family != family()) return std::nullopt;
  quote.headers = *headers;
  quote.transport = quote.offset + headers->transport;
  quote.source = source_in(bytes, family());
  quote.destination = destination_in(bytes, family());
  return quote;
}

}  // namespace i3
