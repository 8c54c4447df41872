// Every kind of NAT against every other: it connects, straight wherever theory allows that, and the
// kind is found out.
#include <doctest/doctest.h>
#include <map>

#include "tests/sim/hosts/nat_world.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

std::int64_t ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

struct Cell {
  int connected = 0, direct = 0, runs = 0;
  std::vector<std::int64_t> took;
};

Cell meet(const Connection& x, const Connection& y, double loss, int seeds) {
  Cell cell;
  for (int seed = 1; seed <= seeds; ++seed) {
    NatWorld world(static_cast<std::uint64_t>(seed), x, y);
    world.network.set_loss(loss);
    ++cell.runs;
    REQUIRE(world.ready());
    if (!world.talk(5s)) continue;
    ++cell.connected;
    world.go_on(loss > 0 ? 20s : 8s);
    if (!world.direct()) continue;
    ++cell.direct;
    cell.took.push_back(ms(*world.b_at_a().direct.took));
  }
  return cell;
}

void matrix(double loss, int seeds) {
  std::printf("NAT matrix, %.0f %% loss, %d seeds: direct/runs (median ms to the direct path)\n",
              loss * 100, seeds);
  for (const Connection& x : connections())
    for (const Connection& y : connections()) {
      Cell cell = meet(x, y, loss, seeds);
      const bool expected = theory_allows_direct(x, y);
      std::sort(cell.took.begin(), cell.took.end());
      std::printf(
          "  %-20s %-20s expected %-6s connected %d/%d direct %d/%d  %lld ms\n", x.name.c_str(),
          y.name.c_str(), expected ? "direct" : "node", cell.connected, cell.runs, cell.direct,
          cell.runs,
          cell.took.empty() ? -1LL : static_cast<long long>(cell.took[cell.took.size() / 2]));
      CAPTURE(x.name);
      CAPTURE(y.name);
      CHECK(cell.connected == cell.runs);
      CHECK(cell.direct == (expected ? cell.runs : 0));
    }
}

}  // namespace

TEST_CASE("the kind of each NAT is found out") {
  for (const Connection& how : connections())
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      NatWorld world(seed, how, connections().front());
      REQUIRE(world.ready());
      CAPTURE(how.name);
      CAPTURE(seed);
      const NatReport& nat = world.a->host().client().nat();
      CHECK(nat.udp);
      CHECK(nat.translated == how.own_nat);
      CHECK(nat.name() == how.found);
    }
}

TEST_CASE("a NAT that forgets all and gives other ports: packets flow again within five seconds") {
  for (std::size_t kind : {1u, 2u, 3u, 5u, 6u})
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      NatWorld world(seed, connections()[kind], connections()[3]);
      CAPTURE(connections()[kind].name);
      CAPTURE(seed);
      REQUIRE(world.ready());
      REQUIRE(world.talk(5s));
      world.go_on(10s);
      const bool before = world.direct();
      CHECK(before == theory_allows_direct(connections()[kind], connections()[3]));
      world.network.reboot(world.nat_a);
      const Duration silence = world.longest_silence(15s);
      std::printf("  %-20s silent for %lld ms\n", connections()[kind].name.c_str(),
                  static_cast<long long>(ms(silence)));
      CHECK(silence < 5s);
      world.go_on(10s);
      CHECK(world.direct() == before);
    }
}

TEST_CASE(
    "neighbours talk straight: behind one NAT, and behind a carrier's that turns packets round") {
  for (const bool hairpin : {false, true}) {
    CAPTURE(hairpin);
    NatWorld world(1, connections()[0], connections()[0]);
    NatKind kind = NatKind::port_restricted();
    kind.hairpin = hairpin;
    const auto carrier = world.network.add_nat(kind, {*IpAddress::parse("198.51.100.9")});
    world.a = world.behind(1, carrier, {IpAddress::v4(0x0a090007)});
    world.b = world.behind(2, carrier, {IpAddress::v4(0x0a090008)});
    REQUIRE(world.ready());
    CHECK(world.a->host().client().nat().hairpin == hairpin);
    REQUIRE(world.talk(5s));
    world.go_on(8s);
    CHECK(world.direct() == hairpin);
  }
  NatWorld world(1, connections()[0], connections()[0]);
  const auto home =
      world.network.add_nat(NatKind::symmetric(), {*IpAddress::parse("198.51.100.9")});
  world.a = world.behind(1, home, {});
  world.b = world.behind(2, home, {});
  REQUIRE(world.ready());
  REQUIRE(world.talk(5s));
  world.go_on(3s);
  CHECK(world.direct());
  CHECK(world.b_at_a().direct.active->address.is_private());
}

TEST_CASE("who does not want shortcuts is told nothing of addresses, and nothing goes straight") {
  NatWorld world(1, connections()[3], connections()[3]);
  REQUIRE(world.ready());
  world.a->host().set_shortcuts(false);
  std::size_t straight = 0;
  world.network.set_tap([&](const Endpoint&, const Endpoint&, Bytes message) {
    const auto header = wire::Header::parse(message);
    if (header && header->type == wire::Type::direct) ++straight;
    return false;
  });
  REQUIRE(world.talk(5s));
  world.go_on(10s);
  CHECK(straight == 0);
  CHECK(world.a_at_b().their_candidates.empty());
}

TEST_CASE("a NAT that keeps bindings for six seconds: the host finds out and stays reachable") {
  Connection short_lived = connections()[3];
  short_lived.kind.timeout = 6s;
  NatWorld world(1, short_lived, connections()[3]);
  REQUIRE(world.ready());
  world.network.run_for(60s);
  const NatReport& nat = world.a->host().client().nat();
  CHECK(nat.binding_lasts == 5s);
  CHECK(nat.binding_ends == 10s);
  CHECK(nat.keep_alive() < 4s);
  // Nobody said anything for a minute, and B's word arrives at once.
  world.b->send_udp(world.a->key(), 6000, 5000, "still there?");
  CHECK(world.network.run_until([&] { return !world.a->texts(5000).empty(); }, 1s, 10ms));
}

TEST_CASE("each kind of NAT against each: all connect, straight where theory allows") {
  matrix(0, 4);
}

TEST_CASE("the same with one packet in ten lost") {
  matrix(0.1, 2);
}
