// Owns one UDP socket that programs send their questions to.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>

#include "overlay/base/bytes.hh"
#include "overlay/base/endpoint.hh"

namespace i3 {

class UdpListener : public std::enable_shared_from_this<UdpListener> {
 public:
  // `peer` asked, at our address `local`; `message` is borrowed for the call.
  using Question = std::function<void(const Endpoint& peer, const IpAddress& local, Bytes message)>;

  // Takes the descriptor of a bound socket. Throws boost::system::system_error if it is none.
  UdpListener(boost::asio::io_context& io, int descriptor, Question question);
  void start();
  // Leaves from `local`. A datagram that the kernel does not take is dropped, as UDP may.
  void send(const Endpoint& peer, const IpAddress& local, Bytes message);
  void close();

 private:
  void wait();
  bool read_one();

  boost::asio::posix::stream_descriptor stream_;
  Question question_;
  bool six_ = false;
  bool wildcard_ = false;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace i3
