// Sending by ID, its answers, and what is let in.
#include <doctest/doctest.h>

#include "overlay/client/sends.hh"
#include "tests/unit/client/fake_world.hh"

using namespace i3;
using namespace i3::test;

namespace {

struct Sending : World {
  Sending() {
    start();
    REQUIRE(run_until([&] { return all_stand(); }));
    lose = [this](std::size_t, const Datagram& datagram) {
      if (datagram.type() == wire::Type::packet && datagram.from == host)
        packets_to.push_back(datagram.to);
      return false;
    };
    // A host elsewhere, at a node that is not the entry node.
    SeededRandom other(99);
    do peer = Identity::generate(other);
    while (&owner(public_id(peer->key()).ring()) == nodes[0].get());
    peer_id = public_id(peer->key());
    peer_node = &owner(peer_id.ring());
  }
  void insert_peer() { peer_node->triggers[peer_id].expires = now + 1000s; }
  std::uint64_t send_one() { return client->send_by_id(peer_id, 1, as_bytes("hello"), now); }

  std::unique_ptr<Identity> peer;
  Id peer_id;
  FakeNode* peer_node = nullptr;
  std::vector<Endpoint> packets_to;
};

}  // namespace

TEST_CASE("the first packet goes by the entry node, the next ones to the node that it named") {
  Sending world;
  world.insert_peer();
  const auto nonce = world.send_one();
  REQUIRE(nonce != 0);
  REQUIRE(world.run_until([&] { return world.count("forwarded") == 1; }, 1s));
  CHECK(world.events.back() == Event{"forwarded", world.peer_id, nonce, ""});
  world.send_one();
  REQUIRE(world.run_until([&] { return world.count("forwarded") == 2; }, 1s));
  CHECK(world.packets_to ==
        std::vector<Endpoint>{*world.nodes[0]->contact.v4, *world.peer_node->contact.v4});
  // Another ID under the same prefix profits.
  Id other = world.peer_id;
  other.bytes[31] ^= 1;
  world.client->send_by_id(other, 1, {}, world.now);
  CHECK(world.packets_to.back() == *world.peer_node->contact.v4);
  // 30 s later it is asked anew.
  world.run_for(31s);
  world.send_one();
  CHECK(world.packets_to.back() == *world.nodes[0]->contact.v4);
}

TEST_CASE("an ID that nobody inserted is told as not present") {
  Sending world;
  const auto nonce = world.send_one();
  REQUIRE(world.run_until([&] { return world.count("not_present") == 1; }, 1s));
  CHECK(world.events.back() == Event{"not_present", world.peer_id, nonce, ""});
}

TEST_CASE("a repeat after silence takes another way than the one that did not answer") {
  Sending world;
  world.insert_peer();
  world.send_one();
  REQUIRE(world.run_until([&] { return world.count("forwarded") == 1; }, 1s));
  world.peer_node->dead = true;
  world.send_one();
  CHECK(world.packets_to.back() == *world.peer_node->contact.v4);
  world.run_for(200ms);
  world.send_one();
  CHECK(world.packets_to.back() == *world.nodes[0]->contact.v4);
}

TEST_CASE("only the node that was asked can answer, and only with the nonce") {
  Sending world;
  const auto nonce = world.send_one();
  const Endpoint entry = *world.nodes[0]->contact.v4;
  const wire::NodeContact liar = world.nodes[1]->contact;
  world.to_host(at("192.0.2.66:5100"), wire::Forwarded{nonce, 1, world.peer_id, liar});
  world.to_host(entry, wire::Forwarded{nonce ^ 1, 1, world.peer_id, liar});
  world.to_host(entry, wire::Forwarded{nonce, 1, public_id(world.identity->key()), liar});
  world.to_host(at("192.0.2.66:5100"), wire::NotPresent{nonce, world.peer_id});
  world.to_host(entry, wire::NotPresent{nonce ^ 1, world.peer_id});
  CHECK(world.client->counters().unsolicited == 5);
  CHECK(world.count("forwarded") + world.count("not_present") == 0);
  world.to_host(entry, wire::NotPresent{nonce, world.peer_id});
  CHECK(world.count("not_present") == 1);
}

TEST_CASE("an answer that comes after ten seconds no longer counts") {
  Sending world;
  world.nodes[0]->dead = true;
  const auto nonce = world.send_one();
  world.run_for(11s);
  world.to_host(*world.nodes[0]->contact.v4, wire::NotPresent{nonce, world.peer_id});
  CHECK(world.count("not_present") == 0);
}

TEST_CASE("without any live node, and with too long a payload, nothing is sent and 0 returned") {
  World world;
  world.make_client(world.options());
  CHECK(world.client->send_by_id(Id{}, 1, {}, world.now) == 0);
  CHECK(world.client->counters().no_node == 1);
  Sending sending;
  const std::vector<std::uint8_t> most(wire::kMaxMessage - wire::id_packet_size(1));
  const std::vector<std::uint8_t> longer(most.size() + 1);
  CHECK(sending.client->send_by_id(sending.peer_id, 1, most, sending.now) != 0);
  CHECK(sending.client->send_by_id(sending.peer_id, 1, longer, sending.now) == 0);
  sending.client->send_returned(sending.host, {}, 1, std::vector<std::uint8_t>(2040));
  CHECK(sending.client->counters().too_long == 2);
}

TEST_CASE("a packet for one of our triggers is let in from the nodes concerned, and no other") {
  Sending world;
  const Id id = world.client->take_private(world.now);
  const auto path = world.client->path(id);
  REQUIRE(path.nodes.size() == 1);
  const Endpoint node = *path.nodes[0].node.v4;
  wire::IdPacket packet;
  packet.flags = wire::IdPacket::kDelivered;
  packet.ids[0] = id;
  packet.payload = as_bytes("for you");
  world.to_host(node, packet);
  REQUIRE(world.count("packet") == 1);
  CHECK(world.events.back().payload == "for you");

  world.to_host(at("192.0.2.66:5100"), packet);
  CHECK(world.client->counters().unknown_node == 1);
  packet.ids[0].bytes[31] ^= 1;
  world.to_host(node, packet);
  CHECK(world.client->counters().unknown_id == 1);
  packet.ids[0] = id;
  packet.flags = 0;
  world.to_host(node, packet);
  CHECK(world.client->counters().malformed == 1);
  packet.flags = wire::IdPacket::kDelivered;
  world.client->release(id, world.now);
  world.to_host(node, packet);
  CHECK(world.client->counters().unknown_id == 2);
  CHECK(world.count("packet") == 1);
}

TEST_CASE("returned messages are let in from nodes that we sent to by ID") {
  Sending world;
  const Endpoint entry = *world.nodes[0]->contact.v4;
  world.to_host(entry, wire::Returned{5, {}, as_bytes("early")});
  CHECK(world.client->counters().unknown_node == 1);
  world.send_one();
  world.to_host(entry, wire::Returned{5, {}, as_bytes("answer")});
  CHECK(world.events.back() == Event{"returned", {}, 5, "answer"});
  world.run_for(121s);
  world.to_host(entry, wire::Returned{5, {}, as_bytes("late")});
  CHECK(world.client->counters().unknown_node == 2);
}

TEST_CASE("a lost label is passed on to the host") {
  Sending world;
  world.to_host(at("192.0.2.66:5100"), wire::NoLabel{{17, 4}});
  CHECK(world.events.back() == Event{"no_label", {}, 17, ""});
}

TEST_CASE("messages that a host does not take are counted and dropped") {
  Sending world;
  world.to_host(world.host, wire::Probe{5});
  world.to_host(world.host, wire::Lookup{5, {}});
  CHECK(world.client->counters().unexpected_type == 2);
  const std::uint8_t other_version[] = {0xc2, 0x11, 0, 0};
  world.client->on_message(world.host, other_version, world.now, world.wall());
  world.client->on_message(world.host, {}, world.now, world.wall());
  const std::uint8_t cut[] = {0xc1, 0x11, 0, 0, 1};
  world.client->on_message(world.host, cut, world.now, world.wall());
  CHECK(world.client->counters().malformed == 3);
}

TEST_CASE("ten thousand sends that nobody answers leave no more than the bound behind") {
  Sending world;
  world.nodes[0]->dead = true;
  for (int i = 0; i < 10'000; ++i) {
    Id id;
    world.random.fill(id.bytes);
    CHECK(world.client->send_by_id(id, 1, {}, world.now) != 0);
  }
  CHECK(world.client->counters().unanswered_sends == 10'000 - client::Sends::kMaxOutstanding);
}

TEST_CASE("the prefix cache keeps its newest entries within its bound") {
  client::PrefixCache cache;
  const TimePoint now{5s};
  const Endpoint node = at("203.0.113.7:5100");
  for (std::uint64_t i = 0; i < client::PrefixCache::kMaxPrefixes + 10; ++i)
    cache.learn({i, 0}, node, now);
  CHECK(cache.size() == client::PrefixCache::kMaxPrefixes);
  CHECK_FALSE(cache.find({9, 0}, now));
  CHECK(cache.find({10, 0}, now) == node);
  CHECK_FALSE(cache.find({10, 0}, now + 30s));
}
