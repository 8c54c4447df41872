// Hosts find near nodes, begin at them and keep their private triggers there; they move without
// losing a packet, spread over nodes that are as near, and stay where they are without a reason.
#include <doctest/doctest.h>
#include <set>

#include "overlay/client/near_place.hh"
#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

// Machines on a line: as many milliseconds one way as they are apart, and half a one.
struct Line {
  explicit Line(std::uint64_t seed, std::size_t nodes, double apart = 10) : network(seed) {
    network.set_latency([this](SimNetwork::Host a, SimNetwork::Host b) {
      return std::chrono::microseconds(
          static_cast<std::int64_t>(1000 * std::abs(places[a] - places[b]) + 500));
    });
    for (std::size_t i = 0; i < nodes; ++i) {
      SimNode& node = ring.add(3);
      places[node.host()] = apart * static_cast<double>(i);
      network.run_for(200ms);
    }
    REQUIRE(network.run_until([&] { return ring.ideal(); }, 120s, 500ms));
    plan.allow = {{std::nullopt, Allow::Protocol::usual, {}}};
    plan.shortcuts = false;
    for (std::size_t i : {nodes / 2, nodes / 2 + 1})
      plan.entries.push_back({ring[i].endpoint(), ring[i].identity().key()});
  }

  std::unique_ptr<SimHost> make(std::uint64_t number, double place, std::string state = {}) {
    HostPlan own = plan;
    own.name = "h" + std::to_string(number);
    own.state = std::move(state);
    for (std::uint64_t other = 1; other <= 30; ++other)
      own.book.push_back({"h" + std::to_string(other), key_of_host(other), false});
    const auto machine = network.add_host();
    places[machine] = place;
    const auto at = *Endpoint::parse("203.0." + std::to_string(number) + ".1:4000");
    return std::make_unique<SimHost>(network, machine, at, number, own);
  }

  // The node with its unused private triggers: where new peers will be told to send.
  SimNode* node_of(SimHost& host) {
    for (const TriggerStatus& trigger : host.host().client().triggers(network.now()))
      if (trigger.use == TriggerStatus::Use::spare && trigger.stands)
        for (const auto& node : ring.nodes())
          if (node->endpoint() == trigger.address) return node.get();
    return nullptr;
  }
  double distance(SimHost& host) {
    SimNode* node = node_of(host);
    return node ? std::abs(places[node->host()] - places[host.machine()]) : 1e9;
  }

  SimNetwork network;
  SimRing ring{network};
  std::map<SimNetwork::Host, double> places;
  HostPlan plan;
};

std::size_t private_triggers(SimHost& host, TimePoint now) {
  std::size_t count = 0;
  for (const TriggerStatus& trigger : host.host().client().triggers(now))
    count += trigger.use != TriggerStatus::Use::public_id;
  return count;
}

}  // namespace

TEST_CASE("while private triggers move to near nodes no packet is lost, and peers are told") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    Line line(seed_or(seed), 24);
    auto a = line.make(1, 14), b = line.make(2, 203);
    REQUIRE(line.network.run_until(
        [&] { return a->host().client().ready() && b->host().client().ready(); }, 30s));
    std::size_t said = 0;
    for (; said < 1500; ++said) {
      a->send_udp(b->key(), 6001, 6000, "a" + std::to_string(said));
      b->send_udp(a->key(), 7001, 7000, "b" + std::to_string(said));
      line.network.run_for(20ms);
    }
    line.network.run_for(1s);
    const auto at_b = b->texts(6000), at_a = a->texts(7000);
    CHECK(std::set<std::string>(at_b.begin(), at_b.end()).size() == said);
    CHECK(std::set<std::string>(at_a.begin(), at_a.end()).size() == said);
    CHECK(line.distance(*a) <= 10);
    CHECK(line.distance(*b) <= 10);
    // What peers use is there as well, and nothing else is left: four spares and one for the peer.
    const Peer* peer = a->host().peers().find(b->key());
    REQUIRE(peer->current() != nullptr);
    CHECK(peer->current()->node.key == line.node_of(*b)->identity().key());
    line.network.run_for(10s);
    CHECK(private_triggers(*a, line.network.now()) == 5);
    CHECK(private_triggers(*b, line.network.now()) == 5);
  }
}

TEST_CASE("near nodes are measured, and used to begin at") {
  Line line(seed_or(7), 24);
  auto a = line.make(1, 14);
  line.network.run_for(20s);
  const auto near = a->host().client().nearest_nodes();
  REQUIRE(near.size() >= 8);
  CHECK(near.size() <= 16);
  CHECK(near[0].rtt < 12ms);
  CHECK(std::is_sorted(near.begin(), near.end(),
                       [](const NearNode& x, const NearNode& y) { return x.rtt < y.rtt; }));
  CHECK(line.network.run_until(
      [&] {
        std::size_t offered = 0;
        for (const EntryStatus& entry : a->host().client().nodes())
          offered += !entry.configured && entry.alive && entry.rtt < 30ms;
        return offered == 2;
      },
      60s));
  // All but the configured ones die: those still serve.
  for (std::size_t i = line.ring.size(); i-- > 0;)
    if (const Endpoint at = line.ring[i].endpoint();
        at != line.plan.entries[0].address && at != line.plan.entries[1].address)
      line.ring.kill(i);
  CHECK(line.network.run_until(
      [&] {
        const auto nodes = a->host().client().nodes();
        return a->host().client().ready() && line.node_of(*a) != nullptr &&
               std::all_of(nodes.begin(), nodes.end(),
                           [](const EntryStatus& one) { return one.configured == one.alive; });
      },
      120s));
}

TEST_CASE("the next life of a host begins at the near node that it had") {
  Line line(seed_or(8), 24);
  auto a = line.make(1, 14);
  line.network.run_for(60s);
  REQUIRE(line.distance(*a) <= 10);
  SimNode* before = line.node_of(*a);
  const std::string state = a->host().state_lines();
  a.reset();
  a = line.make(1, 14, state);
  REQUIRE(line.network.run_until([&] { return line.node_of(*a) != nullptr; }, 5s));
  CHECK(line.node_of(*a) == before);
}

TEST_CASE("hosts of one place spread over the nodes that are as near") {
  // Six nodes at one place, six far away.
  Line line(seed_or(9), 12, 0);
  for (std::size_t i = 6; i < 12; ++i) line.places[line.ring[i].host()] = 100;
  std::vector<std::unique_ptr<SimHost>> hosts;
  for (std::uint64_t number = 1; number <= 18; ++number) hosts.push_back(line.make(number, 0));
  line.network.run_for(60s);
  std::map<SimNode*, std::size_t> load;
  for (auto& host : hosts) {
    CHECK(line.distance(*host) == 0);
    ++load[line.node_of(*host)];
  }
  for (const auto& [node, count] : load) CHECK(count <= 9);
  CHECK(load.size() >= 4);
}

TEST_CASE("triggers stay where they are for a node that is hardly nearer") {
  Line line(seed_or(10), 12, 0.1);
  auto a = line.make(1, 0);
  REQUIRE(line.network.run_until([&] { return line.node_of(*a) != nullptr; }, 20s));
  SimNode* first = line.node_of(*a);
  line.network.run_for(300s);
  CHECK(line.node_of(*a) == first);
  CHECK_FALSE(client::NearPlace::clearly_farther(20ms, 15ms));
  CHECK_FALSE(client::NearPlace::clearly_farther(3ms, 100us));
  CHECK(client::NearPlace::clearly_farther(20ms, 10ms));
  // Who has just moved has no reason to move again.
  for (const Duration nearest : {Duration(100us), Duration(5ms), Duration(80ms)})
    for (Duration one = nearest; client::NearPlace::as_good(one, nearest); one += 100us)
      CHECK_FALSE(client::NearPlace::clearly_farther(one, nearest));
}

TEST_CASE(
    "the near node dies: triggers go to its successor at once, and then to another near one") {
  Line line(seed_or(11), 24);
  auto a = line.make(1, 14), b = line.make(2, 203);
  line.network.run_for(40s);
  REQUIRE(line.distance(*b) <= 10);
  a->send_udp(b->key(), 6001, 6000, "first");
  line.network.run_for(2s);
  REQUIRE(b->texts(6000).size() == 1);
  SimNode* dead = line.node_of(*b);
  for (std::size_t i = 0; i < line.ring.size(); ++i)
    if (&line.ring[i] == dead) {
      line.ring.kill(i);
      break;
    }
  std::size_t said = 0;
  for (; said < 100; ++said) {
    a->send_udp(b->key(), 6001, 6000, std::to_string(said));
    line.network.run_for(50ms);
  }
  CHECK(b->texts(6000).size() > said - 25);
  CHECK(line.network.run_until([&] { return line.distance(*b) <= 20; }, 400s));
  a->send_udp(b->key(), 6001, 6000, "last");
  line.network.run_for(1s);
  CHECK(b->texts(6000).back() == "last");
}
