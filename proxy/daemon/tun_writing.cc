#include "proxy/daemon/tun_writing.hh"

#include <algorithm>
#include <cassert>
#include <sys/uio.h>

namespace i3 {

TunWriting::TunWriting(bool virtio, bool udp)
    : virtio_(virtio), coalescer_(virtio && udp), copies_(kMostCopies) {}

void TunWriting::add(Bytes packet, bool borrow) {
  ++count_;
  if (!borrow) {
    assert(has_room(packet.size()));
    std::uint8_t* copy = copies_.data() + copied_;
    std::copy(packet.begin(), packet.end(), copy);
    copied_ += packet.size();
    packet = {copy, packet.size()};
  }
  if (virtio_)
    coalescer_.add(packet);
  else
    singly_.push_back(packet);
}

void TunWriting::flush(int fd) {
  coalescer_.each([&](const VirtioHeader& header, Bytes first, const std::vector<Bytes>& parts) {
    put(fd, header, first, parts);
  });
  for (Bytes packet : singly_) put(fd, {}, packet, {});
  coalescer_.clear();
  singly_.clear();
  copied_ = count_ = 0;
}

void TunWriting::put(int fd, const VirtioHeader& header, Bytes first,
                     const std::vector<Bytes>& parts) {
  std::array<iovec, 2 + Coalescer::kMaxParts> vectors;
  std::array<std::uint8_t, VirtioHeader::kSize> front;
  std::size_t count = 0;
  const auto add = [&](Bytes bytes) {
    // writev only reads.
    vectors[count++] = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  };
  if (virtio_) {
    header.write(front);
    add(front);
  }
  add(first);
  for (Bytes part : parts) add(part);
  if (::writev(fd, vectors.data(), static_cast<int>(count)) < 0) ++dropped_;
}

}  // namespace i3
