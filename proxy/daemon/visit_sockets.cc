#include "proxy/daemon/visit_sockets.hh"

#include <boost/asio/post.hpp>

#include "proxy/platform/platform_error.hh"
#include "proxy/platform/sockets.hh"

namespace i3 {

namespace {

VisitTunnels::Events completed(
    VisitTunnels::Events events,
    const std::function<void(VisitIo::Socket, const Endpoint&, MutBytes)>& received,
    const std::function<void()>& turn) {
  events.received = received;
  events.turn = turn;
  return events;
}

}  // namespace

VisitSockets::VisitSockets(boost::asio::io_context& io, const IpAddress& address, Clock& clock,
                           Random& random, Log& log,
                           std::function<void(Socket, const Endpoint&, MutBytes)> received,
                           std::function<void(Bytes)> to_tun, std::function<void()> turn,
                           VisitTunnels::Events tunnels)
    : io_(io),
      address_(address),
      log_(log),
      received_(std::move(received)),
      to_tun_(std::move(to_tun)),
      turn_(std::move(turn)),
      tunnels_(io, clock, random, log, completed(std::move(tunnels), received_, turn_)) {}

bool VisitSockets::open(Socket socket) {
  try {
    sockets_[socket] = std::make_shared<Underlay>(
        io_, bind_udp({address_, 0}, "an anonymous visit"),
        [this, socket](const Endpoint& from, MutBytes datagram) {
          received_(socket, from, datagram);
        },
        turn_);
    return true;
  } catch (const PlatformError& error) {
    sockets_.erase(socket);
    log_.warning("no_socket_for_visit", {{"reason", error.what()}});
    return false;
  }
}

void VisitSockets::close(Socket socket) {
  tunnels_.close(socket);
  const auto found = sockets_.find(socket);
  if (found == sockets_.end()) return;
  found->second->flush();
  dropped_before_ += found->second->dropped();
  // Gone only when the event loop is not inside it.
  boost::asio::post(io_, [last = std::move(found->second)] {});
  sockets_.erase(found);
}

void VisitSockets::send(Socket socket, const Endpoint& to, Bytes datagram) {
  const auto found = sockets_.find(socket);
  if (found == sockets_.end()) return;
  if (tunnels_.on()) return tunnels_.send(socket, to, datagram);
  found->second->send(to, datagram);
}

void VisitSockets::flush() {
  for (const auto& [socket, underlay] : sockets_) underlay->flush();
}

std::uint64_t VisitSockets::dropped() const {
  std::uint64_t dropped = dropped_before_;
  for (const auto& [socket, underlay] : sockets_) dropped += underlay->dropped();
  return dropped;
}

}  // namespace i3
