// Anycast names: one address, whoever of the group is best behind it, and the next one when it
// dies. Real hosts and nodes, simulated time and network.
#include "proxy/packet/checksum.hh"
#include "proxy/packet/icmp.hh"
#include "tests/sim/groups/group_world.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

struct User {
  User(GroupWorld& in_world, SimHost& at, wire::Suffix prefer = {}, std::uint8_t bits = 0)
      : world(in_world), host(at) {
    host.groups().names().set_names({{"cdn", {world.group->key(), prefer, bits}}});
    const auto met = host.groups().names().meet("cdn");
    REQUIRE(met);
    address = met->ipv4.address();
    host.turn();
  }
  std::optional<PublicKey> member() const {
    return host.groups().anycast().member(world.group->key());
  }
  bool has_member(Duration limit = 5s) {
    return world.until([&] { return member().has_value(); }, limit);
  }
  void say(const std::string& text, std::uint16_t from_port = 5000) {
    host.send_udp_to(address, from_port, 6000, text);
  }
  bool reaches(SimHost& at, const std::string& text, Duration limit = 5s) {
    return world.until(
        [&] {
          const auto texts = at.texts(6000);
          return std::count(texts.begin(), texts.end(), text) == 1;
        },
        limit);
  }
  void tcp(std::uint16_t from_port, std::uint8_t flags, std::uint32_t ack = 0) {
    Tins::TCP segment(80, from_port);
    segment.flags(flags);
    segment.seq(1000);
    segment.ack_seq(ack);
    Tins::IP packet = Tins::IP(address.text(), host.host().own4().text()) / segment;
    host.send_packet(packet.serialize());
  }
  GroupWorld& world;
  SimHost& host;
  IpAddress address;
};

// What a server on `at` answers to the segments that it got so far.
void answer_syns(SimHost& at) {
  for (const auto& bytes : std::exchange(at.received, {})) {
    const auto view = IpView::parse(bytes);
    if (!view || !view->is_tcp_open()) continue;
    Tins::TCP segment(view->source_port(), view->destination_port());
    segment.flags(Tins::TCP::SYN | Tins::TCP::ACK);
    segment.seq(7000);
    Tins::IP packet = Tins::IP(view->source().text(), view->destination().text()) / segment;
    at.send_packet(packet.serialize());
  }
}

std::size_t from(const SimHost& host, const IpAddress& source, std::uint8_t flags) {
  std::size_t count = 0;
  for (const auto& bytes : host.received) {
    const auto view = IpView::parse(bytes);
    if (view && view->source() == source && view->tcp_flags() == flags) ++count;
  }
  return count;
}

// A datagram in two fragments; `id` is their packet's.
std::pair<std::vector<std::uint8_t>, std::vector<std::uint8_t>> fragments(const IpAddress& from,
                                                                          const IpAddress& to,
                                                                          std::uint16_t from_port,
                                                                          std::uint16_t to_port,
                                                                          std::uint16_t id = 77) {
  Tins::IP whole = Tins::IP(to.text(), from.text()) / Tins::UDP(to_port, from_port) /
                   Tins::RawPDU(std::string(16, 'f'));
  std::vector<std::uint8_t> bytes = whole.serialize(), first(bytes.begin(), bytes.begin() + 36),
                            second = bytes;
  second.erase(second.begin() + 20, second.begin() + 36);
  for (auto [piece, offset] : {std::pair{&first, 0x2000}, {&second, 2}}) {
    store16(*piece, 2, static_cast<std::uint16_t>(piece->size()));
    store16(*piece, 4, id);
    store16(*piece, 6, static_cast<std::uint16_t>(offset));
    store16(*piece, 10, 0);
    store16(*piece, 10, static_cast<std::uint16_t>(~fold(sum_of(Bytes(*piece).first(20)))));
  }
  return {first, second};
}

}  // namespace

TEST_CASE("an anycast name reaches a member, whose answers come from the name's own address") {
  GroupWorld world(1);
  auto client = world.host(1), server = world.host(2);
  world.join(*server);
  User user(world, *client);
  REQUIRE(user.has_member());
  CHECK(user.member() == server->key());
  user.say("hello");
  REQUIRE(user.reaches(*server, "hello"));
  // The server answers whom it sees.
  const auto view = IpView::parse(server->received.back());
  REQUIRE(view);
  server->send_udp_to(view->source(), 6000, 5000, "welcome");
  REQUIRE(world.until([&] { return client->texts(5000).size() == 1; }, 5s));
  CHECK(IpView::parse(client->received.back())->source() == user.address);
  CHECK(user.address != client->address_of(server->key()).address());
  // Its own name is another address, and what comes from there is not mistaken for the group's.
  client->send_udp(server->key(), 5001, 6000, "by its own name");
  REQUIRE(user.reaches(*server, "by its own name"));
  server->send_udp_to(view->source(), 6000, 5001, "as myself");
  REQUIRE(world.until([&] { return client->texts(5001).size() == 1; }, 5s));
  CHECK(IpView::parse(client->received.back())->source() ==
        client->address_of(server->key()).address());
}

TEST_CASE("packets wait for the first member, and are refused when nobody is there") {
  GroupWorld world(2);
  auto client = world.host(1);
  User user(world, *client);
  user.say("anybody?");
  CHECK(world.until([&] { return client->unreachables() == 1; }, 4s));
  auto server = world.host(2);
  world.join(*server);
  user.say("now?");
  CHECK(user.reaches(*server, "now?"));
}

TEST_CASE("the preferred suffix decides; without a preference the nearest by round trip") {
  GroupWorld world(3);
  auto client = world.host(1), one = world.host(2), two = world.host(3), three = world.host(4);
  world.join(*one, {0xa0}, 4);
  world.join(*two, {0xb0}, 4);
  world.join(*three, {0x40}, 4);
  {
    User user(world, *client, {0xb0}, 4);
    REQUIRE(user.has_member());
    CHECK(user.member() == two->key());
  }
  {
    // Nobody has 0x5: 0x4 shares three bits, the others none.
    User user(world, *client, {0x50}, 4);
    REQUIRE(user.has_member());
    CHECK(user.member() == three->key());
  }
  User user(world, *client);
  REQUIRE(user.has_member());
  world.network.run_for(2s);
  const auto* members = client->groups().anycast().members(world.group->key());
  REQUIRE(members);
  REQUIRE(members->size() == 3);
  const auto current = std::find_if(members->begin(), members->end(),
                                    [&](const auto& m) { return m.key == user.member(); });
  for (const AnycastMember& other : *members) CHECK(2 * current->rtt <= 3 * other.rtt);
}

TEST_CASE(
    "the member is killed: a new connection goes to the next one at once, an old one is reset") {
  GroupWorld world(4);
  auto client = world.host(1), best = world.host(2), other = world.host(3);
  world.join(*best, {0xa0}, 8);
  world.join(*other, {0x40}, 8);
  User user(world, *client, {0xa0}, 8);
  REQUIRE(user.has_member());
  REQUIRE(user.member() == best->key());
  // An old connection: SYN, SYN+ACK, ACK.
  user.tcp(41000, Tins::TCP::SYN);
  REQUIRE(world.until([&] { return !best->received.empty(); }, 5s));
  answer_syns(*best);
  REQUIRE(world.until([&] { return from(*client, user.address, 0x12) == 1; }, 5s));
  user.tcp(41000, Tins::TCP::ACK, 7001);
  world.network.run_for(3s);
  best.reset();  // kill -9: its triggers stay for 30 s
  const TimePoint died = world.network.now();
  user.tcp(41001, Tins::TCP::SYN);
  REQUIRE(world.until([&] { return !other->received.empty(); }, 10s));
  const double moved = std::chrono::duration<double>(world.network.now() - died).count();
  MESSAGE("the new connection reached the next member after " << moved << " s");
  CHECK(moved < 1.5);
  answer_syns(*other);
  REQUIRE(world.until([&] { return from(*client, user.address, 0x12) == 2; }, 5s));
  CHECK(user.member() == other->key());
  // The program of the old one waits without sending anything.
  REQUIRE(world.until([&] { return client->resets() == 1; }, 20s));
  const double broken = std::chrono::duration<double>(world.network.now() - died).count();
  MESSAGE("the old connection was reset after " << broken << " s");
  CHECK(broken < 5);
  const auto reset = IpView::parse(client->received.back());
  CHECK(reset->source() == user.address);
  CHECK(reset->destination_port() == 41000);
  CHECK(load32(reset->transport(), 4) == 7001);  // the only number that its kernel takes
  CHECK(client->unreachables() == 0);
}

TEST_CASE("the member stops in order: the next one is taken, and UDP goes on there") {
  GroupWorld world(5);
  auto client = world.host(1), best = world.host(2), other = world.host(3);
  world.join(*best, {0xa0}, 8);
  world.join(*other, {0x40}, 8);
  User user(world, *client, {0xa0}, 8);
  // Whoever answers first stands in until a better one does.
  REQUIRE(world.until([&] { return user.member() == best->key(); }, 5s));
  user.say("first");
  REQUIRE(user.reaches(*best, "first"));
  best->stop();
  world.network.run_for(1500ms);
  best.reset();
  for (int i = 0; i < 20 && other->texts(6000).empty(); ++i) {
    user.say("again");
    world.network.run_for(250ms);
  }
  CHECK_FALSE(other->texts(6000).empty());
}

TEST_CASE("a member that comes back is taken again when it is the preferred one") {
  GroupWorld world(6);
  auto client = world.host(1), other = world.host(3);
  world.join(*other, {0x40}, 8);
  User user(world, *client, {0xa0}, 8);
  REQUIRE(user.has_member());
  REQUIRE(user.member() == other->key());
  auto best = world.host(2);
  world.join(*best, {0xa0}, 8);
  for (int i = 0; i < 40 && user.member() != best->key(); ++i) {
    user.say("on and on", 5002);
    world.network.run_for(1s);
  }
  CHECK(user.member() == best->key());
  // The conversation that began with the other one stays there.
  const std::size_t before = best->texts(6000).size();
  user.say("still with you", 5002);
  CHECK(user.reaches(*other, "still with you"));
  CHECK(best->texts(6000).size() == before);
}

TEST_CASE("a delegation that the group's key did not sign makes nobody a member") {
  GroupWorld world(7);
  auto client = world.host(1), server = world.host(2), thief = world.host(3);
  world.join(*server);
  User user(world, *client);
  REQUIRE(user.has_member());
  // What the thief could sign itself, under a nonce that it saw.
  const auto own = Identity::generate(world.network.random());
  Log log;
  std::optional<wire::GroupAsk> asked;
  Anycast anycast(world.network.random(), log,
                  {[&](const SendById& packet, TimePoint) {
                     asked = wire::GroupAsk::parse(packet.payload);
                     CHECK(packet.nearest);
                     CHECK(packet.copies == 4);
                     return std::uint64_t{1};
                   },
                   [&] { return world.network.wall(); },
                   [](const PublicKey&, TimePoint) {},
                   {}});
  const TimePoint now = world.network.now();
  CHECK_FALSE(anycast.use({world.group->key(), {}, 0}, now));
  REQUIRE(asked);
  const auto answered_by = [&](const Identity& signer, const PublicKey& member) {
    std::array<std::uint8_t, wire::GroupAnswer::kSize> answer;
    Writer writer(answer);
    wire::GroupAnswer{asked->nonce, wire::Delegation::issue(signer, member, ~0ull)}.write(writer);
    anycast.on_answer(writer.written(), now);
    return anycast.member(world.group->key());
  };
  CHECK_FALSE(answered_by(*own, thief->key()));
  CHECK(anycast.counters().forged == 1);
  CHECK(answered_by(*world.group, server->key()) == server->key());
}

TEST_CASE("fragments, and errors about a packet, belong to their conversation in both directions") {
  GroupWorld world(8);
  auto client = world.host(1), server = world.host(2);
  world.join(*server);
  User user(world, *client);
  REQUIRE(user.has_member());
  user.say("hello");
  REQUIRE(user.reaches(*server, "hello"));
  const auto seen = IpView::parse(server->received.back());
  const IpAddress asker = seen->source();
  // The server's kernel says that the port is closed, and what it quotes is as the program sent it.
  std::array<std::uint8_t, kReplyCapacity> reply;
  const MutBytes refusal = build_unreachable(*seen, Unreachable::port, seen->destination(), reply);
  server->send_packet({refusal.begin(), refusal.end()});
  REQUIRE(world.until([&] { return !client->received.empty(); }, 5s));
  const auto error = IpView::parse(client->received.back());
  CHECK(error->source() == user.address);
  REQUIRE(error->quoted());
  CHECK(error->quoted()->destination == user.address);
  CHECK(error->quoted()->source == client->host().own4().address());
  // A datagram in two fragments, there and back.
  server->received.clear();
  const auto there = fragments(client->host().own4().address(), user.address, 5000, 6000);
  client->send_packet(there.first);
  world.network.run_for(100ms);  // the later one is known by the first
  client->send_packet(there.second);
  REQUIRE(world.until([&] { return server->received.size() == 2; }, 5s));
  client->received.clear();
  const auto back = fragments(server->host().own4().address(), asker, 6000, 5000);
  server->send_packet(back.first);
  world.network.run_for(100ms);
  server->send_packet(back.second);
  REQUIRE(world.until([&] { return client->received.size() == 2; }, 5s));
  for (const auto& piece : client->received) CHECK(IpView::parse(piece)->source() == user.address);
}

TEST_CASE("a fragment that overtakes its first one waits for it, and belongs to the same member") {
  // Who lets nobody in lets in what answers its own programs.
  bool lets_in = false;
  SUBCASE("with a line for the member") {
    lets_in = true;
  }
  SUBCASE("without a line for the member") {}
  GroupWorld world(9);
  auto client = world.host(1, [&](HostPlan& plan) {
    if (!lets_in) plan.allow.clear();
  });
  auto server = world.host(2);
  world.join(*server);
  User user(world, *client);
  REQUIRE(user.has_member());
  user.say("hello");
  REQUIRE(user.reaches(*server, "hello"));
  const IpAddress asker = IpView::parse(server->received.back())->source();
  const IpAddress own = client->host().own4().address(), member = server->host().own4().address(),
                  by_name = client->address_of(server->key()).address();
  server->received.clear();
  const auto there = fragments(own, user.address, 5000, 6000);
  client->send_packet(there.second);
  world.network.run_for(100ms);
  CHECK(server->received.empty());
  client->send_packet(there.first);
  REQUIRE(world.until([&] { return server->received.size() == 2; }, 5s));
  client->received.clear();
  const auto back = fragments(member, asker, 6000, 5000);
  server->send_packet(back.second);
  world.network.run_for(200ms);
  CHECK(client->received.empty());
  server->send_packet(back.first);
  REQUIRE(world.until([&] { return client->received.size() == 2; }, 5s));
  for (const auto& piece : client->received) CHECK(IpView::parse(piece)->source() == user.address);
  // The same from the member as itself: it is its own, early or not.
  client->received.clear();
  client->send_udp(server->key(), 5001, 6000, "by its own name");
  REQUIRE(user.reaches(*server, "by its own name"));
  const auto own_name = fragments(member, asker, 6000, 5001, 78);
  server->send_packet(own_name.second);
  world.network.run_for(100ms);
  server->send_packet(own_name.first);
  REQUIRE(world.until([&] { return client->received.size() == 2; }, 5s));
  for (const auto& piece : client->received) CHECK(IpView::parse(piece)->source() == by_name);
}

TEST_CASE(
    "fragments whose first one never comes are let go, and no more wait than there is room for") {
  GroupWorld world(10);
  auto client = world.host(1), server = world.host(2);
  world.join(*server);
  User user(world, *client);
  REQUIRE(user.has_member());
  user.say("hello");
  REQUIRE(user.reaches(*server, "hello"));
  const IpAddress asker = IpView::parse(server->received.back())->source();
  client->received.clear();
  for (std::uint16_t id = 0; id < 40; ++id)
    server->send_packet(fragments(server->host().own4().address(), asker, 6000, 5000, id).second);
  // Beyond the room they pass as they came, which is how they would pass without a group.
  REQUIRE(
      world.until([&] { return client->received.size() == 40 - EarlyFragments::kMostOfOne; }, 5s));
  REQUIRE(world.until([&] { return client->received.size() == 40; }, 5s));
  for (std::uint16_t id = 0; id < 40; ++id)
    client->send_packet(
        fragments(client->host().own4().address(), user.address, 5000, 6000, id).second);
  world.network.run_for(2s);
  const AnycastNameCounters& counted = client->groups().names().counters();
  CHECK(counted.no_flow == EarlyFragments::kMostOfOne);
  CHECK(counted.held == 2 * EarlyFragments::kMostOfOne);
  CHECK(counted.held_full == 2 * (40 - EarlyFragments::kMostOfOne));
}
