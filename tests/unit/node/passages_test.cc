// Ways that a node keeps for hosts to labels at other nodes.
#include "overlay/node/passages.hh"

#include "tests/unit/node/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

Endpoint at(const char* text) {
  return *Endpoint::parse(text);
}

// A session message under a label, as hosts send it.
std::vector<std::uint8_t> labelled(wire::Label label, std::string_view text) {
  std::vector<std::uint8_t> bytes(wire::kLabelledSize + text.size());
  Writer writer(bytes);
  wire::Labelled::write_front(writer, 0, label);
  writer.bytes(as_bytes(text));
  return bytes;
}

std::vector<std::string> under_labels(const BareHost& host) {
  std::vector<std::string> texts;
  for (const auto& [from, bytes] : host.got)
    if (auto packet = wire::Labelled::parse(bytes)) texts.emplace_back(as_text(packet->payload));
  return texts;
}

// Alice's trigger, and Bob who has a way to it through a node that does not hold it.
struct PassageWorld {
  PassageWorld() : trigger(alice.trigger()) {
    REQUIRE(alice.insert(bench.owner(trigger.id), trigger));
    REQUIRE(bench.owner(trigger.id).endpoint() != entry().endpoint());
    alice.clear();
  }
  SimNode& entry() { return bench.other(trigger.id); }
  std::optional<wire::Way> ask(BareHost& host) {
    host.clear();
    const std::string text(60, 'x');
    auto packet = host.packet(trigger.id, text, false);
    packet.flags = wire::IdPacket::kWantWay;
    host.send_message(entry().endpoint(), packet);
    bench.settle();
    const auto ways = host.all<wire::Way>();
    if (ways.size() != 1 || ways[0].nonce != packet.nonce) return std::nullopt;
    return ways[0];
  }

  SmallRing bench{3};
  BareHost alice{bench.network, 1}, bob{bench.network, 2}, eve{bench.network, 3};
  wire::Insert trigger;
};

}  // namespace

TEST_CASE("a passage keeps its label while it is renewed, for its host only") {
  SeededRandom random(1);
  Passages passages(random, 100);
  const TimePoint now{1000s};
  const Passages::Onward to{at("198.51.100.1:5100"), {3, 4}};
  const Endpoint host = at("203.0.113.1:4000"), other = at("203.0.113.1:4001");
  const auto label = passages.open(host, to, now);
  REQUIRE(label);
  CHECK(Passages::names(*label));
  CHECK(passages.open(host, to, now + 29s) == label);
  CHECK(passages.open(other, to, now) != label);
  REQUIRE(passages.find(*label, host, now + 58s) != nullptr);
  CHECK(passages.find(*label, host, now + 58s)->label == to.label);
  CHECK(passages.find(*label, other, now) == nullptr);
  CHECK(passages.find({label->slot, label->secret ^ 1}, host, now) == nullptr);
  CHECK(passages.find(*label, host, now + 59s) == nullptr);
}

TEST_CASE("passages are bounded, in all and for an address prefix") {
  SeededRandom random(1);
  Passages passages(random, 1000);
  const TimePoint now{1000s};
  std::size_t opened = 0;
  for (std::uint16_t port = 1; port <= 2000; ++port)
    if (passages.open({IpAddress::v4(0xcb007101), port}, {at("198.51.100.1:5100"), {3, port}}, now))
      ++opened;
  CHECK(opened == Passages::kMostOfPrefix);
  const auto last = passages.open(at("203.0.113.99:1"), {at("198.51.100.1:5100"), {3, 4}}, now);
  for (std::uint32_t i = 0; i < 990; ++i)
    passages.open({IpAddress::v4(0x0a000000 + i), 1}, {at("198.51.100.1:5100"), {3, 4}}, now);
  CHECK(passages.size() <= 1000);
  REQUIRE(last);
  CHECK(passages.find(*last, at("203.0.113.99:1"), now) != nullptr);
  passages.open(at("203.0.113.98:1"), {at("198.51.100.1:5100"), {3, 4}}, now + 31s);
  CHECK(passages.size() == 1);
}

TEST_CASE("a label that is gone at the node closes every passage to it, and no other") {
  SeededRandom random(1);
  Passages passages(random, 100);
  const TimePoint now{1000s};
  const Endpoint node = at("198.51.100.1:5100"), one = at("203.0.113.1:1"),
                 two = at("203.0.113.2:1");
  const auto a = passages.open(one, {node, {3, 4}}, now);
  const auto b = passages.open(two, {node, {3, 4}}, now);
  const auto c = passages.open(one, {node, {3, 5}}, now);
  const auto d = passages.open(one, {at("198.51.100.2:5100"), {3, 4}}, now);
  CHECK(passages.close(node, {3, 4}).size() == 2);
  CHECK(passages.find(*a, one, now) == nullptr);
  CHECK(passages.find(*b, two, now) == nullptr);
  CHECK(passages.find(*c, one, now) != nullptr);
  CHECK(passages.find(*d, one, now) != nullptr);
  CHECK(passages.close(node, {9, 9}).empty());
}

TEST_CASE("a host is told a way by its entry node, and what it sends there comes from that node") {
  PassageWorld world;
  const auto way = world.ask(world.bob);
  REQUIRE(way);
  CHECK(way->id == world.trigger.id);
  CHECK(Passages::names(way->label));
  world.alice.clear();
  world.bob.send(world.entry().endpoint(), labelled(way->label, "by the way"));
  world.bench.settle();
  CHECK(under_labels(world.alice) == std::vector<std::string>{"by the way"});
  // Its node saw the entry node, and no byte of Bob's address went along.
  const auto& [from, bytes] = world.alice.got.at(0);
  CHECK(from == world.bench.owner(world.trigger.id).endpoint());
  const auto& address = world.bob.endpoint().address.bytes;
  CHECK(std::search(bytes.begin(), bytes.end(), address.begin() + 12, address.end()) ==
        bytes.end());
  // Asked for again it is the same.
  CHECK(world.ask(world.bob)->label == way->label);
}

TEST_CASE("a way serves only the host that it was opened for") {
  PassageWorld world;
  const auto way = world.ask(world.bob);
  REQUIRE(way);
  world.alice.clear();
  world.eve.send(world.entry().endpoint(), labelled(way->label, "stolen"));
  world.bench.settle();
  CHECK(under_labels(world.alice).empty());
  CHECK(world.eve.all<wire::NoLabel>().size() == 1);
}

TEST_CASE("at the node that holds the trigger the way is the trigger's own label") {
  PassageWorld world;
  const std::string text(60, 'x');
  auto packet = world.bob.packet(world.trigger.id, text, false);
  packet.flags = wire::IdPacket::kWantWay;
  SimNode& owner = world.bench.owner(world.trigger.id);
  world.bob.send_message(owner.endpoint(), packet);
  world.bench.settle();
  const auto ways = world.bob.all<wire::Way>();
  REQUIRE(ways.size() == 1);
  CHECK_FALSE(Passages::names(ways[0].label));
  world.alice.clear();
  world.bob.send(owner.endpoint(), labelled(ways[0].label, "straight"));
  world.bench.settle();
  CHECK(under_labels(world.alice) == std::vector<std::string>{"straight"});
}

TEST_CASE("when the trigger is gone the host hears that its way is") {
  PassageWorld world;
  const auto way = world.ask(world.bob);
  REQUIRE(way);
  world.bench.network.run_for(20s);
  REQUIRE(world.ask(world.bob));
  world.bench.network.run_for(15s);  // the trigger was not refreshed
  world.bob.clear();
  world.bob.send(world.entry().endpoint(), labelled(way->label, "late"));
  world.bench.settle();
  const auto gone = world.bob.all<wire::NoLabel>();
  REQUIRE(gone.size() == 1);
  CHECK(gone[0].label == way->label);
}

TEST_CASE("nobody who is no member of the ring opens a way") {
  PassageWorld world;
  const wire::Way way{1, world.trigger.id, {3, 4}};
  world.eve.send_message(world.entry().endpoint(), way);
  world.eve.send_message(world.entry().endpoint(), wire::NoLabel{{3, 4}});
  world.bench.settle();
  CHECK(world.entry().core().counters().contains("unexpected_type"));
  CHECK_FALSE(world.entry().core().counters().contains("passages_opened"));
}
