#include "gateways/waypoint/kernel_names.hh"

#include <doctest/doctest.h>

#include "gateways/waypoint/held_answers.hh"

using namespace i3;

namespace {

WaypointName name(std::uint32_t n, bool set = true) {
  WaypointName made{IpAddress::v4(n), IpAddress::v4(0xcb007109), std::nullopt};
  if (set) made.target = IpAddress::v4(0x64400000 + n);
  return made;
}

struct World {
  std::vector<std::vector<WaypointName>> sent;
  std::vector<std::function<void(bool, const std::string&)>> done;
  std::vector<WaypointName> refused;
  KernelNames names{
      [this](const auto& some, auto then) {
        sent.push_back(some);
        done.push_back(then);
      },
      [this](const WaypointName& one, const std::string&) { refused.push_back(one); }};
};

}  // namespace

TEST_CASE("changes go in one request at a time, and of several for one client the last") {
  World world;
  world.names.set(name(1));
  world.names.set(name(1, false));
  world.names.set(name(2));
  world.names.flush();
  world.names.set(name(3));
  world.names.flush();
  REQUIRE(world.sent.size() == 1);
  CHECK(world.sent[0].size() == 2);
  world.done[0](true, "");
  REQUIRE(world.sent.size() == 2);
  CHECK(world.sent[1] == std::vector{name(3)});
}

TEST_CASE("one name that is refused keeps no other back") {
  World world;
  for (std::uint32_t n = 1; n <= 3; ++n) world.names.set(name(n));
  world.names.flush();
  world.done[0](false, "no");
  for (std::size_t i = 1; i <= 3; ++i) {
    REQUIRE(world.sent.size() == i + 1);
    REQUIRE(world.sent[i].size() == 1);
    world.done[i](!(world.sent[i][0] == name(2)), "no");
  }
  CHECK(world.refused == std::vector{name(2)});
  CHECK(world.names.waiting() == 0);
}

TEST_CASE("a request holds no more than the parent takes") {
  World world;
  for (std::uint32_t n = 0; n < kMaximumWaypointNames + 5; ++n) world.names.set(name(n));
  world.names.flush();
  CHECK(world.sent[0].size() == kMaximumWaypointNames);
  world.done[0](true, "");
  CHECK(world.sent[1].size() == 5);
}

TEST_CASE("an answer waits until the request with its window was answered, and for no later one") {
  World world;
  std::vector<std::uint16_t> sent;
  HeldAnswers held([&](const DnsClient& client, Bytes) { sent.push_back(client.peer.port); });
  world.names.known = [&](std::uint64_t batch) { held.known(batch); };
  const std::uint8_t message[] = {1, 2, 3};
  const TimePoint start{};
  const auto ask = [&](std::uint16_t port) {
    world.names.set(name(port));
    held.hold({DnsTransport::udp, 0, {IpAddress::v4(1), port}, {}}, message, world.names.batch(),
              start);
  };
  ask(1);
  world.names.flush();
  ask(2);
  CHECK(sent.empty());
  world.done[0](true, "");
  CHECK(sent == std::vector<std::uint16_t>{1});
  world.done[1](true, "");
  CHECK(sent == std::vector<std::uint16_t>{1, 2});
  CHECK(world.names.settled());
}

TEST_CASE("no answer waits longer than it may, and none is lost where too many wait") {
  std::vector<std::uint16_t> sent;
  HeldAnswers held([&](const DnsClient& client, Bytes) { sent.push_back(client.peer.port); });
  const std::uint8_t message[] = {1};
  const TimePoint start{};
  for (std::uint16_t port = 0; port <= HeldAnswers::kMost; ++port)
    held.hold({DnsTransport::udp, 0, {IpAddress::v4(1), port}, {}}, message, 1, start);
  CHECK(sent == std::vector<std::uint16_t>{0});
  CHECK(held.next_deadline() == start + HeldAnswers::kLongest);
  held.on_timer(start + HeldAnswers::kLongest);
  CHECK(sent.size() == HeldAnswers::kMost + 1);
  CHECK(held.next_deadline() == kNever);
}
