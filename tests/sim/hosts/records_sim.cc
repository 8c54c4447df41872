// Lost keys: a key moves or is revoked, and every host that knows it hears of that by the overlay.
#include <doctest/doctest.h>

#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

// A knows B by name; B's key moves to that of host 3, or is stolen by host 4.
struct Lost : SmallWorld {
  explicit Lost(std::uint64_t number) : SmallWorld(seed_or(number)) {
    REQUIRE(ready());
    old = identity_of_host(2);
  }
  KeyRecord moved(std::uint64_t to) { return KeyRecord::move(*old, key_of_host(to), 1); }
  KeyRecord revoked() { return KeyRecord::revoke(*old, 0); }
  // Host 3 or 4 in B's place; with a line for A.
  std::unique_ptr<SimHost> make_other(std::uint64_t number) {
    HostPlan plan = plan_of("b");
    plan.name = "host " + std::to_string(number);
    plan.book = {{"a", key_of_host(1), true}};
    const auto at = Endpoint{IpAddress::v4(0xc6336400u + static_cast<std::uint32_t>(number)), 4000};
    return std::make_unique<SimHost>(network, network.add_host(), at, number, plan);
  }
  std::optional<PublicKey> meant(SimHost& host, std::string_view name = "b") {
    return host.host().key_of(name);
  }
  bool comes_to_mean(std::optional<PublicKey> key, Duration limit = 40min) {
    return network.run_until([&] { return meant(*a) == key; }, limit, 1s);
  }
  std::unique_ptr<Identity> old;
};

}  // namespace

TEST_CASE("a key that moved: its name means the new key, at everybody who asks the overlay") {
  Lost world(1);
  auto fresh = world.make_other(3);
  REQUIRE(world.network.run_until([&] { return fresh->host().client().ready(); }, 30s));
  CHECK(world.meant(*world.a) == key_of_host(2));
  fresh->host().publish(world.moved(3));
  world.network.run_for(5s);
  CHECK(fresh->host().client().nodes_with_record(key_of_host(2)) >= 3);
  // Somebody there uses the name: that alone makes A ask.
  world.network.run_for(60s);
  world.a->host().meet(key_of_host(2));
  CHECK(world.comes_to_mean(key_of_host(3), 3s));
  CHECK(world.meant(*world.a, key_of_host(2).text()) == key_of_host(3));
  CHECK(world.gets_through(*world.a, *fresh, "by the old name", 5s));
}

TEST_CASE("who knows a key hears that it moved without using it") {
  Lost world(2);
  world.b->host().publish(world.moved(3));
  CHECK(world.comes_to_mean(key_of_host(3)));
}

TEST_CASE("rights go with a key that moved, and are the old key's no more") {
  Lost world(3);
  // B, who lets A in, hears that A is host 3 now.
  const auto old_a = identity_of_host(1);
  auto fresh = world.make_other(3);
  REQUIRE(world.network.run_until([&] { return fresh->host().client().ready(); }, 30s));
  CHECK_FALSE(world.hears(*fresh, *world.b, "a stranger", 3s));
  REQUIRE(world.hears(*world.a, *world.b, "let in", 3s));
  world.b->host().publish(KeyRecord::move(*old_a, key_of_host(3), 1));
  CHECK(world.gets_through(*fresh, *world.b, "the new key", 40s));
  const std::size_t before = world.b->texts(6000).size();
  CHECK_FALSE(world.hears(*world.a, *world.b, "the old key", 5s));
  CHECK(world.b->texts(6000).size() == before);
}

TEST_CASE("a move outlives the host that heard it, the overlay's memory and the mover") {
  Lost world(4);
  world.a->host().publish(world.moved(3));
  REQUIRE(world.meant(*world.a) == key_of_host(3));
  HostPlan plan = world.plan_of("a");
  plan.state = world.a->state();
  world.a.reset();
  world.network.run_for(2h);
  world.a = world.make("a", plan);
  CHECK(world.meant(*world.a) == key_of_host(3));
  world.network.run_for(1min);
  CHECK(world.meant(*world.a) == key_of_host(3));
  // And so does it what the log says when it is written anew.
  plan.state = world.a->host().state_lines();
  world.a.reset();
  world.a = world.make("a", plan);
  CHECK(world.meant(*world.a) == key_of_host(3));
}

TEST_CASE("whoever believes a record puts it where it is missing, so the overlay forgets it last") {
  Lost world(5);
  world.b->host().publish(world.moved(3));
  REQUIRE(world.comes_to_mean(key_of_host(3)));
  world.b.reset();
  world.network.run_for(3h);  // nodes keep it for one
  world.b = world.make("b", world.plan_of("b"));
  REQUIRE(world.ready());
  CHECK(
      world.network.run_until([&] { return world.meant(*world.b) == key_of_host(3); }, 40min, 1s));
}

TEST_CASE("a revoked key has no name, no rights and no session, whatever else it says") {
  Lost world(6);
  REQUIRE(world.hears(*world.a, *world.b, "before", 3s));
  const auto old_a = identity_of_host(1);
  world.b->host().publish(KeyRecord::revoke(*old_a, 0));
  CHECK(world.meant(*world.b, "a") == std::nullopt);
  CHECK(world.meant(*world.b, key_of_host(1).text()) == std::nullopt);
  CHECK(world.b->host().peers().find(key_of_host(1)) == nullptr);
  const std::size_t before = world.b->texts(6000).size();
  CHECK_FALSE(world.hears(*world.a, *world.b, "after", 5s));
  CHECK(world.b->texts(6000).size() == before);
  // Not even where anybody is let in.
  world.b->host().set_people(Directory(), {{std::nullopt, Allow::Protocol::usual, {}}});
  CHECK_FALSE(world.hears(*world.a, *world.b, "as anybody", 5s));
  CHECK(world.b->host().verdicts().of(Verdict::revoked) > 0);
  CHECK(world.b->host().publish(KeyRecord::move(*old_a, key_of_host(3), 9)) ==
        Believed::Change::none);
  CHECK(world.meant(*world.b, key_of_host(1).text()) == std::nullopt);
}

TEST_CASE("a revocation reaches a host that believed a thief's move") {
  Lost world(7);
  world.a->host().publish(world.moved(4));  // the thief's key
  REQUIRE(world.meant(*world.a) == key_of_host(4));
  world.b->host().publish(world.revoked());
  CHECK(world.comes_to_mean(std::nullopt));
}

TEST_CASE("a thief of an old key turns nobody away who heard the move before him") {
  Lost world(8);
  world.b->host().publish(world.moved(3));
  REQUIRE(world.comes_to_mean(key_of_host(3)));
  auto thief = world.make_other(4);
  REQUIRE(world.network.run_until([&] { return thief->host().client().ready(); }, 30s));
  thief->host().publish(KeyRecord::move(*world.old, key_of_host(4), ~0ull));
  world.network.run_for(70min);
  CHECK(world.meant(*world.a) == key_of_host(3));
  CHECK(world.a->host().believed().find(key_of_host(2))->contradicted);
}

TEST_CASE("two moves that contradict each other, heard together, are as good as a revocation") {
  Lost world(9);
  auto thief = world.make_other(4);
  REQUIRE(world.network.run_until([&] { return thief->host().client().ready(); }, 30s));
  // Both are at the nodes before A asks again.
  HostPlan plan = world.plan_of("a");
  world.a.reset();
  world.b->host().publish(world.moved(3));
  world.network.run_for(10s);
  thief->host().publish(world.moved(4));
  world.network.run_for(10s);
  world.a = world.make("a", plan);
  REQUIRE(world.ready());
  CHECK(world.comes_to_mean(std::nullopt, 30s));
  CHECK(world.a->host().believed().find(key_of_host(2))->contested());
}
