// Multicast groups of ordinary programs. Real hosts and nodes, simulated time and network.
#include "proxy/packet/rewrite.hh"
#include "tests/sim/groups/group_world.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

const IpAddress kRadio = *IpAddress::parse("239.1.2.3");
const IpAddress kRadio6 = *IpAddress::parse("ff15::1:3");

void name(GroupWorld& world, SimHost& host, const IpAddress& address = kRadio,
          const std::optional<GroupSecret>& secret = std::nullopt) {
  host.groups().multicast().set_names({{"radio", world.group->key(), secret, address}});
  host.turn();
}

void join(SimHost& host, const IpAddress& address = kRadio) {
  host.groups().multicast().set_joined({address});
  host.turn();
}

bool stands(GroupWorld& world, SimHost& host) {
  return world.until(
      [&] {
        const auto held = host.host().client().held();
        return !held.empty() && std::all_of(held.begin(), held.end(),
                                            [](const HeldStatus& one) { return one.at_owner; });
      },
      20s);
}

std::vector<IpAddress> sources(const SimHost& host, const std::string& text) {
  std::vector<IpAddress> result;
  for (const auto& bytes : host.received) {
    const auto view = IpView::parse(bytes);
    if (view && view->is_udp() && as_text(view->transport().subspan(kUdpHeaderSize)) == text)
      result.push_back(view->source());
  }
  return result;
}

const MulticastCounters& counters(SimHost& host) {
  return host.groups().multicast().counters();
}

}  // namespace

TEST_CASE("what one member's program sends to the group's address all that joined receive once") {
  GroupWorld world(11);
  auto a = world.host(1), b = world.host(2), c = world.host(3);
  for (auto* host : {&a, &b, &c}) name(world, **host);
  join(*b);
  join(*c);
  REQUIRE(stands(world, *b));
  REQUIRE(stands(world, *c));
  for (int i = 0; i < 5; ++i) a->send_udp_to(kRadio, 5000, 6000, std::to_string(i));
  world.network.run_for(2s);
  for (auto* host : {&b, &c}) {
    auto texts = (*host)->texts(6000);
    std::sort(texts.begin(), texts.end());
    CHECK(texts == std::vector<std::string>{"0", "1", "2", "3", "4"});
    // From the sender's own address here, to the group's.
    const auto view = IpView::parse((*host)->received.back());
    CHECK(view->source() == (*host)->address_of(a->key()).address());
    CHECK(view->destination() == kRadio);
  }
  CHECK(a->texts(6000).empty());
  // A member that sends hears itself from its own kernel only.
  b->send_udp_to(kRadio, 5000, 6000, "from b");
  world.network.run_for(2s);
  CHECK(sources(*c, "from b").size() == 1);
  CHECK(sources(*b, "from b").empty());
  CHECK(counters(*b).own == 1);
}

TEST_CASE("a host whose programs left receives nothing more, and nobody sends to an empty group") {
  GroupWorld world(12);
  auto a = world.host(1), b = world.host(2);
  name(world, *a);
  name(world, *b);
  join(*b);
  REQUIRE(stands(world, *b));
  a->send_udp_to(kRadio, 5000, 6000, "first");
  REQUIRE(world.until([&] { return b->texts(6000).size() == 1; }, 5s));
  b->groups().multicast().set_joined({});
  b->turn();
  REQUIRE(world.until([&] { return b->host().client().held().empty(); }, 5s));
  const std::uint64_t before = world.network.received(b->machine()).bytes;
  for (int i = 0; i < 20; ++i) {
    a->send_udp_to(kRadio, 5000, 6000, std::string(500, 'x'));
    world.network.run_for(100ms);
  }
  CHECK(b->texts(6000).size() == 1);
  CHECK(world.network.received(b->machine()).bytes - before < 2000);  // refreshes
  // Known within a second; from then on only what asks again every half second is sent at all.
  const std::uint64_t held = counters(*a).no_members;
  for (int i = 0; i < 20; ++i) {
    a->send_udp_to(kRadio, 5000, 6000, std::string(500, 'x'));
    world.network.run_for(100ms);
  }
  CHECK(counters(*a).no_members - held > 12);
  // Joined again, it hears again within a second.
  join(*b);
  REQUIRE(stands(world, *b));
  CHECK(world.until(
      [&] {
        a->send_udp_to(kRadio, 5000, 6001, "again");
        return !b->texts(6001).empty();
      },
      3s));
}

TEST_CASE("IPv6 groups, and a receiver whose book has another address for the group") {
  GroupWorld world(13);
  auto a = world.host(1), b = world.host(2), c = world.host(3);
  name(world, *a, kRadio6);
  name(world, *b, kRadio6);
  const IpAddress other = *IpAddress::parse("ff15::99");
  name(world, *c, other);
  join(*b, kRadio6);
  join(*c, other);
  REQUIRE(stands(world, *b));
  REQUIRE(stands(world, *c));
  a->send_udp_to(kRadio6, 5000, 6000, "six");
  REQUIRE(world.until([&] { return !b->received.empty() && !c->received.empty(); }, 5s));
  CHECK(sources(*b, "six") == std::vector{b->address_of(a->key(), true).address()});
  CHECK(IpView::parse(c->received.back())->destination() == other);
}

TEST_CASE("a host without the group's secret neither hears nor is heard") {
  GroupWorld world(14);
  auto a = world.host(1), b = world.host(2), stranger = world.host(3);
  const GroupSecret secret{42};
  name(world, *a, kRadio, secret);
  name(world, *b, kRadio, secret);
  name(world, *stranger);  // knows the group's key only
  join(*b);
  join(*stranger);
  REQUIRE(stands(world, *b));
  REQUIRE(stands(world, *stranger));
  a->send_udp_to(kRadio, 5000, 6000, "secret");
  stranger->send_udp_to(kRadio, 5000, 6000, "forged");
  world.network.run_for(2s);
  CHECK(b->texts(6000) == std::vector<std::string>{"secret"});
  CHECK(stranger->texts(6000).empty());
  // Sent to the right ID under the wrong secret: the tag does not fit.
  const auto owner = group_owner(group_secret(world.group->key(), secret));
  GroupSealer wrong(group_secret(world.group->key(), std::nullopt), stranger->key(), 1, 1);
  std::vector<std::uint8_t> message(GroupSealer::kOverhead + 40);
  wrong.seal(message);
  const Id id = multicast_place(owner->key(), 0, 0);
  stranger->host().client().send({.ids = {&id, 1}, .kind = wire::kGroupData, .payload = message},
                                 world.network.now());
  world.network.run_for(2s);
  CHECK(counters(*b).not_authentic == 1);
  CHECK(b->texts(6000).size() == 1);
}

TEST_CASE("a group of forty: parts, so that all hear although a packet reaches sixteen at most") {
  GroupWorld world(15, 5);
  auto sender = world.host(1);
  name(world, *sender);
  std::vector<std::unique_ptr<SimHost>> members;
  for (std::uint64_t i = 2; i < 42; ++i) {
    members.push_back(world.host(i));
    name(world, *members.back());
    join(*members.back());
  }
  for (auto& member : members) REQUIRE(stands(world, *member));
  const auto heard = [&](const std::string& text) {
    std::size_t count = 0;
    for (auto& member : members) {
      const std::size_t times = sources(*member, text).size();
      CHECK(times <= 1);
      count += times;
    }
    return count;
  };
  // Before anybody has counted, a packet reaches sixteen; a minute later all.
  int said = 0;
  const TimePoint begin = world.network.now();
  std::size_t all_after = 0;
  while (world.network.now() < begin + 60s) {
    const std::string text = "n" + std::to_string(said++);
    sender->send_udp_to(kRadio, 5000, 6000, text);
    world.network.run_for(2s);
    if (heard(text) == members.size() && all_after == 0)
      all_after = static_cast<std::size_t>((world.network.now() - begin) / 1s);
  }
  MESSAGE("all forty heard after " << all_after << " s");
  sender->send_udp_to(kRadio, 5000, 6000, "to all");
  world.network.run_for(2s);
  CHECK(heard("to all") == members.size());
  CHECK(sender->groups().multicast().status()[0].members == 40);
  CHECK(sender->groups().multicast().status()[0].level == 3);
}

TEST_CASE("the owner of the group's ID dies: its members are heard of again within seconds") {
  GroupWorld world(16, 6);
  auto a = world.host(1), b = world.host(2);
  name(world, *a);
  name(world, *b);
  join(*b);
  REQUIRE(stands(world, *b));
  world.network.run_for(5s);  // the replicas have it as well
  const auto owner = group_owner(group_secret(world.group->key(), std::nullopt));
  SimNode* node = &world.ring.owner_of(owner_prefix(owner->key(), 0).ring());
  for (std::size_t i = 0; i < world.ring.size(); ++i)
    if (&world.ring[i] == node) {
      world.ring.kill(i);
      break;
    }
  const TimePoint died = world.network.now();
  while (b->texts(6000).empty() && world.network.now() < died + 20s) {
    a->send_udp_to(kRadio, 5000, 6000, "x");
    world.network.run_for(100ms);
  }
  const double seconds = std::chrono::duration<double>(world.network.now() - died).count();
  MESSAGE("heard again after " << seconds << " s");
  CHECK(seconds < 6);
}
