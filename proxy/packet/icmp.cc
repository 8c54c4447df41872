// Owns the building of ICMP errors and TCP resets.
#include "proxy/packet/icmp.hh"

#include "proxy/packet/checksum.hh"

namespace i3 {
namespace {

constexpr std::size_t kMaxErrorV4 = 576;   // RFC 1812 4.3.2.3
constexpr std::size_t kMaxErrorV6 = 1280;  // RFC 4443 2.4 c
constexpr std::uint8_t kReplyTtl = 64;

bool names_one_host(const IpAddress& address) {
  if (address.unspecified() || address.multicast() || address.loopback()) return false;
  if (!address.is_v4()) return true;
  const std::uint32_t host = address.to_v4();
  return host < 0xf0000000 && host >> 24 != 0;  // class E with the broadcast address, 0/8
}

// Types that are answers or advice themselves, so that an error could answer an error.
bool may_be_answered(const IpView& packet) {
  constexpr std::uint8_t kRedirect6 = 137;
  if (packet.is_icmp_error() || !packet.has_transport()) return false;
  if (packet.family() == Family::v6 && packet.is_icmp() && packet.icmp_type() == kRedirect6)
    return false;
  return names_one_host(packet.source());
}

// The IP header of an answer, up to where its payload starts. Checksums come last.
void write_ip_header(Writer& writer, Family family, const IpAddress& from, const IpAddress& to,
                     std::uint8_t protocol, std::size_t payload) {
  if (family == Family::v6) {
    writer.u32(0x60000000);
    writer.u16(static_cast<std::uint16_t>(payload));
    writer.u8(protocol);
    writer.u8(kReplyTtl);
    writer.bytes(from.bytes);
    writer.bytes(to.bytes);
    return;
  }
  std::array<std::uint8_t, kIpv4HeaderSize> header{};
  Writer fields(header);
  fields.u16(0x4500);
  fields.u16(static_cast<std::uint16_t>(kIpv4HeaderSize + payload));
  fields.u16(0);       // no identification: never fragmented (RFC 6864)
  fields.u16(0x4000);  // DF
  fields.u8(kReplyTtl);
  fields.u8(protocol);
  fields.u16(0);
  fields.u32(from.to_v4());
  fields.u32(to.to_v4());
  store16(header, 10, static_cast<std::uint16_t>(~fold(sum_of(header))));
  writer.bytes(header);
}

struct IcmpKind {
  std::uint8_t type;
  std::uint8_t code;
  std::uint32_t rest = 0;
};

// One ICMP error that quotes as much of the packet as its size allows.
MutBytes build_error(const IpView& packet, const IcmpKind& kind, const IpAddress& from,
                     MutBytes out) {
  const Family family = packet.family();
  const bool v4 = family == Family::v4;
  if (out.size() < kReplyCapacity || from.is_v4() != v4) return {};
  const std::size_t header = v4 ? kIpv4HeaderSize : kIpv6HeaderSize;
  const std::size_t most = (v4 ? kMaxErrorV4 : kMaxErrorV6) - header - kIcmpHeaderSize;
  const Bytes quote = packet.bytes().first(std::min(packet.size(), most));
  const std::size_t payload = kIcmpHeaderSize + quote.size();
  const IpAddress to = packet.source();
  const std::uint8_t protocol = v4 ? ip_protocol::kIcmp : ip_protocol::kIcmp6;

  Writer writer(out);
  write_ip_header(writer, family, from, to, protocol, payload);
  writer.u8(kind.type);
  writer.u8(kind.code);
  writer.u16(0);
  writer.u32(kind.rest);
  writer.bytes(quote);
  const MutBytes icmp = writer.written().subspan(header);
  const ChecksumSum pseudo = v4 ? 0 : pseudo_header_sum(from, to, protocol, payload);
  store16(icmp, 2, static_cast<std::uint16_t>(~fold(sum_of(icmp, pseudo))));
  return writer.written();
}

IcmpKind kind_of(Unreachable reason, Family family) {
  const bool v4 = family == Family::v4;
  switch (reason) {
    case Unreachable::host:
      return v4 ? IcmpKind{3, 1} : IcmpKind{1, 3};
    case Unreachable::port:
      return v4 ? IcmpKind{3, 3} : IcmpKind{1, 4};
    case Unreachable::prohibited:
      break;
  }
  return v4 ? IcmpKind{3, 13} : IcmpKind{1, 1};
}

// How much sequence space the segment takes (RFC 9293: SYN and FIN count one each).
std::uint32_t segment_length(const IpView& packet) {
  const Bytes tcp = packet.transport();
  const std::size_t data = tcp.size() - tcp_header_length(tcp);
  const std::uint8_t flags = packet.tcp_flags();
  const std::uint32_t marks =
      ((flags & tcp_flag::kSyn) ? 1u : 0u) + ((flags & tcp_flag::kFin) ? 1u : 0u);
  return static_cast<std::uint32_t>(data) + marks;
}

}  // namespace

MutBytes build_unreachable(const IpView& packet, Unreachable reason, const IpAddress& from,
                           MutBytes out) {
  if (!may_be_answered(packet) || !names_one_host(packet.destination())) return {};
  return build_error(packet, kind_of(reason, packet.family()), from, out);
}

MutBytes build_too_big(const IpView& packet, std::size_t mtu, const IpAddress& from, MutBytes out) {
  if (!may_be_answered(packet)) return {};
  if (packet.family() == Family::v4) {
    if (!names_one_host(packet.destination())) return {};
    const std::size_t told = std::clamp<std::size_t>(mtu, 68, 0xffff);
    return build_error(packet, {3, 4, static_cast<std::uint32_t>(told)}, from, out);
  }
  // The one error that may answer a packet to a multicast address (RFC 4443 2.4 e.3).
  const std::size_t told = std::clamp<std::size_t>(mtu, 1280, 0xffffffff);
  return build_error(packet, {2, 0, static_cast<std::uint32_t>(told)}, from, out);
}

MutBytes build_time_exceeded(const IpView& packet, const IpAddress& from, MutBytes out) {
  if (!may_be_answered(packet) || !names_one_host(packet.destination())) return {};
  const std::uint8_t type = packet.family() == Family::v4 ? 11 : 3;
  return build_error(packet, {type, 0}, from, out);
}

MutBytes build_tcp_reset(const IpView& packet, MutBytes out) {
  if (!packet.is_tcp() || !packet.has_transport() || out.size() < kReplyCapacity) return {};
  if (!names_one_host(packet.source()) || !names_one_host(packet.destination())) return {};
  const std::uint8_t flags = packet.tcp_flags();
  if (flags & tcp_flag::kRst) return {};
  const Bytes tcp = packet.transport();
  const bool acked = (flags & tcp_flag::kAck) != 0;
  const IpAddress from = packet.destination();
  const IpAddress to = packet.source();

  Writer writer(out);
  write_ip_header(writer, packet.family(), from, to, ip_protocol::kTcp, kTcpHeaderSize);
  const std::size_t header = writer.size();
  writer.u16(packet.destination_port());
  writer.u16(packet.source_port());
  writer.u32(acked ? load32(tcp, 8) : 0);
  writer.u32(acked ? 0 : load32(tcp, 4) + segment_length(packet));
  writer.u8(0x50);
  writer.u8(acked ? tcp_flag::kRst : static_cast<std::uint8_t>(tcp_flag::kRst | tcp_flag::kAck));
  writer.u16(0);  // window
  writer.u32(0);  // checksum, urgent pointer
  const MutBytes reset = writer.written().subspan(header);
  const ChecksumSum pseudo = pseudo_header_sum(from, to, ip_protocol::kTcp, kTcpHeaderSize);
  store16(reset, 16, static_cast<std::uint16_t>(~fold(sum_of(reset, pseudo))));
  return writer.written();
}

}  // namespace i3
