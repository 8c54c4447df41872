#include "overlay/node/node_driver.hh"

#include <cstring>
#include <ifaddrs.h>

namespace i3 {
namespace {

NodeCoreSettings with_families(NodeCoreSettings settings, bool v4, bool v6) {
  settings.have_v4 = v4;
  settings.have_v6 = v6;
  return settings;
}

// Where a removal, or another target, may have ended what a label stood for.
bool changes_triggers(Bytes message) {
  const auto header = wire::Header::parse(message);
  return header && header->type == wire::Type::insert;
}

// An answer that only who showed a cookie or a token from there gets.
bool shows_proof(Bytes message) {
  const auto header = wire::Header::parse(message);
  return header && (header->type == wire::Type::inserted || header->type == wire::Type::refreshed);
}

}  // namespace

NodeDriver::Port::Port(boost::asio::io_context& context, OwnedFd fd, bool second)
    : other(second), socket(std::move(fd)), readiness(context, socket.fd()) {
  if (!second && socket.open_lane()) lane.emplace(context, socket.lane_fd());
}

NodeDriver::NodeDriver(boost::asio::io_context& context, NodeCoreSettings settings,
                       std::vector<OwnedFd> sockets, const Identity& identity, Random& random,
                       Clock& clock, Log& log)
    : clock_(clock),
      log_(log),
      ports_([&] {
        std::vector<std::unique_ptr<Port>> ports;
        for (OwnedFd& fd : sockets)
          ports.push_back(std::make_unique<Port>(context, std::move(fd), false));
        return ports;
      }()),
      core_(with_families(
                std::move(settings),
                std::any_of(ports_.begin(), ports_.end(), [](auto& p) { return p->socket.v4(); }),
                std::any_of(ports_.begin(), ports_.end(), [](auto& p) { return p->socket.v6(); })),
            identity, random, log, *this),
      timer_(context),
      told_k_(core_.contact().k) {
  assert(!ports_.empty());
  open_other_ports(context);
}

// One more port beside the best socket of each family, of the kernel's choice. A node works
// without.
void NodeDriver::open_other_ports(boost::asio::io_context& context) {
  for (const bool v6 : {false, true}) {
    const auto best = std::find_if(ports_.begin(), ports_.end(), [v6](const auto& port) {
      return !port->other && (v6 ? port->socket.v6() : port->socket.v4());
    });
    const auto has = [v6](const auto& port) {
      return port->other && (v6 ? port->socket.v6() : port->socket.v4());
    };
    if (best == ports_.end() || std::any_of(ports_.begin(), ports_.end(), has)) continue;
    try {
      const bool dual = (*best)->socket.v4() && (*best)->socket.v6();
      OwnedFd fd = UdpSocket::bind({(*best)->socket.local().address, 0}, dual);
      ports_.push_back(std::make_unique<Port>(context, std::move(fd), true));
    } catch (const SocketError& error) {
      log_.warning("no_second_port", {{"reason", error.what()}});
    }
  }
}

std::uint16_t NodeDriver::other_port(const IpAddress& family) {
  for (const auto& port : ports_)
    if (port->other && port->socket.reaches(family)) return port->socket.local().port;
  return 0;
}

void NodeDriver::send_other(const Endpoint& to, Bytes message) {
  for (auto& port : ports_)
    if (port->other && port->socket.reaches(to.address))
      return port->socket.send(to, message, false);
}

NodeDriver::~NodeDriver() {
  for (auto& port : ports_) {
    // The socket's descriptor is UdpSocket's to close.
    boost::system::error_code ignored;
    port->readiness.cancel(ignored);
    port->readiness.release();
    if (!port->lane) continue;
    port->lane->cancel(ignored);
    port->lane->release();
  }
}

void NodeDriver::start() {
  core_.start(clock_.now());
  flush();
  for (auto& port : ports_) {
    wait(*port);
    if (port->lane) wait_for_lane(*port);
  }
  arm_timer();
}

void NodeDriver::leave() {
  if (stopped_) return;
  core_.leave(clock_.now());
  flush();
  stopped_ = true;
  timer_.cancel();
  boost::system::error_code ignored;
  for (auto& port : ports_) {
    port->readiness.cancel(ignored);
    if (port->lane) port->lane->cancel(ignored);
  }
}

std::vector<Endpoint> NodeDriver::listening() const {
  std::vector<Endpoint> result;
  for (const auto& port : ports_)
    if (!port->other) result.push_back(port->socket.local());
  return result;
}

bool NodeDriver::sends_to(const IpAddress& address) const {
  return std::any_of(ports_.begin(), ports_.end(),
                     [&](const auto& port) { return port->socket.reaches(address); });
}

std::map<std::string, std::uint64_t, std::less<>> NodeDriver::counters() const {
  auto all = core_.counters();
  for (const auto& port : ports_) all["send_failures"] += port->socket.send_failures();
  if (leases_) all.merge(leases_->counters());
  if (door_) door_->add_counters(all);
  return all;
}

NodeDriver::Port* NodeDriver::port_for(const IpAddress& address) {
  if (current_ && current_->socket.reaches(address)) return current_;
  for (auto& port : ports_)
    if (!port->other && port->socket.reaches(address)) return port.get();
  return nullptr;
}

void NodeDriver::send(const Endpoint& to, Bytes message) {
  if (door_ && door_->take(to, message)) return;
  Port* port = port_for(to.address);
  if (port == nullptr) return;
  if (port == current_ && shows_proof(message)) port->socket.vouch();
  port->socket.send(to, message, false);
}

void NodeDriver::wait(Port& port) {
  port.readiness.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                            [this, &port](const boost::system::error_code& error) {
                              if (error || stopped_) return;
                              receive(port, port.socket.receive());
                              wait(port);
                            });
}

// A flood of anything else fills the other queue only, and takes every second turn at most.
void NodeDriver::wait_for_lane(Port& port) {
  port.lane->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [this, &port](const boost::system::error_code& error) {
                          if (error || stopped_) return;
                          receive(port, port.socket.receive_lane());
                          wait_for_lane(port);
                        });
}

// One clock reading a batch. What the core forwards unchanged is sent from the receive buffer.
void NodeDriver::receive(Port& port, std::span<const UdpSocket::Datagram> batch) {
  const TimePoint now = clock_.now();
  const WallTime wall = clock_.wall();
  if (port.other) {
    for (const UdpSocket::Datagram& datagram : batch)
      core_.on_other_port(datagram.from, datagram.bytes, now);
    return flush();
  }
  current_ = &port;
  for (const UdpSocket::Datagram& datagram : batch) core_.prefetch(datagram.bytes);
  for (const UdpSocket::Datagram& datagram : batch) {
    port.socket.answering(&datagram);
    const auto verdict = core_.on_datagram(datagram.from, datagram.bytes, now, wall);
    if (leases_ && changes_triggers(datagram.bytes)) leases_->hurry(now);
    if (!verdict.forward || (door_ && door_->take(verdict.to, datagram.bytes))) continue;
    if (Port* out = port_for(verdict.to.address)) {
      out->socket.send(verdict.to, datagram.bytes, true);
      if (leases_ && out == &port) offer_lease(port, datagram, verdict.to, now);
    }
  }
  port.socket.answering(nullptr);
  current_ = nullptr;
  settle();
}

void NodeDriver::inject(const Endpoint& from, MutBytes message) {
  const TimePoint now = clock_.now();
  const auto verdict = core_.on_datagram(from, message, now, clock_.wall());
  if (leases_ && changes_triggers(message)) leases_->hurry(now);
  if (verdict.forward) send(verdict.to, message);
}

void NodeDriver::settle() {
  flush();
  arm_timer();
  tell_place();
}

// The kernel sends from where the packet came to, so only where the target expects just that.
void NodeDriver::offer_lease(Port& port, const UdpSocket::Datagram& datagram, const Endpoint& to,
                             TimePoint now) {
  const auto labelled = wire::Labelled::parse(datagram.bytes);
  const auto came_to = port.socket.local_for(datagram.from);
  if (!labelled || !came_to || port.socket.local_for(to) != came_to) return;
  if (core_.unlimited(labelled->label, now))
    leases_->offer(labelled->label, {*came_to, port.socket.local().port}, to, now);
}

void NodeDriver::review_leases(TimePoint now) {
  if (leases_ && leases_->next_review() <= now)
    leases_->review(now, [&](wire::Label label) { return core_.unlimited(label, now); });
}

void NodeDriver::flush() {
  for (auto& port : ports_) port->socket.flush();
}

void NodeDriver::arm_timer() {
  TimePoint next = core_.next_deadline();
  if (leases_) next = std::min(next, leases_->next_review());
  // A timer that fires early only finds nothing to do.
  if (stopped_ || next >= armed_) return;
  armed_ = next;
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(next.time_since_epoch())));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_) return;
    armed_ = kNever;
    core_.on_timer(clock_.now(), clock_.wall());
    review_leases(clock_.now());
    settle();
  });
}

void NodeDriver::tell_place() {
  if (core_.contact().k == told_k_) return;
  told_k_ = core_.contact().k;
  if (on_place) on_place(told_k_);
}

bool is_local_address(const IpAddress& address) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return false;
  bool found = false;
  for (const ifaddrs* entry = list; entry && !found; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    if (entry->ifa_addr->sa_family == AF_INET && address.is_v4()) {
      sockaddr_in in;
      std::memcpy(&in, entry->ifa_addr, sizeof in);
      found = ntohl(in.sin_addr.s_addr) == address.to_v4();
    } else if (entry->ifa_addr->sa_family == AF_INET6 && !address.is_v4()) {
      sockaddr_in6 in;
      std::memcpy(&in, entry->ifa_addr, sizeof in);
      found = std::memcmp(&in.sin6_addr, address.bytes.data(), 16) == 0;
    }
  }
  freeifaddrs(list);
  return found;
}

}  // namespace i3
