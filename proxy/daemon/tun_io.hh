// Owns reading and writing the TUN device inside the event loop, with the kernel's offloads where
// the device has them: super-packets are cut on the way in and joined on the way out.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <vector>

#include "proxy/host/frame.hh"
#include "proxy/packet/coalescer.hh"
#include "proxy/packet/segmenter.hh"
#include "proxy/platform/unique_fd.hh"

namespace i3 {

struct TunQueue {
  UniqueFd fd;                 // non-blocking
  bool virtio_header = false;  // each packet has a VirtioHeader in front
};

class TunIo {
 public:
  // `captured` is called for each packet of a local program; the frame lies in storage() and stays
  // as the callee left it until `turn` returns. `turn` is called after each batch. Where the device
  // was deleted the event loop throws PlatformError.
  TunIo(boost::asio::io_context& io, TunQueue queue, std::function<void(Frame)> captured,
        std::function<void()> turn);

  // For local programs; written at the next flush().
  void write(Bytes packet);
  void flush();
  // Packets that lie in there are not copied: they stay as they are until flush().
  void borrow_from(Bytes storage) { lent_ = storage; }
  // Where captured packets lie.
  Bytes storage() const { return slots_; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  static constexpr int kBatch = 64;               // reads a turn
  static constexpr std::size_t kSlots = 128;      // packets between two turns
  static constexpr std::size_t kSlotSize = 2048;  // room for one packet and what is put around it
  static constexpr std::size_t kLargest = kSlotSize - Frame::kHeadroom - Frame::kTailroom;
  static constexpr std::size_t kMostCopies = 64 * 1024;

  void wait();
  void read();
  void take(const VirtioHeader& header, MutBytes packet);
  // The next slot with room for a packet of that size; ends the turn first if there is none left.
  Frame slot(std::size_t size);
  void put(const VirtioHeader& header, Bytes first, const std::vector<Bytes>& parts);

  boost::asio::posix::stream_descriptor tun_;
  bool virtio_;
  std::function<void(Frame)> captured_;
  std::function<void()> turn_;
  std::vector<std::uint8_t> buffer_;  // one read
  std::vector<std::uint8_t> slots_;
  std::size_t used_ = 0;
  Coalescer coalescer_;
  Bytes lent_;
  std::vector<std::uint8_t> copies_;  // of packets that were not lent
  std::size_t copied_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace i3
