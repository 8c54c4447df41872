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
  using Datagrams = std::span<const UdpSocket::Datagram>;
  Underlay(boost::asio::io_context& io, BoundSocket socket,
           std::function<void(const Endpoint&, MutBytes)> received, std::function<void()> turn,
           UdpSocket::Options options = {});
  ~Underlay();

  void send(const Endpoint& to, Bytes datagram);
  void flush() { socket_.flush(); }
  void forget_own_addresses() { socket_.forget_own_addresses(); }
  void use(IoThread& thread) { socket_.use(thread); }
  // Datagrams that lie in there are not copied: they stay as they are until flush().
  void borrow_from(Bytes storage) { lent_ = storage; }
  // Where received datagrams lie until the next batch.
  Bytes storage() const { return socket_.storage(); }

  // The last batch was one or two datagrams: a conversation of question and answer.
  bool few() const { return few_; }
  // Called for datagrams of several senders before `received` is for the first of them, to start
  // fetching what they will need.
  std::function<void(Datagrams)> expect;

  const Endpoint& local() const { return socket_.local(); }
  std::uint64_t bytes() const { return bytes_; }  // of all that was received or sent
  std::uint64_t dropped() const { return socket_.send_failures(); }  // not sent, or too long

 private:
  static constexpr int kBatchesATurn = 4;
  static constexpr std::size_t kMostBytes = 1024 * 1024;  // then others get theirs
  // So many packets below kSmall bytes; a program's socket may hold no more.
  static constexpr std::size_t kSmallATurn = 64;
  static constexpr std::size_t kSmall = 512;
  static constexpr std::size_t kFew = 2;
  static constexpr std::size_t kTogether = 16;  // datagrams that `expect` is told of

  void wait();
  void receive();
  void take(Datagrams datagrams);

  std::shared_ptr<char> alive_ = std::make_shared<char>();
  UdpSocket socket_;
  boost::asio::posix::stream_descriptor readiness_;
  std::function<void(const Endpoint&, MutBytes)> received_;
  std::function<void()> turn_;
  Bytes lent_;
  std::uint64_t bytes_ = 0;
  bool few_ = true;
};

// Whether `bytes` lie inside `storage`.
inline bool lies_in(Bytes bytes, Bytes storage) {
  return !storage.empty() && bytes.data() >= storage.data() &&
         bytes.data() + bytes.size() <= storage.data() + storage.size();
}

}  // namespace i3
