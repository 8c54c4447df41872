// Owns the tunnels of hosts whose UDP is blocked: TLS connections, and for each a UDP socket at
// which the host appears to the rest of the overlay.
#pragma once

#include <array>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>

#include "overlay/node/node_driver.hh"
#include "overlay/node/relay_gate.hh"
#include "overlay/tunnel/tls_stream.hh"

namespace i3 {

// Everything happens on the io_context's one thread. References given must outlive the server.
class TlsServer final : public SideDoor, private RelayIo {
 public:
  static constexpr std::size_t kMaxConnections = 1024;
  static constexpr std::size_t kMaxOfPrefix = 64;   // /32 of IPv4, /56 of IPv6
  static constexpr std::size_t kMaxGreeting = 128;  // that have not said what they are
  static constexpr Duration kGreetWithin = std::chrono::seconds(5);
  static constexpr Duration kIdleFor = std::chrono::seconds(60);
  // Three descriptors a tunnel, and some for the rest of the process.
  static constexpr std::size_t kDescriptors = 3 * kMaxConnections + 256;

  // A listening socket; throws SocketError. `::` serves IPv4 as well where `dual` is set.
  static OwnedFd listen(const Endpoint& address, bool dual, std::string_view what = "TLS");

  // Begins to serve; `node` sends by this server from then on.
  TlsServer(boost::asio::io_context& context, NodeDriver& node, std::vector<OwnedFd> listening,
            const Identity& identity, std::optional<PublicKey> operator_key, Random& random,
            Clock& clock, Log& log);
  ~TlsServer() override;
  void close();

  bool take(const Endpoint& to, Bytes message) override;
  std::vector<Endpoint> listening() const override;
  std::size_t tunnels() const override { return greeted_; }
  void add_counters(std::map<std::string, std::uint64_t, std::less<>>& all) const override;

 private:
  struct Tunnel {
    std::shared_ptr<TlsStream> stream;
    IpAddress prefix;
    TimePoint since{};
    bool greeted = false;
    // As the rest of the overlay reaches it, by family; [0] IPv4.
    std::array<std::optional<boost::asio::ip::udp::socket>, 2> sockets{};
    std::array<Endpoint, 2> self{};  // by which addresses the host calls this node
  };
  struct Prefix {
    std::size_t open = 0;
    TokenBucket handshakes{5, 32};
    TimePoint used{};
  };

  void wait(boost::asio::ip::tcp::acceptor& acceptor);
  void accept(boost::asio::ip::tcp::socket socket);
  bool may_open(const IpAddress& prefix, TimePoint now);
  bool on_frame(TunnelId id, const wire::Frame& frame);
  bool greet(TunnelId id, Tunnel& tunnel);
  bool open_socket(TunnelId id, Tunnel& tunnel, bool v4);
  void wait_for_datagrams(TunnelId id, boost::asio::ip::udp::socket& socket);
  void receive(TunnelId id, boost::asio::ip::udp::socket& socket);
  void end(TunnelId id, const std::string& why);
  void tick();

  bool is_self(TunnelId tunnel, const Endpoint& node) override;
  bool is_member(const Endpoint& node) override;
  void to_core(TunnelId tunnel, const Endpoint& asked, Bytes message) override;
  void to_network(TunnelId tunnel, const Endpoint& node, Bytes message) override;
  void to_host(TunnelId tunnel, const Endpoint& node, Bytes message) override;

  boost::asio::io_context& context_;
  NodeDriver& node_;
  Clock& clock_;
  Log& log_;
  boost::asio::ssl::context tls_;
  std::vector<std::unique_ptr<boost::asio::ip::tcp::acceptor>> acceptors_;
  boost::asio::steady_timer timer_;
  RelayGate gate_;
  Counters counters_;
  TokenBucket handshakes_{200, 400};  // of all together: each costs a signature
  TunnelId next_ = 1;
  std::map<TunnelId, Tunnel> tunnels_;
  std::size_t greeted_ = 0;  // of them
  std::unordered_map<Endpoint, TunnelId> aliases_;
  std::unordered_map<IpAddress, Prefix> prefixes_;
  std::uint64_t dropped_before_ = 0;  // in the queues of tunnels that are gone
  std::array<std::uint8_t, wire::kMaxMessage + 1> buffer_;
  bool closed_ = false;
};

}  // namespace i3
