// Owns the overlay's UDP socket inside the event loop: datagrams in and out in batches.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>

#include "overlay/node/udp_socket.hh"
#include "proxy/platform/inherited.hh"

namespace i3 {

// Single-threaded. Datagrams that are sent are gathered and leave with flush(): one system call for
// many packets of one turn of the loop.
class Underlay {
 public:
  // `received` is called for each datagram, whose bytes it may change; `turn` after each batch, to
  // flush whatever borrowed them.
  Underlay(boost::asio::io_context& io, BoundSocket socket,
           std::function<void(const Endpoint&, MutBytes)> received, std::function<void()> turn,
           UdpSocket::Options options = {});
  ~Underlay();

  void send(const Endpoint& to, Bytes datagram);
  void flush() { socket_.flush(); }
  void forget_own_addresses() { socket_.forget_own_addresses(); }
  // Datagrams that lie in there are not copied: they stay as they are until flush().
  void borrow_from(Bytes storage) { lent_ = storage; }
  // Where received datagrams lie until the next batch.
  Bytes storage() const { return socket_.storage(); }

  const Endpoint& local() const { return socket_.local(); }
  std::uint64_t dropped() const { return socket_.send_failures(); }  // not sent, or too long

 private:
  static constexpr int kBatchesATurn = 4;

  void wait();
  void receive();

  std::shared_ptr<char> alive_ = std::make_shared<char>();
  UdpSocket socket_;
  boost::asio::posix::stream_descriptor readiness_;
  std::function<void(const Endpoint&, MutBytes)> received_;
  std::function<void()> turn_;
  Bytes lent_;
};

// Whether `bytes` lie inside `storage`.
inline bool lies_in(Bytes bytes, Bytes storage) {
  return !storage.empty() && bytes.data() >= storage.data() &&
         bytes.data() + bytes.size() <= storage.data() + storage.size();
}

}  // namespace i3
