// Middle-boxes as an anycast group: conversations go through a member, and through another one when
// it dies. Real hosts and nodes, simulated time and network.
#include "tests/sim/groups/group_world.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

class Passing final : public Middle {
 public:
  bool admits(const PublicKey&) const override { return true; }
  void inspect(const PublicKey&, const PublicKey&, MutBytes packet) override {
    ++packets;
    box->forward(packet);
  }
  Host* box = nullptr;
  int packets = 0;
};

// Host 1 is the client, host 2 the server, host 3 another server; boxes 4 and 5 are the group.
struct World {
  enum class Wish { client, server, both };
  World(std::uint64_t seed, Wish wish) : small(seed) {
    for (std::size_t i = 0; i < 2; ++i) start_box(i);
    server = small.host(2, [&](HostPlan& plan) {
      if (wish != Wish::client) plan.inbound_box = small.group->key();
    });
    other = small.host(3);
    client = small.host(1, [&](HostPlan& plan) {
      if (wish == Wish::server) return;
      plan.book = {{"server", key_of_host(2), true, small.group->key()},
                   {"other", key_of_host(3), true, small.group->key()}};
    });
    for (SimHost* host : {server.get(), client.get()}) {
      host->groups().names().set_names({{"ids", {small.group->key(), {}, 0}}});
      host->turn();
    }
  }
  void start_box(std::size_t i) {
    boxes[i] = small.host(i + 4);
    middles[i].box = &boxes[i]->host();
    boxes[i]->host().set_middle(&middles[i]);
    small.join(*boxes[i]);
  }
  bool says(SimHost& from, SimHost& to, const std::string& text, Duration limit) {
    return small.says(from, to, text, limit);
  }
  Peer& server_at_client() { return *client->host().peers().find(key_of_host(2)); }
  // Which of the two the conversation goes through.
  std::size_t box() {
    const PublicKey& partner = server_at_client().partner;
    REQUIRE((partner == key_of_host(4) || partner == key_of_host(5)));
    return partner == key_of_host(4) ? 0 : 1;
  }
  void kill_box(std::size_t i) {
    boxes[i]->host().set_middle(nullptr);
    boxes[i].reset();
  }
  void conversation_outlives_a_box(Duration limit) {
    REQUIRE(says(*client, *server, "first", 5s));
    const std::size_t first = box();
    CHECK(middles[first].packets > 0);
    kill_box(first);
    const int before = middles[1 - first].packets;
    CHECK(says(*client, *server, "second", limit));
    CHECK(box() == 1 - first);
    CHECK(middles[1 - first].packets > before);
    // Both have the addresses that they had.
    CHECK(IpView::parse(server->received.front())->source() ==
          IpView::parse(server->received.back())->source());
  }

  GroupWorld small;
  std::array<Passing, 2> middles;
  std::array<std::unique_ptr<SimHost>, 2> boxes;
  std::unique_ptr<SimHost> client, server, other;
};

}  // namespace

TEST_CASE("by the client's wish a conversation goes on through the next middle-box of the group") {
  World world(1, World::Wish::client);
  world.conversation_outlives_a_box(4s);
}

TEST_CASE("by the server's wish as well, though the client knows nothing of the group") {
  World world(2, World::Wish::server);
  world.client->groups().names().set_names({});
  world.conversation_outlives_a_box(9s);
}

TEST_CASE("and where both want the same group") {
  World world(3, World::Wish::both);
  world.conversation_outlives_a_box(9s);
}

TEST_CASE("a server that speaks while its client is silent is heard again") {
  World world(4, World::Wish::client);
  REQUIRE(world.says(*world.client, *world.server, "first", 5s));
  const std::size_t first = world.box();
  world.kill_box(first);
  CHECK(world.says(*world.server, *world.client, "from the server", 12s));
  CHECK(world.box() == 1 - first);
}

TEST_CASE("a new conversation meets the other middle-box within a second") {
  World world(5, World::Wish::client);
  REQUIRE(world.says(*world.client, *world.server, "first", 5s));
  world.kill_box(world.box());
  CHECK(world.says(*world.client, *world.other, "to another server", 2s));
}

TEST_CASE("a server that died moves no other conversation to another middle-box") {
  World world(6, World::Wish::client);
  REQUIRE(world.says(*world.client, *world.server, "first", 5s));
  REQUIRE(world.says(*world.client, *world.other, "first", 5s));
  const std::size_t box = world.box();
  world.other.reset();
  for (int i = 0; i < 100; ++i) {
    world.client->send_udp(key_of_host(3), 5000, 6000, "to the dead one");
    world.small.network.run_for(100ms);
  }
  CHECK(world.says(*world.client, *world.server, "second", 1s));
  CHECK(world.box() == box);
  CHECK(world.middles[1 - box].packets == 0);
}

TEST_CASE("with no middle-box left the program hears that the server is unreachable") {
  World world(7, World::Wish::client);
  REQUIRE(world.says(*world.client, *world.server, "first", 5s));
  world.kill_box(0);
  world.kill_box(1);
  CHECK_FALSE(world.says(*world.client, *world.server, "second", 20s));
  CHECK(world.client->unreachables() >= 1);
  const auto texts = world.server->texts(6000);
  CHECK(std::count(texts.begin(), texts.end(), "second") == 0);
}

TEST_CASE("a group that nobody stands for lets nothing by") {
  World world(8, World::Wish::client);
  world.kill_box(0);
  world.kill_box(1);
  CHECK_FALSE(world.says(*world.client, *world.server, "hello", 20s));
  CHECK(world.client->unreachables() >= 1);
  CHECK(world.server->received.empty());
  world.start_box(0);
  CHECK(world.says(*world.client, *world.server, "hello again", 10s));
}
