// Owns the parsing of IP packets in place: IPv4 with options, IPv6 with extension headers, and the
// transport fields that the proxy looks at.
#pragma once

#include <optional>
#include <utility>

#include "overlay/base/endpoint.hh"
#include "proxy/packet/fields.hh"

namespace i3 {

enum class Family : std::uint8_t { v4, v6 };

namespace ip_protocol {
inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kIcmp6 = 58;
}  // namespace ip_protocol

namespace tcp_flag {
inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kAck = 0x10;
}  // namespace tcp_flag

inline constexpr std::size_t kIpv4HeaderSize = 20;
inline constexpr std::size_t kIpv6HeaderSize = 40;
inline constexpr std::size_t kTcpHeaderSize = 20;
inline constexpr std::size_t kUdpHeaderSize = 8;
inline constexpr std::size_t kIcmpHeaderSize = 8;

// As a TCP header's own field says; unchecked where the packet was not parsed.
inline std::size_t tcp_header_length(Bytes tcp) {
  return static_cast<std::size_t>(load8(tcp, 12) >> 4) * 4;
}

// What one walk over the network headers finds. Offsets count from the start of the IP header.
struct IpHeaders {
  Family family = Family::v4;
  std::uint8_t protocol = 0;  // of the transport, behind all extension headers walked
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;  // in bytes
  std::uint32_t fragment_id = 0;
  std::uint32_t transport = 0;     // offset of the transport header or the fragment's data
  std::uint32_t total_length = 0;  // as the header claims

  // Only `bytes` up to the transport header must be there. Nothing for malformed headers, source
  // routing that is still under way (then the pseudo header holds another destination than the IP
  // header), more than eight extension headers, and IPv4-mapped addresses in an IPv6 header
  // (they would be taken for IPv4 ones).
  static std::optional<IpHeaders> walk(Bytes bytes);
};

// The start of a packet quoted in an ICMP error. Offsets count from the start of the outer packet.
struct QuotedPacket {
  IpHeaders headers;
  std::size_t offset = 0;     // of the quoted IP header
  std::size_t transport = 0;  // of the quoted transport header; bytes may end before it does
  IpAddress source;
  IpAddress destination;
};

// A whole packet, read only. It borrows the bytes: they must outlive it and keep their layout.
class IpView {
 public:
  // Nothing unless the bytes are exactly one packet (lengths equal, no trailing bytes) whose TCP,
  // UDP or ICMP header, where it must be in this packet, is complete and consistent. First
  // fragments that do not hold a whole transport header and TCP fragments that would overwrite
  // one (RFC 1858, RFC 3128) are malformed. Checksums are not looked at: the kernel does that.
  static std::optional<IpView> parse(Bytes packet);

  Bytes bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  Family family() const { return headers_.family; }
  IpAddress source() const;
  IpAddress destination() const;
  // Behind the extension headers; kIcmp6 for ICMPv6.
  std::uint8_t protocol() const { return headers_.protocol; }
  bool is_tcp() const { return protocol() == ip_protocol::kTcp; }
  bool is_udp() const { return protocol() == ip_protocol::kUdp; }
  // ICMP of the packet's own family; the other family's protocol number is just a number.
  bool is_icmp() const {
    return protocol() == (family() == Family::v4 ? ip_protocol::kIcmp : ip_protocol::kIcmp6);
  }
  std::uint8_t ttl() const { return load8(bytes_, family() == Family::v4 ? 8 : 7); }
  // IPv4's DF bit; always true for IPv6.
  bool dont_fragment() const;

  // A piece of a larger packet. (An IPv6 'atomic fragment', RFC 6946, is a whole packet.)
  bool is_fragment() const { return headers_.more_fragments || headers_.fragment_offset != 0; }
  bool is_first_fragment() const {
    return headers_.more_fragments && headers_.fragment_offset == 0;
  }
  std::uint32_t fragment_id() const { return headers_.fragment_id; }
  // True when the transport header is in this packet: all but later fragments.
  bool has_transport() const { return headers_.fragment_offset == 0; }
  std::size_t transport_offset() const { return headers_.transport; }
  Bytes transport() const { return bytes_.subspan(headers_.transport); }

  // The following are zero or false for packets of other protocols and for later fragments.
  std::uint16_t source_port() const { return has_ports() ? load16(transport(), 0) : uint16_t{0}; }
  std::uint16_t destination_port() const {
    return has_ports() ? load16(transport(), 2) : uint16_t{0};
  }
  std::uint8_t tcp_flags() const {
    return is_tcp() && has_transport() ? load8(transport(), 13) : uint8_t{0};
  }
  // Opens a connection: SYN without ACK.
  bool is_tcp_open() const {
    return (tcp_flags() & (tcp_flag::kSyn | tcp_flag::kAck)) == tcp_flag::kSyn;
  }
  std::uint8_t icmp_type() const { return has_icmp() ? load8(transport(), 0) : uint8_t{0}; }
  std::uint8_t icmp_code() const { return has_icmp() ? load8(transport(), 1) : uint8_t{0}; }
  // The identifier of an echo request or reply.
  std::uint16_t icmp_id() const;
  bool is_echo_request() const;
  bool is_echo_reply() const;
  // IPv4: unreachable, source quench, redirect, time exceeded, parameter problem. IPv6: types
  // below 128.
  bool is_icmp_error() const;
  // What an ICMP error quotes; nothing for other packets and where the quoted IP header (with its
  // extension headers) is cut off or malformed.
  std::optional<QuotedPacket> quoted() const;

 protected:
  IpView(Bytes bytes, const IpHeaders& headers) : bytes_(bytes), headers_(headers) {}
  bool has_ports() const { return has_transport() && (is_tcp() || is_udp()); }
  bool has_icmp() const { return has_transport() && is_icmp(); }

  Bytes bytes_;
  IpHeaders headers_;
};

// The same over bytes that may be changed (rewrite.hh). Changes must not move headers.
class IpPacket : public IpView {
 public:
  static std::optional<IpPacket> parse(MutBytes packet) {
    auto view = IpView::parse(packet);
    if (!view) return std::nullopt;
    return IpPacket(packet, *view);
  }
  MutBytes mutable_bytes() const { return mutable_; }
  MutBytes mutable_transport() const { return mutable_.subspan(headers_.transport); }

 private:
  IpPacket(MutBytes bytes, const IpView& view) : IpView(view), mutable_(bytes) {}
  MutBytes mutable_;
};

// The addresses at the start of an IP header of `family`; zeros where the bytes end early.
IpAddress source_in(Bytes header, Family family);
IpAddress destination_in(Bytes header, Family family);

}  // namespace i3
