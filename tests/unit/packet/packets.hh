// Owns the building of test packets with libtins, the independent judge of our byte work.
#pragma once

#include <optional>
#include <tins/tins.h>
#include <vector>

#include "overlay/base/id.hh"
#include "overlay/base/random.hh"
#include "proxy/packet/ip_packet.hh"

namespace i3::testing {

using Packet = std::vector<std::uint8_t>;

inline IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

inline IpAddress random_address(Random& random, Family family) {
  if (family == Family::v4)
    return IpAddress::v4(static_cast<std::uint32_t>(0x01000000 + random.below(0x7e000000)));
  auto bytes = random.array<16>();
  bytes[0] = 0x20;
  return IpAddress::v6(bytes);
}

inline Packet random_bytes(Random& random, std::size_t size) {
  Packet bytes(size);
  random.fill(bytes);
  return bytes;
}

enum class Kind { tcp, udp, echo, error };

// Everything that makes a packet but its addresses, so that it can be built twice.
struct Recipe {
  Family family = Family::v4;
  Kind kind = Kind::tcp;
  std::uint16_t source_port = 1000;
  std::uint16_t destination_port = 80;
  std::uint8_t flags = tcp_flag::kSyn;
  Packet payload;
  bool options = false;  // IPv4: stream identifier; IPv6: hop-by-hop and destination options
  std::optional<std::uint16_t> mss;
  std::uint8_t icmp_type = 0;  // of an error; 0: unreachable
  // For Kind::error: the packet quoted (it goes the other way), cut to `quoted_size` bytes.
  Kind quoted_kind = Kind::udp;
  std::size_t quoted_size = 1000;
};

inline Packet serialize(Tins::PDU& pdu) {
  const auto bytes = pdu.serialize();
  return Packet(bytes.begin(), bytes.end());
}

// libtins miscounts IPv4 options, so a stream identifier, padding and the end are put in here;
// the checksum is still its own.
inline Packet with_options(Packet packet) {
  const std::uint8_t options[] = {136, 4, 0x12, 0x34, 1, 1, 0, 0};
  packet.insert(packet.begin() + 20, std::begin(options), std::end(options));
  packet[0] = 0x47;
  store16(packet, 2, static_cast<std::uint16_t>(packet.size()));
  store16(packet, 10, 0);
  const std::uint16_t sum = Tins::Utils::sum_range(packet.data(), packet.data() + 28);
  const std::uint16_t checksum = static_cast<std::uint16_t>(~sum);
  std::memcpy(packet.data() + 10, &checksum, 2);  // libtins sums in the machine's byte order
  return packet;
}

inline Tins::PDU* transport_of(const Recipe& recipe, const Packet& quoted) {
  Tins::PDU* pdu = nullptr;
  const Packet& payload = recipe.kind == Kind::error ? quoted : recipe.payload;
  if (recipe.kind == Kind::tcp) {
    auto tcp = new Tins::TCP(recipe.destination_port, recipe.source_port);
    tcp->flags(recipe.flags);
    tcp->seq(0x01020304);
    tcp->ack_seq(0xa1a2a3a4);
    if (recipe.mss) tcp->mss(*recipe.mss);
    pdu = tcp;
  } else if (recipe.kind == Kind::udp) {
    pdu = new Tins::UDP(recipe.destination_port, recipe.source_port);
  } else if (recipe.family == Family::v4) {
    auto icmp = new Tins::ICMP(recipe.kind == Kind::echo ? Tins::ICMP::ECHO_REQUEST
                                                         : Tins::ICMP::DEST_UNREACHABLE);
    if (recipe.kind == Kind::error && recipe.icmp_type)
      icmp->type(static_cast<Tins::ICMP::Flags>(recipe.icmp_type));
    icmp->id(recipe.source_port);
    pdu = icmp;
  } else {
    auto icmp = new Tins::ICMPv6(recipe.kind == Kind::echo ? Tins::ICMPv6::ECHO_REQUEST
                                                           : Tins::ICMPv6::DEST_UNREACHABLE);
    if (recipe.kind == Kind::error && recipe.icmp_type)
      icmp->type(static_cast<Tins::ICMPv6::Types>(recipe.icmp_type));
    if (recipe.kind == Kind::echo) icmp->identifier(recipe.source_port);
    pdu = icmp;
  }
  if (!payload.empty())
    pdu->inner_pdu(new Tins::RawPDU(payload.data(), static_cast<std::uint32_t>(payload.size())));
  return pdu;
}

inline Packet build(const Recipe& recipe, const IpAddress& source, const IpAddress& destination) {
  Packet quoted;
  if (recipe.kind == Kind::error) {
    Recipe inner = recipe;
    inner.kind = recipe.quoted_kind;
    inner.options = false;
    quoted = build(inner, destination, source);
    quoted.resize(std::min(quoted.size(), recipe.quoted_size));
  }
  Tins::PDU* transport = transport_of(recipe, quoted);
  if (recipe.family == Family::v4) {
    Tins::IP packet(destination.text(), source.text());
    packet.ttl(64);
    packet.inner_pdu(transport);
    return recipe.options ? with_options(serialize(packet)) : serialize(packet);
  }
  Tins::IPv6 packet(destination.text(), source.text());
  packet.hop_limit(64);
  if (recipe.options) {
    const std::uint8_t padding[] = {1, 4, 0, 0, 0, 0};
    packet.add_header(Tins::IPv6::ext_header(Tins::IPv6::HOP_BY_HOP, sizeof padding, padding));
    packet.add_header(
        Tins::IPv6::ext_header(Tins::IPv6::DESTINATION_OPTIONS, sizeof padding, padding));
  }
  packet.inner_pdu(transport);
  return serialize(packet);
}

// Cuts a whole IPv4 or IPv6 packet without options into the piece that starts `offset` bytes into
// its payload (a multiple of 8) and holds `size` bytes of it.
inline Packet fragment_of(const Packet& whole, std::size_t offset, std::size_t size) {
  const bool v4 = whole[0] >> 4 == 4;
  const std::size_t header = v4 ? 20 : 40;
  const std::size_t end = std::min(whole.size(), header + offset + size);
  const bool more = end < whole.size();
  const Tins::RawPDU data(whole.data() + header + offset,
                          static_cast<std::uint32_t>(end - header - offset));
  if (v4) {
    Tins::IP packet(whole.data(), 20);
    packet.id(0x4711);
    packet.flags(more ? Tins::IP::MORE_FRAGMENTS : static_cast<Tins::IP::Flags>(0));
    packet.fragment_offset(static_cast<std::uint16_t>(offset / 8));
    packet.inner_pdu(data);
    packet.protocol(whole[9]);
    return serialize(packet);
  }
  Packet result(whole.begin(), whole.begin() + 40);
  const std::size_t length = 8 + end - header - offset;
  result[4] = static_cast<std::uint8_t>(length >> 8);
  result[5] = static_cast<std::uint8_t>(length);
  result[6] = 44;
  const std::size_t field = offset | (more ? 1u : 0u);
  const std::uint8_t extension[] = {
      whole[6], 0,   static_cast<std::uint8_t>(field >> 8), static_cast<std::uint8_t>(field), 0, 0,
      0x47,     0x11};
  result.insert(result.end(), std::begin(extension), std::end(extension));
  result.insert(result.end(), whole.begin() + static_cast<std::ptrdiff_t>(header + offset),
                whole.begin() + static_cast<std::ptrdiff_t>(end));
  return result;
}

// The view borrows the packet: it must be a named one.
inline IpView view(const Packet& packet) {
  return IpView::parse(packet).value();
}
IpView view(Packet&&) = delete;

inline std::string show(const Packet& packet) {
  return hex(packet);
}

}  // namespace i3::testing
