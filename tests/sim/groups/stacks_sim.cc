// Boxes that pass sealed packets on, by either end's wish: both directions go by them, nothing goes
// round them, and they are no end of any session. Real hosts and nodes, simulated time and network.
#include "gateways/relay/sealed_relay.hh"
#include "tests/sim/groups/group_world.hh"
#include "tests/sim/hosts/sim_visitor.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

// A box as i3-gateway has it.
class Box final : public SealedStop {
 public:
  Box(GroupWorld& world, std::uint64_t number, std::vector<std::uint64_t> clients,
      ByteRate rate = {})
      : world_(world), identity_(identity_of_host(number)), relay(*identity_) {
    std::vector<RelayClient> users;
    for (const std::uint64_t client : clients)
      users.push_back({key_of_host(client), "h" + std::to_string(client), {}});
    relay.set(users, rate);
    host = world.host(number);
    host->host().set_sealed_stop(this);
    HeldTrigger trigger;
    trigger.owner = host->key();
    trigger.id = owner_prefix(trigger.owner, kPassSalt);
    trigger.salt = kPassSalt;
    trigger.exact = false;
    host->host().client().hold(trigger, world.network.now());
    host->turn();
    REQUIRE(world.until(
        [&] {
          const auto held = host->host().client().held();
          return held.size() == 1 && held[0].at_owner;
        },
        20s));
  }
  ~Box() override { host->host().set_sealed_stop(nullptr); }

  void on_sealed(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) override {
    const auto onward = relay.judge(packet, now, world_.network.wall());
    if (!onward) return;
    const bool in = wire::Pass::parse(packet.target())->use == wire::Pass::Use::in;
    ++(in ? to_client : from_client);
    firsts += packet.kind == 1;
    if (steal && packet.kind == 0) {
      // What it was given goes straight to the client's public ID instead.
      host->host().client().send_by_id(public_id(*steal), 0, packet.payload, now);
      ++stolen;
      return;
    }
    if (host->host().client().pass_on(*onward, onward->payload, now))
      relay.note_source(packet, node, now);
  }
  bool on_cookie(Bytes cookie, TimePoint now) override {
    const auto source = relay.source_of(cookie, now);
    if (source) host->host().client().send_returned(source->node, source->tag, 3, cookie);
    return source.has_value();
  }
  void on_consent_ask(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) override {
    const auto answer = relay.consent(packet, now, world_.network.wall());
    if (!answer) return;
    std::array<std::uint8_t, wire::ConsentAnswer::kSize> payload;
    Writer writer(payload);
    answer->write(writer);
    host->host().client().send_returned(node, packet.tag, wire::kConsentAnswer, writer.written());
  }
  // It has no session with anybody.
  bool knows_nobody() const {
    bool any = false;
    host->host().peers().each([&](const Peer& peer) { any = any || peer.ever_ready; });
    return !any && host->received.empty();
  }

 private:
  GroupWorld& world_;
  std::unique_ptr<Identity> identity_;

 public:
  SealedRelay relay;
  std::unique_ptr<SimHost> host;
  std::uint64_t from_client = 0, to_client = 0, stolen = 0, firsts = 0;
  std::optional<PublicKey> steal;
};

// Hosts 1 and 2 talk by box 3, and box 4 where there are two.
struct World {
  explicit World(std::uint64_t seed) : small(seed) {}
  void hosts(bool wish_of_a, bool wish_of_b = false, std::uint64_t box_of_b = 3) {
    a = small.host(1, [&](HostPlan& plan) {
      plan.book = {{"b", key_of_host(2)}, {"m", key_of_host(3)}};
      if (wish_of_a) plan.book[0].stack = key_of_host(3);
    });
    b = small.host(2, [&](HostPlan& plan) {
      plan.book = {{"a", key_of_host(1)}};
      if (wish_of_b) plan.inbound_stop = key_of_host(box_of_b);
    });
  }
  bool says(SimHost& from, SimHost& to, const std::string& text, Duration limit) {
    return small.says(from, to, text, limit);
  }
  bool came_to(SimHost& host, const std::string& text) {
    const auto texts = host.texts(6000);
    return std::find(texts.begin(), texts.end(), text) != texts.end();
  }
  const Peer& peer(SimHost& at, SimHost& of) { return *at.host().peers().find(of.key()); }
  std::uint64_t past_the_box(SimHost& at) { return at.host().verdicts().of(Verdict::past_the_box); }

  GroupWorld small;
  std::unique_ptr<SimHost> a, b;
};

}  // namespace

TEST_CASE("by one end's wish both directions go by the box, sealed, and the box knows nobody") {
  World world(1);
  Box box(world.small, 3, {1});
  world.hosts(true);
  REQUIRE(world.says(*world.a, *world.b, "there", 5s));
  REQUIRE(world.says(*world.b, *world.a, "and back", 5s));
  CHECK(box.from_client >= 2);
  CHECK(box.to_client >= 2);
  CHECK(box.knows_nobody());
  CHECK(world.a->host().path_text(world.peer(*world.a, *world.b)) == "relay m");
  CHECK(world.peer(*world.a, *world.b).partner == world.b->key());
  CHECK(world.peer(*world.b, *world.a).partner == world.a->key());
  CHECK(world.b->host().path_text(world.peer(*world.b, *world.a)).starts_with("relay "));
  // Minutes of talk, with new session keys, make no way round it.
  for (int i = 0; i < 60; ++i) {
    world.a->send_udp(world.b->key(), 5000, 6001, "x");
    world.b->send_udp(world.a->key(), 5000, 6001, "y");
    world.small.network.run_for(5s);
  }
  CHECK(world.a->texts(6001).size() >= 59);
  CHECK(world.b->texts(6001).size() >= 59);
  CHECK_FALSE(world.peer(*world.a, *world.b).direct.active);
  CHECK_FALSE(world.peer(*world.b, *world.a).direct.active);
  CHECK(world.peer(*world.a, *world.b).theirs.nodes.empty());
  CHECK(world.peer(*world.b, *world.a).theirs.nodes.empty());
  CHECK(world.past_the_box(*world.a) == 0);
  CHECK(box.relay.counters().passed == box.from_client + box.to_client);
}

TEST_CASE("without the box nothing passes, in either direction; with it again everything does") {
  World world(2);
  auto box = std::make_unique<Box>(world.small, 3, std::vector<std::uint64_t>{1});
  world.hosts(true);
  REQUIRE(world.says(*world.a, *world.b, "first", 5s));
  REQUIRE(world.says(*world.b, *world.a, "first", 5s));
  box.reset();
  // Longer than its trigger lives at the nodes, whose rule it is to pass over what is not there.
  CHECK_FALSE(world.says(*world.a, *world.b, "second", 40s));
  CHECK_FALSE(world.says(*world.b, *world.a, "second", 40s));
  CHECK(world.a->unreachables() >= 1);
  box = std::make_unique<Box>(world.small, 3, std::vector<std::uint64_t>{1});
  CHECK(world.says(*world.a, *world.b, "third", 10s));
  CHECK(world.says(*world.b, *world.a, "third", 10s));
  CHECK(box->to_client > 0);
}

TEST_CASE("the other end begins: its packet comes by the box all the same") {
  World world(3);
  Box box(world.small, 3, {1});
  world.hosts(true);
  world.b->send_udp(world.a->key(), 5000, 6000, "hello");
  REQUIRE(world.small.until([&] { return world.came_to(*world.a, "hello"); }, 5s));
  world.small.network.run_for(3s);
  CHECK(box.to_client > 0);
  CHECK(world.a->texts(6000).size() == 1);  // once, though it was in the first message as well
  CHECK(world.past_the_box(*world.a) == 0);
  CHECK(box.knows_nobody());
}

TEST_CASE("by the server's wish whoever comes goes by its box, though it knows nothing of that") {
  World world(4);
  Box box(world.small, 3, {2});
  world.hosts(false, true);
  REQUIRE(world.says(*world.a, *world.b, "hello", 5s));
  REQUIRE(world.says(*world.b, *world.a, "answer", 5s));
  const auto from = box.from_client;
  CHECK(from > 0);
  REQUIRE(world.says(*world.a, *world.b, "and more", 5s));
  CHECK(box.to_client > 0);
  REQUIRE(world.says(*world.b, *world.a, "and answers", 5s));
  CHECK(box.from_client > from);
  CHECK(box.knows_nobody());
  CHECK_FALSE(world.peer(*world.a, *world.b).direct.active);
  CHECK(world.past_the_box(*world.b) == 0);
}

TEST_CASE("the server's public IDs lead to the box: first messages come by it, with their packet") {
  World world(12);
  Box box(world.small, 3, {2});
  world.hosts(false, true);
  for (const TriggerStatus& trigger : world.b->host().client().triggers(world.small.network.now()))
    if (trigger.use == TriggerStatus::Use::public_id) CHECK(trigger.label.none());
  world.a->send_udp(world.b->key(), 5000, 6000, "early");
  REQUIRE(world.small.until([&] { return world.came_to(*world.b, "early"); }, 3s));
  CHECK(box.firsts >= 1);
  CHECK(box.relay.counters().consents >= 2);
  // It stays so, renewed and refreshed, and through a change of the settings and back.
  world.small.network.run_for(100s);
  CHECK(world.b->host().client().ready());
  const std::vector<Allow> anybody{{std::nullopt, Allow::Protocol::usual, {}}};
  world.b->host().set_people(Directory({}, {}), anybody);
  world.b->turn();
  REQUIRE(world.says(*world.a, *world.b, "straight", 10s));
  const auto firsts = box.firsts;
  world.b->host().set_people(Directory({}, {}, {}, key_of_host(3)), anybody);
  world.b->turn();
  REQUIRE(world.says(*world.a, *world.b, "by the box again", 10s));
  CHECK(world.small.until([&] { return world.b->host().client().ready(); }, 5s));
  auto late = world.small.host(8);
  late->send_udp(world.b->key(), 5000, 6000, "another one");
  REQUIRE(world.small.until([&] { return world.came_to(*world.b, "another one"); }, 5s));
  CHECK(box.firsts > firsts);
}

TEST_CASE("without the box's consent a server's public IDs are not there, nor with its box dead") {
  World world(13);
  auto box = std::make_unique<Box>(world.small, 3, std::vector<std::uint64_t>{2});
  world.hosts(false, true);
  REQUIRE(world.says(*world.a, *world.b, "first", 5s));
  box.reset();
  auto late = world.small.host(8);
  CHECK_FALSE(world.says(*late, *world.b, "round it", 45s));
  box = std::make_unique<Box>(world.small, 3, std::vector<std::uint64_t>{2});
  CHECK(world.says(*late, *world.b, "by it", 40s));
  // One that does not name the server consents to nothing.
  Box other(world.small, 4, {7});
  world.b->host().set_people(Directory({}, {}, {}, other.host->key()),
                             {{std::nullopt, Allow::Protocol::usual, {}}});
  world.b->turn();
  world.small.network.run_for(10s);
  CHECK(other.relay.counters().consents == 0);
  CHECK(other.relay.counters().no_pass > 0);
}

TEST_CASE("both ends want a box of their own: packets go by one and then the other") {
  World world(5);
  Box box_of_a(world.small, 3, {1}), box_of_b(world.small, 4, {2});
  world.hosts(true, true, 4);
  REQUIRE(world.says(*world.a, *world.b, "there", 8s));
  REQUIRE(world.says(*world.b, *world.a, "and back", 5s));
  REQUIRE(world.says(*world.a, *world.b, "and more", 8s));
  for (const Box* box : {&box_of_a, &box_of_b}) {
    CHECK(box->from_client > 0);
    CHECK(box->to_client > 0);
    CHECK(box->knows_nobody());
  }
}

TEST_CASE("both ends want the same box: it is passed once, and counts for both") {
  World world(15);
  Box box(world.small, 3, {1, 2});
  world.hosts(true, true);
  REQUIRE(world.says(*world.a, *world.b, "there", 8s));
  REQUIRE(world.says(*world.b, *world.a, "and back", 5s));
  REQUIRE(world.says(*world.a, *world.b, "and more", 8s));
  for (const SealedRelay::Client& client : box.relay.clients()) CHECK(client.packets > 0);
  CHECK(box.relay.counters().loop == 0);
  CHECK(box.knows_nobody());
}

TEST_CASE("a box that does not know the host passes nothing on, and its program hears of it") {
  World world(6);
  Box box(world.small, 3, {7});
  world.hosts(true);
  CHECK_FALSE(world.says(*world.a, *world.b, "hello", 15s));
  CHECK(world.b->received.empty());
  CHECK(world.a->unreachables() >= 1);
  CHECK(box.relay.counters().no_pass > 0);
  CHECK(box.relay.counters().passed == 0);
}

TEST_CASE("strangers cannot have the box send anything, wherever they say it should go") {
  World world(7);
  Box box(world.small, 3, {1});
  world.hosts(true);
  auto thief = world.small.host(9);
  REQUIRE(world.says(*world.a, *world.b, "hello", 5s));
  const auto passed = box.relay.counters().passed;
  const auto sent = world.small.network.sent(box.host->machine()).packets;
  const auto hour = wire::pass_hour(world.small.network.wall());
  const auto key = *wire::pass_key(*identity_of_host(9), key_of_host(3));
  for (int i = 0; i < 100; ++i)
    for (const auto use : {wire::Pass::Use::out, wire::Pass::Use::in}) {
      const Id ids[] = {wire::Pass::issue(use, hour, key).under(key_of_host(3)),
                        public_id(key_of_host(2))};
      thief->host().client().send_stack(ids, 0, std::vector<std::uint8_t>(1000),
                                        world.small.network.now());
    }
  world.small.network.run_for(2s);
  CHECK(box.relay.counters().no_pass == 200);
  CHECK(box.relay.counters().passed - passed <= 20);
  CHECK(world.small.network.sent(box.host->machine()).packets - sent <= 60);
}

TEST_CASE("what comes round the box is not taken, though it is genuine") {
  World world(8);
  Box box(world.small, 3, {1});
  world.hosts(true);
  REQUIRE(world.says(*world.a, *world.b, "first", 5s));
  REQUIRE(world.says(*world.b, *world.a, "first", 5s));
  box.steal = world.a->key();
  world.b->send_udp(world.a->key(), 5000, 6000, "round it");
  world.small.network.run_for(1s);
  CHECK(box.stolen > 0);
  CHECK_FALSE(world.came_to(*world.a, "round it"));
  CHECK(world.past_the_box(*world.a) > 0);
}

TEST_CASE("the box's rate is a bound on what arrives") {
  World world(9);
  Box box(world.small, 3, {1}, {50'000, 32'768});
  world.hosts(true);
  REQUIRE(world.says(*world.a, *world.b, "first", 5s));
  const std::string text(1000, 'x');
  const auto before = world.b->texts(7000).size();
  for (int i = 0; i < 1000; ++i) {
    world.a->send_udp(world.b->key(), 5000, 7000, text);
    world.small.network.run_for(10ms);
  }
  const auto bytes = (world.b->texts(7000).size() - before) * text.size();
  CHECK(bytes <= 50'000 * 10 + 32'768);
  CHECK(bytes >= 50'000 * 10 * 7 / 10);
  CHECK(box.relay.counters().over_rate > 0);
}

TEST_CASE("i3-ctl ping goes by the box and says so; the least MTU of IPv6 has room by two boxes") {
  World world(10);
  Box box_of_a(world.small, 3, {1}), box_of_b(world.small, 4, {2});
  world.hosts(true, true, 4);
  PingResult result;
  world.a->host().ping(world.b->key(), 9s, [&](const PingResult& got) { result = got; });
  world.a->turn();
  world.small.until([&] { return result.ok; }, 9s);
  CHECK(result.ok);
  CHECK(result.path == "relay m");
  CHECK(world.peer(*world.a, *world.b).stops() == 2);
  CHECK(world.peer(*world.a, *world.b).largest() == 1360 - 2 * 32);
  CHECK(world.peer(*world.a, *world.b).largest() >= 1280);
}

TEST_CASE("the wish can be taken back and given again while both talk") {
  World world(11);
  Box box(world.small, 3, {1});
  world.hosts(true);
  REQUIRE(world.says(*world.a, *world.b, "by the box", 5s));
  const std::vector<Allow> anybody{{std::nullopt, Allow::Protocol::usual, {}}};
  KnownHost b{"b", key_of_host(2)};
  world.a->host().set_people(Directory({b}, {}), anybody);
  world.a->turn();
  REQUIRE(world.says(*world.a, *world.b, "without", 5s));
  REQUIRE(world.small.until(
      [&] { return world.peer(*world.a, *world.b).direct.active.has_value(); }, 10s));
  b.stack = key_of_host(3);
  world.a->host().set_people(Directory({b}, {}), anybody);
  world.a->turn();
  const auto passed = box.from_client;
  REQUIRE(world.says(*world.a, *world.b, "again", 10s));
  CHECK(box.from_client > passed);
  CHECK_FALSE(world.peer(*world.a, *world.b).direct.active);
}

TEST_CASE("an anonymous visit comes by the server's box as everybody does") {
  World world(14);
  Box box(world.small, 3, {2});
  world.hosts(false, true);
  auto guest = world.small.host(5);
  SimVisitor visitor(world.small.network, *guest, *Endpoint::parse("192.168.5.2:4000"),
                     {{"library", key_of_host(2)}}, 77);
  REQUIRE(world.small.until(
      [&] { return visitor.visits().relays().counters().ready >= RelayPool::kReady; }, 60s));
  visitor.send_udp("library", 5000, 6000, "anonymous");
  REQUIRE(world.small.until([&] { return world.came_to(*world.b, "anonymous"); }, 10s));
  visitor.send_udp("library", 5000, 6000, "again");
  REQUIRE(world.small.until([&] { return world.came_to(*world.b, "again"); }, 10s));
  CHECK(box.from_client > 0);
  CHECK(box.to_client > 0);
  CHECK(visitor.visits().counters().not_to_relay == 0);
}
