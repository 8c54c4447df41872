// Entry nodes: which are used, which are refused, and what happens when all are dead.
#include <doctest/doctest.h>

#include "tests/unit/client/fake_world.hh"

using namespace i3;
using namespace i3::test;

namespace {

EntryStatus status_of(const World& world, const FakeNode& node) {
  for (const EntryStatus& status : world.client->nodes())
    if (node.contact.owns(status.address)) return status;
  return {};
}

std::size_t logged(const World& world, const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(world.log_lines.begin(), world.log_lines.end(),
                    [&](const std::string& line) { return line.find(text) != std::string::npos; }));
}

}  // namespace

TEST_CASE(
    "an entry node with another key than the settings name is refused, said once, never used") {
  World world;
  auto options = world.options();
  options.entries[0].key = world.nodes[1]->contact.key;
  world.start(options);
  world.run_for(60s);
  CHECK_FALSE(world.client->ready());
  const auto status = status_of(world, *world.nodes[0]);
  CHECK_FALSE(status.alive);
  CHECK(status.trouble.find("has another key") == 0);
  CHECK(world.client->trouble() == "no entry node answers");
  CHECK(logged(world, "entry_node_refused") == 1);
  CHECK(world.nodes[0]->got.size() == 1);
  CHECK(world.nodes[0]->got[wire::Type::probe] > 5);
  CHECK(world.client->counters().wrong_key > 5);
}

TEST_CASE("an entry node that claims the right key but cannot sign with it is refused") {
  World world;
  world.nodes[0]->signs_as = world.nodes[1]->identity.get();
  world.start();
  world.run_for(10s);
  CHECK_FALSE(status_of(world, *world.nodes[0]).alive);
  CHECK(status_of(world, *world.nodes[0]).trouble == "its signature does not hold");
  CHECK(world.client->counters().bad_signature > 0);
  world.nodes[0]->signs_as = nullptr;
  CHECK(world.run_until([&] { return world.all_stand(); }, 10s));
}

TEST_CASE("an entry node without a key in the settings is accepted, and said") {
  World world;
  auto options = world.options();
  options.entries[0].key.reset();
  world.start(options);
  CHECK(world.run_until([&] { return world.all_stand(); }));
  CHECK(logged(world, "entry_node_without_key") == 1);
  CHECK(status_of(world, *world.nodes[0]).key == world.nodes[0]->contact.key);
}

TEST_CASE("in a ring with an operator an entry node must show its membership") {
  World world;
  SeededRandom random(5);
  const auto boss = Identity::generate(random);
  auto options = world.options();
  options.operator_key = boss->key();
  SUBCASE("none") {
    world.start(options);
    world.run_for(10s);
    CHECK_FALSE(world.client->ready());
  }
  SUBCASE("expired") {
    world.nodes[0]->membership =
        wire::Membership::issue(*boss, world.nodes[0]->contact.key, world.wall() - 1);
    world.start(options);
    world.run_for(10s);
    CHECK_FALSE(world.client->ready());
  }
  SUBCASE("good") {
    world.nodes[0]->membership = wire::Membership::issue(*boss, world.nodes[0]->contact.key,
                                                         world.wall() + 1'000'000'000'000);
    world.start(options);
    CHECK(world.run_until([&] { return world.all_stand(); }));
  }
}

TEST_CASE("probes are repeated with growing pauses until the node comes up") {
  World world;
  world.nodes[0]->dead = true;
  std::vector<TimePoint> probes;
  world.lose = [&](std::size_t, const World::Datagram& datagram) {
    if (datagram.type() == wire::Type::probe) probes.push_back(world.now);
    return false;
  };
  world.start();
  world.run_for(60s);
  REQUIRE(probes.size() > 10);
  CHECK(probes[0] == TimePoint{1000s});
  CHECK(probes[1] - probes[0] >= 180ms);
  CHECK(probes[1] - probes[0] <= 220ms);
  for (std::size_t i = 8; i < probes.size(); ++i) {
    CHECK(probes[i] - probes[i - 1] >= 4500ms);
    CHECK(probes[i] - probes[i - 1] <= 5500ms);
  }
  world.nodes[0]->dead = false;
  CHECK(world.run_until([&] { return world.all_stand(); }, 7s));
}

TEST_CASE("the nearest live entry node is asked, and another when it dies") {
  World world;
  auto options = world.options();
  options.entries.push_back({*world.nodes[1]->contact.v4, world.nodes[1]->contact.key});
  // The first one is far away.
  world.ring = [&world](RingId) { return std::vector<FakeNode*>{world.nodes[2].get()}; };
  world.make_client(options);
  world.delay = 50ms;
  world.lose = [&](std::size_t, const World::Datagram& datagram) {
    world.delay = datagram.from == *world.nodes[0]->contact.v4 ? 50ms : 10ms;
    return false;
  };
  world.client->start(world.now, world.wall());
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  CHECK(world.nodes[0]->got[wire::Type::lookup] == 0);
  CHECK(status_of(world, *world.nodes[0]).rtt > status_of(world, *world.nodes[1]).rtt);
  world.nodes[1]->dead = true;
  REQUIRE(world.run_until([&] { return !status_of(world, *world.nodes[1]).alive; }, 30s));
  CHECK(world.client->send_by_id(Id{}, 1, {}, world.now) != 0);
  CHECK(world.run_until([&] { return world.nodes[0]->got[wire::Type::packet] == 1; }, 1s));
}

TEST_CASE("when all entry nodes are dead, nodes learnt earlier serve, also after a restart") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  const auto saved = world.client->save();
  CHECK(saved.size() <= 8192);
  world.nodes[0]->dead = true;
  SUBCASE("while running") {
    REQUIRE(world.run_until([&] { return !status_of(world, *world.nodes[0]).alive; }, 30s));
    CHECK(world.run_until([&] { return world.all_stand() && world.client->ready(); }, 40s));
  }
  SUBCASE("after a restart") {
    for (auto& node : world.nodes) node->forget();
    world.make_client(world.options());
    REQUIRE(world.client->restore(saved));
    world.client->start(world.now, world.wall());
    CHECK(world.run_until([&] { return world.all_stand(); }, 5s));
    // The configured one is preferred again as soon as it lives.
    world.nodes[0]->dead = false;
    CHECK(world.run_until([&] { return status_of(world, *world.nodes[0]).alive; }, 10s));
    CHECK(world.client->nodes().size() == 1);
  }
  SUBCASE("but without a saved state a new start has nobody") {
    for (auto& node : world.nodes) node->forget();
    world.start();
    world.run_for(30s);
    CHECK_FALSE(world.client->ready());
  }
}

TEST_CASE("a saved state that is cut, longer or of another version is not taken") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  auto saved = world.client->save();
  World other;
  other.make_client(other.options());
  for (std::size_t size = 0; size < saved.size(); ++size)
    CHECK_FALSE(other.client->restore(Bytes(saved).first(size)));
  auto longer = saved;
  longer.push_back(0);
  CHECK_FALSE(other.client->restore(longer));
  saved[0] ^= 1;
  CHECK_FALSE(other.client->restore(saved));
}

TEST_CASE("our own address is what the nodes see, and a difference between them shows") {
  World world;
  auto options = world.options();
  options.entries.push_back({*world.nodes[1]->contact.v4, world.nodes[1]->contact.key});
  world.start(options);
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  auto seen = world.client->observed();
  CHECK(seen.v4.endpoint == world.host);
  CHECK(seen.v4.nodes >= 2);
  CHECK(seen.v4.same);
  CHECK_FALSE(seen.v6.endpoint);
  // The second node sees another port, as behind a NAT with a mapping per destination.
  world.lose = [&](std::size_t, const World::Datagram& datagram) {
    if (auto probe = wire::Probe::parse(datagram.bytes);
        probe && datagram.to == *world.nodes[1]->contact.v4) {
      wire::ProbeReply reply{probe->nonce, at("198.51.100.9:7999"), world.nodes[1]->contact, {}};
      std::array<std::uint8_t, wire::kMaxMessage> buffer;
      Writer writer(buffer);
      reply.write(writer, *world.nodes[1]->identity);
      world.transmit(datagram.to, world.host, writer.written());
      return true;
    }
    return false;
  };
  world.run_for(20s);
  seen = world.client->observed();
  CHECK_FALSE(seen.v4.same);
}

TEST_CASE("an owner without an address of our family is passed over for its successor, and said") {
  World world;
  world.nodes[2]->contact.v4.reset();
  world.nodes[2]->contact.v6 = at("[2001:db8::7]:5100");
  auto options = world.options();
  SUBCASE("IPv4 only, there is another contact") {
    options.have_v6 = false;
    world.ring = [&world](RingId) {
      return std::vector<FakeNode*>{world.nodes[2].get(), world.nodes[1].get()};
    };
    world.start(options);
    CHECK(world.run_until([&] { return world.nodes[1]->held() == 6; }, 2s));
    CHECK(logged(world, "owner_of_other_family") >= 1);
  }
  SUBCASE("IPv4 only, there is none: the other public ID still makes us ready") {
    options.have_v6 = false;
    const RingId first = public_id(world.identity->key(), 0).ring();
    world.ring = [&world, first](RingId position) {
      return std::vector<FakeNode*>{world.nodes[position == first ? 2 : 1].get()};
    };
    world.start(options);
    CHECK(world.run_until([&] { return world.client->ready(); }, 2s));
    CHECK(world.client->trouble() == "its node has no address of our family");
  }
  SUBCASE("IPv6 only") {
    world.nodes[0]->contact.v6 = at("[2001:db8:5::7]:5100");
    world.host = at("[2001:db8:9::9]:7000");
    options.have_v4 = false;
    options.entries = {{*world.nodes[0]->contact.v6, world.nodes[0]->contact.key},
                       {*world.nodes[1]->contact.v4, {}}};
    world.ring = [&world](RingId) { return std::vector<FakeNode*>{world.nodes[2].get()}; };
    world.start(options);
    CHECK(world.run_until([&] { return world.nodes[2]->held() == 6; }, 2s));
    CHECK(world.client->nodes()[1].trouble == "no address of its family here");
    CHECK(world.nodes[1]->got.empty());
    CHECK(world.client->observed().v6.endpoint == world.host);
  }
}

TEST_CASE("entry nodes are added, replaced and bounded while the client runs") {
  World world;
  auto options = world.options();
  options.entries.clear();
  world.start(options);
  world.run_for(1s);
  CHECK_FALSE(world.client->ready());
  world.client->add_entry({*world.nodes[1]->contact.v4, world.nodes[1]->contact.key}, world.now);
  CHECK(world.run_until([&] { return world.all_stand(); }, 2s));
  world.client->set_entries({{*world.nodes[0]->contact.v4, world.nodes[0]->contact.key},
                             {*world.nodes[1]->contact.v4, world.nodes[1]->contact.key}},
                            world.now);
  CHECK(status_of(world, *world.nodes[1]).alive);
  CHECK_FALSE(status_of(world, *world.nodes[0]).alive);
  CHECK(world.run_until([&] { return status_of(world, *world.nodes[0]).alive; }, 1s));
  for (std::uint16_t port = 1; port < 100; ++port)
    world.client->add_entry({Endpoint{at("192.0.2.1:1").address, port}, {}}, world.now);
  CHECK(world.client->nodes().size() == ClientOptions::kMaxEntries);
}
