// What a node relays for a host in a tunnel, and what it does not.
#include "overlay/node/relay_gate.hh"

#include <doctest/doctest.h>

using namespace i3;
using namespace std::chrono_literals;

namespace {

Endpoint at(const char* text) {
  return *Endpoint::parse(text);
}
const Endpoint kSelf = at("198.51.100.1:5100"), kMember = at("198.51.100.2:5100"),
               kStranger = at("203.0.113.9:5100"), kOther = at("203.0.113.10:5100");

template <class Message>
std::vector<std::uint8_t> bytes_of(const Message& message) {
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  message.write(writer);
  REQUIRE(writer.ok());
  return {writer.written().begin(), writer.written().end()};
}
std::vector<std::uint8_t> lookup(std::uint64_t nonce = 7) {
  return bytes_of(wire::Lookup{nonce, {}});
}

struct Sent {
  TunnelId tunnel;
  Endpoint peer;
  std::vector<std::uint8_t> bytes;
};

struct Gate : RelayIo {
  SystemRandom random;
  std::unique_ptr<Identity> node = Identity::generate(random);
  std::unique_ptr<Identity> owner = Identity::generate(random);
  RelayGate gate;
  TimePoint now{100s};
  std::vector<Sent> core, network, host;

  explicit Gate(std::optional<PublicKey> operator_key = std::nullopt)
      : gate(*this, random, operator_key) {
    gate.open(1, IpAddress::v4(0xc6336465));
    gate.open(2, IpAddress::v4(0xc6336466));
  }
  bool is_self(TunnelId, const Endpoint& to) override { return to == kSelf; }
  bool is_member(const Endpoint& to) override { return to == kMember; }
  void to_core(TunnelId tunnel, const Endpoint& asked, Bytes message) override {
    core.push_back({tunnel, asked, {message.begin(), message.end()}});
  }
  void to_network(TunnelId tunnel, const Endpoint& to, Bytes message) override {
    network.push_back({tunnel, to, {message.begin(), message.end()}});
  }
  void to_host(TunnelId tunnel, const Endpoint& from, Bytes message) override {
    host.push_back({tunnel, from, {message.begin(), message.end()}});
  }

  void up(const Endpoint& to, const std::vector<std::uint8_t>& message, TunnelId tunnel = 1) {
    gate.from_host(tunnel, {to, message}, now);
  }
  void down(const Endpoint& from, const std::vector<std::uint8_t>& message, TunnelId tunnel = 1) {
    gate.from_network(tunnel, from, message, now, 1000);
  }
  // The answer of a node at `from` to the probe that was sent last.
  std::vector<std::uint8_t> reply(const Endpoint& from, const Identity& signer,
                                  std::optional<wire::Membership> membership = std::nullopt) {
    const auto probe = wire::Probe::parse(network.back().bytes);
    REQUIRE(probe);
    wire::ProbeReply answer;
    answer.nonce = probe->nonce;
    answer.observed = kSelf;
    answer.contact.key = node->key();
    answer.contact.v4 = from;
    answer.membership = membership;
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    answer.write(writer, signer);
    return {writer.written().begin(), writer.written().end()};
  }
  std::uint64_t count(const char* name) const { return gate.counters().get(name); }
};

}  // namespace

TEST_CASE("what is for the node itself goes to its core under the name that the host used") {
  Gate world;
  world.up(kSelf, lookup());
  REQUIRE(world.core.size() == 1);
  CHECK(world.core[0].peer == kSelf);
  CHECK(world.core[0].bytes == lookup());
  CHECK(world.network.empty());
}

TEST_CASE("members of the ring are reached at once, and answer through the tunnel that asked") {
  Gate world;
  world.up(kMember, lookup());
  REQUIRE(world.network.size() == 1);
  CHECK(world.network[0].bytes == lookup());
  const auto answer = bytes_of(wire::LookupReply{7, {}, {}});
  world.down(kMember, answer);
  REQUIRE(world.host.size() == 1);
  CHECK(world.host[0].peer == kMember);
  world.down(kMember, answer, 2);
  CHECK(world.host.size() == 1);
  CHECK(world.count("tunnel_uninvited") == 1);
}

TEST_CASE("nobody who was not spoken to is heard, nor one that was spoken to long ago") {
  Gate world;
  const auto answer = bytes_of(wire::LookupReply{7, {}, {}});
  world.down(kStranger, answer);
  CHECK(world.host.empty());
  world.up(kMember, lookup());
  world.now += RelayGate::kSpokenToFor + 1s;
  world.down(kMember, answer);
  CHECK(world.host.empty());
}

TEST_CASE(
    "a destination that nobody knows is asked first, and served once it proved to be a node") {
  Gate world;
  world.up(kStranger, lookup(1));
  world.up(kStranger, lookup(2));
  REQUIRE(world.network.size() == 1);
  CHECK(wire::Probe::parse(world.network[0].bytes));
  // Another's signature proves nothing.
  const auto forged = world.reply(kStranger, *world.owner);
  const auto genuine = world.reply(kStranger, *world.node);
  // The right answer from the wrong place, neither.
  world.down(kOther, genuine);
  CHECK(world.network.size() == 1);
  world.down(kStranger, genuine);
  REQUIRE(world.network.size() == 3);
  CHECK(world.network[1].bytes == lookup(1));
  CHECK(world.network[2].bytes == lookup(2));
  CHECK(world.host.empty());
  // Known to all tunnels from now on.
  world.up(kStranger, lookup(3), 2);
  CHECK(world.network.size() == 4);
  CHECK(world.network[3].tunnel == 2);

  Gate again;
  again.up(kStranger, lookup(1));
  again.down(kStranger, again.reply(kStranger, *again.owner));
  CHECK(again.network.size() == 1);
  CHECK(again.count("tunnel_no_node") == 1);
}

TEST_CASE("in an operator's ring a node must show its membership") {
  SystemRandom random;
  const auto owner = Identity::generate(random);
  Gate world(owner->key());
  world.up(kStranger, lookup(1));
  world.down(kStranger, world.reply(kStranger, *world.node));
  CHECK(world.network.size() == 1);
  world.up(kStranger, lookup(2));
  REQUIRE(world.network.size() == 2);
  world.down(kStranger, world.reply(kStranger, *world.node,
                                    wire::Membership::issue(*owner, world.node->key(), 2000)));
  REQUIRE(world.network.size() == 3);
  CHECK(world.network[2].bytes == lookup(2));
}

TEST_CASE("a lost question is asked again, and what cannot be held is dropped") {
  Gate world;
  world.up(kStranger, lookup());
  world.now += RelayGate::kAskAgain;
  for (std::size_t i = 0; i < 2 * RelayGate::kMaxHeld; ++i) world.up(kStranger, lookup());
  CHECK(world.network.size() == 2);
  CHECK(world.count("tunnel_not_held") == RelayGate::kMaxHeld + 1);
  world.down(kStranger, world.reply(kStranger, *world.node));
  CHECK(world.network.size() == 2 + RelayGate::kMaxHeld);
}

TEST_CASE("a tunnel cannot be used to send to others than nodes, or to search for them quickly") {
  Gate world;
  for (const char* nobody : {"224.0.0.1:5100", "255.255.255.255:5100", "127.0.0.1:5100",
                             "169.254.1.1:5100", "[ff02::1]:5100", "[::1]:22", "[fe80::1]:5100"})
    world.up(at(nobody), lookup());
  CHECK(world.network.empty());
  for (std::uint32_t i = 0; i < 5000; ++i) world.up({IpAddress::v4(0x0b000000 + i), 53}, lookup());
  CHECK(world.network.size() <= RelayGate::kMaxAsked);
  for (const Sent& sent : world.network) CHECK(wire::Probe::parse(sent.bytes));
  // Over a minute no more than the allowance of questions.
  for (std::uint32_t i = 0; i < 6000; ++i) {
    world.up({IpAddress::v4(0x0c000000 + i), 53}, lookup());
    world.now += 10ms;
  }
  CHECK(world.network.size() < 64 + 8 * 61);
}

TEST_CASE("packets between hosts, messages between nodes and anything else do not pass") {
  Gate world;
  std::vector<std::uint8_t> direct(60, 1), ring(60, 1), strange(60, 1);
  Writer first(direct), second(ring);
  wire::Header{wire::Type::direct, 0, 0}.write(first);
  wire::Header{wire::Type::ring, 1, 0}.write(second);
  for (const auto& message : {direct, ring, strange, {0xc1}}) {
    world.up(kMember, message);
    world.up(kSelf, message);
  }
  CHECK(world.network.empty());
  CHECK(world.core.empty());
  world.up(kMember, lookup());
  for (const auto& message : {direct, ring, strange, {0xc1}}) world.down(kMember, message);
  CHECK(world.host.empty());
  CHECK(world.count("tunnel_type") == 12);
}

TEST_CASE("requests of one place are limited, over all its tunnels") {
  Gate world;
  world.gate.open(3, IpAddress::v4(0xc6336465));
  for (int i = 0; i < 3000; ++i) {
    world.up(kMember, lookup());
    world.up(kMember, lookup(), 3);
  }
  CHECK(world.network.size() == 2000);
  world.up(kMember, lookup(), 2);
  CHECK(world.network.size() == 2001);
  world.now += 1s;
  for (int i = 0; i < 3000; ++i) world.up(kMember, lookup(), 3);
  CHECK(world.network.size() == 2501);
}

TEST_CASE("destinations of a tunnel are bounded and forgotten") {
  Gate world;
  // All of them are nodes by an earlier proof.
  std::vector<Endpoint> nodes;
  for (std::uint32_t i = 0; i < RelayGate::kMaxSpokenTo + 100; ++i) {
    const Endpoint node{IpAddress::v4(0x0b000000 + i), 5100};
    world.up(node, lookup(), 2);
    world.down(node, world.reply(node, *world.node), 2);
    nodes.push_back(node);
    world.now += 200ms;
  }
  const auto refused = world.count("tunnel_destinations");
  CHECK(refused == 0);  // those of two minutes ago made room
  world.network.clear();
  for (const Endpoint& node : nodes) world.up(node, lookup(), 1);
  CHECK(world.network.size() == RelayGate::kMaxSpokenTo);
  world.gate.close(1);
  world.up(kMember, lookup(), 1);
  CHECK(world.network.size() == RelayGate::kMaxSpokenTo);
}
