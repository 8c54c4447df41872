// Names behind a group of gateways: one address each, whoever stands for the group, and what
// becomes of them when a gateway dies. Real hosts and nodes, simulated time and network.
#include "tests/sim/groups/group_world.hh"
#include "tests/sim/hosts/one_name.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

// Host 1 uses the group; hosts 2 and 3 are its gateways, of which it likes 2 better.
struct World {
  explicit World(std::uint64_t seed) : small(seed) {
    start(0);
    start(1);
    use("");
  }
  void start(std::size_t i) {
    gateways[i] = small.host(i + 2, [&](HostPlan& plan) { plan.edge = &edges[i]; });
    edges[i].gateway = gateways[i].get();
    const auto digit = static_cast<std::uint8_t>(i == 0 ? 0xa0 : 0x50);
    small.join(*gateways[i], {digit}, 8);
  }
  // The client, anew, with what it wrote down before.
  void use(const std::string state) {  // a copy: it may be of the client that ends here
    client.reset();
    client = small.host(1, [&](HostPlan& plan) { plan.state = state; });
    client->groups().names().set_names({{"corp", {small.group->key(), {0xa0}, 8}}});
    client->groups().names().restore(state);
    behind().answered = [this](std::uint64_t, const GatewayAnswer& answer) {
      told.push_back(answer);
    };
    REQUIRE(small.until([this] { return likes_the_first(); }, 10s));
  }
  bool likes_the_first() {
    client->groups().names().meet("corp");
    client->turn();
    return client->groups().anycast().member(small.group->key()) == key_of_host(2);
  }
  AnycastBehind& behind() { return client->groups().names().behind(); }
  GatewayAnswer ask(Duration limit = 5s) {
    told.clear();
    const auto said = behind().ask(small.group->key(), kName, small.network.now());
    client->turn();
    if (const auto* answer = std::get_if<GatewayAnswer>(&said)) return *answer;
    REQUIRE(small.until([this] { return !told.empty(); }, limit));
    return told.back();
  }
  IpAddress address() {
    const auto answer = ask();
    REQUIRE(answer.ipv4);
    return answer.ipv4->address();
  }
  bool says(const IpAddress& to, std::uint16_t from_port, std::size_t gateway, Duration limit) {
    const std::size_t before = edges[gateway].packets.size();
    client->send_udp_to(to, from_port, 53, "question");
    return small.until([&] { return edges[gateway].packets.size() > before; }, limit);
  }
  void answer_tcp(std::size_t gateway, std::uint16_t to_port, std::uint8_t flags) {
    Tins::TCP segment(to_port, 80);
    segment.flags(flags);
    segment.seq(7000);
    const Peer* peer = gateways[gateway]->host().peers().find(key_of_host(1));
    Tins::IP packet = Tins::IP(peer->ipv4.text(), edges[gateway].inner.text()) / segment;
    gateways[gateway]->send_packet(packet.serialize());
  }
  void tcp(const IpAddress& to, std::uint16_t from_port, std::uint8_t flags) {
    Tins::TCP segment(80, from_port);
    segment.flags(flags);
    segment.seq(1000);
    segment.ack_seq(7001);
    Tins::IP packet = Tins::IP(to.text(), client->host().own4().text()) / segment;
    client->send_packet(packet.serialize());
  }
  std::size_t heard_from(const IpAddress& source) const {
    std::size_t count = 0;
    for (const auto& packet : client->received)
      count += IpView::parse(packet)->source() == source ? 1 : 0;
    return count;
  }

  GroupWorld small;
  std::array<OneName, 2> edges{OneName{2, 1}, OneName{3, 1}};
  std::array<std::unique_ptr<SimHost>, 2> gateways;
  std::unique_ptr<SimHost> client;
  std::vector<GatewayAnswer> told;
};

}  // namespace

TEST_CASE("a name behind a group has one address, and the best gateway answers from it") {
  World world(1);
  const IpAddress there = world.address();
  REQUIRE(world.says(there, 5000, 0, 2s));
  CHECK(IpView::parse(world.edges[0].packets.at(0))->destination() == world.edges[0].inner);
  CHECK(world.edges[1].questions == 0);
  world.gateways[0]->send_udp_from(world.edges[0].inner, key_of_host(1), 53, 5000, "answer");
  REQUIRE(world.small.until([&] { return world.heard_from(there) == 1; }, 2s));
  CHECK(world.client->texts(5000) == std::vector<std::string>{"answer"});
}

TEST_CASE("what the gateway's DNS says of a name is told, and asks nobody else") {
  World world(2);
  world.edges[0].rcode = 3;
  CHECK(world.ask().rcode == 3);
  CHECK(world.edges[1].questions == 0);
  CHECK(world.behind().size() == 0);
}

TEST_CASE("a question to a gateway that just died is answered by the next one") {
  World world(3);
  const IpAddress there = world.address();
  world.small.network.run_for(70s);  // the answer is not fresh any more
  world.gateways[0].reset();
  const TimePoint before = world.small.network.now();
  CHECK(world.address() == there);
  CHECK(world.small.network.now() - before < 2s);
  CHECK(world.edges[1].questions == 1);
}

TEST_CASE("an address that was told is good at the next gateway, which is asked by the way") {
  World world(4);
  const IpAddress there = world.address();
  REQUIRE(world.says(there, 5000, 0, 2s));
  world.small.network.run_for(1s);
  world.gateways[0].reset();
  CHECK(world.says(there, 5001, 1, 2s));
  CHECK(world.edges[1].questions == 1);
  CHECK(IpView::parse(world.edges[1].packets.at(0))->destination() == world.edges[1].inner);
  // And the conversation that the first one never answered has begun anew.
  CHECK(world.small.until([&] { return world.edges[1].packets.size() >= 2; }, 2s));
}

TEST_CASE("a connection through a dead gateway is reset, and the next one goes through the other") {
  World world(5);
  const IpAddress there = world.address();
  world.tcp(there, 4001, Tins::TCP::SYN);
  REQUIRE(world.small.until([&] { return !world.edges[0].packets.empty(); }, 2s));
  world.answer_tcp(0, 4001, Tins::TCP::SYN | Tins::TCP::ACK);
  REQUIRE(world.small.until([&] { return world.heard_from(there) == 1; }, 2s));
  world.tcp(there, 4001, Tins::TCP::ACK);
  world.gateways[0].reset();
  CHECK(world.small.until([&] { return world.client->resets() == 1; }, 20s));
  CHECK(IpView::parse(world.client->received.back())->source() == there);
  world.tcp(there, 4002, Tins::TCP::SYN);
  CHECK(world.small.until([&] { return !world.edges[1].packets.empty(); }, 2s));
}

TEST_CASE("a conversation stays with its gateway when a better one is back") {
  World world(6);
  world.address();
  world.gateways[0].reset();
  world.small.network.run_for(1s);
  const IpAddress there = world.address();
  REQUIRE(world.says(there, 5000, 1, 3s));
  world.gateways[1]->send_udp_from(world.edges[1].inner, key_of_host(1), 53, 5000, "answer");
  REQUIRE(world.small.until([&] { return world.heard_from(there) == 1; }, 2s));
  world.start(0);
  REQUIRE(world.small.until([&] { return world.likes_the_first(); }, 90s));
  CHECK(world.says(there, 5000, 1, 2s));
  CHECK(world.says(there, 5001, 0, 3s));
}

TEST_CASE("nobody is left: the question fails, and so does a packet") {
  World world(7);
  const IpAddress there = world.address();
  world.small.network.run_for(70s);
  world.gateways[0].reset();
  world.gateways[1].reset();
  const auto answer = world.ask(10s);
  CHECK(answer.rcode == 2);
  CHECK(!answer.ipv4);
  world.client->send_udp_to(there, 5003, 53, "question");
  CHECK(world.small.until([&] { return world.client->unreachables() >= 1; }, 10s));
}

TEST_CASE("addresses outlive the client's daemon, and nobody need ask again") {
  World world(8);
  const IpAddress there = world.address();
  REQUIRE(world.says(there, 5000, 0, 2s));
  world.use(world.client->state());
  CHECK(world.says(there, 5001, 0, 3s));
  CHECK(world.address() == there);
}
