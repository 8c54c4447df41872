// Owns the sockets to the real resolvers: eight UDP ports for each server, TCP links as needed.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "dnsintercept/dns_connection.hh"
#include "dnsintercept/dns_server.hh"

namespace i3 {

// Callbacks come from the event loop only, never from inside a member function.
class UpstreamSockets : public std::enable_shared_from_this<UpstreamSockets> {
 public:
  struct Callbacks {
    std::function<void(const DnsChannel&, MutBytes message)> response;
    std::function<void(const DnsChannel&, bool answered)> closed;
  };
  UpstreamSockets(boost::asio::io_context& io, const Clock& clock, Log& log,
                  UpstreamSocketFactory make_socket, Callbacks callbacks);

  // As DnsOutput::ask and DnsOutput::silent.
  bool ask(const DnsChannel& channel, Bytes message);
  void silent(const DnsChannel& channel);

  // Closes what leads to servers not in the list, and renews the rest: the host may have moved.
  void set_servers(const std::vector<Endpoint>& servers);
  void close_client(std::uint32_t number);
  void stop();

 private:
  struct UdpSocket {
    UdpSocket(boost::asio::io_context& io, int descriptor) : stream(io, descriptor) {}
    boost::asio::posix::stream_descriptor stream;
    DnsChannel channel;
    TimePoint born{};
    std::uint32_t sent = 0;
  };
  // The socket before the current one lives on for answers still under way.
  struct UdpChannel {
    std::shared_ptr<UdpSocket> current, previous;
  };
  struct Server {
    Endpoint endpoint;
    std::array<UdpChannel, kUdpChannels> channels;
  };
  struct TcpLink {
    std::shared_ptr<DnsConnection> connection;
    DnsChannel channel;
    bool answered = false;
  };

  Server& server(const Endpoint& endpoint);
  bool renew(UdpChannel& channel, const DnsChannel& name);
  void receive(const std::shared_ptr<UdpSocket>& socket);
  void read_all(UdpSocket& socket);
  bool ask_tcp(const DnsChannel& channel, Bytes message);
  void tcp_ended(const DnsChannel& channel);
  static void close(UdpChannel& channel);

  boost::asio::io_context& io_;
  const Clock& clock_;
  Log& log_;
  UpstreamSocketFactory make_socket_;
  Callbacks callbacks_;
  std::vector<Server> servers_;
  std::vector<TcpLink> links_;
  std::vector<std::uint8_t> buffer_;
  bool stopped_ = false;
};

}  // namespace i3
