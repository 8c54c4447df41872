// The overlay's primitives as i3 has them (seed 001, 2): multicast, anycast, stacks of IDs on
// either side, removal. Real node and client cores, simulated time and network.
#include "tests/sim/primitives/sim_client.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

Id in_group(const Identity& group, wire::Suffix suffix) {
  Id id = owner_prefix(group.key(), 0);
  std::copy(suffix.begin(), suffix.end(), id.bytes.begin() + 16);
  return id;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("multicast: each member of a group gets each packet once, others nothing") {
  ClientWorld world(8, 1);
  SimClient& sender = world.add();
  SimClient& stranger = world.add();
  std::vector<SimClient*> members;
  for (int i = 0; i < 12; ++i) {
    members.push_back(&world.add());
    HeldTrigger place = members.back()->member_of(*world.group, {});
    place.exact = true;
    members.back()->hold(place);
  }
  REQUIRE(world.settled());
  for (int i = 0; i < 5; ++i) sender.send({in_group(*world.group, {})}, std::to_string(i));
  world.network.run_for(2s);
  for (SimClient* member : members) {
    std::sort(member->heard.begin(), member->heard.end());
    CHECK(member->heard == Texts{"0", "1", "2", "3", "4"});
  }
  CHECK(stranger.heard.empty());
  CHECK(sender.heard.empty());
}

TEST_CASE("multicast: the copy budget bounds how many get a packet") {
  ClientWorld world(5, 2);
  SimClient& sender = world.add();
  std::vector<SimClient*> members;
  for (int i = 0; i < 20; ++i) {
    members.push_back(&world.add());
    members.back()->hold(members.back()->member_of(*world.group, {}));
  }
  REQUIRE(world.settled());
  for (const std::uint8_t budget : {std::uint8_t{3}, std::uint8_t{16}, std::uint8_t{255}}) {
    for (SimClient* member : members) member->heard.clear();
    sender.send({in_group(*world.group, {})}, "x", false, budget);
    world.network.run_for(2s);
    std::size_t got = 0;
    for (SimClient* member : members) got += member->heard.size();
    CHECK(got == std::min<std::size_t>(budget, 16));
  }
}

TEST_CASE("multicast in a tree: triggers that lead to IDs, the budget split among the branches") {
  ClientWorld world(8, 3);
  SimClient& sender = world.add();
  // Two branches of six members each; the owner of the root has the branches' consent.
  const auto one = Identity::generate(world.network.random()),
             two = Identity::generate(world.network.random());
  SimClient& root_one = world.add();
  SimClient& root_two = world.add();
  const Id root = in_group(*world.group, {});
  const std::uint64_t until = world.network.wall() + 3'600'000'000'000;
  for (auto [holder, branch] : {std::pair{&root_one, one.get()}, {&root_two, two.get()}}) {
    HeldTrigger lead = holder->member_of(*world.group, {});
    lead.stack = {wire::Consent::issue(*branch, owner_prefix(branch->key(), 0), 0, root, until)};
    holder->hold(lead);
  }
  std::vector<SimClient*> members;
  for (int i = 0; i < 12; ++i) {
    members.push_back(&world.add());
    members.back()->hold(members.back()->member_of(i % 2 ? *one : *two, {}));
  }
  REQUIRE(world.settled());
  sender.send({root}, "down the tree");
  world.network.run_for(3s);
  for (SimClient* member : members) CHECK(member->heard == Texts{"down the tree"});
  CHECK(world.count("delivered") == 12);
}

TEST_CASE(
    "anycast: the member whose suffix shares the most bits, and the next one when it leaves") {
  ClientWorld world(6, 4);
  SimClient& sender = world.add();
  const wire::Suffix places[] = {{0b1010'0000}, {0b1011'0000}, {0b0100'0000}};
  std::vector<SimClient*> members;
  for (const wire::Suffix& place : places) {
    members.push_back(&world.add());
    members.back()->hold(members.back()->member_of(*world.group, place, 4));
  }
  REQUIRE(world.settled());
  sender.send({in_group(*world.group, {0b1010'1111, 7})}, "a");
  sender.send({in_group(*world.group, {0b1011'0001})}, "b");
  sender.send({in_group(*world.group, {0b0000'0000})}, "c");
  sender.send({in_group(*world.group, {0b1010'0000})}, "the very ID");
  world.network.run_for(2s);
  std::sort(members[0]->heard.begin(), members[0]->heard.end());
  CHECK(members[0]->heard == Texts{"a", "the very ID"});
  CHECK(members[1]->heard == Texts{"b"});
  CHECK(members[2]->heard == Texts{"c"});

  members[0]->let_go(in_group(*world.group, places[0]), world.group->key());
  world.network.run_for(2s);
  sender.send({in_group(*world.group, {0b1010'1111, 7})}, "next");
  CHECK(world.hears(*members[1], 2));
  CHECK(members[1]->heard.back() == "next");
}

TEST_CASE("anycast: a member that dies is passed over when its trigger runs out, 30 s at most") {
  ClientWorld world(6, 5);
  SimClient& sender = world.add();
  SimClient& other = world.add();
  other.hold(other.member_of(*world.group, {0x00}));
  SimClient& dies = world.add();
  dies.hold(dies.member_of(*world.group, {0xf0}));
  REQUIRE(world.settled());
  world.clients.pop_back();
  const TimePoint died = world.network.now();
  while (other.heard.empty() && world.network.now() < died + 60s) {
    sender.send({in_group(*world.group, {0xff})}, "x");
    world.network.run_for(250ms);
  }
  CHECK(world.network.now() - died <= 31s);
}

TEST_CASE("anycast: `nearest` asks several members at once, so a dead one costs nothing") {
  ClientWorld world(6, 6);
  SimClient& sender = world.add();
  SimClient& other = world.add();
  other.hold(other.member_of(*world.group, {0x00}));
  SimClient& dies = world.add();
  dies.hold(dies.member_of(*world.group, {0xf0}));
  REQUIRE(world.settled());
  world.clients.pop_back();
  sender.send({in_group(*world.group, {0xff})}, "x", true, 4);
  CHECK(world.hears(other, 1));
}

TEST_CASE("a member cannot sit where its delegation does not let it") {
  ClientWorld world(3, 7);
  SimClient& thief = world.add();
  HeldTrigger place = thief.member_of(*world.group, {0xa0}, 4);
  place.id = in_group(*world.group, {0xb0});
  thief.hold(place);
  world.network.run_for(10s);
  CHECK_FALSE(thief.stands(place.id, world.group->key()));
  CHECK(world.count("refused_bad_proof") > 0);
}

TEST_CASE(
    "composition by the sender: [box, target] passes the box, which changes it, to the target") {
  ClientWorld world(6, 8);
  SimClient& sender = world.add();
  SimClient& box = world.add();
  SimClient& target = world.add();
  box.service = [](Bytes text) { return "<" + std::string(as_text(text)) + ">"; };
  REQUIRE(world.settled());
  sender.send({public_id(box.key()), public_id(target.key())}, "hello");
  CHECK(world.hears(target, 1));
  CHECK(target.heard == Texts{"<hello>"});
  CHECK(box.heard.empty());
  // Through two boxes, one after the other.
  SimClient& second = world.add();
  second.service = [](Bytes text) { return std::string(as_text(text)) + "!"; };
  REQUIRE(world.settled());
  sender.send({public_id(second.key()), public_id(box.key()), public_id(target.key())}, "again");
  CHECK(world.hears(target, 2));
  CHECK(target.heard.back() == "<again!>");
}

TEST_CASE("composition by the receiver: its ID leads to [box, target], with the consents of both") {
  ClientWorld world(6, 9);
  SimClient& sender = world.add();
  SimClient& box = world.add();
  SimClient& target = world.add();
  box.service = [](Bytes text) { return "<" + std::string(as_text(text)) + ">"; };
  // What the target tells others is its ID under salt 5; the last stop is its public ID.
  const Id shown = owner_prefix(target.key(), 5);
  target.hold(target.own(5, {box.consent(0, shown), target.consent(0, shown)}));
  REQUIRE(world.settled());
  sender.send({shown}, "hello");
  CHECK(world.hears(target, 1));
  CHECK(target.heard == Texts{"<hello>"});
  // It stays, refreshed, and the host's own triggers are not disturbed by it.
  world.network.run_for(100s);
  CHECK(target.client().ready());
  sender.send({shown}, "later");
  CHECK(world.hears(target, 2));
  CHECK(target.heard.back() == "<later>");
  // Removed, it leads nowhere.
  target.let_go(shown, target.key());
  world.network.run_for(2s);
  const std::uint64_t nonce = sender.send({shown}, std::string(100, 'x'));
  world.network.run_for(1s);
  CHECK(sender.absent == std::vector<std::uint64_t>{nonce});
}

TEST_CASE("without the box's consent nobody's ID leads to it") {
  ClientWorld world(4, 10);
  SimClient& box = world.add();
  SimClient& thief = world.add();
  const Id shown = owner_prefix(thief.key(), 5);
  wire::Consent forged = thief.consent(0, shown);
  forged.id = public_id(box.key());
  forged.owner = box.key();
  thief.hold(thief.own(5, {forged}));
  world.network.run_for(10s);
  CHECK_FALSE(thief.stands(shown, thief.key()));
}

TEST_CASE("a packet to be passed on that the host does not take is dropped and counted") {
  ClientWorld world(3, 11);
  SimClient& sender = world.add();
  SimClient& host = world.add();
  SimClient& target = world.add();
  REQUIRE(world.settled());
  sender.send({public_id(host.key()), public_id(target.key())}, "hello");
  world.network.run_for(2s);
  CHECK(host.client().counters().leftover == 1);
  CHECK(host.heard.empty());
  CHECK(target.heard.empty());
}

TEST_CASE("boxes that send to each other for ever: the packet dies within its hop limit") {
  ClientWorld world(4, 12);
  SimClient& sender = world.add();
  SimClient& one = world.add();
  SimClient& two = world.add();
  std::size_t stops = 0;
  const auto same = [&](Bytes text) {
    ++stops;
    return std::string(as_text(text));
  };
  one.service = two.service = same;
  // one's ID 5 leads to [two, one's ID 5] and so on.
  const Id loop = owner_prefix(one.key(), 5);
  one.hold(one.own(5, {two.consent(0, loop), one.consent(5, loop)}));
  REQUIRE(world.settled());
  sender.send({loop}, "round");
  world.network.run_for(30s);
  CHECK(stops > 0);
  CHECK(stops <= wire::kDefaultHops);
}

TEST_CASE("private triggers under one prefix: ending one ends that peer's packets, at the node") {
  ClientWorld world(5, 13);
  SimClient& host = world.add();
  SimClient& good = world.add();
  SimClient& bad = world.add();
  const Id for_good = host.take_private(), for_bad = host.take_private();
  REQUIRE(world.settled());
  REQUIRE(world.network.run_until(
      [&] {
        return !host.client().path(for_good).nodes.empty() &&
               !host.client().path(for_bad).nodes.empty();
      },
      10s));
  CHECK(for_good.ring() == for_bad.ring());
  good.send({for_good}, "good");
  bad.send({for_bad}, "bad");
  CHECK(world.hears(host, 2));
  host.release(for_bad);
  world.network.run_for(1s);
  const auto before = world.network.received(host.machine()).packets;
  const std::uint64_t ended = world.count("not_present");
  for (int i = 0; i < 50; ++i) bad.send({for_bad}, std::string(100, 'x'));
  world.network.run_for(500ms);
  CHECK(world.count("not_present") == ended + 50);
  CHECK(world.network.received(host.machine()).packets - before <= 10);  // refreshes and probes
  CHECK(host.client().counters().unknown_id == 0);
  good.send({for_good}, "still good");
  CHECK(world.hears(host, 3));
  CHECK(host.heard.back() == "still good");
}

TEST_CASE("the owner of a group's ID dies: its members are found at the replica") {
  ClientWorld world(8, 14);
  SimClient& sender = world.add();
  SimClient& member = world.add();
  member.hold(member.member_of(*world.group, {0x40}));
  REQUIRE(world.settled());
  world.network.run_for(5s);  // the replicas have it as well
  const RingId position = owner_prefix(world.group->key(), 0).ring();
  SimNode* owner = &world.ring.owner_of(position);
  for (std::size_t i = 0; i < world.ring.size(); ++i)
    if (&world.ring[i] == owner) {
      world.ring.kill(i);
      break;
    }
  const TimePoint died = world.network.now();
  while (member.heard.empty() && world.network.now() < died + 20s) {
    sender.send({in_group(*world.group, {0x41})}, "x");
    world.network.run_for(200ms);
  }
  CHECK(!member.heard.empty());
  const double seconds = std::chrono::duration<double>(world.network.now() - died).count();
  MESSAGE("found again after " << seconds << " s");
  CHECK(seconds < 5);
}
