#include "sim/network.hh"

#include <algorithm>
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
  NatKind kind = NatKind::port_restricted();
  kind.timeout = timeout;
  return add_nat(kind, {outside});
}

SimNetwork::Nat SimNetwork::add_nat(const NatKind& kind, std::vector<IpAddress> outside,
                                    Nat behind) {
  const auto nat = static_cast<Nat>(nats_.size());
  for (const IpAddress& address : outside) place(behind).nats[address] = nat;
  Place& made = nats_.emplace_back();
  made.box.emplace(kind, outside, random_for(0x4e4154 + nat));
  made.outside = std::move(outside);
  made.beyond = behind;
  return nat;
}

void SimNetwork::reboot(Nat nat) {
  nats_[nat].box->reboot();
}

void SimNetwork::open(Host host, const Endpoint& local, Receive receive) {
  hosts_[host].opened.push_back(local);
  place(hosts_[host].nat).open[local] =
      Open{host, std::make_shared<const Receive>(std::move(receive))};
}

void SimNetwork::close(const Endpoint& local) {
  public_.open.erase(local);
  for (Place& nat : nats_) nat.open.erase(local);
}

Duration SimNetwork::latency(Host from, Host to) {
  if (latency_) return latency_(from, to);
  const Machine &a = hosts_[from], &b = hosts_[to];
  const double distance = std::hypot(a.x - b.x, a.y - b.y) / std::sqrt(2.0);
  const double jitter = 1 + static_cast<double>(random_.below(100)) / 1000;
  return std::chrono::microseconds(static_cast<std::int64_t>((2000 + 78000 * distance) * jitter));
}

// 1 the sender's NATs  2 the receiver's NATs  3 the network's faults  4 the receiver, if it still
// lives
void SimNetwork::send(Host host, const Endpoint& from, const Endpoint& to, Bytes message) {
  Machine& machine = hosts_[host];
  if (!machine.alive) return;
  ++machine.sent.packets;
  machine.sent.bytes += message.size();
  travel(host, from, to, machine.nat, message);
}

void SimNetwork::travel(Host from_host, const Endpoint& from, const Endpoint& to, Nat where,
                        Bytes message) {
  Place& here = place(where);
  if (auto open = here.open.find(to); open != here.open.end())
    return transmit(from_host, open->second.host, from, to, message, here.open);
  if (auto nat = here.nats.find(to.address); nat != here.nats.end())
    return enter(from_host, from, to, nat->second, message);
  if (where == kNoNat) {
    if (tap_) tap_(from, to, message);
    ++lost_;
    return;
  }
  const Endpoint outside = here.box->out(from, to, now_);
  const bool own =
      std::find(here.outside.begin(), here.outside.end(), to.address) != here.outside.end();
  if (!own) return travel(from_host, outside, to, here.beyond, message);
  if (here.box->kind().hairpin) return enter(from_host, outside, to, where, message);
  ++lost_;
}

void SimNetwork::enter(Host from_host, const Endpoint& from, const Endpoint& to, Nat nat,
                       Bytes message) {
  Place& there = nats_[nat];
  const auto inside = there.box->in(from, to, now_);
  if (!inside) {
    ++lost_;
    return;
  }
  if (auto open = there.open.find(*inside); open != there.open.end())
    return transmit(from_host, open->second.host, from, *inside, message, there.open);
  if (auto further = there.nats.find(inside->address); further != there.nats.end())
    return enter(from_host, from, *inside, further->second, message);
  ++lost_;
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
  OpenTable& table = place(machine.nat).open;
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
