// Owns the datagrams that wait for a stalled connection: the oldest go, so that the delay stays
// bounded (docs/PROTOCOL.md, "Over TLS").
#pragma once

#include <deque>

#include "overlay/base/time.hh"
#include "overlay/wire/tunnel.hh"

namespace i3 {

class SendQueue {
 public:
  static constexpr std::size_t kMaxBytes = 128 << 10;
  // What waited longer is worth nothing to who sent it: it has been sent again, or given up.
  static constexpr Duration kMaxAge = std::chrono::milliseconds(500);

  void push(const wire::Frame& frame, TimePoint now) {
    std::array<std::uint8_t, wire::kFrameHead + wire::kMaxFrame> bytes;
    Writer writer(bytes);
    wire::write_frame(writer, frame);
    assert(writer.ok());
    while (!frames_.empty() && bytes_ + writer.size() > kMaxBytes) drop_oldest();
    bytes_ += writer.size();
    frames_.push_back({now, {writer.written().begin(), writer.written().end()}});
  }
  // Appends whole frames that are still worth sending to `out`, as long as it stays below
  // `most` bytes.
  void take(std::vector<std::uint8_t>& out, std::size_t most, TimePoint now) {
    while (!frames_.empty()) {
      const Waiting& first = frames_.front();
      if (first.since + kMaxAge < now) {
        drop_oldest();
        continue;
      }
      if (out.size() + first.bytes.size() > most) return;
      out.insert(out.end(), first.bytes.begin(), first.bytes.end());
      bytes_ -= first.bytes.size();
      frames_.pop_front();
    }
  }

  bool empty() const { return frames_.empty(); }
  std::size_t bytes() const { return bytes_; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  struct Waiting {
    TimePoint since;
    std::vector<std::uint8_t> bytes;
  };
  void drop_oldest() {
    bytes_ -= frames_.front().bytes.size();
    frames_.pop_front();
    ++dropped_;
  }

  std::deque<Waiting> frames_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace i3
