#include "dnsintercept/upstream_sockets.hh"

#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace i3 {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr int kReadsPerWake = 64;
// A UDP socket gets a new port after this many questions, but not sooner than answers to the old
// one can be under way; and after a while in any case.
constexpr std::uint32_t kQuestionsPerPort = 256;
constexpr std::chrono::seconds kPortLeast{6}, kPortMost{60};
// Kept equal to the bound on client connections: each has at most one link to each server.
constexpr std::size_t kMaxLinks = 128;

socklen_t fill(sockaddr_storage& storage, const Endpoint& endpoint) {
  storage = {};
  if (endpoint.address.is_v4()) {
    auto& four = reinterpret_cast<sockaddr_in&>(storage);
    four.sin_family = AF_INET;
    four.sin_port = htons(endpoint.port);
    four.sin_addr.s_addr = htonl(endpoint.address.to_v4());
    return sizeof four;
  }
  auto& six = reinterpret_cast<sockaddr_in6&>(storage);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(endpoint.port);
  std::copy(endpoint.address.bytes.begin(), endpoint.address.bytes.end(), six.sin6_addr.s6_addr);
  return sizeof six;
}

int family_of(const Endpoint& endpoint) {
  return endpoint.address.is_v4() ? AF_INET : AF_INET6;
}

}  // namespace

UpstreamSockets::UpstreamSockets(asio::io_context& io, const Clock& clock, Log& log,
                                 UpstreamSocketFactory make_socket, Callbacks callbacks)
    : io_(io),
      clock_(clock),
      log_(log),
      make_socket_(std::move(make_socket)),
      callbacks_(std::move(callbacks)),
      buffer_(kMaxDnsMessage) {}

bool UpstreamSockets::ask(const DnsChannel& channel, Bytes message) {
  if (stopped_) return false;
  if (channel.transport == DnsTransport::tcp) return ask_tcp(channel, message);
  UdpChannel& udp = server(channel.server).channels[channel.number % kUdpChannels];
  const TimePoint now = clock_.now();
  if (udp.current) {
    const Duration age = now - udp.current->born;
    if (age > kPortMost || (age > kPortLeast && udp.current->sent >= kQuestionsPerPort))
      renew(udp, channel);
  }
  if (!udp.current && !renew(udp, channel)) return false;
  // A send may report an older ICMP error instead of sending; the second one then sends.
  for (int i = 0; i < 2; ++i) {
    if (::send(udp.current->stream.native_handle(), message.data(), message.size(), MSG_NOSIGNAL) >=
        0) {
      ++udp.current->sent;
      return true;
    }
  }
  close(udp);  // its source address may be gone
  return false;
}

void UpstreamSockets::silent(const DnsChannel& channel) {
  if (channel.transport == DnsTransport::tcp) return;
  for (Server& known : servers_) {
    if (known.endpoint != channel.server) continue;
    UdpChannel& udp = known.channels[channel.number % kUdpChannels];
    if (udp.current && clock_.now() - udp.current->born > kPortLeast) renew(udp, channel);
  }
}

UpstreamSockets::Server& UpstreamSockets::server(const Endpoint& endpoint) {
  for (Server& known : servers_)
    if (known.endpoint == endpoint) return known;
  return servers_.emplace_back(Server{endpoint, {}});
}

bool UpstreamSockets::renew(UdpChannel& channel, const DnsChannel& name) {
  const int descriptor = make_socket_(family_of(name.server), SOCK_DGRAM);
  if (descriptor < 0) return false;
  sockaddr_storage address;
  const socklen_t size = fill(address, name.server);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), size) != 0) {
    log_.debug("dns.upstream_unreachable", {{"server", name.server.text()}, {"errno", errno}});
    ::close(descriptor);
    return false;
  }
  if (channel.previous) {
    error_code ignored;
    channel.previous->stream.close(ignored);
  }
  channel.previous = std::move(channel.current);
  channel.current = std::make_shared<UdpSocket>(io_, descriptor);
  channel.current->channel = name;
  channel.current->born = clock_.now();
  receive(channel.current);
  return true;
}

void UpstreamSockets::receive(const std::shared_ptr<UdpSocket>& socket) {
  socket->stream.async_wait(asio::posix::stream_descriptor::wait_read,
                            [self = shared_from_this(), socket](error_code error) {
                              if (error || self->stopped_ || !socket->stream.is_open()) return;
                              self->read_all(*socket);
                              if (!self->stopped_ && socket->stream.is_open())
                                self->receive(socket);
                            });
}

void UpstreamSockets::read_all(UdpSocket& socket) {
  for (int i = 0; i < kReadsPerWake && !stopped_ && socket.stream.is_open(); ++i) {
    const ssize_t size =
        ::recv(socket.stream.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size >= 0) {
      callbacks_.response(socket.channel, MutBytes(buffer_).first(static_cast<std::size_t>(size)));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      callbacks_.closed(socket.channel, false);  // refused or unreachable, by ICMP
    }
  }
}

bool UpstreamSockets::ask_tcp(const DnsChannel& channel, Bytes message) {
  for (TcpLink& link : links_) {
    if (link.channel != channel) continue;
    link.connection->send(message);
    return true;
  }
  if (links_.size() >= kMaxLinks) return false;
  const int descriptor = make_socket_(family_of(channel.server), SOCK_STREAM);
  if (descriptor < 0) return false;
  asio::ip::tcp::socket socket(io_);
  error_code error;
  socket.assign(family_of(channel.server) == AF_INET ? asio::ip::tcp::v4() : asio::ip::tcp::v6(),
                descriptor, error);
  if (error) {
    ::close(descriptor);
    return false;
  }
  const std::weak_ptr<UpstreamSockets> weak = shared_from_this();
  auto connection = std::make_shared<DnsConnection>(
      std::move(socket), DnsConnection::Callbacks{[weak, channel](MutBytes answer) {
                                                    const auto self = weak.lock();
                                                    if (!self || self->stopped_) return;
                                                    for (TcpLink& link : self->links_)
                                                      if (link.channel == channel)
                                                        link.answered = true;
                                                    self->callbacks_.response(channel, answer);
                                                  },
                                                  [weak, channel] {
                                                    if (const auto self = weak.lock())
                                                      self->tcp_ended(channel);
                                                  }});
  links_.push_back({connection, channel});
  connection->connect(channel.server);
  connection->send(message);
  return true;
}

void UpstreamSockets::tcp_ended(const DnsChannel& channel) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (links_[i].channel != channel) continue;
    const bool answered = links_[i].answered;
    links_[i].connection->close();
    links_.erase(links_.begin() + static_cast<std::ptrdiff_t>(i));
    if (!stopped_) callbacks_.closed(channel, answered);
    return;
  }
}

void UpstreamSockets::close(UdpChannel& channel) {
  error_code ignored;
  for (auto* socket : {&channel.current, &channel.previous}) {
    if (*socket) (*socket)->stream.close(ignored);
    socket->reset();
  }
}

void UpstreamSockets::set_servers(const std::vector<Endpoint>& servers) {
  for (Server& known : servers_) {
    const bool kept = std::find(servers.begin(), servers.end(), known.endpoint) != servers.end();
    for (std::uint32_t i = 0; i < kUdpChannels; ++i) {
      UdpChannel& channel = known.channels[i];
      if (!kept)
        close(channel);
      else if (channel.current)
        renew(channel, channel.current->channel);
    }
  }
  std::erase_if(servers_, [&](const Server& known) {
    return std::find(servers.begin(), servers.end(), known.endpoint) == servers.end();
  });
}

void UpstreamSockets::close_client(std::uint32_t number) {
  std::erase_if(links_, [&](const TcpLink& link) {
    if (link.channel.number != number) return false;
    link.connection->close();
    return true;
  });
}

void UpstreamSockets::stop() {
  stopped_ = true;
  for (Server& known : servers_)
    for (UdpChannel& channel : known.channels) close(channel);
  for (TcpLink& link : links_) link.connection->close();
  servers_.clear();
  links_.clear();
}

}  // namespace i3
