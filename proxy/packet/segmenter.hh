// Owns cutting a super-packet of the kernel into packets of the tunnel's size (TCP and UDP
// segmentation offload), and completing checksums that the kernel left partial.
#pragma once

#include <optional>

#include "proxy/packet/checksum.hh"
#include "proxy/packet/virtio_header.hh"

namespace i3 {

// Completes the TCP or UDP checksum where `header` says that it is partial. False if the header's
// offsets lie outside the packet; the packet is unchanged then.
bool complete_checksum(const VirtioHeader& header, MutBytes packet);

// One super-packet: borrowed, read only. What comes out is what a kernel without offloads would
// have sent: lengths, IPv4 IDs, sequence numbers, flags and full checksums of each segment.
class Segmenter {
 public:
  // Nothing unless `packet` is one whole TCP or UDP packet of the kind and shape `header` names.
  static std::optional<Segmenter> of(const VirtioHeader& header, Bytes packet);

  std::size_t count() const { return count_; }
  std::size_t largest() const;  // bytes of the first segment; no other one is longer
  std::size_t size(std::size_t index) const { return headers_ + payload(index).size(); }
  // Writes that segment to the start of `out`, which has room for size(index) bytes.
  void write(std::size_t index, MutBytes out) const;

 private:
  Segmenter() = default;
  Bytes payload(std::size_t index) const {
    const Bytes all = packet_.subspan(headers_);
    const std::size_t begin = index * each_;
    return all.subspan(begin, std::min(each_, all.size() - begin));
  }

  Bytes packet_;
  Family family_ = Family::v4;
  bool tcp_ = true;
  std::size_t transport_ = 0;  // offset of the transport header
  std::size_t headers_ = 0;    // bytes before the payload
  std::size_t each_ = 0;       // payload bytes of each segment but the last
  std::size_t count_ = 0;
  ChecksumSum addresses_ = 0;  // the pseudo header's part that all segments share
};

}  // namespace i3
