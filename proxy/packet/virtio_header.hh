// Owns the ten bytes that stand before each packet of a TUN device with offloads (struct
// virtio_net_hdr: Virtual I/O Device 1.2, 5.1.6; a TUN uses the machine's own byte order).
#pragma once

#include <cstring>

#include "overlay/base/bytes.hh"

namespace i3 {

struct VirtioHeader {
  static constexpr std::size_t kSize = 10;
  static constexpr std::uint8_t kNeedsChecksum = 1;  // flags: the checksum is partial
  static constexpr std::uint8_t kNone = 0, kTcp4 = 1, kTcp6 = 4, kUdp = 5;  // gso_type
  static constexpr std::uint8_t kEcn = 0x80;  // with a TCP type: CWR stands in the first segment

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kNone;
  std::uint16_t header_length = 0;    // bytes up to the transport's payload
  std::uint16_t gso_size = 0;         // payload bytes of each segment but the last
  std::uint16_t checksum_start = 0;   // bytes that are summed begin here
  std::uint16_t checksum_offset = 0;  // from there to the checksum's field

  // `bytes` has at least kSize bytes.
  static VirtioHeader read(Bytes bytes) {
    VirtioHeader header;
    assert(bytes.size() >= kSize);
    std::memcpy(&header, bytes.data(), kSize);
    return header;
  }
  void write(MutBytes bytes) const {
    assert(bytes.size() >= kSize);
    std::memcpy(bytes.data(), this, kSize);
  }
  bool is_super() const { return gso_type != kNone; }
};
static_assert(sizeof(VirtioHeader) == VirtioHeader::kSize);

}  // namespace i3
