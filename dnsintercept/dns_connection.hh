// Owns one TCP connection that carries DNS messages: framing, a bounded queue, the idle clock.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <functional>
#include <memory>

#include "dnsintercept/dns_stream.hh"
#include "overlay/base/endpoint.hh"
#include "overlay/base/time.hh"

namespace i3 {

// Used for both sides: programs that ask us and servers that we ask. The owner calls close();
// afterwards, and after `ended`, no callback runs any more.
class DnsConnection : public std::enable_shared_from_this<DnsConnection> {
 public:
  struct Callbacks {
    std::function<void(MutBytes message)> message;
    std::function<void()> ended;  // by the other side, an error, or a broken frame
  };

  DnsConnection(boost::asio::ip::tcp::socket socket, Callbacks callbacks);

  void start();                          // on an accepted socket
  void connect(const Endpoint& server);  // else; messages sent meanwhile wait
  // Drops the connection (through `ended`) when more than a megabyte waits to be written.
  void send(Bytes message);
  // Reading stops until resume(): how many answers are owed is the owner's business.
  void pause() { paused_ = true; }
  void resume();
  void close();

  // The other side has finished sending; what it asked for may still be sent to it.
  bool half_closed() const { return half_closed_; }
  bool writing() const { return !queue_.empty(); }

 private:
  void read();
  void deliver();
  void write();
  void end();

  boost::asio::ip::tcp::socket socket_;
  Callbacks callbacks_;
  DnsStream stream_;
  std::deque<std::vector<std::uint8_t>> queue_;
  std::size_t queued_ = 0;
  bool connected_ = false, paused_ = false, reading_ = false, half_closed_ = false, closed_ = false;
};

boost::asio::ip::address asio_address(const IpAddress& address);
IpAddress address_from(const boost::asio::ip::address& address);

}  // namespace i3
