// Insertion, refreshing and removal while nodes do what they should and the network loses things.
#include <doctest/doctest.h>

#include "tests/unit/client/fake_world.hh"

using namespace i3;
using namespace i3::test;

TEST_CASE(
    "a client puts both public triggers and its spares at their owners, and says ready once") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  CHECK(world.client->ready());
  CHECK(world.count("ready") == 1);
  CHECK(world.client->trouble().empty());
  CHECK(world.held_at_nodes() == 6);
  for (std::size_t which : {0u, 1u}) {
    const Id id = public_id(world.identity->key(), which);
    FakeNode& owner = world.owner(id.ring());
    REQUIRE(owner.holds(id));
    CHECK(owner.triggers.at(id).target == world.host);
    CHECK(owner.triggers.at(id).rate == 1000);
    const auto path = world.client->path(id);
    REQUIRE(path.nodes.size() == 1);
    CHECK(path.id == id);
    CHECK(path.nodes[0].node == owner.contact);
    CHECK(path.nodes[0].label == owner.triggers.at(id).label);
  }
  for (const auto& trigger : world.client->triggers(world.now)) {
    if (trigger.use == TriggerStatus::Use::public_id) continue;
    CHECK(trigger.use == TriggerStatus::Use::spare);
    CHECK(world.node_holding(trigger.id).triggers.at(trigger.id).rate == 0);
  }
}

TEST_CASE("one challenge serves all triggers of a prefix") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  CHECK(world.client->counters().challenges == 3);
  CHECK(world.client->counters().lookups == 3);
  CHECK(world.client->counters().inserts == 9);
}

TEST_CASE("any single datagram of the start may be lost") {
  std::size_t datagrams = 0;
  {
    World world;
    world.start();
    REQUIRE(world.run_until([&] { return world.all_stand(); }));
    datagrams = world.sent;
  }
  REQUIRE(datagrams > 20);
  for (std::size_t lost = 0; lost < datagrams; ++lost) {
    CAPTURE(lost);
    World world;
    world.lose = [&](std::size_t number, const World::Datagram&) { return number == lost; };
    world.start();
    CHECK(world.run_until([&] { return world.all_stand(); }, 1s));
    CHECK(world.held_at_nodes() == 6);
  }
}

TEST_CASE(
    "a third of all datagrams may be lost, in a repeatable way, and all triggers come to stand") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    World world;
    SeededRandom dice(seed);
    world.lose = [&](std::size_t, const World::Datagram&) { return dice.below(3) == 0; };
    world.start();
    CHECK(world.run_until([&] { return world.all_stand(); }, 60s));
  }
}

TEST_CASE("a private trigger is there at once from the spares, and spares are made up") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  const Id id = world.client->take_private(world.now);
  CHECK(world.client->path(id).nodes.size() == 1);
  CHECK(world.run_until([&] { return world.held_at_nodes() == 7 && world.all_stand(); }, 100ms));
  const Id other = world.client->take_private(world.now);
  CHECK(other != id);
  CHECK(other.common_prefix(id) >= 128);
}

TEST_CASE("private triggers beyond the spares are inserted, and each becomes known to the host") {
  World world;
  world.start();
  std::vector<Id> ids;
  for (int i = 0; i < 40; ++i) ids.push_back(world.client->take_private(world.now));
  CHECK(world.client->path(ids.back()).nodes.empty());
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  CHECK(world.held_at_nodes() == 46);
  for (const Id& id : ids) {
    CHECK(world.client->path(id).nodes.size() == 1);
    CHECK(std::count(world.events.begin(), world.events.end(), Event{"trigger", id, 1, ""}) == 1);
  }
}

TEST_CASE("a cookie that ended costs one more challenge, not the trigger") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  SUBCASE("here") {
    world.run_for(70s);
  }
  SUBCASE("at the node, which took another secret for cookies") {
    for (auto& node : world.nodes) ++node->secret;
  }
  const auto before = world.client->counters().challenges;
  const Id id = world.client->take_private(world.now);
  REQUIRE(world.run_until([&] { return world.all_stand(); }, 2s));
  CHECK(world.node_holding(id).holds(id));
  CHECK(world.client->counters().challenges > before);
}

TEST_CASE("with a cookie at hand a further insertion takes one round trip") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  const TimePoint before = world.now;
  world.client->take_private(world.now);
  REQUIRE(world.run_until([&] { return world.held_at_nodes() == 7 && world.all_stand(); }));
  CHECK(world.now - before <= 2 * world.delay);
}

TEST_CASE("triggers live for as long as the client does, by one refresh per node each 10 s") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  const auto path = world.client->path(public_id(world.identity->key()));
  const auto inserts = world.client->counters().inserts;
  const auto refreshes = world.client->counters().refreshes;
  std::size_t holding = 0;
  for (auto& node : world.nodes) holding += node->held() > 0;
  world.run_for(300s);
  CHECK(world.held_at_nodes() == 6);
  CHECK(world.client->path(public_id(world.identity->key())) == path);
  CHECK(world.client->counters().inserts == inserts);
  const auto made = world.client->counters().refreshes - refreshes;
  CHECK(made >= 26 * holding);
  CHECK(made <= 34 * holding);
}

TEST_CASE("two refreshes in a row may be lost") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  std::map<Endpoint, int> lost;
  world.lose = [&](std::size_t, const World::Datagram& datagram) {
    return datagram.type() == wire::Type::refresh && ++lost[datagram.to] % 3 != 0;
  };
  world.run_for(60s);
  CHECK_FALSE(lost.empty());
  CHECK(world.held_at_nodes() == 6);
  CHECK(world.client->counters().lost_nodes == 0);
  CHECK(world.count("not_ready") == 0);
}

TEST_CASE("releasing a trigger removes it at its node, even if every message is lost once") {
  for (int lose_first : {0, 1, 2}) {
    CAPTURE(lose_first);
    World world;
    world.start();
    REQUIRE(world.run_until([&] { return world.all_stand(); }));
    const Id id = world.client->take_private(world.now);
    REQUIRE(world.run_until([&] { return world.held_at_nodes() == 7 && world.all_stand(); }));
    if (lose_first == 2) world.run_for(70s);  // and without a cookie
    std::map<wire::Type, int> seen;
    world.lose = [&](std::size_t, const World::Datagram& datagram) {
      return lose_first > 0 && seen[datagram.type()]++ == 0;
    };
    world.client->release(id, world.now);
    CHECK(world.client->path(id).nodes.empty());
    CHECK(world.run_until([&] { return world.held_at_nodes() == 6; }, 2s));
    CHECK_FALSE(world.node_holding(id).holds(id));
    world.run_for(1s);
    CHECK(world.client->triggers(world.now).size() == 6);
  }
}

TEST_CASE("a trigger released while its insertion is under way does not stay behind") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.client->counters().challenges == 3; }));
  std::vector<Id> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(world.client->take_private(world.now));
  for (const Id& id : ids) world.client->release(id, world.now);
  world.run_for(2s);
  for (const Id& id : ids)
    for (auto& node : world.nodes) CHECK_FALSE(node->holds(id));
  CHECK(world.client->triggers(world.now).size() == 6);
}

TEST_CASE("public triggers and unknown IDs cannot be released") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.client->release(public_id(world.identity->key()), world.now);
  world.client->release(Id{}, world.now);
  world.run_for(1s);
  CHECK(world.held_at_nodes() == 6);
  CHECK(world.client->counters().removals == 0);
}

TEST_CASE(
    "stopping removes every trigger, with or without cookies at hand, and loses none to loss") {
  for (bool old_cookies : {false, true}) {
    for (bool losses : {false, true}) {
      CAPTURE(old_cookies);
      CAPTURE(losses);
      World world;
      world.start();
      for (int i = 0; i < 30; ++i) world.client->take_private(world.now);
      REQUIRE(world.run_until([&] { return world.all_stand(); }));
      if (old_cookies) world.run_for(80s);
      int seen = 0;
      world.lose = [&](std::size_t, const World::Datagram&) { return losses && seen++ % 5 == 0; };
      const TimePoint before = world.now;
      world.client->stop(world.now);
      CHECK_FALSE(world.client->ready());
      CHECK(world.run_until([&] { return world.client->stopped(); }, 5s));
      CHECK(world.now - before <= 1s);
      CHECK(world.held_at_nodes() == 0);
      CHECK(world.events.back().what == "not_ready");
      CHECK(world.client->next_deadline() == kNever);
    }
  }
}

TEST_CASE("stopping takes a second at most when no node answers") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  for (auto& node : world.nodes) node->dead = true;
  const TimePoint before = world.now;
  world.client->stop(world.now);
  CHECK(world.run_until([&] { return world.client->stopped(); }, 5s));
  CHECK(world.now - before <= 1s);
}

TEST_CASE("stopping before the start and stopping twice are harmless") {
  World world;
  world.make_client(world.options());
  world.client->stop(world.now);
  world.client->stop(world.now);
  CHECK(world.client->stopped());
}

TEST_CASE("a host holds no more private triggers than there is room for") {
  World world;
  world.start();
  std::size_t taken = 0;
  while (world.client->take_private(world.now) != Id{}) ++taken;
  CHECK(taken == Client::kMaxTriggers - 2);
  CHECK(world.client->counters().no_room == 1);
  for (int i = 0; i < 100 && !world.all_stand(); ++i) world.run_for(1s);
  CHECK(world.all_stand());
  CHECK(world.held_at_nodes() == Client::kMaxTriggers);
}
