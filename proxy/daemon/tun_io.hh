// Owns reading and writing the TUN device inside the event loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <vector>

#include "proxy/host/frame.hh"
#include "proxy/platform/unique_fd.hh"

namespace i3 {

class TunIo {
 public:
  // `captured` is called for each packet of a local program; the frame's storage is the TunIo's
  // and good for the call. `turn` after each batch.
  TunIo(boost::asio::io_context& io, UniqueFd tun, std::function<void(Frame)> captured,
        std::function<void()> turn);

  void write(Bytes packet);
  std::uint64_t dropped() const { return dropped_; }

 private:
  static constexpr int kBatch = 64;
  void wait();
  void read();

  boost::asio::posix::stream_descriptor tun_;
  std::function<void(Frame)> captured_;
  std::function<void()> turn_;
  std::vector<std::uint8_t> storage_;
  std::uint64_t dropped_ = 0;
};

}  // namespace i3
