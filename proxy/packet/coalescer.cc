#include "proxy/packet/coalescer.hh"

#include <algorithm>

namespace i3 {
namespace {

constexpr std::uint8_t kPsh = 0x08, kEce = 0x40;
constexpr std::size_t kTcpFlags = 13;
constexpr std::uint8_t kTcp = ip_protocol::kTcp, kUdp = ip_protocol::kUdp;

bool same_bytes(Bytes a, Bytes b, std::size_t offset, std::size_t size) {
  return std::equal(a.begin() + static_cast<std::ptrdiff_t>(offset),
                    a.begin() + static_cast<std::ptrdiff_t>(offset + size),
                    b.begin() + static_cast<std::ptrdiff_t>(offset));
}

bool is_v4(Bytes packet) {
  return packet[0] >> 4 == 4;
}

ChecksumSum pseudo_sum(Bytes packet, std::uint8_t protocol, std::size_t length) {
  const Bytes addresses = is_v4(packet) ? packet.subspan(12, 8) : packet.subspan(8, 32);
  return sum_of(addresses) + protocol + length;
}

}  // namespace

// True for a whole TCP or UDP packet with plain headers and payload, to which others may be joined.
bool Coalescer::describe(Group& group) const {
  const Bytes packet = group.packet;
  if (packet.size() < kIpv4HeaderSize + kUdpHeaderSize) return false;
  std::uint8_t protocol = 0;
  if (packet[0] == 0x45) {
    if (load16(packet, 2) != packet.size() || (load16(packet, 6) & 0xbfff) != 0) return false;
    protocol = packet[9];
    group.transport = kIpv4HeaderSize;
  } else if (packet[0] >> 4 == 6) {
    if (packet.size() < kIpv6HeaderSize + kUdpHeaderSize ||
        load16(packet, 4) + kIpv6HeaderSize != packet.size())
      return false;
    protocol = packet[6];
    group.transport = kIpv6HeaderSize;
  } else {
    return false;
  }
  const Bytes transport = packet.subspan(group.transport);
  group.tcp = protocol == kTcp;
  group.has_flow = group.tcp || protocol == kUdp;
  std::size_t header = kUdpHeaderSize;
  if (group.tcp) {
    if (transport.size() < kTcpHeaderSize) return false;
    header = tcp_header_length(transport);
    const auto flags = static_cast<std::uint8_t>(transport[kTcpFlags] & ~(kPsh | kEce));
    if (flags != tcp_flag::kAck || header < kTcpHeaderSize || load16(transport, 18) != 0)
      return false;
    group.push = (transport[kTcpFlags] & kPsh) != 0;
  } else if (protocol != kUdp || !udp_ || load16(transport, 4) != transport.size() ||
             load16(transport, 6) == 0) {
    return false;
  }
  if (transport.size() <= header) return false;
  group.headers = group.transport + header;
  group.each = group.payload = packet.size() - group.headers;
  return true;
}

bool Coalescer::same_flow(const Group& group, const Group& other) {
  if (group.tcp != other.tcp || group.transport != other.transport) return false;
  const bool v4 = group.transport == kIpv4HeaderSize;
  return same_bytes(group.packet, other.packet, v4 ? 12 : 8, v4 ? 8 : 32) &&
         same_bytes(group.packet, other.packet, group.transport, 4);
}

// What Linux's receive offload asks for, and an IPv4 ID that counts.
bool Coalescer::continues(const Group& group, const Group& next) {
  const Bytes a = group.packet, b = next.packet;
  const std::size_t transport = group.transport;
  if (group.headers != next.headers || group.push || next.each > group.each ||
      group.payload != group.each * group.packets || group.packets == kMaxParts ||
      group.headers + group.payload + next.payload > kMostPacketBytes)
    return false;
  if (transport == kIpv4HeaderSize) {
    if (!same_bytes(a, b, 0, 2) || !same_bytes(a, b, 6, 4) ||
        load16(b, 4) != static_cast<std::uint16_t>(load16(a, 4) + group.packets))
      return false;
  } else if (!same_bytes(a, b, 0, 4) || !same_bytes(a, b, 6, 2)) {
    return false;
  }
  if (!group.tcp) return group.packets < kMaxUdpSegments;
  return load32(b, transport + 4) == load32(a, transport + 4) + group.payload &&
         same_bytes(a, b, transport + 8, 5) &&  // acknowledgement, header length
         ((a[transport + kTcpFlags] ^ b[transport + kTcpFlags]) & ~kPsh) == 0 &&
         same_bytes(a, b, transport + 14, 2) &&  // window
         same_bytes(a, b, transport + kTcpHeaderSize, group.headers - transport - kTcpHeaderSize);
}

// A wrong checksum must reach the receiver as it is, not be mended by joining.
bool Coalescer::valid_checksums(const Group& group) {
  if (group.transport == kIpv4HeaderSize &&
      fold(sum_of(group.packet.first(kIpv4HeaderSize))) != 0xffff)
    return false;
  const Bytes transport = group.packet.subspan(group.transport);
  // Of the two ways to write zero only UDP's is 0xffff (RFC 768).
  if (group.tcp && load16(transport, 16) == 0xffff) return false;
  return fold(sum_of(transport, pseudo_sum(group.packet, group.tcp ? kTcp : kUdp,
                                           transport.size()))) == 0xffff;
}

void Coalescer::add(Bytes packet) {
  Group next;
  next.packet = packet;
  const bool may_join = !packet.empty() && describe(next) && valid_checksums(next);
  if (may_join)
    for (std::size_t i = 0; i < open_count_; ++i)
      if (same_flow(groups_[open_[i]], next) && continues(groups_[open_[i]], next))
        return append(groups_[open_[i]], next);
  forget(next);
  groups_.push_back(next);
  if (may_join) remember(static_cast<std::uint32_t>(groups_.size() - 1));
}

// Nothing is joined across a packet of the same flow; what has no ports may belong to any flow.
void Coalescer::forget(const Group& group) {
  if (!group.has_flow) open_count_ = 0;
  for (std::size_t i = 0; i < open_count_; ++i)
    if (same_flow(groups_[open_[i]], group)) {
      std::copy(open_.begin() + static_cast<std::ptrdiff_t>(i) + 1, open_.end(),
                open_.begin() + static_cast<std::ptrdiff_t>(i));
      --open_count_;
      return;
    }
}

void Coalescer::remember(std::uint32_t index) {
  if (open_count_ == kMaxOpen) {
    std::copy(open_.begin() + 1, open_.end(), open_.begin());
    --open_count_;
  }
  open_[open_count_++] = index;
}

void Coalescer::append(Group& group, const Group& next) {
  if (group.packets == 1) add_part(group, group.packet.subspan(group.headers));
  add_part(group, next.packet.subspan(next.headers));
  ++group.packets;
  group.payload += next.payload;
  group.push = next.push;
}

void Coalescer::add_part(Group& group, Bytes payload) {
  const auto index = static_cast<std::uint32_t>(parts_.size());
  parts_.push_back({payload, kNone});
  (group.last_part == kNone ? group.first_part : parts_[group.last_part].next) = index;
  group.last_part = index;
}

// The first packet's headers with the lengths of the whole; the checksum left to the kernel.
VirtioHeader Coalescer::finish(const Group& group, MutBytes headers) const {
  std::copy_n(group.packet.begin(), group.headers, headers.begin());
  const std::size_t size = group.headers + group.payload;
  const bool v4 = group.transport == kIpv4HeaderSize;
  if (v4) {
    store16(headers, 2, static_cast<std::uint16_t>(size));
    store16(headers, 10, 0);
    store16(headers, 10, static_cast<std::uint16_t>(~fold(sum_of(headers.first(kIpv4HeaderSize)))));
  } else {
    store16(headers, 4, static_cast<std::uint16_t>(size - kIpv6HeaderSize));
  }
  const std::size_t length = size - group.transport;
  const MutBytes transport = headers.subspan(group.transport);
  VirtioHeader header;
  header.flags = VirtioHeader::kNeedsChecksum;
  header.gso_type = !group.tcp ? VirtioHeader::kUdp
                    : v4       ? VirtioHeader::kTcp4
                               : VirtioHeader::kTcp6;
  header.header_length = static_cast<std::uint16_t>(group.headers);
  header.gso_size = static_cast<std::uint16_t>(group.each);
  header.checksum_start = static_cast<std::uint16_t>(group.transport);
  header.checksum_offset = group.tcp ? 16 : 6;
  if (group.tcp) {
    if (group.push) transport[kTcpFlags] |= kPsh;
  } else {
    store16(transport, 4, static_cast<std::uint16_t>(length));
  }
  store16(transport, header.checksum_offset,
          fold(pseudo_sum(group.packet, group.tcp ? kTcp : kUdp, length)));
  return header;
}

void Coalescer::clear() {
  groups_.clear();
  parts_.clear();
  open_count_ = 0;
}

}  // namespace i3
