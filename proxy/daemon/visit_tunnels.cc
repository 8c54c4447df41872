#include "proxy/daemon/visit_tunnels.hh"

#include <boost/asio/post.hpp>

namespace i3 {

void VisitTunnels::set_on(bool on) {
  if (on == std::exchange(on_, on) || on) return;
  for (auto& [socket, tunnel] : tunnels_) end(tunnel);
  tunnels_.clear();
}

void VisitTunnels::set_relay(Socket socket, const wire::NodeContact& relay) {
  relays_[socket] = relay;
  const auto found = tunnels_.find(socket);
  if (found == tunnels_.end()) return;
  end(found->second);
  tunnels_.erase(found);
}

void VisitTunnels::close(Socket socket) {
  relays_.erase(socket);
  const auto found = tunnels_.find(socket);
  if (found == tunnels_.end()) return;
  end(found->second);
  tunnels_.erase(found);
}

// Gone only when the event loop is not inside it.
void VisitTunnels::end(Tunnel& tunnel) {
  counters_.dropped += tunnel.waiting.size() + tunnel.uplink->dropped();
  tunnel.uplink->want(false);
  boost::asio::post(io_, [last = std::shared_ptr<TlsUplink>(std::move(tunnel.uplink))] {});
}

// One node at a time: who is asked learns of the visit. The relay knows of it anyway; another one
// sees no more than a relay does, but is one more, and the host's own is taken only where there is
// no other.
std::vector<TunnelTarget> VisitTunnels::choose(Socket socket) {
  const auto relay = relays_.find(socket);
  if (relay != relays_.end())
    if (const auto target = events_.serves(relay->second)) return {*target};
  std::vector<TunnelTarget> all = events_.targets();
  const auto own = events_.own();
  std::vector<TunnelTarget> others;
  for (const TunnelTarget& target : all)
    if (!own || target.address != *own) others.push_back(target);
  if (!others.empty()) all = std::move(others);
  if (all.empty()) return {};
  return {all[random_.below(all.size())]};
}

// A context of TLS of its own, hence no session that could be resumed with another's.
VisitTunnels::Tunnel* VisitTunnels::make(Socket socket) {
  if (const auto found = tunnels_.find(socket); found != tunnels_.end()) return &found->second;
  if (tunnels_.size() >= kMaxTunnels) return nullptr;
  Tunnel& tunnel = tunnels_[socket];
  TlsUplink::Events events;
  events.targets = [this, socket] { return choose(socket); };
  events.received = [this, socket](const Endpoint& node, MutBytes datagram) {
    events_.received(socket, node, datagram);
  };
  events.turn = events_.turn;
  events.changed = [this, socket] { changed(socket); };
  tunnel.uplink = std::make_unique<TlsUplink>(io_, clock_, random_, log_, std::move(events));
  tunnel.uplink->want(true);
  return &tunnel;
}

void VisitTunnels::changed(Socket socket) {
  const auto found = tunnels_.find(socket);
  if (found == tunnels_.end()) return;
  Tunnel& tunnel = found->second;
  if (!tunnel.uplink->is_open()) {
    ++counters_.lost;
    return;
  }
  ++counters_.opened;
  auto waiting = std::exchange(tunnel.waiting, {});
  const TimePoint now = clock_.now();
  for (const Waiting& one : waiting)
    if (now < one.since + kWaitFor)
      tunnel.uplink->send(one.to, one.datagram);
    else
      ++counters_.dropped;
  // The relay knows the address of the connection that was lost.
  if (std::exchange(tunnel.stood, true))
    boost::asio::post(io_, [this, socket] {
      events_.moved(socket);
      events_.turn();
    });
}

void VisitTunnels::send(Socket socket, const Endpoint& to, Bytes datagram) {
  Tunnel* tunnel = make(socket);
  if (tunnel == nullptr) {
    ++counters_.no_room;
    return;
  }
  if (tunnel->uplink->is_open()) return tunnel->uplink->send(to, datagram);
  if (tunnel->waiting.size() >= kMaxWaiting) {
    tunnel->waiting.pop_front();
    ++counters_.dropped;
  }
  tunnel->waiting.push_back({to, {datagram.begin(), datagram.end()}, clock_.now()});
}

std::size_t VisitTunnels::open() const {
  return static_cast<std::size_t>(
      std::count_if(tunnels_.begin(), tunnels_.end(),
                    [](const auto& one) { return one.second.uplink->is_open(); }));
}

}  // namespace i3
