// A conversation lasts: restarts, new keys, moves, dead nodes, replays, clocks that jump.
#include <doctest/doctest.h>

#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

// Says something every 100 ms for `seconds` and counts what arrives.
std::size_t heard_of(SmallWorld& world, int seconds, const std::string& word) {
  const std::size_t before = world.b->texts(6000).size();
  for (int i = 0; i < seconds * 10; ++i) {
    world.a->send_udp(key_of_host(2), 5000, 6000, word);
    world.network.run_for(100ms);
    if (i % 5 == 0) world.b->send_udp(key_of_host(1), 6000, 5000, "yes");
  }
  world.network.run_for(2s);
  return world.b->texts(6000).size() - before;
}

}  // namespace

TEST_CASE("new keys every two minutes lose nothing") {
  SmallWorld world(seed_or(1));
  REQUIRE(world.ready());
  REQUIRE(world.hears(*world.a, *world.b, "start", 3s));
  world.network.run_for(3s);  // the straight way is found, which may reorder
  CHECK(heard_of(world, 400, "x") == 4000);
}

TEST_CASE("a host killed and started again with its state goes on, without anybody asking it") {
  for (bool first : {true, false}) {
    CAPTURE(first);
    SmallWorld world(seed_or(2));
    REQUIRE(world.ready());
    REQUIRE(world.hears(*world.a, *world.b, "one", 3s));
    const VirtualIp before = world.a->address_of(key_of_host(2));
    auto& victim = first ? world.a : world.b;
    const std::string name = first ? "a" : "b";
    HostPlan plan = world.plan_of(name);
    plan.state = victim->state();
    victim.reset();
    world.network.run_for(200ms);
    victim = world.make(name, plan);
    // B answers A's flow; it must find A again though A has no line for B.
    CHECK(world.gets_through(*world.a, *world.b, "two", 10s));
    CHECK(world.a->address_of(key_of_host(2)) == before);
  }
}

TEST_CASE("the node that holds a conversation's triggers dies and packets flow again") {
  SmallWorld world(seed_or(3));
  HostPlan plan = world.plan_of("b");
  plan.shortcuts = false;
  world.b.reset();
  world.b = world.make("b", plan);
  REQUIRE(world.ready());
  REQUIRE(world.hears(*world.a, *world.b, "one", 3s));
  world.network.run_for(2s);
  const Peer* peer = world.a->host().peers().find(key_of_host(2));
  REQUIRE(peer->current() != nullptr);
  const PublicKey holder = peer->current()->node.key;
  for (std::size_t i = 0; i < world.ring.size(); ++i)
    if (world.ring[i].identity().key() == holder) {
      world.ring.kill(i);
      break;
    }
  CHECK(world.gets_through(*world.a, *world.b, "two", 60s));
}

TEST_CASE("a recorded first message brings its early packet once and never again") {
  SmallWorld world(seed_or(4));
  REQUIRE(world.ready());
  std::vector<std::tuple<Endpoint, Endpoint, std::vector<std::uint8_t>>> recorded;
  world.network.set_tap([&](const Endpoint& from, const Endpoint& to, Bytes message) {
    auto packet = wire::IdPacket::parse(message);
    if (packet && packet->kind == static_cast<std::uint8_t>(SessionKind::first))
      recorded.emplace_back(from, to, std::vector<std::uint8_t>(message.begin(), message.end()));
    return false;
  });
  REQUIRE(world.hears(*world.a, *world.b, "pay ten", 3s));
  world.network.set_tap({});
  REQUIRE_FALSE(recorded.empty());
  const auto machine = world.network.add_host();
  const auto attacker = *Endpoint::parse("192.0.2.66:999");
  world.network.open(machine, attacker, [](const Endpoint&, const Endpoint&, MutBytes) {});
  const auto replay = [&] {
    for (const auto& [from, to, message] : recorded)
      world.network.send(machine, attacker, to, message);
    world.network.run_for(3s);
  };
  replay();
  CHECK(world.b->texts(6000).size() == 1);
  // Neither after a restart that lost the log's end.
  HostPlan plan = world.plan_of("b");
  world.b.reset();
  plan.state = "start\n";
  world.b = world.make("b", plan);
  REQUIRE(world.ready());
  replay();
  CHECK(world.b->texts(6000).empty());
  CHECK(world.gets_through(*world.a, *world.b, "still here", 10s));
}

TEST_CASE("a clock that was years ahead locks nobody out") {
  SmallWorld world(seed_or(5));
  REQUIRE(world.ready());
  world.network.shift_wall(std::chrono::hours(24 * 365 * 5));
  REQUIRE(world.hears(*world.a, *world.b, "from the future", 3s));
  HostPlan plan = world.plan_of("a");
  plan.state = world.a->state();
  world.a.reset();
  world.network.shift_wall(-std::chrono::hours(24 * 365 * 5));
  world.a = world.make("a", plan);
  CHECK(world.gets_through(*world.a, *world.b, "from today", 15s));
}

TEST_CASE("dropping a peer ends its traffic until it is met anew") {
  SmallWorld world(seed_or(6));
  REQUIRE(world.ready());
  REQUIRE(world.hears(*world.a, *world.b, "one", 3s));
  world.b->host().set_people(Directory({{"b", key_of_host(2), true}}, {}), {});
  CHECK_FALSE(world.b->host().peers().find(key_of_host(1))->mine.has_value());
  world.network.run_for(1s);
  const std::size_t before = world.b->received.size();
  for (int i = 0; i < 20; ++i) {
    world.a->send_udp(key_of_host(2), 5000, 6000, "still?");
    world.network.run_for(200ms);
  }
  CHECK(world.b->received.size() == before);
}
