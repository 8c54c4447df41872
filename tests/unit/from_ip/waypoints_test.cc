#include "gateways/from_ip/waypoints.hh"

#include <doctest/doctest.h>

#include "gateways/from_ip/waypoints6.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kFirst = 0xcb007109;  // 203.0.113.9
const IpAddress kResolver = IpAddress::v4(0xc6336401), kOther = IpAddress::v4(0xc6336402);
const IpAddress kClient = IpAddress::v4(0xc0000201);
const TimePoint kStart{1h};

IpAddress waypoint(unsigned n) {
  return IpAddress::v4(kFirst + n);
}
Waypoints some(unsigned count, std::size_t bindings = 100) {
  return Waypoints({.ranges = {{waypoint(0), waypoint(count - 1)}}, .max_bindings = bindings});
}
PublicKey key(std::uint8_t n) {
  std::array<std::uint8_t, 32> seed{};
  seed[0] = n;
  return Identity(seed).key();
}

}  // namespace

TEST_CASE("a client whose handshake completes within a second is bound, and stays so") {
  Waypoints table = some(4);
  const auto address = table.give("web", kResolver, kStart);
  REQUIRE(address);
  CHECK(table.bind(kClient, *address, kStart + 999ms) == "web");
  CHECK(table.bind(kClient, *address, kStart + 50min) == "web");
  CHECK(table.bind(kClient, *address, kStart + 100min) == "web");
  CHECK_FALSE(table.bind(kClient, *address, kStart + 200min));
}

TEST_CASE("who comes after the second is not bound") {
  Waypoints table = some(4);
  const auto address = table.give("web", kResolver, kStart);
  CHECK_FALSE(table.bind(kClient, *address, kStart + 1s));
  CHECK(table.bindings() == 0);
}

TEST_CASE("each name asked for in the same second has an address of its own") {
  Waypoints table = some(8);
  std::vector<IpAddress> given;
  for (const char* name : {"a", "b", "c", "d"})
    given.push_back(*table.give(name, kResolver, kStart));
  std::sort(given.begin(), given.end());
  CHECK(std::unique(given.begin(), given.end()) == given.end());
  CHECK(table.give("a", kOther, kStart + 500ms) == table.give("a", kResolver, kStart + 600ms));
}

TEST_CASE("a stranger's connection within the second takes nothing from the one who asked") {
  Waypoints table = some(4);
  const auto address = table.give("web", kResolver, kStart);
  CHECK(table.bind(kOther, *address, kStart + 1ms) == "web");
  CHECK(table.bind(kClient, *address, kStart + 500ms) == "web");
}

TEST_CASE("one asker holds three quarters of the windows at most, and another still gets one") {
  Waypoints table = some(4);
  for (const char* name : {"a", "b", "c"}) CHECK(table.give(name, kResolver, kStart));
  CHECK_FALSE(table.give("d", kResolver, kStart));
  CHECK(table.give("d", kOther, kStart));
  CHECK(table.give("d", kResolver, kStart));  // that one is open already
  CHECK(table.give("e", kResolver, kStart + 1s));
}

TEST_CASE("who asks for more than its share loses windows of its own, and nobody else's") {
  Waypoints table = some(4);
  const auto other = table.give("other", kOther, kStart);
  for (const char* name : {"a", "b", "c"}) table.give(name, kResolver, kStart + 1ms);
  for (int i = 0; i < 10; ++i) CHECK(table.give_shared(kResolver, kStart + 2ms) != other);
  CHECK(table.bind(kClient, *other, kStart + 3ms) == "other");
}

TEST_CASE("a shared answer binds nobody to the wrong name") {
  Waypoints table = some(1);
  const auto address = table.give("a", kResolver, kStart);
  CHECK_FALSE(table.give("b", kOther, kStart));
  CHECK(table.give_shared(kOther, kStart) == address);
  CHECK_FALSE(table.bind(kClient, *address, kStart + 1ms));
}

TEST_CASE("a bound client is taken to a new name only if the same resolver asked for it") {
  Waypoints table = some(1);
  table.give("a", kResolver, kStart);
  CHECK(table.bind(kClient, waypoint(0), kStart) == "a");
  table.give("b", kOther, kStart + 10s);
  CHECK(table.bind(kClient, waypoint(0), kStart + 10s) == "a");
  table.give("b", kResolver, kStart + 20s);
  CHECK(table.bind(kClient, waypoint(0), kStart + 20s) == "b");
}

TEST_CASE("a resolver is given another address for another name while it can be") {
  Waypoints table = some(2);
  const auto a = table.give("a", kResolver, kStart);
  const auto b = table.give("b", kResolver, kStart + 10s);
  CHECK(a != b);
  CHECK(table.give("a", kResolver, kStart + 20s) == a);
  CHECK(table.give("b", kResolver, kStart + 30s) == b);
  CHECK(table.give("a", kResolver, kStart + 40s) == a);
}

TEST_CASE(
    "each window is told once when it opens and once when it shuts, however often it is asked "
    "for") {
  Waypoints table = some(2);
  const auto address = *table.give("a", kResolver, kStart);
  auto windows = table.take_windows(kStart);
  REQUIRE(windows.size() == 1);
  CHECK(windows[0].waypoint == address);
  CHECK(windows[0].asker == kResolver);
  CHECK(windows[0].name == "a");
  CHECK(table.next_shut() == kStart + 1s);
  table.give("a", kResolver, kStart + 500ms);
  CHECK(table.take_windows(kStart + 500ms).empty());
  CHECK(table.next_shut() == kStart + 1500ms);
  CHECK(table.window_of(address, kStart + 1499ms) == "a");
  CHECK(table.window_of(address, kStart + 1500ms).empty());
  windows = table.take_windows(kStart + 1500ms);
  REQUIRE(windows.size() == 1);
  CHECK(windows[0].waypoint == address);
  CHECK(windows[0].asker == kResolver);
  CHECK(windows[0].name.empty());
  CHECK(table.next_shut() == kNever);
}

TEST_CASE("a waypoint that is given to another asker or name is shut for the one before first") {
  Waypoints table = some(1);
  table.give("a", kResolver, kStart);
  table.take_windows(kStart);
  table.give("a", kOther, kStart + 100ms);
  auto windows = table.take_windows(kStart + 100ms);
  REQUIRE(windows.size() == 2);
  CHECK(windows[0].asker == kResolver);
  CHECK(windows[0].name.empty());
  CHECK(windows[1].asker == kOther);
  CHECK(windows[1].name == "a");
  table.give("b", kOther, kStart + 2s);
  windows = table.take_windows(kStart + 2s);
  REQUIRE(windows.size() == 2);
  CHECK(windows[0].name.empty());
  CHECK(windows[1].name == "b");
  table.give_shared(kOther, kStart + 2s);
  windows = table.take_windows(kStart + 2s);
  REQUIRE(windows.size() == 1);
  CHECK(windows[0].name.empty());
}

TEST_CASE("the table is bounded: the binding unused longest goes, and every change is told once") {
  Waypoints table = some(1, 2);
  table.give("a", kResolver, kStart);
  for (std::uint32_t n = 1; n <= 3; ++n) table.bind(IpAddress::v4(n), waypoint(0), kStart);
  CHECK(table.bindings() == 2);
  const auto changes = table.take_changes();
  REQUIRE(changes.size() == 4);
  CHECK(changes[2].client == IpAddress::v4(1));
  CHECK(changes[2].name.empty());
  CHECK(changes[3].client == IpAddress::v4(3));
  CHECK(table.take_changes().empty());
}

TEST_CASE("idle bindings end in time, and those of names that are gone at once") {
  Waypoints table = some(2);
  table.give("a", kResolver, kStart);
  table.bind(kClient, waypoint(0), kStart);
  CHECK(table.sweep(kStart + 59min) == kStart + 1h);
  CHECK(table.sweep(kStart + 1h) == kNever);
  table.give("b", kResolver, kStart + 2h);
  table.bind(kClient, waypoint(0), kStart + 2h);
  table.bind(kClient, waypoint(1), kStart + 2h);
  REQUIRE(table.bindings() == 1);
  table.forget_unless([](std::string_view name) { return name == "a"; });
  CHECK(table.bindings() == 0);
}

TEST_CASE("another machine's answer opens the window at the address that it gave") {
  Waypoints table = some(2);
  CHECK(table.expect(waypoint(1), "a", kResolver, kStart));
  CHECK_FALSE(table.expect(waypoint(1), "b", kResolver, kStart));
  CHECK_FALSE(table.expect(waypoint(7), "a", kResolver, kStart));
  CHECK(table.bind(kClient, waypoint(1), kStart) == "a");
}

TEST_CASE("a key has one IPv6 waypoint for ever, under the prefix") {
  const IpPrefix prefix{*IpAddress::parse("2001:db8:7::"), 64};
  const IpAddress address = waypoint_of(key(1), prefix);
  CHECK(prefix.contains(address));
  CHECK(address == waypoint_of(key(1), prefix));
  CHECK(address != waypoint_of(key(2), prefix));
  CHECK(waypoint_of(key(1), {*IpAddress::parse("2001:db8:8::"), 64}) != address);
}

TEST_CASE("IPv6 waypoints of the books stay, those of strangers are bounded") {
  Waypoints6 table({*IpAddress::parse("2001:db8:7::"), 64});
  table.set_book({key(1)});
  const IpAddress book = waypoint_of(key(1), table.prefix());
  REQUIRE(table.find(book) != nullptr);
  std::array<std::uint8_t, 32> bytes{};
  const auto stranger = [&](std::size_t n) {
    bytes[0] = static_cast<std::uint8_t>(n);
    bytes[1] = static_cast<std::uint8_t>(n >> 8);
    return PublicKey{bytes};
  };
  for (std::size_t n = 0; n <= Waypoints6::kMaxStrangers; ++n) REQUIRE(table.add(stranger(n)));
  CHECK(table.find(waypoint_of(stranger(0), table.prefix())) == nullptr);
  CHECK(table.find(waypoint_of(stranger(1), table.prefix())) != nullptr);
  CHECK(table.find(book) != nullptr);
  table.take_changes();
  table.set_book({});
  const auto changes = table.take_changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].address == book);
  CHECK_FALSE(changes[0].key);
}

TEST_CASE("a stranger does not get the IPv6 waypoint of a book's key") {
  Waypoints6 table({*IpAddress::parse("2001:db8::"), 126});  // so that keys collide
  table.set_book({key(1)});
  const IpAddress wanted = waypoint_of(key(1), table.prefix());
  std::uint8_t n = 2;
  while (waypoint_of(key(n), table.prefix()) != wanted) ++n;
  CHECK_FALSE(table.add(key(n)));
  CHECK(*table.find(wanted) == key(1));
}
