// A visit's side of the overlay speaks to its relay and to nobody else, whatever it is told.
#include <doctest/doctest.h>
#include <map>
#include <set>
#include <utility>

#include "overlay/client/relay_pool.hh"

namespace i3 {
namespace {

using namespace std::chrono_literals;

Endpoint at(const char* text) {
  return *Endpoint::parse(text);
}

struct World : ClientEvents {
  struct Sent {
    Endpoint to;
    std::vector<std::uint8_t> bytes;
    wire::Type type() const { return wire::Header::parse(bytes)->type; }
  };

  World() {
    node.key = node_identity->key();
    node.v4 = at("198.51.100.1:5100");
    Relay relay{node, Identity::generate(random), 77};
    client =
        std::make_unique<RelayedClient>(std::move(relay), random, log, RelayedOptions{}, *this);
  }

  template <class Message>
  void to_client(const Message& message, const Endpoint& from) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    message.write(writer);
    client->on_message(from, writer.written(), now, 0);
  }
  void to_client_from_relay(const auto& message) { to_client(message, *node.v4); }
  // Until its next timer.
  void wait() {
    now = client->next_deadline();
    client->on_timer(now, 0);
  }
  wire::Insert last_insert() { return *wire::Insert::parse(sent.back().bytes); }
  void challenge() {
    to_client_from_relay(wire::Challenge{last_insert().nonce, {1, 2}, host, node});
  }
  void insert(std::uint32_t slot = 5) {
    const wire::Insert insert = last_insert();
    to_client_from_relay(wire::Inserted{insert.nonce, insert.id, {slot, 9}, 30'000, {7}, {other}});
  }
  void stand() {
    client->start(now, 0);
    challenge();
    insert();
  }

  void send(const Endpoint& to, Bytes message) override {
    sent.push_back({to, {message.begin(), message.end()}});
  }
  void on_packet(const wire::IdPacket&, const Endpoint&, TimePoint) override { ++packets; }
  void on_returned(std::uint8_t, Bytes, const Endpoint&, TimePoint) override { ++returned; }
  void on_forwarded(std::uint64_t, const wire::Forwarded&, TimePoint) override { ++forwarded; }
  void on_not_present(std::uint64_t, const Id&, TimePoint) override { ++absent; }
  void on_no_label(const Endpoint&, wire::Label, TimePoint) override { ++labels; }
  void on_trigger(const Id&, TimePoint) override { ++triggers; }
  void on_ready(bool is, TimePoint) override { ready = is; }

  TimePoint now{1000s};
  SeededRandom random{3};
  Log log;
  Endpoint host = at("203.0.113.9:4000");
  std::unique_ptr<Identity> node_identity = Identity::generate(random);
  std::unique_ptr<Identity> other_identity = Identity::generate(random);
  wire::NodeContact node;
  wire::NodeContact other{other_identity->key(), 0, at("198.51.100.2:5100"), {}, 0};
  std::unique_ptr<RelayedClient> client;
  std::vector<Sent> sent;
  int packets = 0, returned = 0, forwarded = 0, absent = 0, labels = 0, triggers = 0;
  bool ready = false;
};

}  // namespace

TEST_CASE("one trigger is proved at the relay, counted from one and without any look-up") {
  World world;
  world.client->start(world.now, 0);
  REQUIRE(world.sent.size() == 1);
  CHECK_FALSE(world.last_insert().proof);
  world.challenge();
  REQUIRE(world.sent.size() == 2);
  CHECK(world.last_insert().proof);
  CHECK(world.last_insert().exact);
  CHECK(world.last_insert().sequence == 1);
  CHECK(world.last_insert().valid_signature(world.sent.back().bytes, world.host,
                                            world.node.ring_id()));
  CHECK_FALSE(world.client->ready());
  world.insert();
  CHECK(world.client->ready());
  CHECK(world.ready);
  const Id id = world.client->take_private(world.now);
  CHECK(world.client->take_private(world.now) == Id{});
  const wire::ReturnPath path = world.client->path(id);
  REQUIRE(path.nodes.size() == 1);
  CHECK(path.nodes[0].node == world.node);
  CHECK(path.nodes[0].label == wire::Label{5, 9});
  CHECK_FALSE(world.client->observed().v4.endpoint);
  for (const auto& one : world.sent) CHECK(one.to == *world.node.v4);
}

TEST_CASE("refreshes are 5 to 10 s apart and never in step") {
  World world;
  world.stand();
  std::set<std::int64_t> gaps;
  for (int i = 0; i < 20; ++i) {
    const TimePoint before = world.now;
    world.wait();
    const auto refresh = wire::Refresh::parse(world.sent.back().bytes);
    REQUIRE(refresh);
    CHECK(world.now - before >= 5s);
    CHECK(world.now - before < 10s);
    gaps.insert((world.now - before) / 1ms);
    world.to_client_from_relay(wire::Refreshed{refresh->nonce, 1, 30'000});
  }
  CHECK(gaps.size() >= 15);
  CHECK(world.client->ready());
}

TEST_CASE(
    "silence has the relay asked, not sooner than its beat allows, and a dead one is left after "
    "three questions") {
  World world;
  world.stand();
  world.now += 1s;
  const std::size_t before = world.sent.size();
  world.client->verify(world.now);
  CHECK(world.sent.size() == before);
  CHECK(world.client->next_deadline() == world.now + 4s);
  world.now += 4s;
  world.client->verify(world.now);
  REQUIRE(world.sent.size() == before + 1);
  CHECK(world.sent.back().type() == wire::Type::refresh);
  world.client->verify(world.now);
  CHECK(world.sent.size() == before + 1);
  const TimePoint asked = world.now;
  for (int i = 0; i < 3; ++i) world.wait();
  CHECK(world.client->lost());
  CHECK(world.now <= asked + 2s);
}

TEST_CASE("nothing that anybody says makes it send to another node") {
  World world;
  world.stand();
  const Id id = world.client->take_private(world.now);
  const std::uint64_t nonce =
      world.client->send_by_id(public_id(world.other.key), 1, {}, world.now);
  world.to_client_from_relay(wire::Forwarded{nonce, 1, public_id(world.other.key), world.other});
  CHECK(world.forwarded == 1);
  world.client->send_by_id(public_id(world.other.key), 0, {}, world.now);
  // The same from the other node counts for nothing.
  world.to_client(wire::Forwarded{nonce, 1, public_id(world.other.key), world.other},
                  *world.other.v4);
  wire::IdPacket packet;
  packet.flags = wire::IdPacket::kDelivered;
  packet.ids[0] = id;
  world.to_client(packet, *world.other.v4);
  world.to_client(wire::Returned{2, {}, {}}, *world.other.v4);
  CHECK(world.client->counters().foreign == 3);
  CHECK(world.packets + world.returned == 0);
  world.to_client_from_relay(packet);
  CHECK(world.packets == 1);
  // Refused with the name of another node: not followed.
  world.wait();
  const auto refresh = wire::Refresh::parse(world.sent.back().bytes);
  REQUIRE(refresh);
  world.to_client_from_relay(wire::Refused{refresh->nonce, wire::Refusal::not_owner, world.other});
  CHECK(world.client->lost());
  CHECK(world.client->path(id).nodes.empty());
  for (const auto& one : world.sent) CHECK(one.to == *world.node.v4);
}

TEST_CASE("a lost relay is sent nothing any more, and another one is gone on with") {
  World world;
  world.client->start(world.now, 0);
  while (!world.client->lost()) world.wait();
  CHECK(world.sent.size() == RelayedClient::kTries);
  CHECK(world.client->next_deadline() == kNever);
  CHECK(world.client->send_by_id(public_id(world.other.key), 1, {}, world.now) == 0);
  CHECK(world.sent.size() == RelayedClient::kTries);
  const Id before = world.client->take_private(world.now);
  world.sent.clear();
  world.client->change({world.other, Identity::generate(world.random), 5}, world.now);
  CHECK(world.client->path(before).nodes.empty());
  REQUIRE(world.sent.size() == 1);
  CHECK(world.sent[0].to == *world.other.v4);
  CHECK(world.client->take_private(world.now) != before);
  // The former relay has nothing to say any more.
  world.challenge();
  CHECK(world.client->counters().foreign == 1);
  CHECK(world.sent.size() == 1);
}

TEST_CASE(
    "transport goes under a label of the relay's once there is one, and by ID when there is none") {
  World world;
  world.stand();
  const Id id = public_id(world.other.key);
  const std::string text(60, 'x');
  const auto send = [&] { return world.client->send_by_id(id, 0, as_bytes(text), world.now); };
  const auto last = [&] { return wire::IdPacket::parse(world.sent.back().bytes); };
  const std::uint64_t asked = send();
  REQUIRE(last());
  CHECK(last()->flags == wire::IdPacket::kWantWay);
  send();
  REQUIRE(last());
  CHECK(last()->flags == 0);
  const wire::Label label{0x80000001, 7};
  world.to_client(wire::Way{asked, id, label}, *world.other.v4);
  world.to_client_from_relay(wire::Way{asked ^ 2, id, label});
  send();
  CHECK(last());
  world.to_client_from_relay(wire::Way{asked, id, label});
  send();
  const auto labelled = wire::Labelled::parse(world.sent.back().bytes);
  REQUIRE(labelled);
  CHECK(labelled->label == label);
  CHECK(as_text(labelled->payload) == text);
  // Handshakes never depend on it.
  world.client->send_by_id(id, 1, as_bytes(text), world.now);
  CHECK(last());
  // Asked for again in time; unanswered, it ends before the relay forgets it.
  world.now += RelayedClient::kAskWayAfter;
  send();
  REQUIRE(last());
  CHECK(last()->flags == wire::IdPacket::kWantWay);
  send();
  CHECK_FALSE(last());
  world.now += RelayedClient::kWayLifetime;
  send();
  send();
  CHECK(last());
  for (const auto& one : world.sent) CHECK(one.to == *world.node.v4);
}

TEST_CASE("a way that the relay says is gone is not used any more") {
  World world;
  world.stand();
  const Id id = public_id(world.other.key);
  const wire::Label label{0x80000001, 7};
  const std::uint64_t asked = world.client->send_by_id(id, 0, {}, world.now);
  world.to_client_from_relay(wire::Way{asked, id, label});
  world.to_client(wire::NoLabel{label}, *world.other.v4);
  world.to_client_from_relay(wire::NoLabel{{3, 3}});
  world.client->send_by_id(id, 0, {}, world.now);
  CHECK(wire::Labelled::parse(world.sent.back().bytes));
  world.to_client_from_relay(wire::NoLabel{label});
  world.client->send_by_id(id, 0, {}, world.now);
  CHECK(wire::IdPacket::parse(world.sent.back().bytes));
}

TEST_CASE("a stopped visit removes its trigger with the cookie that it has") {
  World world;
  world.stand();
  world.client->stop(world.now);
  CHECK(world.client->stopped());
  CHECK(world.last_insert().remove);
  CHECK(world.last_insert().sequence == 2);
  CHECK(world.client->next_deadline() == kNever);
}

namespace {

struct Pool {
  Pool() {
    for (std::uint8_t i = 0; i < 9; ++i) {
      identities.push_back(Identity::generate(random));
      wire::NodeContact contact;
      contact.key = identities.back()->key();
      contact.v4 = Endpoint{IpAddress::v4(0xc6336401u + 256u * i), 5100};
      ring[contact.ring_id()] = contact;
    }
  }
  std::vector<wire::NodeContact> owners(RingId position) const {
    std::vector<wire::NodeContact> found;
    auto next = ring.lower_bound(position);
    while (found.size() < std::min(wire::LookupReply::kMaxContacts, ring.size())) {
      if (next == ring.end()) next = ring.begin();
      found.push_back(next++->second);
    }
    return found;
  }
  const wire::NodeContact& owner(RingId position) const {
    auto next = ring.lower_bound(position);
    return next == ring.end() ? ring.begin()->second : next->second;
  }
  // Answers look-ups until nothing more is to be done.
  void fill() {
    for (int i = 0; i < 200 && pool.next_deadline() <= now; ++i) {
      pool.on_timer(now);
      for (const auto& [to, bytes] : std::exchange(sent, {})) {
        const auto lookup = wire::Lookup::parse(bytes);
        REQUIRE(lookup);
        asked.push_back(lookup->position);
        std::array<std::uint8_t, wire::kMaxMessage> buffer;
        Writer writer(buffer);
        wire::LookupReply{lookup->nonce, lookup->position, owners(lookup->position)}.write(writer);
        pool.on_message(to, writer.written(), now);
      }
    }
  }

  SeededRandom random{11};
  TimePoint now{1000s};
  std::vector<std::unique_ptr<Identity>> identities;
  std::map<RingId, wire::NodeContact> ring;
  std::vector<Endpoint> entries{at("198.51.100.1:5100"), at("198.51.101.1:5100")};
  std::vector<std::pair<Endpoint, std::vector<std::uint8_t>>> sent;
  std::vector<RingId> asked;
  std::optional<PublicKey> own;
  RelayPool pool{random,
                 {[this] { return entries; },
                  [this](const Endpoint& to, Bytes message) {
                    sent.emplace_back(to,
                                      std::vector<std::uint8_t>(message.begin(), message.end()));
                  },
                  [this](const PublicKey& key) { return own == key; }}};
};

}  // namespace

TEST_CASE("each relay owns the position of its prefix, and nobody was asked for that position") {
  Pool world;
  world.pool.set_wanted(true, world.now);
  world.fill();
  CHECK(world.pool.counters().ready == RelayPool::kReady);
  std::set<RingId> positions;
  std::set<PublicKey> owners;
  for (std::size_t i = 0; i < RelayPool::kReady; ++i) {
    auto relay = world.pool.take({}, PublicKey{}, world.now);
    REQUIRE(relay);
    CHECK(world.owner(relay->position()).key == relay->node.key);
    positions.insert(relay->position());
    owners.insert(relay->owner->key());
  }
  CHECK(positions.size() == RelayPool::kReady);
  CHECK(owners.size() == RelayPool::kReady);
  CHECK_FALSE(world.pool.take({}, PublicKey{}, world.now));
  for (RingId asked : world.asked) CHECK_FALSE(positions.contains(asked));
  // Those taken are replaced.
  world.fill();
  CHECK_FALSE(world.pool.empty());
}

TEST_CASE(
    "no relay runs on this machine, and none owns what is to be avoided while others do not") {
  Pool world;
  world.own = world.ring.begin()->second.key;
  world.pool.set_wanted(true, world.now);
  for (int i = 0; i < 40; ++i) {
    world.fill();
    const RingId avoid[] = {RingId{world.random.u64(), world.random.u64()}};
    auto relay = world.pool.take(avoid, PublicKey{}, world.now);
    REQUIRE(relay);
    CHECK(relay->node.key != world.own);
    CHECK(relay->node.key != world.owner(avoid[0]).key);
  }
}

TEST_CASE("the node of the visited host's own key is never the relay, even if there is no other") {
  Pool world;
  world.pool.set_wanted(true, world.now);
  for (int i = 0; i < 40; ++i) {
    world.fill();
    const PublicKey visited = std::next(world.ring.begin(), i % 2)->second.key;
    const auto relay = world.pool.take({}, visited, world.now);
    if (relay) CHECK(relay->node.key != visited);
  }
}

TEST_CASE("a ring of one node, and one with none that can serve") {
  Pool world;
  while (world.ring.size() > 1) world.ring.erase(world.ring.begin());
  world.pool.set_wanted(true, world.now);
  world.fill();
  CHECK_FALSE(world.pool.empty());
  Pool alone;
  while (alone.ring.size() > 1) alone.ring.erase(alone.ring.begin());
  alone.own = alone.ring.begin()->second.key;
  alone.pool.set_wanted(true, alone.now);
  alone.fill();
  CHECK(alone.pool.empty());
  CHECK(alone.pool.counters().unusable > 0);
  CHECK(alone.pool.next_deadline() > alone.now);
}

TEST_CASE(
    "relays that were not used for ten minutes are let go, and answers nobody asked for dropped") {
  Pool world;
  world.pool.set_wanted(true, world.now);
  world.fill();
  world.entries.clear();
  world.now += RelayPool::kFreshFor;
  world.pool.on_timer(world.now);
  CHECK(world.pool.empty());
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  wire::LookupReply{1, {}, world.owners({})}.write(writer);
  world.pool.on_message(at("198.51.100.1:5100"), writer.written(), world.now);
  CHECK(world.pool.counters().unsolicited == 1);
  world.pool.set_wanted(false, world.now);
  CHECK(world.pool.next_deadline() == kNever);
}

}  // namespace i3
