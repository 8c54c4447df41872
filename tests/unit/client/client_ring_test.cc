// A client and three real nodes in one process, on virtual time.
#include <doctest/doctest.h>
#include <map>

#include "overlay/client/client.hh"
#include "overlay/node/node_core.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

struct Ring {
  struct Member : NodeIo {
    Member(Ring& its_ring, std::size_t number, std::vector<ChordSeed> join)
        : ring(its_ring),
          address(*Endpoint::parse("203." + std::to_string(number) + ".113.7:5100")),
          random(500 + number),
          identity(Identity::generate(random)) {
      NodeCoreSettings settings;
      settings.contact.key = identity->key();
      settings.contact.v4 = address;
      settings.join = std::move(join);
      core = std::make_unique<NodeCore>(settings, *identity, random, ring.log, *this);
    }
    void send(const Endpoint& to, Bytes message) override { ring.transmit(address, to, message); }

    Ring& ring;
    Endpoint address;
    SeededRandom random;
    std::unique_ptr<Identity> identity;
    std::unique_ptr<NodeCore> core;  // gone: the node is dead
  };

  struct Host : ClientEvents {
    Host(Ring& its_ring, const char* its_address, std::uint64_t seed)
        : ring(its_ring),
          address(*Endpoint::parse(its_address)),
          random(seed),
          identity(Identity::generate(random)) {
      ClientOptions options;
      for (const auto& member : ring.members)
        options.entries.push_back({member->address, member->identity->key()});
      client = std::make_unique<Client>(*identity, random, ring.log, options, *this);
    }
    void send(const Endpoint& to, Bytes message) override { ring.transmit(address, to, message); }
    void on_packet(const wire::IdPacket& packet, const Endpoint& node, TimePoint) override {
      packets.push_back(std::string(as_text(packet.payload)));
      tag = packet.tag;
      tag_node = node;
    }
    void on_returned(std::uint8_t, Bytes payload, const Endpoint&, TimePoint) override {
      returned.push_back(std::string(as_text(payload)));
    }
    void on_forwarded(std::uint64_t nonce, const wire::Forwarded& answer, TimePoint) override {
      forwarded.push_back(nonce);
      forwarded_by = answer.contact;
    }
    void on_not_present(std::uint64_t nonce, const Id&, TimePoint) override {
      not_present.push_back(nonce);
    }
    void on_no_label(const Endpoint&, wire::Label, TimePoint) override {}
    void on_trigger(const Id&, TimePoint) override {}
    void on_ready(bool, TimePoint) override {}

    // At the owner and its replicas, as far as there are so many nodes.
    bool all_stand() const {
      const auto alive = std::count_if(ring.members.begin(), ring.members.end(),
                                       [](const auto& member) { return member->core != nullptr; });
      const std::size_t places = std::min<std::size_t>(static_cast<std::size_t>(alive), 3);
      const auto triggers = client->triggers(ring.now);
      return triggers.size() >= 6 &&
             std::all_of(triggers.begin(), triggers.end(),
                         [&](const auto& t) { return t.places.size() == places; });
    }

    Ring& ring;
    Endpoint address;
    SeededRandom random;
    std::unique_ptr<Identity> identity;
    std::unique_ptr<Client> client;
    std::vector<std::string> packets, returned;
    std::vector<std::uint64_t> forwarded, not_present;
    std::optional<wire::NodeContact> forwarded_by;
    wire::SourceTag tag{};
    Endpoint tag_node;
  };

  struct Datagram {
    Endpoint from, to;
    std::vector<std::uint8_t> bytes;
  };

  Ring() {
    for (std::size_t i = 0; i < 3; ++i) {
      std::vector<ChordSeed> join;
      if (i > 0) join.push_back({members[0]->address, members[0]->identity->key()});
      members.push_back(std::make_unique<Member>(*this, i + 1, std::move(join)));
      members.back()->core->start(now);
    }
    REQUIRE(run_until([this] {
      return std::all_of(members.begin(), members.end(), [](const auto& member) {
        const Chord* chord = member->core->chord();
        return member->core->ready() && chord->view().successors().size() >= 2;
      });
    }));
  }

  Host& add_host(const char* address) {
    hosts.push_back(std::make_unique<Host>(*this, address, 900 + hosts.size()));
    hosts.back()->client->start(now, wall());
    return *hosts.back();
  }

  WallTime wall() const {
    return 1'700'000'000'000'000'000 + static_cast<WallTime>(now.time_since_epoch().count());
  }
  void transmit(const Endpoint& from, const Endpoint& to, Bytes bytes) {
    wire.emplace(now + 10ms, Datagram{from, to, {bytes.begin(), bytes.end()}});
  }

  void deliver(const Datagram& datagram) {
    for (auto& host : hosts)
      if (host->address == datagram.to)
        host->client->on_message(datagram.from, datagram.bytes, now, wall());
    for (auto& member : members) {
      if (!member->core || member->address != datagram.to) continue;
      const auto verdict = member->core->on_datagram(datagram.from, datagram.bytes, now, wall());
      if (verdict.forward) transmit(member->address, verdict.to, datagram.bytes);
    }
  }

  template <class Condition>
  bool run_until(Condition condition, Duration most = 60s) {
    const TimePoint end = now + most;
    while (!condition()) {
      TimePoint next = wire.empty() ? kNever : wire.begin()->first;
      for (auto& member : members)
        if (member->core) next = std::min(next, member->core->next_deadline());
      for (auto& host : hosts) next = std::min(next, host->client->next_deadline());
      if (next > end) {
        now = end;
        return condition();
      }
      now = std::max(now, next);
      while (!wire.empty() && wire.begin()->first <= now)
        deliver(wire.extract(wire.begin()).mapped());
      for (auto& member : members)
        if (member->core && member->core->next_deadline() <= now)
          member->core->on_timer(now, wall());
      for (auto& host : hosts)
        if (host->client->next_deadline() <= now) host->client->on_timer(now, wall());
    }
    return true;
  }
  void run_for(Duration time) {
    run_until([] { return false; }, time);
  }
  std::size_t held() {
    std::size_t sum = 0;
    for (auto& member : members)
      if (member->core) sum += member->core->triggers().size();
    return sum;
  }

  TimePoint now{100s};
  Log log;
  std::vector<std::unique_ptr<Member>> members;
  std::vector<std::unique_ptr<Host>> hosts;
  std::multimap<TimePoint, Datagram> wire;
};

// Long enough that the node may answer: its answers are never longer than the question.
const std::string kHello = "hello " + std::string(100, '.');

}  // namespace

TEST_CASE("in a ring of three a host inserts its triggers within a second and keeps them") {
  Ring ring;
  auto& host = ring.add_host("198.51.100.9:7000");
  REQUIRE(ring.run_until([&] { return host.all_stand(); }, 1s));
  CHECK(ring.held() == 18);
  const auto inserts = host.client->counters().inserts;
  ring.run_for(300s);
  CHECK(ring.held() == 18);
  CHECK(host.all_stand());
  CHECK(host.client->counters().inserts == inserts);
  CHECK(host.client->counters().lost_nodes == 0);
}

TEST_CASE(
    "a host reaches another by its public ID, is answered along the tag, and learns the node") {
  Ring ring;
  auto& a = ring.add_host("198.51.100.9:7000");
  auto& b = ring.add_host("192.0.2.77:7000");
  REQUIRE(ring.run_until([&] { return a.all_stand() && b.all_stand(); }));
  for (std::size_t which : {0u, 1u}) {
    const Id id = public_id(b.identity->key(), which);
    const auto nonce = a.client->send_by_id(id, 1, as_bytes(kHello), ring.now);
    REQUIRE(ring.run_until([&] { return b.packets.size() == which + 1; }, 1s));
    CHECK(b.packets.back() == kHello);
    REQUIRE(ring.run_until([&] { return a.forwarded.size() == which + 1; }, 1s));
    CHECK(a.forwarded.back() == nonce);
    const auto nodes = b.client->path(id).nodes;
    CHECK(std::any_of(nodes.begin(), nodes.end(),
                      [&](const auto& at) { return at.node == a.forwarded_by; }));
    b.client->send_returned(b.tag_node, b.tag, 2, as_bytes("welcome"));
    REQUIRE(ring.run_until([&] { return a.returned.size() == which + 1; }, 1s));
    CHECK(a.returned.back() == "welcome");
  }
  CHECK(a.client->counters().unsolicited + a.client->counters().unknown_node == 0);
  CHECK(b.client->counters().unsolicited + b.client->counters().unknown_node == 0);
}

TEST_CASE("after a host stopped, others are told at once that it is not present") {
  Ring ring;
  auto& a = ring.add_host("198.51.100.9:7000");
  auto& b = ring.add_host("192.0.2.77:7000");
  REQUIRE(ring.run_until([&] { return a.all_stand() && b.all_stand(); }));
  ring.run_for(35s);  // no hand-over of a young ring any more
  b.client->stop(ring.now);
  REQUIRE(ring.run_until([&] { return b.client->stopped(); }, 1s));
  CHECK(ring.held() == 18);
  const auto nonce =
      a.client->send_by_id(public_id(b.identity->key()), 1, as_bytes(kHello), ring.now);
  REQUIRE(ring.run_until([&] { return !a.not_present.empty(); }, 1s));
  CHECK(a.not_present == std::vector{nonce});
}

TEST_CASE("a label of the path carries packets to the host, and dies with a release") {
  Ring ring;
  auto& host = ring.add_host("198.51.100.9:7000");
  REQUIRE(ring.run_until([&] { return host.all_stand(); }));
  const Id id = host.client->take_private(ring.now);
  const auto path = host.client->path(id);
  REQUIRE(path.nodes.size() == 3);
  const Endpoint sender = *Endpoint::parse("192.0.2.77:7000");
  const auto passed_on = [&](const wire::ReturnPath::At& at) {
    std::array<std::uint8_t, 64> buffer;
    Writer writer(buffer);
    wire::Labelled::write_front(writer, 1, at.label);
    for (auto& member : ring.members) {
      if (member->identity->key() != at.node.key) continue;
      const auto verdict =
          member->core->on_datagram(sender, writer.written(), ring.now, ring.wall());
      return verdict.forward && verdict.to == host.address;
    }
    return false;
  };
  for (const auto& at : path.nodes) CHECK(passed_on(at));
  host.client->release(id, ring.now);
  ring.run_for(1s);
  for (const auto& at : path.nodes) CHECK_FALSE(passed_on(at));
}

TEST_CASE(
    "when any one node dies without a word, all triggers stand at others before they expire") {
  for (std::size_t victim = 0; victim < 3; ++victim) {
    CAPTURE(victim);
    Ring ring;
    auto& host = ring.add_host("198.51.100.9:7000");
    REQUIRE(ring.run_until([&] { return host.all_stand(); }));
    ring.run_for(5s);
    ring.members[victim]->core.reset();
    CHECK(ring.run_until([&] { return host.all_stand() && ring.held() == 12; }, 30s));
    ring.run_for(100s);
    CHECK(host.all_stand());
    CHECK(ring.held() == 12);
  }
}

TEST_CASE(
    "when a fourth node takes over a part of the ring, the triggers follow and stay reachable") {
  Ring ring;
  auto& host = ring.add_host("198.51.100.9:7000");
  auto& other = ring.add_host("192.0.2.77:7000");
  REQUIRE(ring.run_until([&] { return host.all_stand() && other.all_stand(); }));
  ring.run_for(40s);
  for (std::size_t number = 4; number < 10; ++number) {
    ring.members.push_back(std::make_unique<Ring::Member>(
        ring, number,
        std::vector<ChordSeed>{{ring.members[0]->address, ring.members[0]->identity->key()}}));
    ring.members.back()->core->start(ring.now);
  }
  std::size_t sent = 0;
  for (int second = 0; second < 120; ++second) {
    for (std::size_t which : {0u, 1u})
      if (other.client->send_by_id(public_id(host.identity->key(), which), 1, as_bytes(kHello),
                                   ring.now))
        ++sent;
    ring.run_for(1s);
  }
  CHECK(host.packets.size() + 4 >= sent);  // some may be under way while neighbours change
  CHECK(host.all_stand());
  ring.run_for(60s);
  // Everything stands where the ring says, and nowhere else any more.
  CHECK(ring.held() == 36);
  for (const auto& trigger : host.client->triggers(ring.now))
    for (auto& member : ring.members)
      if (member->core->chord()->view().owns(trigger.id.ring()))
        CHECK(trigger.node->key == member->identity->key());
}

TEST_CASE(
    "a thousand private triggers pass the node's limits for one address without a node lost") {
  Ring ring;
  auto& host = ring.add_host("198.51.100.9:7000");
  REQUIRE(ring.run_until([&] { return host.all_stand(); }));
  for (int i = 0; i < 1000; ++i) host.client->take_private(ring.now);
  for (int i = 0; i < 60 && !host.all_stand(); ++i) ring.run_for(1s);
  CHECK(host.all_stand());
  CHECK(host.client->counters().lost_nodes == 0);
  ring.run_for(60s);
  CHECK(host.all_stand());
  CHECK(host.client->counters().lost_nodes == 0);
}
