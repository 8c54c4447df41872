// Rings of real node cores on simulated time: forming, healing, looking up, small rings, merging.
#include <doctest/doctest.h>

#include "sim/sim_ring.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

// A host that asks nodes for owners.
class Asker {
 public:
  explicit Asker(SimNetwork& network)
      : network_(network), host_(network.add_host()), at_{IpAddress::v4(0x0a000001), 4000} {
    network_.open(host_, at_, [this](const Endpoint&, const Endpoint&, MutBytes message) {
      if (auto reply = wire::LookupReply::parse(message)) answers_[reply->nonce] = *reply;
    });
  }

  // The owner according to `node`, asking up to `tries` times; nothing if it could not say.
  std::optional<PublicKey> owner(SimNode& node, RingId position, unsigned tries = 1) {
    for (unsigned i = 0; i < tries; ++i) {
      const std::uint64_t nonce = network_.random().u64();
      std::array<std::uint8_t, wire::Lookup::kSize> buffer;
      Writer writer(buffer);
      wire::Lookup{nonce, position}.write(writer);
      network_.send(host_, at_, node.endpoint(), writer.written());
      network_.run_until([&] { return answers_.contains(nonce); }, 5s, 10ms);
      if (auto found = answers_.find(nonce); found != answers_.end())
        if (!found->second.contacts.empty()) return found->second.contacts.front().key;
    }
    return std::nullopt;
  }

  unsigned wrong(SimRing& ring, unsigned count, unsigned tries = 1) {
    unsigned faults = 0;
    for (unsigned i = 0; i < count; ++i) {
      Random& random = network_.random();
      const RingId position{random.u64(), random.u64()};
      SimNode& asked = ring[random.below(ring.size())];
      if (owner(asked, position, tries) != ring.owner_of(position).identity().key()) ++faults;
    }
    return faults;
  }

 private:
  SimNetwork& network_;
  SimNetwork::Host host_;
  Endpoint at_;
  std::map<std::uint64_t, wire::LookupReply> answers_;
};

void grow(SimNetwork& network, SimRing& ring, std::size_t count) {
  while (ring.size() < count) {
    ring.add();
    network.run_for(500ms);
  }
}

bool becomes_ideal(SimNetwork& network, SimRing& ring, Duration within) {
  const TimePoint start = network.now();
  const bool ideal = network.run_until([&] { return ring.ideal(); }, within);
  const double seconds = std::chrono::duration<double>(network.now() - start).count();
  const std::string text = "ideal after " + std::to_string(seconds) + " s " + ring.fault();
  MESSAGE(text);
  return ideal;
}

}  // namespace

TEST_CASE("one node is a ring: it owns everything and answers look-ups") {
  SimNetwork network(seed_or(1));
  SimRing ring(network);
  ring.add();
  network.run_for(10s);
  CHECK(ring.fault() == "");
  CHECK(Asker(network).wrong(ring, 5) == 0);
}

TEST_CASE("rings of two and three nodes become ideal, and shrink back to one") {
  SimNetwork network(seed_or(2));
  SimRing ring(network);
  ring.add();
  for (std::size_t size : {2u, 3u}) {
    ring.add();
    REQUIRE(becomes_ideal(network, ring, 15s));
    CHECK(ring.size() == size);
    CHECK(Asker(network).wrong(ring, 10) == 0);
  }
  ring.kill(1);
  CHECK(becomes_ideal(network, ring, 20s));
  ring.kill(0);
  CHECK(becomes_ideal(network, ring, 20s));
  CHECK(Asker(network).wrong(ring, 5) == 0);
}

TEST_CASE("the first node of a ring of two leaves and comes back") {
  SimNetwork network(seed_or(3));
  SimRing ring(network);
  const Endpoint first = ring.add().endpoint();
  ring.add();
  REQUIRE(becomes_ideal(network, ring, 15s));
  ring.leave(0);
  REQUIRE(becomes_ideal(network, ring, 5s));
  ring.add_joining({ring[0].endpoint()});
  CHECK(becomes_ideal(network, ring, 15s));
  CHECK(first != ring[1].endpoint());
}

TEST_CASE("100 nodes join one by one and form the ideal ring; every look-up is right") {
  SimNetwork network(seed_or(4));
  SimRing ring(network);
  grow(network, ring, 100);
  REQUIRE(becomes_ideal(network, ring, 40s));
  CHECK(ring.broken() == "");
  network.run_for(60s);
  CHECK(ring.fault() == "");
  CHECK(Asker(network).wrong(ring, 200) == 0);
}

TEST_CASE("a fifth of 100 nodes die at once: the ring heals and look-ups are right again") {
  SimNetwork network(seed_or(5));
  SimRing ring(network);
  grow(network, ring, 100);
  REQUIRE(becomes_ideal(network, ring, 40s));
  network.run_for(30s);
  for (int i = 0; i < 20; ++i) ring.kill(network.random().below(ring.size()));
  CHECK(becomes_ideal(network, ring, 30s));
  CHECK(ring.broken() == "");
  CHECK(Asker(network).wrong(ring, 200) == 0);
}

TEST_CASE("half of 64 nodes die at once and the ring heals") {
  SimNetwork network(seed_or(6));
  SimRing ring(network);
  auto many = [](NodeCoreSettings& settings) { settings.chord.successors = 16; };
  while (ring.size() < 64) {
    ring.add(2, many);
    network.run_for(300ms);
  }
  REQUIRE(becomes_ideal(network, ring, 90s));
  network.run_for(30s);
  for (int i = 0; i < 32; ++i) ring.kill(network.random().below(ring.size()));
  CHECK(becomes_ideal(network, ring, 30s));
  CHECK(Asker(network).wrong(ring, 100) == 0);
}

TEST_CASE("with a tenth of all datagrams lost, 50 nodes form a ring and look-ups are right") {
  SimNetwork network(seed_or(7));
  network.set_loss(0.1);
  SimRing ring(network);
  grow(network, ring, 50);
  REQUIRE(becomes_ideal(network, ring, 60s));
  CHECK(Asker(network).wrong(ring, 100, 4) <= 1);
  network.set_loss(0);
  network.run_for(20s);
  CHECK(ring.broken() == "");
}

TEST_CASE("40 nodes join at the same moment through one entry") {
  SimNetwork network(seed_or(8));
  SimRing ring(network);
  const Endpoint entry = ring.add().endpoint();
  for (int i = 0; i < 40; ++i) ring.add_joining({entry});
  CHECK(becomes_ideal(network, ring, 60s));
  CHECK(Asker(network).wrong(ring, 60) == 0);
}

TEST_CASE("once formed, the ring's invariant holds at every look while nodes come and go") {
  SimNetwork network(seed_or(9));
  SimRing ring(network);
  grow(network, ring, 30);
  REQUIRE(becomes_ideal(network, ring, 40s));
  std::string broken;
  for (int round = 0; round < 40 && broken.empty(); ++round) {
    switch (network.random().below(3)) {
      case 0:
        ring.add();
        break;
      case 1:
        ring.leave(network.random().below(ring.size()));
        break;
      default:
        ring.kill(network.random().below(ring.size()));
    }
    while (ring.size() < 20) ring.add();
    for (int i = 0; i < 15 && broken.empty(); ++i) {
      network.run_for(100ms);
      broken = ring.broken();
    }
  }
  CHECK(broken == "");
  CHECK(becomes_ideal(network, ring, 40s));
}

TEST_CASE("graceful leaves need no time-out: neighbours know each other within two seconds") {
  SimNetwork network(seed_or(10));
  SimRing ring(network);
  grow(network, ring, 20);
  REQUIRE(becomes_ideal(network, ring, 40s));
  network.run_for(20s);
  for (int i = 0; i < 5; ++i) {
    ring.leave(network.random().below(ring.size()));
    CHECK(network.run_until([&] { return ring.neighbours_right(); }, 2s));
    CHECK(Asker(network).wrong(ring, 20) == 0);
  }
  CHECK(becomes_ideal(network, ring, 30s));
}

TEST_CASE("a node waits for an entry that is switched on later") {
  SimNetwork network(seed_or(11));
  SimRing ring(network);
  // The address that the next but one node will have.
  const Endpoint later{IpAddress::v4(0x0b000001 + (2 << 8)), 5100};
  ring.add_joining({later});
  network.run_for(120s);
  CHECK(!ring[0].member());
  ring.add_joining({});
  CHECK(ring[1].endpoint() == later);
  CHECK(becomes_ideal(network, ring, 25s));
}

TEST_CASE("nodes that name each other as entries, and start together, find one ring") {
  SimNetwork network(seed_or(12));
  SimRing ring(network);
  std::vector<Endpoint> all;
  for (std::uint32_t i = 1; i <= 4; ++i)
    all.push_back({IpAddress::v4(0x0b000001 + (i << 8)), 5100});
  for (int i = 0; i < 4; ++i) ring.add_joining(all);
  CHECK(becomes_ideal(network, ring, 60s));
}

TEST_CASE("two rings that formed apart merge when a node of one names a node of the other") {
  SimNetwork network(seed_or(13));
  SimRing ring(network);
  const Endpoint first = ring.add_joining({}).endpoint();
  const Endpoint second{IpAddress::v4(0x0b000001 + (2 << 8)), 5100};
  network.set_blocked([](auto a, auto b) { return a % 2 != b % 2; });
  ring.add_joining({});
  for (int i = 0; i < 4; ++i) {
    ring.add_joining({first, second});
    ring.add_joining({second, first});
    network.run_for(3s);
  }
  network.run_for(30s);
  CHECK(!ring.ideal());
  network.set_blocked({});
  CHECK(becomes_ideal(network, ring, 90s));
}

TEST_CASE("a partition of five minutes heals into one ring within a minute") {
  SimNetwork network(seed_or(14));
  SimRing ring(network);
  grow(network, ring, 30);
  REQUIRE(becomes_ideal(network, ring, 40s));
  network.run_for(20s);
  network.set_blocked([](auto a, auto b) { return a % 2 != b % 2; });
  network.run_for(300s);
  CHECK(!ring.ideal());
  network.set_blocked({});
  CHECK(becomes_ideal(network, ring, 60s));
}

TEST_CASE("keeping the ring costs a calm node less than 450 bytes a second") {
  SimNetwork network(seed_or(15));
  SimRing ring(network);
  grow(network, ring, 50);
  REQUIRE(becomes_ideal(network, ring, 40s));
  network.run_for(60s);
  std::uint64_t before = 0, after = 0;
  for (auto& node : ring.nodes()) before += network.sent(node->host()).bytes;
  network.run_for(100s);
  for (auto& node : ring.nodes()) after += network.sent(node->host()).bytes;
  const double rate = static_cast<double>(after - before) / 100 / 50;
  MESSAGE("bytes a second sent by a node: " << rate);
  CHECK(rate < 450);
}
