// Owns the overlay's UDP socket: datagrams in and out in batches.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/wire/header.hh"
#include "proxy/platform/inherited.hh"

namespace i3 {

// Single-threaded. Datagrams that are sent are gathered and leave with flush(): one system call for
// many packets of one turn of the loop.
class Underlay {
 public:
  // `received` is called for each datagram, whose bytes it may change; `turn` after each batch.
  Underlay(boost::asio::io_context& io, BoundSocket socket,
           std::function<void(const Endpoint&, MutBytes)> received, std::function<void()> turn);
  ~Underlay();

  void send(const Endpoint& to, Bytes datagram);
  void flush();

  const Endpoint& local() const { return local_; }
  bool is_v4_only() const { return local_.address.is_v4(); }
  std::uint64_t dropped() const { return dropped_; }  // not sent, or too long

 private:
  static constexpr std::size_t kBatch = 64;
  struct Buffers;

  void wait();
  void receive();

  Endpoint local_;
  boost::asio::posix::stream_descriptor socket_;
  std::function<void(const Endpoint&, MutBytes)> received_;
  std::function<void()> turn_;
  std::unique_ptr<Buffers> buffers_;
  std::size_t queued_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace i3
