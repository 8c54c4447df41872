// Names behind a gateway, as a client's host has them: asked, told, forgotten, and the packets
// between. The gateway is a real host with an edge that says what the test wants.
#include <doctest/doctest.h>
#include <tins/tins.h>

#include "proxy/host/host.hh"
#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

constexpr char kName[] = "www.corp.example";

struct Gateway final : Edge {
  SimHost* host = nullptr;
  bool answers = true;
  std::uint8_t rcode = 0;
  IpAddress inner = preferred_ipv4(AddressPool::Settings{}.ipv4,
                                   gateway_name_id(key_of_host(2), key_of_host(1), kName))
                        .address();
  std::vector<wire::NameQuestion> questions;
  std::vector<std::vector<std::uint8_t>> packets;

  std::optional<Inbound::Result> from_peer(Peer&, IpPacket& packet, MutBytes, TimePoint) override {
    if (packet.destination() != inner) return std::nullopt;
    packets.emplace_back(packet.bytes().begin(), packet.bytes().end());
    return Inbound::Result{Verdict::passed};
  }
  Peer* to_peer(IpPacket& packet, TimePoint) override {
    return packet.source() == inner ? host->host().peers().find(packet.destination()) : nullptr;
  }
  bool on_control(Peer& peer, Bytes plaintext, TimePoint) override {
    const auto question = wire::NameQuestion::parse(plaintext);
    if (!question) return false;
    questions.push_back(*question);
    if (answers) say(peer, *question);
    return true;
  }
  void say(Peer& peer, const wire::NameQuestion& question) {
    wire::NameFound found{question.nonce, rcode, {}, {}, 60};
    if (rcode == 0) found.ipv4 = inner;
    std::array<std::uint8_t, 64> storage;
    Writer writer(storage);
    found.write(writer);
    host->host().send_control(peer, writer.written());
  }
};

// Host a is the client, host b the gateway.
struct World {
  explicit World(std::uint64_t seed) : small(seed_or(seed)) {
    HostPlan plan = small.plan_of("b");
    plan.allow = {{key_of_host(1), Allow::Protocol::nothing, {}}};
    plan.edge = &gateway;
    small.b.reset();
    small.b = small.make("b", plan);
    gateway.host = small.b.get();
    listen();
    REQUIRE(small.ready());
  }
  void listen() {
    names().answered = [this](std::uint64_t number, const GatewayAnswer& answer) {
      told.emplace_back(number, answer);
    };
  }
  GatewayNames& names() { return small.a->host().gateway_names(); }
  // What ask() says.
  std::variant<GatewayAnswer, std::uint64_t> ask(const char* name = kName) {
    const auto answer =
        names().ask(*small.a->host().meet(key_of_host(2)), name, small.network.now());
    small.a->arm();
    return answer;
  }
  bool answered(std::size_t count, Duration limit) {
    return small.network.run_until([&] { return told.size() >= count; }, limit, 1ms);
  }
  VirtualIp address() {
    REQUIRE(std::holds_alternative<std::uint64_t>(ask()));
    REQUIRE(answered(1, 5s));
    REQUIRE(told.back().second.ipv4);
    return *told.back().second.ipv4;
  }
  void send(const VirtualIp& to, const char* text = "question") {
    Tins::IP packet = Tins::IP(to.text(), small.a->host().own4().text()) / Tins::UDP(53, 5000) /
                      Tins::RawPDU(text);
    small.a->send_packet(packet.serialize());
    small.network.run_for(1s);
  }
  void answer() {
    const Peer* client = small.b->host().peers().find(key_of_host(1));
    Tins::IP packet = Tins::IP(client->ipv4.text(), gateway.inner.text()) / Tins::UDP(5000, 53) /
                      Tins::RawPDU("answer");
    small.b->send_packet(packet.serialize());
    small.network.run_for(1s);
  }

  Gateway gateway;
  SmallWorld small;
  std::vector<std::pair<std::uint64_t, GatewayAnswer>> told;
};

IpAddress source_of(Bytes packet) {
  return IpView::parse(packet)->source();
}
IpAddress destination_of(Bytes packet) {
  return IpView::parse(packet)->destination();
}

}  // namespace

TEST_CASE(
    "a name is asked of its gateway once for all who wait, and told again while it is fresh") {
  World world(1);
  const auto first = world.ask(), second = world.ask();
  REQUIRE(std::holds_alternative<std::uint64_t>(first));
  CHECK(std::get<std::uint64_t>(first) == std::get<std::uint64_t>(second));
  REQUIRE(world.answered(1, 5s));
  CHECK(world.gateway.questions.size() == 1);
  CHECK(world.gateway.questions[0].name == kName);
  CHECK(world.told[0].first == std::get<std::uint64_t>(first));
  CHECK(world.told[0].second.rcode == 0);
  // Both ends come to the same address by themselves.
  CHECK(world.told[0].second.ipv4->address() == world.gateway.inner);
  CHECK(std::holds_alternative<GatewayAnswer>(world.ask()));
  world.small.network.run_for(61s);
  CHECK(std::holds_alternative<std::uint64_t>(world.ask()));
}

TEST_CASE("packets to a name go to its gateway and back, and keep their addresses") {
  World world(2);
  const VirtualIp address = world.address();
  world.send(address);
  REQUIRE(world.gateway.packets.size() == 1);
  world.answer();
  REQUIRE(world.small.a->texts(5000) == std::vector<std::string>{"answer"});
  CHECK(source_of(world.small.a->received.back()) == address.address());
}

TEST_CASE(
    "where the gateway's address is taken, the client's host rewrites between its own and that") {
  World world(3);
  world.gateway.inner = world.small.a->host().own4().address();
  const VirtualIp address = world.address();
  CHECK(address.address() != world.gateway.inner);
  world.send(address);
  REQUIRE(world.gateway.packets.size() == 1);
  CHECK(destination_of(world.gateway.packets[0]) == world.gateway.inner);
  world.answer();
  REQUIRE(world.small.a->texts(5000) == std::vector<std::string>{"answer"});
  CHECK(source_of(world.small.a->received.back()) == address.address());
}

TEST_CASE("an error of the gateway's DNS is told as it is") {
  World world(4);
  world.gateway.rcode = 3;
  world.ask();
  REQUIRE(world.answered(1, 5s));
  CHECK(world.told[0].second.rcode == 3);
  CHECK_FALSE(world.told[0].second.ipv4);
}

TEST_CASE("a gateway that is silent or gone is a server failure, within five seconds") {
  World world(5);
  world.gateway.answers = false;
  world.ask();
  REQUIRE(world.answered(1, 5s));
  CHECK(world.told[0].second.rcode == 2);
  CHECK(world.gateway.questions.size() >= 3);

  world.small.b.reset();
  world.small.network.run_for(40s);
  world.small.a->host().drop(*world.small.a->host().peers().find(key_of_host(2)));
  world.ask();
  REQUIRE(world.answered(2, 5s));
  CHECK(world.told[1].second.rcode == 2);
}

TEST_CASE("an answer that nobody asked for, or by another peer, changes nothing") {
  World world(6);
  world.address();
  const Peer* client = world.small.b->host().peers().find(key_of_host(1));
  REQUIRE(client != nullptr);
  world.gateway.say(*const_cast<Peer*>(client), {12345, 3, "other"});
  world.small.network.run_for(1s);
  CHECK(world.names().size() == 1);
  CHECK(world.told.size() == 1);
}

TEST_CASE("a gateway that has forgotten an address says so, and is asked for the name again") {
  World world(7);
  const VirtualIp address = world.address();
  std::array<std::uint8_t, 32> storage;
  Writer writer(storage);
  wire::UnknownAddress{world.gateway.inner}.write(writer);
  Peer* client = world.small.b->host().peers().find(key_of_host(1));
  world.gateway.inner = *IpAddress::parse("100.99.98.97");
  world.small.b->host().send_control(*client, writer.written());
  REQUIRE(world.answered(2, 3s));
  CHECK(world.gateway.questions.size() == 2);
  // Programs keep the address that they have.
  CHECK(world.told[1].second.ipv4 == address);
  world.send(address);
  REQUIRE(world.gateway.packets.size() == 1);
  CHECK(destination_of(world.gateway.packets[0]) == world.gateway.inner);
}

TEST_CASE(
    "after a restart of the client a name has the address that it had, and packets go there") {
  World world(8);
  const VirtualIp address = world.address();
  HostPlan plan = world.small.plan_of("a");
  plan.state = world.small.a->state();
  world.small.a.reset();
  world.small.a = world.small.make("a", plan);
  world.listen();
  REQUIRE(world.small.ready());
  world.small.network.run_for(3s);
  world.send(address);
  CHECK(world.gateway.packets.size() == 1);
  CHECK(world.gateway.questions.size() == 1);
  world.told.clear();
  CHECK(world.address() == address);
}
