// What hosts ask of a node, who may ask, and what a stranger can make a node do.
#include "tests/unit/node/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

TEST_CASE("a probe is answered with the observed address and a signature that holds") {
  SmallRing bench(1);
  BareHost bob(bench.network, 2);
  bob.send_message(bench.ring[0].endpoint(), wire::Probe{42});
  bench.settle();
  REQUIRE(bob.got.size() == 1);
  const auto reply = wire::ProbeReply::parse(bob.got[0].second);
  REQUIRE(reply);
  CHECK(reply->nonce == 42);
  CHECK(reply->observed == bob.endpoint());
  CHECK(wire::ProbeReply::valid_signature(bob.got[0].second, bench.ring[0].identity().key()));
  CHECK(bob.bytes_in <= bob.bytes_out);
}

TEST_CASE("a look-up names the owner and those that would own it next") {
  SmallRing bench(4);
  BareHost bob(bench.network, 2);
  const RingId position{123456789, 5};
  for (auto& node : bench.ring.nodes()) {
    bob.clear();
    bob.send_message(node->endpoint(), wire::Lookup{1, position});
    bench.settle();
    const auto replies = bob.all<wire::LookupReply>();
    REQUIRE(replies.size() == 1);
    REQUIRE(replies[0].contacts.size() == 4);
    CHECK(replies[0].contacts[0].key == bench.ring.owner_of(position).identity().key());
  }
  CHECK(bob.bytes_in <= bob.bytes_out);
}

TEST_CASE("a node that is not in a ring yet says so") {
  SimNetwork network(seed_or(1));
  SimRing ring(network);
  ring.add_joining({{IpAddress::v4(0x0c000001), 5100}});
  BareHost bob(network, 2);
  bob.send_message(ring[0].endpoint(), bob.trigger());
  bob.send_message(ring[0].endpoint(), wire::Lookup{1, RingId{}});
  network.run_for(1s);
  REQUIRE(bob.all<wire::Refused>().size() == 1);
  CHECK(bob.all<wire::Refused>()[0].reason == wire::Refusal::not_ready);
  REQUIRE(bob.all<wire::LookupReply>().size() == 1);
  CHECK(bob.all<wire::LookupReply>()[0].contacts.empty());
}

TEST_CASE("the owner's acknowledgement names its replicas, and they take the trigger too") {
  SmallRing bench(8);
  BareHost alice(bench.network, 1);
  const auto trigger = alice.trigger();
  const auto inserted = alice.insert(bench.owner(trigger.id), trigger);
  REQUIRE(inserted);
  REQUIRE(inserted->replicas.size() == 2);
  std::size_t taken = 0, refused = 0;
  for (auto& node : bench.ring.nodes()) {
    if (node.get() == &bench.owner(trigger.id)) continue;
    auto copy = trigger;
    copy.sequence = ++alice.sequence;
    if (alice.insert(*node, copy)) {
      ++taken;
      const auto& contact = node->core().contact();
      CHECK((contact == inserted->replicas[0] || contact == inserted->replicas[1]));
    } else {
      REQUIRE(!alice.all<wire::Refused>().empty());
      CHECK(alice.all<wire::Refused>()[0].reason == wire::Refusal::not_owner);
      ++refused;
    }
  }
  CHECK(taken == 2);
  CHECK(refused == 5);
}

TEST_CASE("a refusal by a neighbour of the owner names the owner") {
  SmallRing bench(8);
  BareHost alice(bench.network, 1);
  const auto trigger = alice.trigger();
  SimNode& owner = bench.owner(trigger.id);
  SimNode* before = nullptr;
  for (auto& node : bench.ring.nodes())
    if (node->core().chord()->view().successor()->id == owner.id()) before = node.get();
  REQUIRE(before);
  alice.send_message(before->endpoint(), trigger);
  bench.settle();
  REQUIRE(alice.all<wire::Refused>().size() == 1);
  CHECK(alice.all<wire::Refused>()[0].contact == owner.core().contact());
}

TEST_CASE("a refresh keeps triggers; a stolen token does nothing from elsewhere") {
  SmallRing bench(2);
  BareHost alice(bench.network, 1), thief(bench.network, 66), bob(bench.network, 2);
  const auto trigger = alice.trigger();
  SimNode& owner = bench.owner(trigger.id);
  const auto inserted = alice.insert(owner, trigger);
  REQUIRE(inserted);
  wire::Refresh refresh{1, alice.identity->key(), alice.identity->key(), inserted->token};
  for (int i = 0; i < 4; ++i) {
    bench.network.run_for(10s);
    thief.send_message(owner.endpoint(), refresh);
  }
  REQUIRE(thief.all<wire::Refused>().size() >= 1);
  CHECK(thief.all<wire::Refused>()[0].reason == wire::Refusal::unknown_token);
  CHECK(owner.core().triggers().size() == 0);

  auto again = trigger;
  again.sequence = ++alice.sequence;
  const auto fresh = alice.insert(owner, again);
  REQUIRE(fresh);
  alice.clear();
  refresh.token = fresh->token;
  for (int i = 0; i < 4; ++i) {
    bench.network.run_for(20s);
    alice.send_message(owner.endpoint(), refresh);
    bench.settle();
    REQUIRE(!alice.all<wire::Refreshed>().empty());
    refresh.token = alice.all<wire::Refreshed>().back().token;
  }
  CHECK(alice.all<wire::Refreshed>().size() == 4);
  CHECK(owner.core().triggers().size() == 1);
}

TEST_CASE("after a join the old owner refuses to refresh, names the new one, and still delivers") {
  SmallRing bench(2);
  std::vector<std::unique_ptr<BareHost>> hosts;
  std::vector<std::pair<SimNode*, wire::Inserted>> kept;
  for (std::uint32_t i = 0; i < 12; ++i) {
    hosts.push_back(std::make_unique<BareHost>(bench.network, 30 + i));
    const auto trigger = hosts.back()->trigger();
    SimNode& owner = bench.owner(trigger.id);
    const auto inserted = hosts.back()->insert(owner, trigger);
    REQUIRE(inserted);
    kept.push_back({&owner, *inserted});
  }
  bench.ring.add();
  REQUIRE(bench.network.run_until([&] { return bench.ring.ideal(); }, 12s));
  std::size_t refused = 0;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    BareHost& host = *hosts[i];
    host.clear();
    const auto& [old, inserted] = kept[i];
    host.send_message(old->endpoint(),
                      wire::Refresh{1, host.identity->key(), host.identity->key(), inserted.token});
    bench.network.run_for(200ms);
    SimNode& now = bench.owner(inserted.id);
    if (&now == old) {
      CHECK(host.all<wire::Refreshed>().size() == 1);
      continue;
    }
    REQUIRE(host.all<wire::Refused>().size() == 1);
    CHECK(host.all<wire::Refused>()[0].reason == wire::Refusal::not_owner);
    CHECK(host.all<wire::Refused>()[0].contact == now.core().contact());
    ++refused;
    host.clear();
    BareHost bob(bench.network, 200);
    bob.send_message(old->endpoint(), bob.packet(inserted.id, "by the old owner"));
    bench.network.run_for(200ms);
    CHECK(host.all<wire::IdPacket>().size() == 1);
  }
  CHECK(refused > 0);
}

TEST_CASE("no stranger gets more bytes out of a node than it sends") {
  SmallRing bench(3);
  BareHost bob(bench.network, 2);
  SimNode& node = bench.ring[0];
  auto ask = [&](auto&& send, const char* what) {
    bob.bytes_in = bob.bytes_out = 0;
    send();
    bench.network.run_for(3s);
    INFO(what);
    CHECK(bob.bytes_in <= bob.bytes_out);
  };
  const Id id = owner_prefix(bob.identity->key(), 0);
  ask([&] { bob.send_message(node.endpoint(), wire::Probe{1}); }, "probe");
  ask([&] { bob.send_message(node.endpoint(), wire::Lookup{1, id.ring()}); }, "lookup");
  ask([&] { bob.send_message(node.endpoint(), bob.trigger()); }, "insert");
  ask([&] { bob.send_message(node.endpoint(), wire::Refresh{}); }, "refresh");
  ask([&] { bob.send_message(node.endpoint(), bob.packet(id, "")); }, "packet");
  ask([&] { bob.send_message(node.endpoint(), wire::Returned{}); }, "returned");
  ask(
      [&] {
        std::array<std::uint8_t, wire::kLabelledSize> buffer;
        Writer writer(buffer);
        wire::Labelled::write_front(writer, 1, {7, 7});
        bob.send(node.endpoint(), writer.written());
      },
      "labelled");
}

TEST_CASE("a ring message from a key that never spoke is answered only within what it sent") {
  SmallRing bench(3);
  BareHost stranger(bench.network, 2);
  wire::NodeContact contact;
  contact.key = stranger.identity->key();
  contact.v4 = stranger.endpoint();
  const auto pair = wire::pair_key(*stranger.identity, bench.ring[0].identity().key());
  REQUIRE(pair);
  std::array<std::uint8_t, wire::kMaxMessage> buffer, body;
  Writer body_writer(body);
  wire::StateRequestBody{5, wire::StateRequestBody::kSuccessors, 0}.write(body_writer);
  wire::RingMessage message;
  message.kind = wire::RingKind::state_request;
  message.sender = contact;
  message.body = body_writer.written();
  Writer writer(buffer);
  message.write(writer, *pair);
  stranger.send(bench.ring[0].endpoint(), writer.written());
  bench.network.run_for(250ms);
  CHECK(stranger.bytes_in > 0);
  CHECK(stranger.bytes_in <= stranger.bytes_out);
}

TEST_CASE("a ring message with a wrong MAC, or one's own key, is dropped by name") {
  SmallRing bench(2);
  BareHost stranger(bench.network, 2);
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  wire::RingMessage message;
  message.kind = wire::RingKind::notify;
  message.sender = bench.ring[1].core().contact();
  Writer writer(buffer);
  message.write(writer, wire::PairKey{});
  stranger.send(bench.ring[0].endpoint(), writer.written());
  bench.settle();
  CHECK(bench.ring[0].core().counters()["ring_bad_mac"] == 1);
  stranger.send(bench.ring[1].endpoint(), writer.written());
  bench.settle();
  CHECK(bench.ring[1].core().counters()["ring_own_key"] == 1);
}

TEST_CASE("in an operator's ring only its members are let in") {
  SimNetwork network(seed_or(1));
  SimRing ring(network);
  SeededRandom random(5);
  const auto operator_key = Identity::generate(random);
  std::uint64_t number = 0;
  auto member = [&](NodeCoreSettings& settings) {
    // The node's identity is the first thing that its own random stream makes.
    auto stream = network.random_for(++number);
    const auto identity = Identity::generate(stream);
    settings.operator_key = operator_key->key();
    settings.membership =
        wire::Membership::issue(*operator_key, identity->key(), network.wall() + 3'600'000'000'000);
  };
  ring.add(2, member);
  ring.add(2, member);
  CHECK(network.run_until([&] { return ring.ideal(); }, 20s));
  ring.add_joining({ring[0].endpoint(), ring[1].endpoint()});
  network.run_for(60s);
  CHECK(!ring[2].member());
  CHECK(ring[0].core().chord()->view().successors().size() == 1);
}

TEST_CASE("a node without an address learns it from its entry node, if it is its own") {
  SimNetwork network(seed_or(1));
  SimRing ring(network);
  ring.add();
  auto unknown = [](NodeCoreSettings& settings) { settings.contact.v4.reset(); };
  SimNode& learner = ring.add(1, unknown);
  network.run_for(5s);
  CHECK(learner.core().contact().v4 == learner.endpoint());
  CHECK(network.run_until([&] { return ring.ideal(); }, 15s));

  SimNode& behind = ring.add(1, [](NodeCoreSettings& settings) {
    settings.contact.v4.reset();
    settings.is_local = [](const IpAddress&) { return false; };
  });
  network.run_for(30s);
  CHECK(behind.core().learning_address());
  CHECK(!behind.core().address_problem().empty());
}
