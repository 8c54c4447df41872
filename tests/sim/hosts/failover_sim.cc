// The node that holds a conversation's triggers dies at every phase of the refresh cycle, a new one
// takes over its range, and the owner of a name's public trigger dies: how long packets stay out.
#include <doctest/doctest.h>

#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// A ring of eight, and A and B behind NATs of their own who talk through nodes only.
struct World {
  explicit World(std::uint64_t seed, std::size_t entries = 8) : network(seed) {
    for (int i = 0; i < 8; ++i) {
      ring.add(3);
      network.run_for(200ms);
    }
    REQUIRE(network.run_until([&] { return ring.ideal(); }, 120s, 500ms));
    for (std::size_t i = 0; i < 2; ++i)
      machines[i] = network.add_host(
          network.add_nat(*IpAddress::parse(i == 0 ? "203.0.113.1" : "198.51.100.1")));
    plan.book = {{"a", key_of_host(1), false}, {"b", key_of_host(2), false}};
    plan.allow = {{std::nullopt, Allow::Protocol::usual, {}}};
    plan.shortcuts = false;
    for (std::size_t i = 0; i < entries; ++i)
      plan.entries.push_back({ring[i].endpoint(), ring[i].identity().key()});
    a = make(1);
    b = make(2);
  }
  std::unique_ptr<SimHost> make(std::uint64_t number) {
    HostPlan own = plan;
    own.name = number == 1 ? "a" : "b";
    return std::make_unique<SimHost>(
        network, machines[number - 1],
        *Endpoint::parse(number == 1 ? "192.168.1.2:4000" : "192.168.2.2:4000"), number, own);
  }
  bool ready() {
    return network.run_until(
        [&] { return a->host().client().ready() && b->host().client().ready(); }, 30s);
  }
  // The node that `from` sends its packets for `to` to.
  std::size_t node_between(SimHost& from, SimHost& to) {
    const Peer* peer = from.host().peers().find(to.key());
    REQUIRE(peer->current() != nullptr);
    for (std::size_t i = 0; i < ring.size(); ++i)
      if (ring[i].identity().key() == peer->current()->node.key) return i;
    FAIL("no such node");
    return 0;
  }

  SimNetwork network;
  SimRing ring{network};
  SimNetwork::Host machines[2];
  HostPlan plan;
  std::unique_ptr<SimHost> a, b;
};

// A stream of 50 packets a second from one host to the other, and what its receiver misses.
struct Stream {
  Stream(SimHost& its_from, SimHost& its_to, std::uint16_t its_port)
      : from(its_from), to(its_to), port(its_port) {}
  void send() {
    from.send_udp(to.key(), static_cast<std::uint16_t>(port + 1), port, std::to_string(sent++));
  }
  void look(TimePoint now) {
    const std::size_t count = to.received.size();  // it receives nothing else
    if (count != heard) {
      if (last != TimePoint{}) longest = std::max(longest, now - last);
      last = now;
      heard = count;
    }
  }
  // Those sent from now on count.
  void begin() { first = sent; }
  std::size_t missing() const {
    std::set<std::string> all;
    for (std::string& text : to.texts(port)) all.insert(std::move(text));
    std::size_t count = 0;
    for (std::size_t i = first; i < sent; ++i) count += !all.contains(std::to_string(i));
    return count;
  }
  SimHost& from;
  SimHost& to;
  std::uint16_t port;
  std::size_t first = 0;
  std::size_t sent = 0, heard = 0;
  TimePoint last{};
  Duration longest{};
};

void run(World& world, std::vector<Stream>& streams, Duration time) {
  const TimePoint end = world.network.now() + time;
  while (world.network.now() < end) {
    for (Stream& stream : streams) stream.send();
    for (int i = 0; i < 4; ++i) {
      world.network.run_for(5ms);
      for (Stream& stream : streams) stream.look(world.network.now());
    }
  }
}

}  // namespace

TEST_CASE(
    "the owner dies at any phase of the refresh cycle: packets are out for under half a second") {
  const char* full = std::getenv("I3_SIM_FULL");
  const std::uint64_t seeds = full != nullptr ? 200 : 20;
  Duration worst{};
  std::vector<Duration> all;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    World world(seed_or(seed));
    REQUIRE(world.ready());
    // Both ways, or one way only, where the receiver's word is all that the sender has.
    std::vector<Stream> streams{{*world.a, *world.b, 6000}};
    if (seed % 2 == 0) streams.push_back({*world.b, *world.a, 7000});
    run(world, streams, 3s);
    world.network.run_for(std::chrono::milliseconds(10'000 * seed / seeds));
    run(world, streams, 2s);
    for (Stream& stream : streams) stream.longest = {};
    world.ring.kill(world.node_between(*world.a, *world.b));
    run(world, streams, 25s);
    for (Stream& stream : streams) {
      CHECK(seconds(stream.longest) < 0.5);
      worst = std::max(worst, stream.longest);
      all.push_back(stream.longest);
    }
  }
  std::sort(all.begin(), all.end());
  std::printf("figure sim.owner_crash_longest_gap_ms %.0f (median %.0f, %zu streams)\n",
              seconds(worst) * 1000, seconds(all[all.size() / 2]) * 1000, all.size());
}

TEST_CASE("datagrams that are lost make nobody leave a way, and few packets go twice") {
  World world(seed_or(300));
  REQUIRE(world.ready());
  std::vector<Stream> streams{{*world.a, *world.b, 6000}};
  run(world, streams, 3s);
  const Peer* peer = world.a->host().peers().find(world.b->key());
  const std::uint64_t changes = peer->ways.changes;
  const std::uint64_t twice = world.b->host().sessions().dropped(SessionVerdict::replayed);
  world.network.set_loss(0.01);
  streams[0].begin();
  const std::size_t first = streams[0].sent;
  run(world, streams, 60s);
  CHECK(peer->ways.changes == changes);
  const std::uint64_t copies = world.b->host().sessions().dropped(SessionVerdict::replayed) - twice;
  CHECK(copies > 0);
  CHECK(copies * 20 < streams[0].sent - first);
}

TEST_CASE("a way that nothing goes by any more is not asked, however long it is") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    World world(seed_or(seed + 400));
    REQUIRE(world.ready());
    std::vector<Stream> streams{{*world.a, *world.b, 6000}};
    run(world, streams, 3s);
    world.network.run_for(2s);
    const auto before = world.network.sent(world.machines[0]).packets;
    world.network.run_for(5s);
    // Refreshes and probes go on.
    CHECK(world.network.sent(world.machines[0]).packets - before < 80);
  }
}

TEST_CASE("nodes that take over ranges from others lose no packet of a conversation") {
  std::size_t lost = 0, moved = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    World world(seed_or(seed + 100));
    REQUIRE(world.ready());
    std::vector<PublicKey> old;
    for (auto& node : world.ring.nodes()) old.push_back(node->identity().key());
    // One begins, so that one of them makes the new keys: where both do, a packet may get lost.
    std::vector<Stream> streams{{*world.a, *world.b, 6000}};
    run(world, streams, 1s);
    streams.push_back({*world.b, *world.a, 7000});
    run(world, streams, 5s);
    for (Stream& stream : streams) stream.begin();
    for (int i = 0; i < 8; ++i) {
      world.ring.add(3);
      run(world, streams, 15s);
    }
    world.network.run_for(1s);
    for (Stream& stream : streams) lost += stream.missing();
    const auto nodes = world.a->host().peers().find(world.b->key())->theirs.nodes;
    CHECK(nodes.size() == 3);
    for (const auto& at : nodes) moved += std::count(old.begin(), old.end(), at.node.key) == 0;
  }
  CHECK(moved > 0);
  CHECK(lost == 0);
  std::printf("figure sim.join_lost_packets %zu\n", lost);
}

TEST_CASE("the owner of a name's public trigger is dead, and the sender's entry node with it") {
  Duration worst{};
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    World world(seed_or(seed + 200));
    REQUIRE(world.ready());
    world.network.run_for(std::chrono::milliseconds(3'000 + 800 * seed));
    const Id id = public_id(world.b->key(), seed % 2);
    SimNode& owner = world.ring.owner_of(id.ring());
    // A's nearest entry node is the one that dies.
    world.plan.entries = {{owner.endpoint(), owner.identity().key()}};
    for (std::size_t i = 0; world.plan.entries.size() < 3; ++i)
      if (&world.ring[i] != &owner)
        world.plan.entries.push_back({world.ring[i].endpoint(), world.ring[i].identity().key()});
    world.a.reset();
    world.a = world.make(1);
    REQUIRE(world.ready());
    world.network.run_for(2s);
    for (std::size_t i = 0; i < world.ring.size(); ++i)
      if (&world.ring[i] == &owner) {
        world.ring.kill(i);
        break;
      }
    const TimePoint start = world.network.now();
    world.a->send_udp(world.b->key(), 5000, 6000, "hello");
    CHECK(world.network.run_until([&] { return !world.b->texts(6000).empty(); }, 5s, 5ms));
    const Duration took = world.network.now() - start;
    CHECK(seconds(took) < 2.0);
    worst = std::max(worst, took);
  }
  std::printf("figure sim.connect_owner_dead_ms %.0f\n", seconds(worst) * 1000);
}
