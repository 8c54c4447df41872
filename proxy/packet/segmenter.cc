#include "proxy/packet/segmenter.hh"

#include <algorithm>

namespace i3 {
namespace {
constexpr std::uint8_t kCwr = 0x80, kPsh = 0x08;
constexpr std::size_t kUdpChecksumOffset = 6, kTcpChecksumOffset = 16;
}  // namespace

bool complete_checksum(const VirtioHeader& header, MutBytes packet) {
  if ((header.flags & VirtioHeader::kNeedsChecksum) == 0) return true;
  const std::size_t start = header.checksum_start;
  const std::size_t field = start + header.checksum_offset;
  if (header.checksum_offset % 2 != 0 || field + 2 > packet.size()) return false;
  // The field holds the pseudo header's sum, so it takes part in the sum as it is.
  auto sum = static_cast<std::uint16_t>(~fold(sum_of(packet.subspan(start))));
  if (sum == 0 && header.checksum_offset == kUdpChecksumOffset) sum = 0xffff;
  store16(packet, field, sum);
  return true;
}

// 1 the headers  2 their kind  3 their shape
std::optional<Segmenter> Segmenter::of(const VirtioHeader& header, Bytes packet) {
  const auto view = IpView::parse(packet);
  if (!view || view->is_fragment() || header.gso_size == 0) return std::nullopt;
  Segmenter made;
  made.family_ = view->family();
  switch (header.gso_type & ~VirtioHeader::kEcn) {
    case VirtioHeader::kTcp4:
      if (!view->is_tcp() || made.family_ != Family::v4) return std::nullopt;
      break;
    case VirtioHeader::kTcp6:
      if (!view->is_tcp() || made.family_ != Family::v6) return std::nullopt;
      break;
    case VirtioHeader::kUdp:
      if (!view->is_udp()) return std::nullopt;
      made.tcp_ = false;
      break;
    default:
      return std::nullopt;
  }
  made.packet_ = packet;
  made.transport_ = view->transport_offset();
  made.headers_ =
      made.transport_ + (made.tcp_ ? tcp_header_length(view->transport()) : kUdpHeaderSize);
  made.each_ = header.gso_size;
  const std::size_t total = packet.size() - made.headers_;
  made.count_ = std::max<std::size_t>(1, (total + made.each_ - 1) / made.each_);
  made.addresses_ = pseudo_header_sum(view->source(), view->destination(), view->protocol(), 0);
  return made;
}

std::size_t Segmenter::largest() const {
  return size(0);
}

// 1 copy  2 network header  3 transport header  4 checksum
void Segmenter::write(std::size_t index, MutBytes out) const {
  const Bytes data = payload(index);
  std::copy_n(packet_.begin(), headers_, out.begin());
  std::copy(data.begin(), data.end(), out.begin() + static_cast<std::ptrdiff_t>(headers_));
  const MutBytes packet = out.first(headers_ + data.size());
  if (family_ == Family::v4) {
    store16(packet, 2, static_cast<std::uint16_t>(packet.size()));
    store16(packet, 4, static_cast<std::uint16_t>(load16(packet_, 4) + index));
    store16(packet, 10, 0);
    const Bytes ip = Bytes(packet).first(static_cast<std::size_t>(packet[0] & 0x0f) * 4);
    store16(packet, 10, static_cast<std::uint16_t>(~fold(sum_of(ip))));
  } else {
    store16(packet, 4, static_cast<std::uint16_t>(packet.size() - kIpv6HeaderSize));
  }
  const MutBytes transport = packet.subspan(transport_);
  std::size_t field = kUdpChecksumOffset;
  if (tcp_) {
    field = kTcpChecksumOffset;
    store32(transport, 4,
            load32(packet_, transport_ + 4) + static_cast<std::uint32_t>(index * each_));
    if (index > 0) transport[13] &= static_cast<std::uint8_t>(~kCwr);
    if (index + 1 < count_) transport[13] &= static_cast<std::uint8_t>(~(tcp_flag::kFin | kPsh));
  } else {
    store16(transport, 4, static_cast<std::uint16_t>(transport.size()));
  }
  store16(transport, field, 0);
  // The payload's from where it was read: its copy may still be on its way to this processor.
  const ChecksumSum header =
      sum_of(Bytes(transport).first(headers_ - transport_), addresses_ + transport.size());
  auto sum = static_cast<std::uint16_t>(~fold(sum_of(data, header)));
  if (sum == 0 && !tcp_) sum = 0xffff;
  store16(transport, field, sum);
}

}  // namespace i3
