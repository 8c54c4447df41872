#include "tests/sim/hosts/nat_world.hh"

namespace i3::sim {
namespace {
using namespace std::chrono_literals;
using By = NatKind::By;
}  // namespace

const std::vector<Connection>& connections() {
  static const std::vector<Connection> all{
      {"none", "none", false, {}, false},
      {"full cone", "full-cone", true, NatKind::full_cone(), false},
      {"address-restricted", "address-restricted", true, NatKind::address_restricted(), false},
      {"port-restricted", "port-restricted", true, NatKind::port_restricted(), false},
      {"symmetric in order", "symmetric", true, NatKind::symmetric_in_order(), false},
      {"symmetric", "symmetric", true, NatKind::symmetric(), false},
      {"double", "port-restricted", true, NatKind::full_cone(), true},
  };
  return all;
}

// Beyond a carrier's NAT nothing is more open than that. Of two NATs with ports in order, each port
// would have to be known before the other one's first packet is sent.
bool theory_allows_direct(const Connection& a, const Connection& b) {
  const auto filter = [](const Connection& c) {
    return !c.own_nat ? By::nothing : c.carrier ? By::address_and_port : c.kind.filtering;
  };
  const auto in_order = [](const Connection& c) {
    return c.own_nat && c.kind.mapping != By::nothing && c.kind.ports == NatKind::Ports::next;
  };
  if (in_order(a) && in_order(b)) return false;
  const auto told_in_advance = [&](const Connection& c) {
    return !c.own_nat || c.kind.mapping == By::nothing || in_order(c);
  };
  // Who knows to which port the other one will send from, or does not mind.
  const auto lets_in = [&](const Connection& in, const Connection& from) {
    return filter(in) != By::address_and_port || told_in_advance(from);
  };
  return lets_in(a, b) && lets_in(b, a);
}

NatWorld::NatWorld(std::uint64_t seed, const Connection& how_a, const Connection& how_b)
    : network(seed) {
  for (int i = 0; i < 3; ++i) {
    ring.add();
    network.run_for(1s);
  }
  network.run_until([this] { return ring.ideal(); }, 120s);
  a = make(1, how_a, nat_a);
  b = make(2, how_b, nat_b);
}

std::unique_ptr<SimHost> NatWorld::make(int number, const Connection& how, SimNetwork::Nat& nat) {
  const std::string n = std::to_string(number);
  Endpoint at = *Endpoint::parse("192.168." + n + ".2:4000");
  if (!how.own_nat) {
    at = *Endpoint::parse("203.0.113." + n + ":4000");
  } else if (how.carrier) {
    std::vector<IpAddress> pool;
    for (int i = 1; i <= 3; ++i)
      pool.push_back(*IpAddress::parse("198.51." + n + "." + std::to_string(i)));
    const auto carrier = network.add_nat(NatKind::port_restricted(), pool);
    nat = network.add_nat(how.kind, {*IpAddress::parse("10.9." + n + ".7")}, carrier);
  } else {
    nat = network.add_nat(how.kind, {*IpAddress::parse("198.51.100." + n)});
  }
  return host(number, how.own_nat ? network.add_host(nat) : network.add_host(), at);
}

std::unique_ptr<SimHost> NatWorld::behind(int number, SimNetwork::Nat nat,
                                          std::vector<IpAddress> home) {
  (number == 1 ? a : b).reset();
  if (!home.empty()) nat = network.add_nat(NatKind::port_restricted(), std::move(home), nat);
  return host(number, network.add_host(nat),
              *Endpoint::parse("192.168.7." + std::to_string(number + 1) + ":4000"));
}

std::unique_ptr<SimHost> NatWorld::host(int number, SimNetwork::Host machine, const Endpoint& at) {
  HostPlan plan;
  plan.name = number == 1 ? "a" : "b";
  plan.book = {{"a", key_of_host(1), true}, {"b", key_of_host(2), true}};
  plan.allow = {{key_of_host(number == 1 ? 2 : 1), Allow::Protocol::usual, {}}};
  for (auto& node : ring.nodes())
    plan.entries.push_back({node->endpoint(), node->identity().key()});
  return std::make_unique<SimHost>(network, machine, at, static_cast<std::uint64_t>(number), plan);
}

bool NatWorld::ready() {
  return network.run_until(
      [this] {
        return a->host().client().nat().checked && b->host().client().nat().checked &&
               a->host().client().ready() && b->host().client().ready();
      },
      60s);
}

bool NatWorld::talk(Duration limit) {
  const TimePoint end = network.now() + limit;
  while (network.now() < end) {
    a->send_udp(b->key(), 5000, 6000, "hello");
    if (network.run_until([&] { return !b->texts(6000).empty(); }, 200ms, 10ms)) return true;
  }
  return false;
}

void NatWorld::go_on(Duration duration) {
  for (const TimePoint end = network.now() + duration; network.now() < end;) {
    a->send_udp(b->key(), 5000, 6000, "on");
    b->send_udp(a->key(), 6000, 5000, "on");
    network.run_for(100ms);
  }
}

Duration NatWorld::longest_silence(Duration duration) {
  Duration longest{};
  TimePoint heard_a = network.now(), heard_b = network.now();
  std::size_t at_a = a->received.size(), at_b = b->received.size();
  for (const TimePoint end = network.now() + duration; network.now() < end;) {
    a->send_udp(b->key(), 5000, 6000, "on");
    b->send_udp(a->key(), 6000, 5000, "on");
    network.run_for(50ms);
    if (a->received.size() != at_a) heard_a = network.now();
    if (b->received.size() != at_b) heard_b = network.now();
    at_a = a->received.size();
    at_b = b->received.size();
    longest = std::max({longest, network.now() - heard_a, network.now() - heard_b});
  }
  return longest;
}

}  // namespace i3::sim
