#include "sim/network.hh"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace i3::sim {

std::uint64_t seed_or(std::uint64_t fallback) {
  const char* text = std::getenv("I3_SIM_SEED");
  const std::uint64_t seed = text ? std::strtoull(text, nullptr, 10) : fallback;
  std::printf("simulation seed %llu (repeat with I3_SIM_SEED)\n",
              static_cast<unsigned long long>(seed));
  return seed;
}

SimNetwork::SimNetwork(std::uint64_t seed) : seed_(seed), random_(seed) {}

WallTime SimNetwork::wall() const {
  constexpr std::chrono::seconds kBeginning{1'750'000'000};
  return static_cast<WallTime>((now_.time_since_epoch() + kBeginning + wall_shift_).count());
}

SimNetwork::Host SimNetwork::add_host() {
  Machine machine;
  machine.x = static_cast<double>(random_.below(1000)) / 1000;
  machine.y = static_cast<double>(random_.below(1000)) / 1000;
  hosts_.push_back(machine);
  return static_cast<Host>(hosts_.size() - 1);
}

SimNetwork::Host SimNetwork::add_host(Nat behind) {
  const Host host = add_host();
  hosts_[host].nat = behind;
  return host;
}

SimNetwork::Nat SimNetwork::add_nat(const IpAddress& outside, Duration timeout) {
  NatBox box;
  box.outside = outside;
  box.timeout = timeout;
  nats_.push_back(std::move(box));
  const auto nat = static_cast<Nat>(nats_.size() - 1);
  nat_by_address_[outside] = nat;
  return nat;
}

void SimNetwork::reboot(Nat nat) {
  nats_[nat].by_port.clear();
  nats_[nat].by_inside.clear();
  nats_[nat].next_port = static_cast<std::uint16_t>(20000 + random_.below(20000));
}

void SimNetwork::open(Host host, const Endpoint& local, Receive receive) {
  const Nat nat = hosts_[host].nat;
  hosts_[host].opened.push_back(local);
  (nat == kNoNat ? public_ : nats_[nat].inside)[local] =
      Open{host, std::make_shared<const Receive>(std::move(receive))};
}

void SimNetwork::close(const Endpoint& local) {
  public_.erase(local);
  for (NatBox& nat : nats_) nat.inside.erase(local);
}

Duration SimNetwork::latency(Host from, Host to) {
  if (latency_) return latency_(from, to);
  const Machine &a = hosts_[from], &b = hosts_[to];
  const double distance = std::hypot(a.x - b.x, a.y - b.y) / std::sqrt(2.0);
  const double jitter = 1 + static_cast<double>(random_.below(100)) / 1000;
  return std::chrono::microseconds(static_cast<std::int64_t>((2000 + 78000 * distance) * jitter));
}

Endpoint SimNetwork::map_out(NatBox& nat, const Endpoint& inside, const Endpoint& to) {
  auto known = nat.by_inside.find(inside);
  if (known != nat.by_inside.end() && nat.by_port[known->second].last + nat.timeout <= now_) {
    nat.by_port.erase(known->second);
    nat.by_inside.erase(known);
    known = nat.by_inside.end();
  }
  if (known == nat.by_inside.end()) {
    while (nat.next_port < 1024 || nat.by_port.contains(nat.next_port)) ++nat.next_port;
    known = nat.by_inside.emplace(inside, nat.next_port++).first;
    nat.by_port[known->second].inside = inside;
  }
  Mapping& mapping = nat.by_port[known->second];
  mapping.last = now_;
  mapping.peers[to] = now_;
  return {nat.outside, known->second};
}

// 1 the sender's NAT  2 the network's faults  3 the receiver's NAT  4 the receiver, if it still
// lives
void SimNetwork::send(Host host, const Endpoint& from, const Endpoint& to, Bytes message) {
  Machine& machine = hosts_[host];
  if (!machine.alive) return;
  ++machine.sent.packets;
  machine.sent.bytes += message.size();
  if (machine.nat == kNoNat) return deliver(host, from, to, message);
  NatBox& nat = nats_[machine.nat];
  if (auto neighbour = nat.inside.find(to); neighbour != nat.inside.end())
    return transmit(host, neighbour->second.host, from, to, message, nat.inside);
  deliver(host, map_out(nat, from, to), to, message);
}

void SimNetwork::deliver(Host from_host, const Endpoint& from, const Endpoint& to, Bytes message) {
  if (auto open = public_.find(to); open != public_.end())
    return transmit(from_host, open->second.host, from, to, message, public_);
  auto found = nat_by_address_.find(to.address);
  if (found == nat_by_address_.end()) {
    if (tap_) tap_(from, to, message);
    ++lost_;
    return;
  }
  NatBox& nat = nats_[found->second];
  auto mapping = nat.by_port.find(to.port);
  if (mapping == nat.by_port.end() || !mapping->second.peers.contains(from) ||
      mapping->second.last + nat.timeout <= now_) {
    ++lost_;
    return;
  }
  auto open = nat.inside.find(mapping->second.inside);
  if (open == nat.inside.end()) return;
  transmit(from_host, open->second.host, from, mapping->second.inside, message, nat.inside);
}

void SimNetwork::transmit(Host from_host, Host to_host, const Endpoint& from, const Endpoint& to,
                          Bytes message, OpenTable& table) {
  const bool tapped = tap_ && tap_(from, to, message);
  const bool unlucky = loss_ > 0 && static_cast<double>(random_.below(1'000'000)) < loss_ * 1e6;
  if (tapped || unlucky || (blocked_ && blocked_(from_host, to_host))) {
    ++lost_;
    return;
  }
  Event& event = events_[allocate(now_ + latency(from_host, to_host), to_host)];
  event.from = from;
  event.to = to;
  event.table = &table;
  event.message.assign(message.begin(), message.end());
}

void SimNetwork::arrive(const Endpoint& from, const Endpoint& to, Host host, OpenTable& table,
                        std::vector<std::uint8_t>& message) {
  auto open = table.find(to);
  if (open == table.end() || open->second.host != host) return;
  ++hosts_[host].received.packets;
  hosts_[host].received.bytes += message.size();
  // Held here: the callback may replace or close the endpoint.
  const auto receive = open->second.receive;
  (*receive)(from, to, message);
}

std::uint32_t SimNetwork::allocate(TimePoint when, Host host) {
  if (free_events_.empty()) {
    free_events_.push_back(static_cast<std::uint32_t>(events_.size()));
    events_.emplace_back();
  }
  const std::uint32_t place = free_events_.back();
  free_events_.pop_back();
  Event& event = events_[place];
  event.waiting = true;
  event.host = host;
  due_.push_back({std::max(when, now_), order_++, place, event.generation});
  std::push_heap(due_.begin(), due_.end(), std::greater<>());
  return place;
}

void SimNetwork::release(std::uint32_t place) {
  Event& event = events_[place];
  event.waiting = false;
  ++event.generation;
  event.run = nullptr;
  event.table = nullptr;
  free_events_.push_back(place);
}

SimNetwork::Timer SimNetwork::at(Host host, TimePoint when, std::function<void()> callback) {
  const std::uint32_t place = allocate(when, host);
  events_[place].run = std::move(callback);
  return (Timer{place} + 1) << 32 | events_[place].generation;
}

void SimNetwork::cancel(Timer timer) {
  if (timer == 0) return;
  const auto place = static_cast<std::uint32_t>((timer >> 32) - 1);
  const Event& event = events_[place];
  if (event.waiting && event.generation == static_cast<std::uint32_t>(timer)) release(place);
}

void SimNetwork::kill(Host host) {
  Machine& machine = hosts_[host];
  machine.alive = false;
  OpenTable& table = machine.nat == kNoNat ? public_ : nats_[machine.nat].inside;
  for (const Endpoint& local : machine.opened)
    if (auto open = table.find(local); open != table.end() && open->second.host == host)
      table.erase(open);
  machine.opened = {};
}

void SimNetwork::run_event(std::uint32_t place) {
  Event& event = events_[place];
  const Host host = event.host;
  ++happened_;
  if (event.table == nullptr) {
    const auto run = std::move(event.run);
    release(place);
    if (hosts_[host].alive) run();
    return;
  }
  // Not released before it was heard: what the callback sends takes other places.
  if (hosts_[host].alive) arrive(event.from, event.to, host, *event.table, event.message);
  release(place);
}

void SimNetwork::run_until(TimePoint when) {
  while (!due_.empty() && due_.front().when <= when) {
    const Due next = due_.front();
    std::pop_heap(due_.begin(), due_.end(), std::greater<>());
    due_.pop_back();
    const Event& event = events_[next.event];
    if (!event.waiting || event.generation != next.generation) continue;
    now_ = next.when;
    run_event(next.event);
  }
  now_ = when;
}

bool SimNetwork::run_until(const std::function<bool()>& condition, Duration limit, Duration step) {
  const TimePoint end = now_ + limit;
  while (!condition()) {
    if (now_ >= end) return false;
    run_until(std::min(now_ + step, end));
  }
  return true;
}

}  // namespace i3::sim
