// Owns the packets that are about to be written to the TUN device: those of one flow are joined
// into super-packets where the device takes them.
#pragma once

#include <utility>
#include <vector>

#include "proxy/packet/coalescer.hh"

namespace i3 {

class TunWriting {
 public:
  // `virtio`: each packet has a VirtioHeader in front; `udp`: and may be a UDP super-packet.
  TunWriting(bool virtio, bool udp);

  static constexpr std::size_t kMostCopies = 64 * 1024;  // bytes of packets that are not borrowed

  bool empty() const { return count_ == 0; }
  bool few() const { return count_ <= 2; }  // question and answer, not bulk
  bool has_room(std::size_t size) const { return size <= kMostCopies - copied_; }
  // With `borrow` the packet is not copied and stays as it is until flush(); without it only where
  // there is room.
  void add(Bytes packet, bool borrow);
  // Writes all; what the kernel refuses is counted and forgotten.
  void flush(int fd);
  std::uint64_t take_dropped() { return std::exchange(dropped_, 0); }

 private:
  void put(int fd, const VirtioHeader& header, Bytes first, const std::vector<Bytes>& parts);

  bool virtio_;
  Coalescer coalescer_;
  std::vector<Bytes> singly_;  // without a VirtioHeader
  std::vector<std::uint8_t> copies_;
  std::size_t copied_ = 0;
  std::size_t count_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace i3
