// Owns how datagrams of a host leave and arrive: by UDP, or through a tunnel where UDP is blocked.
#pragma once

#include "overlay/base/entry_node.hh"
#include "overlay/client/transport_choice.hh"
#include "proxy/daemon/tls_uplink.hh"
#include "proxy/daemon/underlay.hh"

namespace i3 {

class Transports {
 public:
  struct Events {
    // Nodes to ask whether UDP gets through, best first.
    std::function<std::vector<EntryNode>()> nodes;
    std::function<std::vector<TunnelTarget>()> targets;
    // A node of this very machine: never by a tunnel.
    std::function<bool(const Endpoint&)> is_local;
    std::function<void(const Endpoint&, MutBytes)> received;
    std::function<void()> turn;
    // The way is another one, or the tunnel is: we are seen at another address from now on.
    std::function<void()> changed;
  };

  Transports(boost::asio::io_context& io, Clock& clock, Random& random, Log& log,
             TransportChoice::Mode mode, Underlay& underlay, Events events);

  void start();
  void set_mode(TransportChoice::Mode mode);
  void network_changed();

  void send(const Endpoint& to, Bytes datagram);
  // What came by UDP; true if it was an answer to a question of ours and of no use to anybody else.
  bool take(const Endpoint& from, Bytes datagram);
  void flush();

  // The tunnel in use; null by UDP, and while there is none.
  const TlsUplink* tunnel() const { return on_tls() && uplink_.is_open() ? &uplink_ : nullptr; }
  bool on_tls() const { return choice_.way() == TransportChoice::Way::tls; }
  const TransportChoice& choice() const { return choice_; }
  const std::string& tunnel_trouble() const { return uplink_.trouble(); }
  std::uint64_t dropped() const { return underlay_.dropped() + uplink_.dropped(); }

 private:
  static constexpr std::size_t kAskAtOnce = 3;
  struct Asked {
    Endpoint node;
    std::optional<PublicKey> key;
    std::uint64_t nonce = 0;
  };

  void probe();
  void settle();
  void arm();

  Clock& clock_;
  Random& random_;
  Log& log_;
  Underlay& underlay_;
  Events events_;
  TransportChoice choice_;
  TlsUplink uplink_;
  boost::asio::steady_timer timer_;
  TimePoint armed_ = kNever;
  bool running_ = false;
  bool told_tls_ = false;          // what was said last
  std::array<Asked, 32> asked_{};  // the latest; older ones do not count any more
  std::size_t next_asked_ = 0;
};

}  // namespace i3
