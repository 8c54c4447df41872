// Conversations through a middle-box, by either end's wish, and attempts to walk round it. Real
// hosts, simulated time and network.
#include <doctest/doctest.h>
#include <set>

#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

// Lets everything pass that holds none of the forbidden words, and remembers between whom.
class Inspector final : public Middle {
 public:
  bool admits(const PublicKey& end) const override { return anybody || admitted.contains(end); }
  void inspect(const PublicKey& from, const PublicKey& to, MutBytes packet) override {
    seen.emplace_back(from, to);
    packets.emplace_back(packet.begin(), packet.end());
    if (!forbidden.empty() && as_text(packet).find(forbidden) != std::string_view::npos) return;
    host->forward(packet);
  }

  Host* host = nullptr;
  bool anybody = false;
  std::set<PublicKey> admitted;
  std::string forbidden;
  std::vector<std::pair<PublicKey, PublicKey>> seen;
  std::vector<std::vector<std::uint8_t>> packets;
};

// Hosts A and B, and the middle-box M on a machine of its own. B lets A in, and nobody else.
class BoxWorld : public SmallWorld {
 public:
  explicit BoxWorld(std::uint64_t seed) : SmallWorld(seed), machine_(network.add_host()) {
    inspector.admitted = {key_of_host(1)};
    make_box();
  }

  static PublicKey box() { return key_of_host(3); }
  void make_box() {
    m.reset();
    HostPlan plan = plan_of("a");
    plan.name = "m";
    m = std::make_unique<SimHost>(network, machine_, *Endpoint::parse("192.0.2.50:4000"), 3, plan);
    inspector.host = &m->host();
    m->host().set_middle(&inspector);
  }
  // A's wish: its entry for B names the box.
  void client_wishes() {
    HostPlan plan = plan_of("a");
    plan.book[1].middlebox = box();
    a.reset();
    a = make("a", plan);
  }
  // B's wish, for all who come.
  void server_wishes() {
    HostPlan plan = plan_of("b");
    plan.inbound_box = box();
    b.reset();
    b = make("b", plan);
    inspector.admitted = {key_of_host(2)};
  }
  bool all_ready() {
    return ready() && network.run_until([this] { return m->host().client().ready(); }, 30s);
  }
  Peer& a_at_b() { return *b->host().peers().find(a->key()); }
  Peer& b_at_a() { return *a->host().peers().find(b->key()); }

  Inspector inspector;
  std::unique_ptr<SimHost> m;

 private:
  SimNetwork::Host machine_;
};

std::vector<std::pair<PublicKey, PublicKey>> both_ways(int times) {
  std::vector<std::pair<PublicKey, PublicKey>> ways;
  for (int i = 0; i < times; ++i) {
    ways.emplace_back(key_of_host(1), key_of_host(2));
    ways.emplace_back(key_of_host(2), key_of_host(1));
  }
  return ways;
}

}  // namespace

TEST_CASE(
    "by the client's wish both directions go through the box, and the server sees the client") {
  BoxWorld world(seed_or(101));
  world.client_wishes();
  REQUIRE(world.all_ready());
  CHECK(world.hears(*world.a, *world.b, "there", 3s));
  world.b->send_udp(world.a->key(), 6000, 5000, "and back");
  CHECK(world.network.run_until([&] { return world.a->texts(5000).size() == 1; }, 3s));
  CHECK(world.inspector.seen == both_ways(1));
  CHECK(world.b_at_a().partner == world.box());
  CHECK(world.a_at_b().partner == world.box());
  CHECK(world.a_at_b().preserves_headers());
  CHECK(world.b_at_a().preserves_headers());
  // The packet that B's programs got is, byte for byte, the one that A's sent, and the box's.
  const auto packet = IpView::parse(world.b->received.at(0));
  CHECK(packet->source() == world.a->host().own4().address());
  CHECK(packet->destination() == world.b->host().own4().address());
  CHECK(world.inspector.packets.at(0) == world.b->received.at(0));
}

TEST_CASE("the first packet through a box arrives before anything came back from the server") {
  BoxWorld world(seed_or(102));
  world.client_wishes();
  REQUIRE(world.all_ready());
  world.network.run_for(2s);
  world.a->send_udp(world.b->key(), 5000, 6000, "early");
  REQUIRE(world.network.run_until([&] { return !world.b->texts(6000).empty(); }, 2s, 1ms));
  const Peer* leg = world.m->host().peers().leg(world.b->key(), world.a->key());
  CHECK_FALSE(world.m->host().sessions().can_seal(leg->handle, world.network.now()));
}

TEST_CASE("what the box does not let pass arrives nowhere") {
  BoxWorld world(seed_or(103));
  world.client_wishes();
  world.inspector.forbidden = "eggdrop";
  REQUIRE(world.all_ready());
  CHECK(world.hears(*world.a, *world.b, "harmless", 3s));
  CHECK_FALSE(world.hears(*world.a, *world.b, "eggdrop", 5s));
  CHECK(world.hears(*world.a, *world.b, "harmless again", 3s));
}

TEST_CASE("a box that admits a host not answers it with silence") {
  BoxWorld world(seed_or(104));
  world.client_wishes();
  world.inspector.admitted.clear();
  REQUIRE(world.all_ready());
  CHECK_FALSE(world.hears(*world.a, *world.b, "hello", 12s));
  CHECK(world.a->unreachables() >= 1);
  CHECK(world.b->received.empty());
  CHECK(world.m->host().peers().conversations() == 0);
}

TEST_CASE("rules of the server apply to the client, not to the box") {
  BoxWorld world(seed_or(105));
  HostPlan plan = world.plan_of("b");
  plan.allow = {{world.box(), Allow::Protocol::usual, {}}};  // the box may come in, A may not
  world.b.reset();
  world.b = world.make("b", plan);
  world.client_wishes();
  REQUIRE(world.all_ready());
  CHECK_FALSE(world.hears(*world.a, *world.b, "hello", 12s));
  CHECK(world.b->received.empty());
}

TEST_CASE("by the server's wish a client that knows nothing of the box goes by it") {
  BoxWorld world(seed_or(106));
  world.server_wishes();
  REQUIRE(world.all_ready());
  CHECK(world.hears(*world.a, *world.b, "there", 4s));
  world.b->send_udp(world.a->key(), 6000, 5000, "and back");
  CHECK(world.network.run_until([&] { return world.a->texts(5000).size() == 1; }, 3s));
  CHECK(world.inspector.seen == both_ways(1));
  CHECK(world.b->host().verdicts().of(Verdict::redirected) >= 1);
  // Said once: the box admits A because B sent it, though A is no business of the box.
  CHECK(world.b_at_a().partner == world.box());
  CHECK(world.a_at_b().preserves_headers());
}

TEST_CASE("a server that sends callers to a box hears no packet of theirs before, nor by copies") {
  BoxWorld world(seed_or(107));
  world.server_wishes();
  world.inspector.forbidden = "secret";  // so that nothing arrives by the box
  REQUIRE(world.all_ready());
  // Everything that A sends is kept, and sent once more, a hundred times over.
  std::vector<std::tuple<Endpoint, Endpoint, std::vector<std::uint8_t>>> kept;
  bool keep = true;
  world.network.set_tap([&](const Endpoint& from, const Endpoint& to, Bytes message) {
    if (keep)
      kept.emplace_back(from, to, std::vector<std::uint8_t>(message.begin(), message.end()));
    return false;
  });
  CHECK_FALSE(world.hears(*world.a, *world.b, "secret", 4s));
  keep = false;
  const std::uint64_t redirected = world.b->host().verdicts().of(Verdict::redirected);
  for (int times = 0; times < 3; ++times)
    for (const auto& [from, to, message] : kept)
      world.network.send(world.a->machine(), from, to, message);
  world.network.run_for(5s);
  CHECK(world.b->received.empty());
  CHECK(world.b->host().verdicts().of(Verdict::redirected) > redirected);
}

TEST_CASE("a session from before the box was set ends when it is") {
  BoxWorld world(seed_or(108));
  REQUIRE(world.all_ready());
  CHECK(world.hears(*world.a, *world.b, "straight", 3s));
  CHECK(world.inspector.seen.empty());
  world.inspector.admitted = {key_of_host(2)};
  HostPlan plan = world.plan_of("b");
  // A does not hear that it is over: it goes on sealing for the old session.
  bool deaf = true;
  const auto outside_b = *IpAddress::parse("198.51.100.1");
  world.network.set_tap([&](const Endpoint& from, const Endpoint&, Bytes) {
    return deaf && (from.address == outside_b || from.address == *IpAddress::parse("192.168.2.2"));
  });
  world.b->host().set_people(Directory(plan.book, {key_of_host(1)}, world.box()), plan.allow);
  world.a->send_udp(world.b->key(), 5000, 6000, "by the old session");
  world.network.run_for(2s);
  CHECK(world.b->texts(6000) == std::vector<std::string>{"straight"});
  deaf = false;
  CHECK(world.gets_through(*world.a, *world.b, "by the box", 15s));
  CHECK_FALSE(world.inspector.seen.empty());
}

TEST_CASE("a box speaks for nobody without that host's leave") {
  BoxWorld world(seed_or(109));
  world.server_wishes();
  world.inspector.anybody = true;
  REQUIRE(world.all_ready());
  CHECK(world.hears(*world.a, *world.b, "there", 4s));
  // A hostile box: it knows A's key, and has its leave for another host only.
  world.m->host().peers().leg(world.b->key(), world.a->key());
  Peer& leg = *world.m->host().peers().leg(world.a->key(), world.b->key());
  const Identity other(SeededRandom(5).array<32>());
  leg.leg->leave = wire::Spokesman::issue(other, world.box(), world.b->key(), ~0ull);
  world.m->host().sessions().forget(
      world.m->host().peers().leg(world.b->key(), world.a->key())->handle);
  const std::uint64_t before = world.b->host().verdicts().of(Verdict::no_leave);
  const auto packet = world.inspector.packets.at(0);
  world.m->host().forward(packet);
  world.network.run_for(3s);
  CHECK(world.b->host().verdicts().of(Verdict::no_leave) > before);
  CHECK(world.b->texts(6000).size() == 1);
}

TEST_CASE("who says for itself that it is to be reached by a box, is: also when the other begins") {
  BoxWorld world(seed_or(110));
  world.client_wishes();
  REQUIRE(world.all_ready());
  // B asks for A, of whom it knows nothing but the key; A wants to speak with B by the box only.
  HostPlan plan = world.plan_of("a");
  plan.book[1].middlebox = world.box();
  world.a->host().set_people(Directory(plan.book, {}),
                             {{world.b->key(), Allow::Protocol::usual, {}}});
  CHECK(world.hears(*world.b, *world.a, "from b", 5s));
  CHECK_FALSE(world.inspector.seen.empty());
  CHECK(world.b->host().peers().find(world.a->key())->partner == world.box());
}

TEST_CASE("a box that was restarted is used again, and so is an end that was") {
  BoxWorld world(seed_or(111));
  world.client_wishes();
  REQUIRE(world.all_ready());
  CHECK(world.hears(*world.a, *world.b, "before", 3s));
  world.make_box();
  REQUIRE(world.all_ready());
  CHECK(world.gets_through(*world.a, *world.b, "with a new box", 20s));
  HostPlan plan = world.plan_of("b");
  plan.state = world.b->state();
  world.b.reset();
  world.b = world.make("b", plan);
  REQUIRE(world.all_ready());
  CHECK(world.gets_through(*world.a, *world.b, "with a new server", 20s));
  world.network.run_for(200s);  // sessions end
  world.b->send_udp(world.a->key(), 6000, 5000, "late answer");
  CHECK(world.network.run_until([&] { return !world.a->texts(5000).empty(); }, 10s));
  CHECK(world.b->host().peers().find(world.a->key())->partner == world.box());
}

TEST_CASE("a ping goes through the box to the end, and an absent end is said to be") {
  BoxWorld world(seed_or(112));
  world.client_wishes();
  REQUIRE(world.all_ready());
  PingResult result;
  bool done = false;
  world.a->host().ping(world.b->key(), 5s, [&](const PingResult& got) {
    result = got;
    done = true;
  });
  CHECK(world.network.run_until([&] { return done; }, 6s));
  CHECK(result.ok);
  CHECK(world.m->host().peers().conversations() == 1);
  world.b->stop();
  world.network.run_for(3s);
  world.a->send_udp(world.b->key(), 5000, 6000, "anybody?");
  CHECK(world.network.run_until([&] { return world.a->unreachables() > 0; }, 12s));
}

TEST_CASE("conversations through a box end when nobody used them for long") {
  BoxWorld world(seed_or(113));
  world.client_wishes();
  REQUIRE(world.all_ready());
  CHECK(world.hears(*world.a, *world.b, "there", 3s));
  CHECK(world.m->host().peers().conversations() == 1);
  world.network.run_for(2h + 2min);
  CHECK(world.m->host().peers().conversations() == 0);
  CHECK(world.gets_through(*world.a, *world.b, "again", 15s));
}
