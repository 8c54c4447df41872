// What the kernel is told of waypoints, and the answers that wait for it.
#include "gateways/waypoint/from_ip.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {

// A client that gets a waypoint may send UDP to it at once, and is not there yet by any handshake.
void FromIp::answer(const DnsClient& client, Bytes message) {
  if (message.empty()) return dns_->ignore(client);
  if (!waypoints_here_ || !std::exchange(gave_waypoint_, false))
    return dns_->answer(client, message);
  tell_kernel();
  if (kernel_.settled()) return dns_->answer(client, message);
  held_.hold(client, message, kernel_.batch(), worker_.clock().now());
}

void FromIp::tell_kernel() {
  if (!waypoints_here_) {
    // The other machine learns them by notes; nothing is kept for it.
    waypoints_.take_changes();
    if (waypoints6_) waypoints6_->take_changes();
    return;
  }
  for (const Waypoints::Change& change : waypoints_.take_changes()) {
    if (change.name.empty()) {
      kernel_.set({change.client, change.waypoint, std::nullopt});
      continue;
    }
    find(change.name, true, [this, change](std::optional<IpAddress> target) {
      // A gateway's answer may come when the binding is another one by now, or none.
      if (waypoints_.bound_to(change.client, change.waypoint) != change.name) return;
      if (target && !target->is_v4()) target.reset();
      kernel_.set({change.client, change.waypoint, target});
    });
  }
  for (const Waypoints::Window& window : waypoints_.take_windows(worker_.clock().now()))
    tell_window(window);
  if (!waypoints6_) return;
  for (const Waypoints6::Change& change : waypoints6_->take_changes()) {
    Peer* peer = change.key ? worker_.host().meet(*change.key) : nullptr;
    kernel_.set(
        {{}, change.address, peer != nullptr ? std::optional(peer->ipv6.address()) : std::nullopt});
  }
}

void FromIp::flush() {
  if (!stopped_) kernel_.flush();
}

// For the network that asked, and for all others, whose flows have a limit of their own.
void FromIp::tell_window(const Waypoints::Window& window) {
  const auto tell = [this, window](std::optional<IpAddress> target) {
    if (window.asker.is_v4()) kernel_.set({window.asker, window.waypoint, target, true});
    kernel_.set({{}, window.waypoint, target, true});
  };
  if (window.name.empty()) return tell(std::nullopt);
  find(window.name, true, [this, window, tell](std::optional<IpAddress> target) {
    const TimePoint now = worker_.clock().now();
    if (waypoints_.window_of(window.waypoint, now) != window.name) return;
    if (target && target->is_v4()) tell(target);
  });
}

}  // namespace i3
