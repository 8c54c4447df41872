// Two hosts meet: first packets, losses, absence, permission. Simulated time and network.
#include <doctest/doctest.h>

#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

TEST_CASE("two hosts behind NATs of their own talk by name, both ways") {
  SmallWorld world(seed_or(1));
  REQUIRE(world.ready());
  CHECK(world.hears(*world.a, *world.b, "there", 2s));
  // The answer goes to a port that A opened, so A needs no line for it.
  world.b->send_udp(world.a->key(), 6000, 5000, "and back");
  CHECK(world.network.run_until([&] { return world.a->texts(5000).size() == 1; }, 2s));
}

TEST_CASE("the first packet travels in the first message: it arrives before anything came back") {
  SmallWorld world(seed_or(2));
  REQUIRE(world.ready());
  world.network.run_for(1s);  // spare triggers stand
  std::size_t to_a_before = 0;
  bool arrived = false;
  const auto received_a = world.network.received(world.a->machine()).packets;
  world.a->send_udp(world.b->key(), 5000, 6000, "early");
  world.network.run_until(
      [&] {
        arrived = !world.b->texts(6000).empty();
        to_a_before = world.network.received(world.a->machine()).packets - received_a;
        return arrived;
      },
      2s, 1ms);
  CHECK(arrived);
  // B's answer could not have been there yet; nodes' acknowledgements and refreshes may be.
  CHECK_FALSE(world.a->host().sessions().can_seal(
      world.a->host().peers().find(world.b->key())->handle, world.network.now()));
  CHECK(to_a_before <= 6);
}

TEST_CASE("any single datagram of the set-up may be lost") {
  // Loses datagram number `lose` of all that are sent from A's first packet on. Says everything
  // several times, as an application over UDP would.
  const auto run = [](std::size_t lose, std::size_t& count) {
    SmallWorld world(seed_or(3));
    REQUIRE(world.ready());
    world.network.run_for(2s);
    count = 0;
    world.network.set_tap([&](const Endpoint&, const Endpoint&, Bytes) { return count++ == lose; });
    const auto told = [&](SimHost& from, SimHost& to, std::uint16_t port) {
      for (int tries = 0; tries < 5 && to.texts(port).empty(); ++tries) {
        from.send_udp(to.key(), port == 6000 ? 5000 : 6000, port, "hello");
        world.network.run_until([&] { return !to.texts(port).empty(); }, 1s, 10ms);
      }
      return !to.texts(port).empty();
    };
    return told(*world.a, *world.b, 6000) && told(*world.b, *world.a, 5000);
  };
  std::size_t all = 0, ignored = 0;
  REQUIRE(run(SIZE_MAX, all));
  REQUIRE(all >= 6);
  for (std::size_t lose = 0; lose < all + 10; ++lose) {
    CAPTURE(lose);
    CHECK(run(lose, ignored));
  }
}

TEST_CASE("20 % loss while two hosts meet: they meet") {
  for (std::uint64_t seed = 10; seed < 15; ++seed) {
    SmallWorld world(seed);
    world.network.set_loss(0.2);
    REQUIRE(world.ready());
    bool heard = false;
    for (int tries = 0; tries < 10 && !heard; ++tries)
      heard = world.hears(*world.a, *world.b, "say " + std::to_string(tries), 2s);
    CHECK(heard);
  }
}

TEST_CASE("both start at once and both get through") {
  SmallWorld world(seed_or(4));
  REQUIRE(world.ready());
  world.b->send_udp(world.a->key(), 5000, 6000, "from b");
  world.a->send_udp(world.b->key(), 5000, 6000, "from a");
  // B opened 5000->6000 towards A and A towards B, so each is an answer to the other's eyes only
  // by rule: B has one for A.
  CHECK(world.network.run_until([&] { return !world.b->texts(6000).empty(); }, 3s));
  CHECK(world.hears(*world.a, *world.b, "again", 2s));
  world.b->send_udp(world.a->key(), 6000, 5000, "and back");
  CHECK(world.network.run_until([&] { return !world.a->texts(5000).empty(); }, 3s));
}

TEST_CASE("without a line nobody gets in; with one only its ports do") {
  SmallWorld world(seed_or(5));
  HostPlan closed = world.plan_of("b");
  closed.allow.clear();
  world.b.reset();
  world.b = world.make("b", closed);
  REQUIRE(world.ready());
  CHECK_FALSE(world.hears(*world.a, *world.b, "hello", 3s));
  CHECK(world.b->received.empty());
  CHECK(world.b->host().peers().find(world.a->key())->mine == std::nullopt);
  world.b->host().set_people(world.b->host().directory(),
                             {{world.a->key(), Allow::Protocol::udp, {{6000, 6000}}}});
  CHECK(world.hears(*world.a, *world.b, "hello again", 3s));
  world.a->send_udp(world.b->key(), 5000, 6001, "not this port");
  world.a->send_syn(world.b->key(), 22);
  world.network.run_for(2s);
  CHECK(world.b->texts(6001).empty());
  CHECK(world.b->received.size() == 1);
  CHECK(world.a->resets() == 1);
}

TEST_CASE("a stranger meets silence and its program hears that the host is unreachable") {
  SmallWorld world(seed_or(6));
  HostPlan stranger = world.plan_of("b");
  stranger.book = {{"b", key_of_host(2), true}};
  stranger.allow.clear();
  world.b.reset();
  world.b = world.make("b", stranger);
  REQUIRE(world.ready());
  world.a->send_syn(world.b->key(), 22);
  CHECK(world.network.run_until([&] { return world.a->unreachables() == 1; }, 4s));
  CHECK(world.b->host().peers().find(world.a->key()) == nullptr);
}

TEST_CASE("a key that nobody ever inserted is unreachable at once") {
  SmallWorld world(seed_or(7));
  REQUIRE(world.ready());
  world.a->send_syn(key_of_host(77), 80);
  CHECK(world.network.run_until([&] { return world.a->unreachables() == 1; }, 2s));
}

TEST_CASE("a host that died a moment ago is unreachable after about two seconds") {
  SmallWorld world(seed_or(8));
  REQUIRE(world.ready());
  world.b.reset();
  const TimePoint before = world.network.now();
  world.a->send_syn(key_of_host(2), 80);
  REQUIRE(world.network.run_until([&] { return world.a->unreachables() == 1; }, 9s, 50ms));
  CHECK(world.network.now() - before >= 1900ms);
  CHECK(world.network.now() - before <= 3s);
}

TEST_CASE("a host that ended in order is unreachable at once and reachable when it is back") {
  SmallWorld world(seed_or(9));
  REQUIRE(world.ready());
  REQUIRE(world.hears(*world.a, *world.b, "one", 2s));
  world.network.run_for(2s);
  world.b->stop();
  world.network.run_for(2s);
  const std::string state = world.b->state();
  world.b.reset();
  world.a->send_syn(key_of_host(2), 80);
  CHECK(world.network.run_until([&] { return world.a->unreachables() == 1; }, 3s));
  HostPlan plan = world.plan_of("b");
  plan.state = state;
  world.b = world.make("b", plan);
  REQUIRE(world.ready());
  CHECK(world.gets_through(*world.a, *world.b, "two", 10s));
}

TEST_CASE("hosts whose pools differ reach each other through rewritten addresses") {
  SmallWorld world(seed_or(21));
  HostPlan plan = world.plan_of("b");
  plan.pool = {IpAddress::v4(0x0a4d0000), 16};
  world.b.reset();
  world.b = world.make("b", plan);
  REQUIRE(world.ready());
  CHECK(world.hears(*world.a, *world.b, "rewritten", 3s));
  const Peer* seen = world.b->host().peers().find(world.a->key());
  REQUIRE(seen != nullptr);
  auto view = IpView::parse(world.b->received.at(0));
  REQUIRE(view);
  CHECK(view->source() == seen->ipv4.address());
  CHECK(view->destination() == world.b->host().own4().address());
}

TEST_CASE("without shortcuts everything goes through nodes, with them straight") {
  for (bool shortcuts : {false, true}) {
    SmallWorld world(seed_or(22));
    HostPlan plan = world.plan_of("b");
    plan.shortcuts = shortcuts;
    world.b.reset();
    world.b = world.make("b", plan);
    REQUIRE(world.ready());
    REQUIRE(world.hears(*world.a, *world.b, "x", 3s));
    world.network.run_for(5s);
    const Peer* peer = world.a->host().peers().find(world.b->key());
    CHECK(peer->direct.active.has_value() == shortcuts);
    CHECK(world.hears(*world.a, *world.b, "y", 2s));
  }
}
