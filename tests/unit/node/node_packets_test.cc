// The way of ID packets, labels and answers through real nodes.
#include "tests/unit/node/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

std::string text_of(const wire::IdPacket& packet) {
  return std::string(as_text(packet.payload));
}

// Payloads borrow from the host's `got`, which must not change meanwhile.
std::vector<std::string> texts(const BareHost& host) {
  std::vector<std::string> result;
  for (const auto& [from, bytes] : host.got)
    if (auto packet = wire::IdPacket::parse(bytes)) result.push_back(text_of(*packet));
  return result;
}

}  // namespace

TEST_CASE("a packet for an ID reaches the host that inserted it, through any node") {
  SmallRing bench(3);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  const auto trigger = alice.trigger();
  REQUIRE(alice.insert(bench.owner(trigger.id), trigger));
  for (auto& node : bench.ring.nodes()) {
    alice.clear();
    bob.clear();
    const std::string text(60, 'x');
    const auto packet = bob.packet(trigger.id, text);
    bob.send_message(node->endpoint(), packet);
    bench.settle();
    CHECK(texts(alice) == std::vector<std::string>{text});
    const auto forwarded = bob.all<wire::Forwarded>();
    REQUIRE(forwarded.size() == 1);
    CHECK(forwarded[0].nonce == packet.nonce);
    CHECK(forwarded[0].matches == 1);
    CHECK(forwarded[0].contact == bench.owner(trigger.id).core().contact());
  }
}

TEST_CASE("a delivered packet is marked, carries a tag, and not its sender's address") {
  SmallRing bench(2);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  const auto trigger = alice.trigger();
  REQUIRE(alice.insert(bench.owner(trigger.id), trigger));
  alice.clear();
  bob.send_message(bench.other(trigger.id).endpoint(), bob.packet(trigger.id, "hello"));
  bench.settle();
  REQUIRE(alice.got.size() == 1);
  const auto packet = wire::IdPacket::parse(alice.got[0].second);
  REQUIRE(packet);
  CHECK(packet->flags == wire::IdPacket::kDelivered);
  CHECK(packet->tag != wire::SourceTag{});
  CHECK(alice.got[0].first == bench.owner(trigger.id).endpoint());
  const auto& address = bob.endpoint().address.bytes;
  const auto& bytes = alice.got[0].second;
  CHECK(std::search(bytes.begin(), bytes.end(), address.begin() + 12, address.end()) ==
        bytes.end());
}

TEST_CASE("one source has one tag at a node, two sources have two") {
  SmallRing bench(2);
  BareHost alice(bench.network, 1), bob(bench.network, 2), carol(bench.network, 3);
  const auto trigger = alice.trigger();
  REQUIRE(alice.insert(bench.owner(trigger.id), trigger));
  alice.clear();
  for (BareHost* sender : {&bob, &bob, &carol})
    sender->send_message(bench.other(trigger.id).endpoint(), sender->packet(trigger.id, "x"));
  bench.settle();
  std::map<wire::SourceTag, int> tags;
  for (const auto& packet : alice.all<wire::IdPacket>()) ++tags[packet.tag];
  CHECK(tags.size() == 2);
}

TEST_CASE("a receiver answers along the tag, by the entry node too, and only as much as came") {
  SmallRing bench(3);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  const auto trigger = alice.trigger();
  SimNode& owner = bench.owner(trigger.id);
  REQUIRE(alice.insert(owner, trigger));
  for (SimNode* entry : {&owner, &bench.other(trigger.id)}) {
    alice.clear();
    bob.clear();
    const std::string question(200, 'q');
    bob.send_message(entry->endpoint(), bob.packet(trigger.id, question, false));
    bench.settle();
    REQUIRE(alice.all<wire::IdPacket>().size() == 1);
    wire::Returned answer;
    answer.kind = 3;
    answer.tag = alice.all<wire::IdPacket>()[0].tag;
    const std::string text(120, 'a');
    answer.payload = as_bytes(text);
    alice.send_message(owner.endpoint(), answer);
    bench.settle();
    REQUIRE(bob.got.size() == 1);
    CHECK(bob.got[0].first == entry->endpoint());
    REQUIRE(wire::Returned::parse(bob.got[0].second));
    CHECK(wire::Returned::parse(bob.got[0].second)->kind == 3);
    bob.clear();
    for (int i = 0; i < 5; ++i) alice.send_message(owner.endpoint(), answer);
    bench.settle();
    // 256 bytes came; 132 went back already and another 132 do not fit.
    CHECK(bob.got.empty());
  }
}

TEST_CASE("a made-up tag leads nowhere") {
  SmallRing bench(2);
  BareHost alice(bench.network, 1);
  wire::Returned answer;
  answer.tag = {1, 2, 3};
  alice.send_message(bench.ring[0].endpoint(), answer);
  bench.settle();
  CHECK(bench.ring[0].core().counters()["returned_unknown_tag"] == 1);
}

TEST_CASE("an ID that nobody inserted: the sender is told, in no more bytes than it sent") {
  SmallRing bench(3);
  BareHost bob(bench.network, 2);
  const Id nowhere = owner_prefix(bob.identity->key(), 9);
  for (auto& node : bench.ring.nodes()) {
    bob.clear();
    bob.bytes_in = bob.bytes_out = 0;
    const auto packet = bob.packet(nowhere, "");
    bob.send_message(node->endpoint(), packet);
    bench.settle();
    const auto answers = bob.all<wire::NotPresent>();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].nonce == packet.nonce);
    CHECK(answers[0].id == nowhere);
    CHECK(bob.bytes_in <= bob.bytes_out);
  }
}

TEST_CASE("a packet too short to be answered in full is delivered without an answer") {
  SmallRing bench(2);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  const auto trigger = alice.trigger();
  REQUIRE(alice.insert(bench.owner(trigger.id), trigger));
  alice.clear();
  bob.send_message(bench.owner(trigger.id).endpoint(), bob.packet(trigger.id, "x"));
  bench.settle();
  CHECK(alice.all<wire::IdPacket>().size() == 1);
  CHECK(bob.got.empty());
}

TEST_CASE("a labelled packet is passed on byte for byte; an unknown label is said so") {
  SmallRing bench(2);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  const auto trigger = alice.trigger();
  SimNode& owner = bench.owner(trigger.id);
  const auto inserted = alice.insert(owner, trigger);
  REQUIRE(inserted);
  alice.clear();
  std::array<std::uint8_t, 64> buffer{};
  Writer writer(buffer);
  wire::Labelled::write_front(writer, 4, inserted->label);
  writer.bytes(as_bytes("sealed bytes"));
  bob.send(owner.endpoint(), writer.written());
  bench.settle();
  REQUIRE(alice.got.size() == 1);
  CHECK(std::equal(alice.got[0].second.begin(), alice.got[0].second.end(), writer.written().begin(),
                   writer.written().end()));
  bench.network.run_for(31s);
  bob.send(owner.endpoint(), writer.written());
  bench.settle();
  REQUIRE(bob.all<wire::NoLabel>().size() == 1);
  CHECK(bob.all<wire::NoLabel>()[0].label == inserted->label);
}

TEST_CASE("a receiver that moves keeps its label, and packets follow it") {
  SmallRing bench(2);
  BareHost alice(bench.network, 1), moved(bench.network, 9), bob(bench.network, 2);
  const auto trigger = alice.trigger();
  SimNode& owner = bench.owner(trigger.id);
  const auto before = alice.insert(owner, trigger);
  REQUIRE(before);
  auto again = trigger;
  ++again.sequence;
  moved.identity.swap(alice.identity);
  const auto after = moved.insert(owner, again);
  REQUIRE(after);
  CHECK(after->label == before->label);
  alice.clear();
  moved.clear();
  bob.send_message(owner.endpoint(), bob.packet(trigger.id, "where are you"));
  bench.settle();
  CHECK(texts(alice).empty());
  CHECK(texts(moved).size() == 1);
}

TEST_CASE("a stack in a packet: delivered with its IDs, the first of them passed over if absent") {
  SmallRing bench(3);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  const auto trigger = alice.trigger();
  REQUIRE(alice.insert(bench.owner(trigger.id), trigger));
  alice.clear();
  auto packet = bob.packet(trigger.id, "rest");
  packet.id_count = 2;
  packet.ids[1] = owner_prefix(bob.identity->key(), 5);
  bob.send_message(bench.ring[0].endpoint(), packet);
  bench.settle();
  REQUIRE(alice.all<wire::IdPacket>().size() == 1);
  CHECK(alice.all<wire::IdPacket>()[0].id_count == 2);
  CHECK(alice.all<wire::IdPacket>()[0].target() == packet.ids[0]);
  CHECK(alice.all<wire::IdPacket>()[0].ids[1] == packet.ids[1]);

  alice.clear();
  std::swap(packet.ids[0], packet.ids[1]);
  bob.send_message(bench.ring[0].endpoint(), packet);
  bench.settle();
  REQUIRE(alice.all<wire::IdPacket>().size() == 1);
  CHECK(alice.all<wire::IdPacket>()[0].id_count == 1);
  CHECK(alice.all<wire::IdPacket>()[0].target() == packet.ids[1]);
}

TEST_CASE(
    "with every_stop an ID that nothing matches ends the packet, and the sender hears which") {
  SmallRing bench(3);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  const auto trigger = alice.trigger();
  REQUIRE(alice.insert(bench.owner(trigger.id), trigger));
  alice.clear();
  const std::string text(100, 'x');  // the packet borrows it
  auto packet = bob.packet(owner_prefix(bob.identity->key(), 5), text);
  packet.flags |= wire::IdPacket::kEveryStop;
  packet.id_count = 2;
  packet.ids[1] = trigger.id;
  for (std::size_t i = 0; i < 3; ++i) {
    bob.send_message(bench.ring[i].endpoint(), packet);
    bench.settle();
  }
  CHECK(alice.all<wire::IdPacket>().empty());
  REQUIRE(bob.all<wire::NotPresent>().size() == 3);
  CHECK(bob.all<wire::NotPresent>()[0].id == packet.ids[0]);
  // Where the first one is there it is delivered as ever.
  std::swap(packet.ids[0], packet.ids[1]);
  bob.send_message(bench.ring[0].endpoint(), packet);
  bench.settle();
  CHECK(alice.all<wire::IdPacket>().size() == 1);
}

TEST_CASE("a trigger that leads to an ID sends packets on to that ID's host") {
  SmallRing bench(3);
  BareHost alice(bench.network, 1), service(bench.network, 3), bob(bench.network, 2);
  const auto end = alice.trigger();
  REQUIRE(alice.insert(bench.owner(end.id), end));
  auto chain = service.trigger();
  chain.stack = {wire::Consent::issue(*alice.identity, end.id, 0, chain.id,
                                      bench.network.wall() + 3'600'000'000'000)};
  const auto inserted = service.insert(bench.owner(chain.id), chain);
  REQUIRE(inserted);
  CHECK(inserted->label.none());
  alice.clear();
  bob.send_message(bench.ring[0].endpoint(), bob.packet(chain.id, "through the chain"));
  bench.settle();
  CHECK(texts(alice) == std::vector<std::string>{"through the chain"});
}

TEST_CASE("triggers that lead to each other: the packet dies within its hop limit") {
  SmallRing bench(3);
  BareHost one(bench.network, 1), two(bench.network, 2), bob(bench.network, 3);
  auto there = one.trigger(), back = two.trigger();
  const std::uint64_t until = bench.network.wall() + 3'600'000'000'000;
  there.stack = {wire::Consent::issue(*two.identity, back.id, 0, there.id, until)};
  back.stack = {wire::Consent::issue(*one.identity, there.id, 0, back.id, until)};
  REQUIRE(one.insert(bench.owner(there.id), there));
  REQUIRE(two.insert(bench.owner(back.id), back));
  std::size_t packets = 0;
  bench.network.set_tap([&](const Endpoint&, const Endpoint&, Bytes message) {
    const auto header = wire::Header::parse(message);
    if (header && header->type == wire::Type::ring &&
        header->kind == static_cast<std::uint8_t>(wire::RingKind::forward))
      ++packets;
    return false;
  });
  bob.send_message(bench.ring[0].endpoint(), bob.packet(there.id, "round and round", false));
  bench.network.run_for(20s);
  CHECK(packets <= 2 * wire::kDefaultHops);
  std::uint64_t ended = 0;
  for (auto& node : bench.ring.nodes()) ended += node->core().counters()["hop_limit"];
  CHECK(ended == 1);
}

TEST_CASE("a group's members all get a copy, within the packet's copy budget") {
  SmallRing bench(2);
  BareHost group(bench.network, 1), bob(bench.network, 2);
  std::vector<std::unique_ptr<BareHost>> members;
  const Id id = owner_prefix(group.identity->key(), 0);
  for (std::uint32_t i = 0; i < 5; ++i) {
    members.push_back(std::make_unique<BareHost>(bench.network, 20 + i));
    auto insert = group.trigger();
    insert.delegation = wire::Delegation::issue(*group.identity, members.back()->identity->key(),
                                                bench.network.wall() + 3'600'000'000'000);
    REQUIRE(members.back()->insert(bench.owner(id), insert));
  }
  for (const std::uint8_t budget : {std::uint8_t{16}, std::uint8_t{3}}) {
    for (auto& member : members) member->clear();
    auto packet = bob.packet(id, "to all");
    packet.copies = budget;
    bob.send_message(bench.ring[0].endpoint(), packet);
    bench.settle();
    std::size_t copies = 0;
    for (auto& member : members) copies += texts(*member).size();
    CHECK(copies == std::min<std::size_t>(budget, 5));
  }
}

TEST_CASE("a node that has just joined hands packets on to the old owner: nothing is lost") {
  SmallRing bench(2);
  BareHost bob(bench.network, 2);
  std::vector<std::unique_ptr<BareHost>> hosts;
  for (std::uint32_t i = 0; i < 12; ++i) {
    hosts.push_back(std::make_unique<BareHost>(bench.network, 30 + i));
    const auto trigger = hosts.back()->trigger();
    REQUIRE(hosts.back()->insert(bench.owner(trigger.id), trigger));
  }
  bench.ring.add();
  bench.ring.add();
  REQUIRE(bench.network.run_until([&] { return bench.ring.ideal(); }, 12s));
  std::size_t moved = 0;
  for (auto& host : hosts) {
    host->clear();
    const Id id = owner_prefix(host->identity->key(), 0);
    if (&bench.owner(id) != &bench.ring[0] && &bench.owner(id) != &bench.ring[1]) ++moved;
    bob.send_message(bench.ring[0].endpoint(), bob.packet(id, "still there"));
  }
  bench.settle();
  CHECK(moved > 0);
  std::size_t delivered = 0;
  for (auto& host : hosts) delivered += texts(*host).size();
  CHECK(delivered == hosts.size());
}

TEST_CASE("a packet that says it was delivered already is refused from a host") {
  SmallRing bench(2);
  BareHost bob(bench.network, 2);
  auto packet = bob.packet(owner_prefix(bob.identity->key(), 0), "x");
  packet.flags = wire::IdPacket::kDelivered;
  bob.send_message(bench.ring[0].endpoint(), packet);
  bench.settle();
  CHECK(bob.got.empty());
  CHECK(bench.ring[0].core().counters()["malformed"] == 1);
}

TEST_CASE("a trigger's packet rate holds for ID packets") {
  SmallRing bench(2);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  auto trigger = alice.trigger();
  trigger.rate_pps = 5;
  REQUIRE(alice.insert(bench.owner(trigger.id), trigger));
  alice.clear();
  for (int i = 0; i < 50; ++i)
    bob.send_message(bench.other(trigger.id).endpoint(), bob.packet(trigger.id, "x", false));
  bench.settle();
  CHECK(texts(alice).size() >= 5);
  CHECK(texts(alice).size() <= 7);
  CHECK(bench.owner(trigger.id).core().counters()["trigger_rate"] >= 43);
}
