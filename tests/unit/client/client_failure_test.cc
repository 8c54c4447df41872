// Nodes that die, restart, forget, refuse and lie; hosts that move and whose clock is wrong.
#include <doctest/doctest.h>

#include "tests/unit/client/fake_world.hh"

using namespace i3;
using namespace i3::test;

namespace {

// A world where one node (the last) owns everything, so that the entry node may go on.
void last_owns_all(World& world) {
  world.ring = [&world](RingId) {
    std::vector<FakeNode*> order;
    for (auto node = world.nodes.rbegin(); node != world.nodes.rend(); ++node)
      order.push_back(node->get());
    std::stable_partition(order.begin(), order.end(), [](FakeNode* node) { return !node->dead; });
    return order;
  };
}

bool logged(const World& world, const std::string& text) {
  return std::any_of(world.log_lines.begin(), world.log_lines.end(),
                     [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("when the node of the triggers dies they move to the next owner, and the host is told") {
  World world;
  last_owns_all(world);
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  const Id id = public_id(world.identity->key());
  world.nodes[2]->dead = true;
  REQUIRE(world.run_until([&] { return !world.client->ready(); }, 14s));
  CHECK(world.client->path(id).nodes.empty());
  CHECK(world.events.back() == Event{"not_ready", {}, 0, ""});
  REQUIRE(world.run_until([&] { return world.all_stand(); }, 2s));
  CHECK(world.nodes[1]->held() == 6);
  CHECK(world.client->path(id).nodes.at(0).node == world.nodes[1]->contact);
  CHECK(world.client->counters().lost_nodes == 1);
}

TEST_CASE(
    "a dead owner that the ring goes on naming does not keep its successor from being tried") {
  World world;
  world.ring = [&world](RingId) {
    return std::vector<FakeNode*>{world.nodes[2].get(), world.nodes[1].get()};
  };
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.nodes[2]->dead = true;
  CHECK(world.run_until([&] { return world.nodes[1]->held() == 6; }, 30s));
}

TEST_CASE("a node that restarted and knows nothing gets all triggers again at the next refresh") {
  World world;
  last_owns_all(world);
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.nodes[2]->forget();
  CHECK(world.run_until([&] { return world.nodes[2]->held() == 6; }, 12s));
  world.run_for(2 * world.delay);
  CHECK(world.count("not_ready") == 0);
  for (const auto& trigger : world.client->triggers(world.now))
    CHECK(trigger.label == world.nodes[2]->triggers.at(trigger.id).label);
}

TEST_CASE("a node that lost one of the triggers shows it by its count and gets it again") {
  World world;
  last_owns_all(world);
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  const Id id = public_id(world.identity->key(), 1);
  world.nodes[2]->triggers.erase(id);
  CHECK(world.run_until([&] { return world.nodes[2]->holds(id); }, 12s));
}

TEST_CASE("a refresh that stays unanswered three times means a lost node, 500 ms apart") {
  World world;
  last_owns_all(world);
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.nodes[2]->answers_refresh = false;
  std::vector<TimePoint> sent;
  world.lose = [&](std::size_t, const World::Datagram& datagram) {
    if (datagram.type() == wire::Type::refresh) sent.push_back(world.now);
    return false;
  };
  REQUIRE(world.run_until([&] { return world.client->counters().lost_nodes == 1; }, 14s));
  REQUIRE(sent.size() == 3);
  CHECK(sent[1] - sent[0] == 500ms);
  CHECK(sent[2] - sent[1] == 500ms);
  CHECK(world.now - sent[2] == 500ms);
}

TEST_CASE(
    "a new owner that nobody announces is found by looking up again, and nothing is lost "
    "meanwhile") {
  World world;
  last_owns_all(world);
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.ring = [&world](RingId) { return std::vector<FakeNode*>{world.nodes[1].get()}; };
  world.nodes[1]->names_replicas = false;
  REQUIRE(world.run_until([&] { return world.nodes[1]->held() == 6; }, 70s));
  REQUIRE(world.run_until([&] {
    return world.client->triggers(world.now)[0].node->key == world.nodes[1]->contact.key;
  }));
  CHECK(world.count("not_ready") == 0);
  // Packets that the old owner still has under way count as ours.
  wire::IdPacket packet;
  packet.flags = wire::IdPacket::kDelivered;
  packet.ids[0] = public_id(world.identity->key());
  world.to_host(*world.nodes[2]->contact.v4, packet);
  CHECK(world.count("packet") == 1);
  // The old one is no longer refreshed, and a while later no longer believed.
  world.run_for(61s);
  CHECK(world.nodes[2]->held() == 0);
  world.to_host(*world.nodes[2]->contact.v4, packet);
  CHECK(world.count("packet") == 1);
}

TEST_CASE("a node that does not own the position sends us on to the one that does") {
  World world;
  last_owns_all(world);
  world.nodes[2]->redirects_to = world.nodes[1].get();
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }, 2s));
  CHECK(world.nodes[1]->held() == 6);
}

TEST_CASE("nodes that send us round and round are asked ever less, and status says so") {
  World world;
  last_owns_all(world);
  world.nodes[2]->redirects_to = world.nodes[1].get();
  world.nodes[1]->redirects_to = world.nodes[2].get();
  world.start();
  world.run_for(60s);
  CHECK_FALSE(world.client->ready());
  CHECK(world.client->trouble() == "nodes send us round and round");
  const auto before = world.client->counters().inserts;
  world.run_for(60s);
  // 3 prefixes, 4 nodes each time, every 4.5 s at the most.
  CHECK(world.client->counters().inserts - before <= 3 * 4 * 14);
  world.nodes[1]->redirects_to = nullptr;
  CHECK(world.run_until([&] { return world.all_stand(); }, 10s));
  CHECK(world.client->trouble().empty());
}

TEST_CASE("a node that sends us to itself is not asked in a tight loop") {
  World world;
  last_owns_all(world);
  world.nodes[2]->redirects_to = world.nodes[2].get();
  world.start();
  world.run_for(60s);
  CHECK(world.client->counters().inserts < 100);
}

TEST_CASE("a full node or quota is said, and tried again with long pauses") {
  World world;
  last_owns_all(world);
  SUBCASE("quota") {
    world.nodes[2]->refuses = wire::Refusal::quota;
  }
  SUBCASE("full") {
    world.nodes[2]->refuses = wire::Refusal::full;
  }
  world.start();
  world.run_for(120s);
  CHECK(logged(world, "the node refuses"));
  CHECK(world.client->trouble().find("the node refuses") == 0);
  CHECK(world.client->counters().inserts < 60);
  world.nodes[2]->refuses.reset();
  CHECK(world.run_until([&] { return world.all_stand(); }, 70s));
}

TEST_CASE(
    "a node that always refuses the proof or challenges for ever is not asked in a tight loop") {
  World world;
  last_owns_all(world);
  SUBCASE("refuses") {
    world.nodes[2]->refuses = wire::Refusal::bad_proof;
  }
  SUBCASE("not ready") {
    world.nodes[2]->refuses = wire::Refusal::not_ready;
  }
  SUBCASE("calls all stale") {
    world.nodes[2]->refuses = wire::Refusal::stale;
  }
  SUBCASE("challenges") {
    world.nodes[2]->challenges_always = true;
  }
  world.start();
  world.run_for(60s);
  CHECK_FALSE(world.client->trouble().empty());
  const auto before = world.client->counters().inserts;
  world.run_for(60s);
  // Six triggers at most, 65 messages each, in a dozen rounds.
  CHECK(world.client->counters().inserts - before <= 6 * 66 * 16);
  world.nodes[2]->refuses.reset();
  world.nodes[2]->challenges_always = false;
  CHECK(world.run_until([&] { return world.all_stand(); }, 10s));
}

TEST_CASE(
    "a challenge that names another key than the looked-up one is never answered with a proof") {
  World world;
  last_owns_all(world);
  SeededRandom random(3);
  const auto other = Identity::generate(random);
  world.nodes[2]->challenges_as = other.get();
  bool proof_sent = false;
  world.lose = [&](std::size_t, const World::Datagram& datagram) {
    const auto insert = wire::Insert::parse(datagram.bytes);
    proof_sent =
        proof_sent || (insert && insert->proof && world.nodes[2]->contact.owns(datagram.to));
    return false;
  };
  world.start();
  world.run_for(2s);
  CHECK_FALSE(proof_sent);
  CHECK(world.client->counters().wrong_key > 0);
  world.run_for(20s);
  CHECK_FALSE(proof_sent);
}

TEST_CASE("answers from elsewhere, with another nonce or for nothing asked change nothing") {
  World world;
  last_owns_all(world);
  world.nodes[2]->dead = true;
  world.ring = [&world](RingId) { return std::vector<FakeNode*>{world.nodes[2].get()}; };
  std::uint64_t nonce = 0;
  world.lose = [&](std::size_t, const World::Datagram& datagram) {
    if (auto insert = wire::Insert::parse(datagram.bytes)) nonce = insert->nonce;
    return false;
  };
  world.start();
  REQUIRE(world.run_until([&] { return nonce != 0; }));
  const Endpoint asked = *world.nodes[2]->contact.v4;
  const auto inserts = world.client->counters().inserts;
  world.to_host(at("192.0.2.66:5100"),
                wire::Challenge{nonce, {}, world.host, world.nodes[2]->contact});
  world.to_host(asked, wire::Challenge{nonce + 1, {}, world.host, world.nodes[2]->contact});
  world.to_host(asked, wire::Refreshed{nonce, 0, 1, {}});
  world.to_host(asked, wire::LookupReply{nonce, {}, {world.nodes[2]->contact}});
  // Inserted without a proof of ours.
  wire::Inserted inserted;
  inserted.nonce = nonce;
  inserted.id = public_id(world.identity->key());
  world.to_host(asked, inserted);
  CHECK(world.client->counters().unsolicited == 5);
  CHECK(world.client->counters().inserts == inserts);
  CHECK_FALSE(world.client->ready());
  // The real thing, to show that the nonce was right.
  world.to_host(asked, wire::Challenge{nonce, {}, world.host, world.nodes[2]->contact});
  CHECK(world.client->counters().challenges == 1);
}

TEST_CASE(
    "after a change of address all triggers point to the new one at once, under their labels") {
  World world;
  world.start();
  const Id id = world.client->take_private(world.now);
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  const auto before = world.client->path(id);
  world.host = at("198.51.100.77:7001");
  world.client->network_changed(world.now);
  const auto moved = [&] {
    for (auto& node : world.nodes)
      for (auto& [key, trigger] : node->triggers)
        if (trigger.target != world.host) return false;
    return true;
  };
  CHECK(world.run_until(moved, 200ms));
  world.run_for(200ms);
  CHECK(world.client->path(id) == before);
  CHECK(world.client->observed().v4.endpoint == world.host);
  CHECK(world.count("not_ready") == 0);
  world.run_for(60s);
  CHECK(world.held_at_nodes() == 7);
}

TEST_CASE("a NAT that changed our port without a word is noticed by the next refresh") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.host.port = 7100;
  const auto moved = [&] {
    for (auto& node : world.nodes)
      for (auto& [key, trigger] : node->triggers)
        if (trigger.target != world.host) return false;
    return true;
  };
  CHECK(world.run_until(moved, 13s));
  CHECK(world.held_at_nodes() == 6);
}

TEST_CASE("a restart whose clock is a year behind gets past the stored sequence numbers") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  const auto saved = world.client->save();
  world.wall_base -= std::int64_t{365} * 24 * 3600 * 1'000'000'000;
  SUBCASE("without its state") {
    world.start();
    REQUIRE(world.run_until([&] { return world.all_stand(); }, 5s));
    CHECK(world.client->counters().refused > 20);
    CHECK(world.client->counters().refused < 60);
  }
  SUBCASE("with its state, without being refused") {
    world.make_client(world.options());
    REQUIRE(world.client->restore(saved));
    world.client->start(world.now, world.wall());
    REQUIRE(world.run_until([&] { return world.all_stand(); }, 5s));
    CHECK(world.client->counters().refused == 0);
  }
}

TEST_CASE("a clock that jumps back while the client runs harms nothing") {
  World world;
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.wall_base -= 1'000'000'000'000'000;
  world.client->on_timer(world.now, world.wall());
  world.host = at("198.51.100.78:7001");
  world.client->network_changed(world.now);
  world.run_for(1s);
  CHECK(world.client->counters().refused == 0);
  CHECK(world.node_holding(public_id(world.identity->key()))
            .triggers.at(public_id(world.identity->key()))
            .target == world.host);
}

TEST_CASE("triggers of an earlier run at the same address are left to expire") {
  World world;
  last_owns_all(world);
  world.start();
  for (int i = 0; i < 5; ++i) world.client->take_private(world.now);
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.start();  // died without stop
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  CHECK(world.nodes[2]->held() == 15);
  world.run_for(50s);
  CHECK(world.nodes[2]->held() == 6);
  const auto inserts = world.client->counters().inserts;
  world.run_for(50s);
  CHECK(world.nodes[2]->held() == 6);
  CHECK(world.client->counters().inserts == inserts);
}

TEST_CASE("a thousand insertions are paced, so that a node that checks few signatures can follow") {
  World world;
  last_owns_all(world);
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  for (int i = 0; i < 1000; ++i) world.client->take_private(world.now);
  const auto before = world.client->counters().inserts;
  world.run_for(4s);
  const auto sent = world.client->counters().inserts - before;
  CHECK(sent >= 250);
  CHECK(sent <= 320);
}

TEST_CASE("a node that leaves proofs unanswered because they are too many is not taken for dead") {
  World world;
  last_owns_all(world);
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  world.nodes[2]->proofs.emplace(5, 5);
  for (int i = 0; i < 300; ++i) world.client->take_private(world.now);
  for (int i = 0; i < 200 && !world.all_stand(); ++i) world.run_for(1s);
  CHECK(world.all_stand());
  CHECK(world.client->counters().lost_nodes == 0);
  CHECK(world.count("not_ready") == 0);
}

TEST_CASE("only the node that was asked can answer a refresh") {
  World world;
  last_owns_all(world);
  world.start();
  REQUIRE(world.run_until([&] { return world.all_stand(); }));
  std::uint64_t nonce = 0;
  world.lose = [&](std::size_t, const World::Datagram& datagram) {
    const auto refresh = wire::Refresh::parse(datagram.bytes);
    if (refresh) nonce = refresh->nonce;
    return refresh && datagram.to == *world.nodes[2]->contact.v4;
  };
  REQUIRE(world.run_until([&] { return nonce != 0; }, 12s));
  const auto lookups = world.client->counters().lookups;
  const Endpoint stranger = at("192.0.2.66:5100");
  world.to_host(stranger, wire::Refreshed{nonce, 0, 1, {}});
  world.to_host(stranger, wire::Refused{nonce, wire::Refusal::unknown_token, {}});
  CHECK(world.client->counters().unsolicited == 2);
  world.run_for(100ms);
  CHECK(world.client->counters().lookups == lookups);
  // From the node itself the same words mean something.
  world.to_host(*world.nodes[2]->contact.v4, wire::Refreshed{nonce, 0, 30'000, {}});
  CHECK(world.client->counters().unsolicited == 2);
  world.run_for(100ms);
  CHECK(world.client->counters().lookups == lookups + 3);
}
