// Owns the UDP sockets of anonymous visits: one each, so that neither port nor NAT links them.
#pragma once

#include <map>

#include "overlay/base/log.hh"
#include "proxy/daemon/underlay.hh"
#include "proxy/host/visits.hh"

namespace i3 {

class VisitSockets final : public VisitIo {
 public:
  // Datagrams go to `received`; `turn` runs after each batch. Sockets are bound to `address`, port
  // 0, and are the worker's own: that takes no privilege.
  VisitSockets(boost::asio::io_context& io, const IpAddress& address, Log& log,
               std::function<void(Socket, const Endpoint&, MutBytes)> received,
               std::function<void(Bytes)> to_tun, std::function<void()> turn);

  void flush();
  std::uint64_t dropped() const;

 private:
  bool open(Socket socket) override;
  void close(Socket socket) override;
  void send(Socket socket, const Endpoint& to, Bytes datagram) override;
  void visit_to_tun(Bytes packet) override { to_tun_(packet); }

  boost::asio::io_context& io_;
  IpAddress address_;
  Log& log_;
  std::function<void(Socket, const Endpoint&, MutBytes)> received_;
  std::function<void(Bytes)> to_tun_;
  std::function<void()> turn_;
  std::map<Socket, std::shared_ptr<Underlay>> sockets_;  // bounded by Visits::kMaxVisits
  std::uint64_t dropped_before_ = 0;                     // by sockets that are closed
};

}  // namespace i3
