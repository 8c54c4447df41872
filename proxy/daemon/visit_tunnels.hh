// Owns the TLS connections of anonymous visits while UDP is blocked: one each, to the visit's own
// relay where that serves TLS, so that nothing but the network in between has both ends in view.
#pragma once

#include <deque>
#include <map>

#include "proxy/daemon/tls_uplink.hh"
#include "proxy/host/visits.hh"

namespace i3 {

// Everything happens on the io_context's one thread.
class VisitTunnels {
 public:
  using Socket = VisitIo::Socket;
  // At once; nodes allow one address not many more.
  static constexpr std::size_t kMaxTunnels = 32;
  // What a visit sends before its tunnel stands.
  static constexpr std::size_t kMaxWaiting = 8;
  static constexpr Duration kWaitFor = std::chrono::seconds(2);

  struct Events {
    // The TLS port of a node, in a family that we have; nothing if it serves none.
    std::function<std::optional<TunnelTarget>(const wire::NodeContact&)> serves;
    // Any nodes that may serve TLS, and the one that the host itself is connected to.
    std::function<std::vector<TunnelTarget>()> targets;
    std::function<std::optional<Endpoint>()> own;
    std::function<void(Socket, const Endpoint&, MutBytes)> received;
    std::function<void()> turn;
    // That visit is seen at another address from now on.
    std::function<void(Socket)> moved;
  };
  struct Counters {
    std::uint64_t opened = 0, lost = 0;
    std::uint64_t no_room = 0;  // datagrams of visits beyond kMaxTunnels
    std::uint64_t dropped = 0;  // others
  };

  VisitTunnels(boost::asio::io_context& io, Clock& clock, Random& random, Log& log, Events events)
      : io_(io), clock_(clock), random_(random), log_(log), events_(std::move(events)) {}

  // What is sent goes by tunnels from now on, made when something is; or all of them end.
  void set_on(bool on);
  bool on() const { return on_; }
  // That visit's relay. A tunnel that leads to, or through, another node ends.
  void set_relay(Socket socket, const wire::NodeContact& relay);
  void send(Socket socket, const Endpoint& to, Bytes datagram);
  void close(Socket socket);

  std::size_t open() const;
  const Counters& counters() const { return counters_; }

 private:
  struct Waiting {
    Endpoint to;
    std::vector<std::uint8_t> datagram;
    TimePoint since;
  };
  struct Tunnel {
    std::unique_ptr<TlsUplink> uplink;
    std::deque<Waiting> waiting;  // at most kMaxWaiting
    bool stood = false;           // it was open once
  };

  Tunnel* make(Socket socket);
  std::vector<TunnelTarget> choose(Socket socket);
  void changed(Socket socket);
  void end(Tunnel& tunnel);

  boost::asio::io_context& io_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  Events events_;
  bool on_ = false;
  std::map<Socket, wire::NodeContact> relays_;  // bounded by Visits::kMaxVisits
  std::map<Socket, Tunnel> tunnels_;            // at most kMaxTunnels
  Counters counters_;
};

}  // namespace i3
