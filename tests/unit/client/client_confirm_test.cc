// An owner that names no replicas, as in a ring that keeps none.
#include <doctest/doctest.h>

#include "tests/unit/client/fake_world.hh"

using namespace i3;
using namespace i3::test;

TEST_CASE("in a ring that keeps no replicas a host does not insert its triggers again for ever") {
  World world;
  for (auto& node : world.nodes) node->names_replicas = false;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.run_for(10min);
  const auto inserts = [&] { return world.client->counters().inserts; };
  const std::uint64_t before = inserts();
  world.run_for(10min);
  CHECK(inserts() == before);
  CHECK(world.all_stand());
}
