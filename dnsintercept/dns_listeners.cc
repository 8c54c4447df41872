#include "dnsintercept/dns_listeners.hh"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/socket.h>
#include <unordered_map>

#include "dnsintercept/dns_connection.hh"
#include "dnsintercept/udp_listener.hh"

namespace i3 {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {
constexpr std::chrono::seconds kIdle{10};
constexpr std::chrono::seconds kIdleCheck{1};
constexpr std::chrono::milliseconds kAcceptPause{100};  // after an error such as too many files
// A connection that is owed this many answers is not read until half of them were given.
constexpr std::uint32_t kMaxOwed = 100;
}  // namespace

class DnsListeners::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, const Clock& clock, Log& log, Callbacks callbacks,
       std::size_t max_connections)
      : io_(io),
        clock_(clock),
        log_(log),
        callbacks_(std::move(callbacks)),
        max_connections_(max_connections),
        idle_timer_(io) {}

  void start(const DnsSockets& sockets) {
    for (int descriptor : sockets.udp) add_udp(descriptor);
    for (int descriptor : sockets.tcp) add_tcp(descriptor);
  }

  void stop() {
    stopped_ = true;
    error_code ignored;
    for (auto& listener : udp_) listener->close();
    for (auto& acceptor : acceptors_) acceptor->socket.close(ignored);
    for (auto& [number, client] : clients_) client.connection->close();
    clients_.clear();
    idle_timer_.cancel(ignored);
  }

  std::uint64_t refused() const { return refused_; }

  void ignore(const DnsClient& client) {
    if (client.transport == DnsTransport::tcp) drop(client.socket);
  }

  void answer(const DnsClient& client, Bytes message) {
    if (client.transport == DnsTransport::udp)
      return udp_[client.socket]->send(client.peer, client.local, message);
    const auto known = clients_.find(client.socket);
    if (known == clients_.end()) return;
    known->second.active = clock_.now();
    if (known->second.owed > 0) --known->second.owed;
    known->second.connection->send(message);
    if (known->second.owed < kMaxOwed / 2) known->second.connection->resume();
  }

 private:
  struct Acceptor {
    Acceptor(asio::io_context& io, int family, int descriptor)
        : socket(io, family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), descriptor),
          pause(io) {}
    asio::ip::tcp::acceptor socket;
    asio::steady_timer pause;
  };
  struct Client {
    std::shared_ptr<DnsConnection> connection;
    std::uint32_t owed = 0;  // answers
    TimePoint active{};
  };

  void add_udp(int descriptor) {
    const auto index = static_cast<std::uint32_t>(udp_.size());
    auto listener = std::make_shared<UdpListener>(
        io_, descriptor,
        [this, index](const Endpoint& peer, const IpAddress& local, Bytes message) {
          callbacks_.question({DnsTransport::udp, index, peer, local}, message);
        });
    udp_.push_back(listener);
    listener->start();
  }

  void add_tcp(int descriptor) {
    int family = 0;
    socklen_t size = sizeof family;
    ::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size);
    acceptors_.push_back(std::make_shared<Acceptor>(io_, family, descriptor));
    accept(acceptors_.back());
  }

  void accept(const std::shared_ptr<Acceptor>& acceptor) {
    acceptor->socket.async_accept(
        [self = shared_from_this(), acceptor](error_code error, asio::ip::tcp::socket socket) {
          if (self->stopped_) return;
          if (!error) {
            self->accepted(std::move(socket));
            return self->accept(acceptor);
          }
          self->log_.warning("dns.accept_failed", {{"reason", error.message()}});
          acceptor->pause.expires_after(kAcceptPause);
          acceptor->pause.async_wait([self, acceptor](error_code) {
            if (!self->stopped_) self->accept(acceptor);
          });
        });
  }

  void accepted(asio::ip::tcp::socket socket) {
    if (clients_.size() >= max_connections_ && !make_room()) {
      ++refused_;  // the socket closes
      return;
    }
    const std::uint32_t number = ++last_number_;
    error_code ignored;
    const auto remote = socket.remote_endpoint(ignored);
    const DnsClient name{
        DnsTransport::tcp, number, {address_from(remote.address()), remote.port()}, IpAddress{}};
    const std::weak_ptr<Impl> weak = shared_from_this();
    auto connection = std::make_shared<DnsConnection>(
        std::move(socket), DnsConnection::Callbacks{[weak, name](MutBytes message) {
                                                      if (const auto self = weak.lock())
                                                        self->tcp_question(name, message);
                                                    },
                                                    [weak, number] {
                                                      if (const auto self = weak.lock())
                                                        self->tcp_ended(number);
                                                    }});
    clients_[number] = {connection, 0, clock_.now()};
    connection->start();
    watch_idle();
  }

  // Ends the connection that was idle longest and is owed nothing; false if there is none.
  bool make_room() {
    const std::pair<const std::uint32_t, Client>* oldest = nullptr;
    for (const auto& entry : clients_)
      if (entry.second.owed == 0 && (!oldest || entry.second.active < oldest->second.active))
        oldest = &entry;
    if (oldest) drop(oldest->first);
    return oldest != nullptr;
  }

  void tcp_question(const DnsClient& name, Bytes message) {
    const auto client = clients_.find(name.socket);
    if (stopped_ || client == clients_.end()) return;
    client->second.active = clock_.now();
    if (++client->second.owed >= kMaxOwed) client->second.connection->pause();
    callbacks_.question(name, message);
  }

  // A program that only closed its sending side still gets what it is owed.
  void tcp_ended(std::uint32_t number) {
    const auto client = clients_.find(number);
    if (client == clients_.end()) return;
    const DnsConnection& connection = *client->second.connection;
    if (connection.half_closed() && (client->second.owed > 0 || connection.writing())) return;
    drop(number);
  }

  void drop(std::uint32_t number) {
    const auto client = clients_.find(number);
    if (client == clients_.end()) return;
    client->second.connection->close();
    clients_.erase(client);
    callbacks_.gone({.transport = DnsTransport::tcp, .socket = number});
  }

  void watch_idle() {
    if (watching_idle_) return;
    watching_idle_ = true;
    idle_timer_.expires_after(kIdleCheck);
    idle_timer_.async_wait([self = shared_from_this()](error_code) {
      self->watching_idle_ = false;
      if (self->stopped_) return;
      std::vector<std::uint32_t> idle;
      for (const auto& [number, client] : self->clients_)
        if (self->clock_.now() - client.active > kIdle) idle.push_back(number);
      for (std::uint32_t number : idle) self->drop(number);
      if (!self->clients_.empty()) self->watch_idle();
    });
  }

  asio::io_context& io_;
  const Clock& clock_;
  Log& log_;
  Callbacks callbacks_;
  std::size_t max_connections_;
  std::vector<std::shared_ptr<UdpListener>> udp_;
  std::vector<std::shared_ptr<Acceptor>> acceptors_;
  std::unordered_map<std::uint32_t, Client> clients_;
  std::uint32_t last_number_ = 0;
  asio::steady_timer idle_timer_;
  bool watching_idle_ = false;
  std::uint64_t refused_ = 0;
  bool stopped_ = false;
};

DnsListeners::DnsListeners(asio::io_context& io, const Clock& clock, Log& log,
                           const DnsSockets& sockets, Callbacks callbacks,
                           std::size_t max_connections)
    : impl_(std::make_shared<Impl>(io, clock, log, std::move(callbacks), max_connections)) {
  impl_->start(sockets);
}

DnsListeners::~DnsListeners() {
  stop();
}

void DnsListeners::answer(const DnsClient& client, Bytes message) {
  impl_->answer(client, message);
}

void DnsListeners::ignore(const DnsClient& client) {
  impl_->ignore(client);
}

std::uint64_t DnsListeners::refused() const {
  return impl_->refused();
}

void DnsListeners::stop() {
  impl_->stop();
}

}  // namespace i3
