// Owns reading and writing the TUN device inside the event loop, with the kernel's offloads where
// the device has them: super-packets are cut on the way in and joined on the way out.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <span>
#include <vector>

#include "overlay/node/banks.hh"
#include "overlay/node/outbox.hh"
#include "proxy/daemon/tun_writing.hh"
#include "proxy/host/frame.hh"
#include "proxy/packet/segmenter.hh"
#include "proxy/platform/unique_fd.hh"

namespace i3 {

struct TunQueue {
  UniqueFd fd;                 // non-blocking
  bool virtio_header = false;  // each packet has a VirtioHeader in front
};

class TunIo {
 public:
  // `captured` is called for the packets of local programs, a few at a time; frames lie in
  // storage() and stay as the callee left them until `turn` returns. `turn` is called after each
  // batch. Where the device was deleted the event loop throws PlatformError.
  TunIo(boost::asio::io_context& io, TunQueue queue,
        std::function<void(std::span<const Frame>)> captured, std::function<void()> turn);

  // While that thread serves it writes what is flushed. It must outlive this and have no job left
  // when this ends.
  void use(IoThread& thread);
  // For local programs; written at the next flush().
  void write(Bytes packet);
  void flush();
  // Takes the answer that a local program or the kernel gave at once to what was flushed, without
  // a turn of the event loop between them. Call it after that.
  void take_answer();
  // Packets that lie in there are not copied: they stay as they are until flush().
  void borrow_from(Bytes storage) { lent_ = storage; }
  // Where captured packets lie.
  Bytes storage() const { return slots_.all(); }
  std::uint64_t bytes() const { return bytes_; }  // of all that was read or written
  std::uint64_t dropped() const { return dropped_; }

 private:
  static constexpr int kBatch = 64;                       // reads a turn
  static constexpr std::size_t kMostBytes = 1024 * 1024;  // then others get theirs
  static constexpr std::size_t kGathered = 16;            // packets that are captured together
  static constexpr unsigned kMostInVain = 4;      // looks for an answer; then it is looked once in
  static constexpr unsigned kTryAgain = 64;       // so many times
  static constexpr std::size_t kSlots = 128;      // packets between two turns
  static constexpr std::size_t kSlotSize = 2048;  // room for one packet and what is put around it
  static constexpr std::size_t kLargest = kSlotSize - Frame::kHeadroom - Frame::kTailroom;

  void wait();
  void read();
  // One packet or super-packet; its size, 0 where there is none.
  std::size_t read_one();
  void hand_over();
  void end_turn();
  void take(const VirtioHeader& header, MutBytes packet);
  // The next slot with room for a packet of that size; ends the turn first if there is none left.
  Frame slot(std::size_t size);

  boost::asio::posix::stream_descriptor tun_;
  bool virtio_;
  std::function<void(std::span<const Frame>)> captured_;
  std::function<void()> turn_;
  std::vector<Frame> gathered_;  // read, and not yet handed over
  bool alone_ = true;            // the last batch was one packet
  unsigned in_vain_ = 0;
  bool wrote_ = false;                // something was flushed since the last look for an answer
  std::vector<std::uint8_t> buffer_;  // one read
  Banks slots_{kSlots * kSlotSize};
  std::size_t used_ = 0;
  bool udp_;  // the device takes UDP super-packets
  Outbox<TunWriting> writing_;
  Bytes lent_;
  std::uint64_t bytes_ = 0, dropped_ = 0;
};

}  // namespace i3
