// The simulator as a tool: repeats from its seed, its stand-ins for cryptography change nothing
// that a ring shows, its distances are the measured ones.
#include <doctest/doctest.h>

#include "sim/cheap_crypto.hh"
#include "sim/plot.hh"
#include "sim/scenario.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

std::string json_of(void (*run)(const ScenarioOptions&, Report&), std::uint64_t seed) {
  ScenarioOptions options;
  options.seed = seed;
  options.brief = true;
  options.nodes = 40;
  options.seconds = 30;
  Report report;
  run(options, report);
  return report.json();
}

}  // namespace

// First, while the cryptography of this process is real.
TEST_CASE("with real cryptography 20 nodes form a ring on measured distances") {
  WorldPlan plan;
  plan.seed = seed_or(101);
  World world(plan);
  CHECK(world.grow(20));
  CHECK(world.violation_count() == 0);
  use_cheap_crypto();
}

TEST_CASE("with cheap cryptography signatures, keys and hashes still tell right from wrong") {
  use_cheap_crypto();
  SeededRandom random(1);
  auto a = Identity::generate(random), b = Identity::generate(random);
  CHECK(a->key() != b->key());
  const auto text = as_bytes("a message of more than sixteen bytes");
  const Signature signature = a->sign(text);
  CHECK(a->key().verify(text, signature));
  CHECK(!b->key().verify(text, signature));
  CHECK(!a->key().verify(as_bytes("A message of more than sixteen bytes"), signature));
  CHECK(wire::pair_key(*a, b->key()) == wire::pair_key(*b, a->key()));
  CHECK(wire::pair_key(*a, b->key()) != wire::pair_key(*a, a->key()));
  // However the parts are cut, except where a domain says otherwise.
  CHECK(blake2b<32>("x", {text}) == blake2b<32>("x", {text.first(5), text.subspan(5)}));
  CHECK(blake2b<32>("x", {text}) != blake2b<32>("y", {text}));
  CHECK(blake2b<32>("x", {text}) != blake2b<32>("x", {text}, as_bytes("key")));
  CHECK(blake2b<16>("x", {text.first(16)}) != blake2b<16>("x", {text.first(15)}));
}

TEST_CASE("the same seed gives the same result to the last digit, another one does not") {
  use_cheap_crypto();
  const std::string first = json_of(run_churn, 7);
  CHECK(first == json_of(run_churn, 7));
  CHECK(first != json_of(run_churn, 8));
  CHECK(json_of(run_kill_half, 7) == json_of(run_kill_half, 7));
}

TEST_CASE("distances are those of the measurement, the same in both directions") {
  CHECK(LatencyMatrix::round_trip(0, 1) == 200us);  // 0.17 ms, rounded
  CHECK(LatencyMatrix::round_trip(0, 3) == 121400us);
  CHECK(LatencyMatrix::round_trip(3, 0) == 121400us);
  CHECK(LatencyMatrix::round_trip(489, 489) == 0us);
  SimNetwork network(3);
  Sites sites(network, 3);
  std::vector<SimNetwork::Host> hosts;
  for (int i = 0; i < 1000; ++i) hosts.push_back(network.add_host());
  std::vector<std::size_t> taken(LatencyMatrix::kSites);
  for (auto host : hosts) ++taken[sites.site(host)];
  CHECK(taken[LatencyMatrix::kOddSite] == 0);
  for (std::size_t site = 0; site < taken.size(); ++site)
    if (site != LatencyMatrix::kOddSite) CHECK((taken[site] == 2 || taken[site] == 3));
  for (int i = 0; i < 100; ++i) {
    const auto a = hosts[network.random().below(1000)], b = hosts[network.random().below(1000)];
    CHECK(sites.distance(a, b) == sites.distance(b, a));
    if (a == b) continue;
    const Duration access =
        sites.distance(a, b) - LatencyMatrix::round_trip(sites.site(a), sites.site(b)) / 2;
    CHECK(access >= 200us);
    CHECK(access <= 2ms);
  }
}

TEST_CASE(
    "an answer is wrong only if its node owned the position at no moment since the question") {
  use_cheap_crypto();
  WorldPlan plan;
  plan.seed = seed_or(102);
  World world(plan);
  REQUIRE(world.grow(30));
  for (int i = 0; i < 50; ++i) world.lookups.ask();
  world.run_for(12s);
  LookupTally tally = world.lookups.take();
  CHECK(tally.right == 50);
  CHECK(tally.mean_hops() > 1);
  CHECK(tally.mean_stretch() > 1);
  // A member that lies outside the network keeps believing what it did: half of its world is gone.
  world.partition([&](SimNetwork::Host host) { return host % 2; });
  for (int i = 0; i < 50; ++i) world.lookups.ask();
  world.run_for(12s);
  tally = world.lookups.take();
  CHECK(tally.total() == 50);
  CHECK(tally.wrong + tally.unknown > 0);
}

TEST_CASE("a plot holds each curve, its goal and its names, and escapes what XML needs") {
  Chart chart{"hops & more", "nodes", "a < b", {{"one", {{1, 2}, {10, 3}}}}, true, 1.5, "goal"};
  const std::string picture = svg({chart, Chart{}}, "test");
  CHECK(picture.find("hops &amp; more") != std::string::npos);
  CHECK(picture.find("a &lt; b") != std::string::npos);
  CHECK(picture.find("goal 1.5") != std::string::npos);
  CHECK(picture.find("<polyline") != std::string::npos);
  CHECK(picture.find("nan") == std::string::npos);
}
