// Names behind a gateway, asked and used through a middle-box. Real hosts, simulated time and
// network; the gateway's edge knows one name.
#include <doctest/doctest.h>

#include "tests/sim/hosts/one_name.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

class Copies final : public Middle {
 public:
  bool admits(const PublicKey&) const override { return true; }
  void inspect(const PublicKey&, const PublicKey&, MutBytes packet) override {
    packets.emplace_back(packet.begin(), packet.end());
    box->forward(packet);
  }
  Host* box = nullptr;
  std::vector<std::vector<std::uint8_t>> packets;
};

// Host a is the client, host b the gateway, m the middle-box that a's entry for b names.
struct World {
  explicit World(std::uint64_t seed, IpPrefix pool_of_box = HostPlan().pool)
      : small(seed_or(seed)), machine(small.network.add_host()), pool(pool_of_box) {
    HostPlan gateway = small.plan_of("b");
    gateway.allow = {{key_of_host(1), Allow::Protocol::nothing, {}}};
    gateway.edge = &edge;
    small.b.reset();
    small.b = small.make("b", gateway);
    edge.gateway = small.b.get();
    HostPlan client = small.plan_of("a");
    client.book[1].middlebox = key_of_host(3);
    small.a.reset();
    small.a = small.make("a", client);
    make_box();
    small.a->host().gateway_names().answered = [this](std::uint64_t, const GatewayAnswer& answer) {
      told.push_back(answer);
    };
    REQUIRE(small.ready());
  }
  void make_box() {
    m.reset();
    HostPlan plan = small.plan_of("a");
    plan.name = std::string("m");
    plan.pool = pool;
    m = std::make_unique<SimHost>(small.network, machine, *Endpoint::parse("192.0.2.50:4000"), 3,
                                  plan);
    middle.box = &m->host();
    m->host().set_middle(&middle);
    REQUIRE(small.network.run_until([this] { return m->host().client().ready(); }, 30s));
  }
  IpAddress ask() {
    small.a->host().gateway_names().ask(*small.a->host().meet(key_of_host(2)), kName,
                                        small.network.now());
    small.a->arm();
    REQUIRE(small.network.run_until([this] { return !told.empty(); }, 5s, 1ms));
    REQUIRE(told.back().ipv4);
    CHECK(small.a->host().peers().find(key_of_host(2))->partner == key_of_host(3));
    return told.back().ipv4->address();
  }
  bool says(const IpAddress& to, const std::string& text, Duration limit = 2s) {
    const std::size_t before = edge.packets.size();
    small.a->send_udp_to(to, 5000, 53, text);
    return small.network.run_until([&] { return edge.packets.size() > before; }, limit);
  }

  OneName edge{2, 1};
  Copies middle;
  SmallWorld small;
  SimNetwork::Host machine;
  IpPrefix pool;
  std::unique_ptr<SimHost> m;
  std::vector<GatewayAnswer> told;
};

IpAddress source_of(Bytes packet) {
  return IpView::parse(packet)->source();
}
IpAddress destination_of(Bytes packet) {
  return IpView::parse(packet)->destination();
}

}  // namespace

TEST_CASE(
    "a name behind a gateway works through a middle-box, which sees it as a host of its own") {
  World world(1);
  const IpAddress there = world.ask();
  REQUIRE(world.says(there, "question"));
  CHECK(world.edge.clients == std::vector{key_of_host(1)});
  CHECK(destination_of(world.edge.packets.at(0)) == world.edge.inner);
  REQUIRE(world.middle.packets.size() == 1);
  const IpAddress shown = destination_of(world.middle.packets[0]);
  CHECK(shown == there);  // free everywhere, hence the same everywhere
  CHECK(world.m->host().name_at(shown) == kName);
  CHECK(world.m->host().name_at(source_of(world.middle.packets[0])) == "a");

  world.small.b->send_udp_from(world.edge.inner, key_of_host(1), 53, 5000, "answer");
  REQUIRE(world.small.network.run_until([&] { return !world.small.a->texts(5000).empty(); }, 2s));
  CHECK(source_of(world.small.a->received.back()) == there);
  CHECK(source_of(world.middle.packets.at(1)) == shown);
}

TEST_CASE("where the inner address is taken, only the middle-box's own view differs") {
  World world(2, IpPrefix{IpAddress::v4(0x0a4d0000), 16});
  const IpAddress there = world.ask();
  REQUIRE(world.says(there, "question"));
  CHECK(there == world.edge.inner);
  CHECK(destination_of(world.edge.packets.at(0)) == world.edge.inner);
  const IpAddress shown = destination_of(world.middle.packets.at(0));
  CHECK(shown != world.edge.inner);
  CHECK(world.m->host().name_at(shown) == kName);
  world.small.b->send_udp_from(world.edge.inner, key_of_host(1), 53, 5000, "answer");
  REQUIRE(world.small.network.run_until([&] { return !world.small.a->texts(5000).empty(); }, 2s));
  CHECK(source_of(world.small.a->received.back()) == there);
  CHECK(source_of(world.middle.packets.at(1)) == shown);
}

TEST_CASE("packets for the gateway itself are no name's") {
  World world(3);
  world.ask();
  world.small.a->send_udp(key_of_host(2), 5000, 6000, "to the gateway");
  world.small.network.run_for(2s);
  CHECK(world.edge.packets.empty());
  REQUIRE(!world.middle.packets.empty());
  CHECK(destination_of(world.middle.packets.at(0)) == world.small.b->host().own4().address());
}

TEST_CASE("a middle-box that lost all it knew has the client ask again, whoever speaks first") {
  World world(4);
  const IpAddress there = world.ask();
  REQUIRE(world.says(there, "question"));
  CHECK(world.edge.questions == 1);
  SUBCASE("the client") {
    world.make_box();
    bool arrived = false;
    for (int i = 0; i < 30 && !arrived; ++i) arrived = world.says(there, "again", 1s);
    CHECK(arrived);
  }
  SUBCASE("the machine behind the gateway") {
    world.make_box();
    // Both ends meet the new one; from then on only the other side sends.
    world.small.a->host().suspect(*world.small.a->host().peers().find(key_of_host(2)));
    world.small.b->host().suspect(*world.small.b->host().peers().find(key_of_host(1)));
    const auto heard = [&] {
      for (const auto& packet : world.small.a->received)
        if (source_of(packet) == there) return true;
      return false;
    };
    for (int i = 0; i < 30 && !heard(); ++i) {
      world.small.b->send_udp_from(world.edge.inner, key_of_host(1), 53, 5000, "on and on");
      world.small.network.run_for(1s);
    }
    CHECK(heard());
  }
  CHECK(world.edge.questions == 2);
  CHECK(world.m->host().leg_names().size() == 1);
}

TEST_CASE("a conversation that ends takes its names along") {
  World world(5);
  world.ask();
  CHECK(world.m->host().leg_names().size() == 1);
  world.small.network.run_for(std::chrono::hours(5));
  CHECK(world.m->host().peers().conversations() == 0);
  CHECK(world.m->host().leg_names().size() == 0);
}
