// Owns cutting a byte stream into the frames of a tunnel.
#pragma once

#include "overlay/wire/tunnel.hh"

namespace i3 {

// Holds at most one frame that is not complete yet.
class FrameStream {
 public:
  // Bytes as they came, in pieces of any size. `frame` is called with kind and body of each
  // complete frame, borrowed for the call, and may return false to stop. False: stopped, or the
  // stream is no tunnel's (an empty frame, or one that is too long), and nothing more can be read.
  template <class Take>
  bool feed(Bytes bytes, Take frame) {
    while (!bytes.empty()) {
      if (used_ < wire::kFrameHead) {
        buffer_[used_++] = bytes.front();
        bytes = bytes.subspan(1);
        continue;
      }
      const std::size_t whole = wire::kFrameHead + length();
      if (length() == 0 || length() > wire::kMaxFrame) return false;
      const std::size_t part = std::min(bytes.size(), whole - used_);
      std::copy_n(bytes.begin(), part, buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
      used_ += part;
      bytes = bytes.subspan(part);
      if (used_ < whole) return true;
      used_ = 0;
      if (!frame(Bytes(buffer_).subspan(wire::kFrameHead, whole - wire::kFrameHead))) return false;
    }
    return used_ < wire::kFrameHead || (length() != 0 && length() <= wire::kMaxFrame);
  }

 private:
  std::size_t length() const { return static_cast<std::size_t>(buffer_[0] << 8 | buffer_[1]); }

  std::array<std::uint8_t, wire::kFrameHead + wire::kMaxFrame> buffer_;
  std::size_t used_ = 0;
};

}  // namespace i3
