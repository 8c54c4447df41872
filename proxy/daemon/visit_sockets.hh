// Owns the sockets of anonymous visits: one each, so that neither port nor NAT links them; by UDP,
// or by connections of their own where UDP is blocked.
#pragma once

#include <map>

#include "overlay/base/log.hh"
#include "proxy/daemon/underlay.hh"
#include "proxy/daemon/visit_tunnels.hh"
#include "proxy/host/visits.hh"

namespace i3 {

class VisitSockets final : public VisitIo {
 public:
  // Datagrams go to `received`; `turn` runs after each batch. Sockets are bound to `address`, port
  // 0, and are the worker's own: that takes no privilege.
  // `tunnels` without `received` and `turn`, which are the same.
  VisitSockets(boost::asio::io_context& io, const IpAddress& address, Clock& clock, Random& random,
               Log& log, std::function<void(Socket, const Endpoint&, MutBytes)> received,
               std::function<void(Bytes)> to_tun, std::function<void()> turn,
               VisitTunnels::Events tunnels);

  void set_tunnelled(bool tunnelled) { tunnels_.set_on(tunnelled); }
  const VisitTunnels& tunnels() const { return tunnels_; }

  void flush();
  std::uint64_t dropped() const;

 private:
  bool open(Socket socket) override;
  void close(Socket socket) override;
  void send(Socket socket, const Endpoint& to, Bytes datagram) override;
  void set_relay(Socket socket, const wire::NodeContact& relay) override {
    tunnels_.set_relay(socket, relay);
  }
  void visit_to_tun(Bytes packet) override { to_tun_(packet); }

  boost::asio::io_context& io_;
  IpAddress address_;
  Log& log_;
  std::function<void(Socket, const Endpoint&, MutBytes)> received_;
  std::function<void(Bytes)> to_tun_;
  std::function<void()> turn_;
  std::map<Socket, std::shared_ptr<Underlay>> sockets_;  // bounded by Visits::kMaxVisits
  std::uint64_t dropped_before_ = 0;                     // by sockets that are closed
  VisitTunnels tunnels_;
};

}  // namespace i3
