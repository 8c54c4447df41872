// Owns the tests of address prefixes and of the table under the look-ups.
#include "proxy/packet/virtual_ip.hh"

#include <doctest/doctest.h>
#include <map>
#include <type_traits>

#include "packets.hh"
#include "proxy/packet/flat_table.hh"

using namespace i3;
using namespace i3::testing;

namespace {
IpPrefix prefix(const char* text) {
  std::string error;
  auto parsed = IpPrefix::parse(text, error);
  INFO(error);
  REQUIRE(parsed);
  return *parsed;
}
}  // namespace

static_assert(!std::is_convertible_v<VirtualIp, RealIp> &&
                  !std::is_convertible_v<RealIp, VirtualIp>,
              "the two meanings of an address do not mix");
static_assert(!std::is_constructible_v<VirtualIp, RealIp>);

TEST_CASE("prefixes are read and written") {
  for (const char* text :
       {"100.64.0.0/10", "0.0.0.0/0", "10.1.2.3/32", "fd00::/8", "::/0", "2001:db8::1/128"})
    CHECK(prefix(text).text() == text);
  CHECK(prefix("10.1.2.3").text() == "10.1.2.3/32");
  CHECK(prefix("fd00::1").length == 128);
}

TEST_CASE("a wrong prefix is refused with what would be right") {
  std::string error;
  for (const char* text : {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8",
                           "10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0/0x8", "10.0.0.0/8/8",
                           "fd00::/129", "name/8", "10.0.0/8", "10.0.0.0/99999999999"}) {
    error.clear();
    INFO(text);
    CHECK_FALSE(IpPrefix::parse(text, error));
    CHECK_FALSE(error.empty());
  }
  CHECK_FALSE(IpPrefix::parse("100.64.0.1/10", error));
  CHECK(error.find("100.64.0.0/10") != std::string::npos);
}

TEST_CASE("a prefix contains its first and last address and not their neighbours") {
  const IpPrefix pool = prefix("100.64.0.0/10");
  CHECK(pool.contains(ip("100.64.0.0")));
  CHECK(pool.contains(ip("100.127.255.255")));
  CHECK_FALSE(pool.contains(ip("100.63.255.255")));
  CHECK_FALSE(pool.contains(ip("100.128.0.0")));
  CHECK_FALSE(pool.contains(ip("fd00::1")));
  CHECK(prefix("fd00::/8").contains(ip("fdff::1")));
  CHECK_FALSE(prefix("::/0").contains(ip("10.0.0.1")));
  CHECK(prefix("0.0.0.0/0").contains(ip("10.0.0.1")));
}

TEST_CASE("the first route that overlaps the pool is found, whichever is larger") {
  const IpPrefix pool = prefix("100.64.0.0/10");
  const std::vector<IpPrefix> none{prefix("0.0.0.0/0"), prefix("10.0.0.0/8"), prefix("::/0"),
                                   prefix("fd00::/8")};
  CHECK_FALSE(first_overlap(pool, none));
  for (const char* text :
       {"100.64.0.0/10", "100.100.0.0/16", "100.0.0.0/8", "100.127.255.255/32"}) {
    std::vector<IpPrefix> routes = none;
    routes.push_back(prefix(text));
    CHECK(first_overlap(pool, routes) == prefix(text));
  }
}

namespace {
struct SmallKey {
  std::uint32_t value = 0;
  std::uint64_t hash(std::uint64_t secret) const { return mix(value, 0, secret); }
  bool operator==(const SmallKey&) const = default;
};
// All in one run, so that every removal has to move others.
struct CrowdedKey {
  std::uint32_t value = 0;
  std::uint64_t hash(std::uint64_t) const { return std::uint64_t{value % 3} << 60 | 0xfull << 60; }
  bool operator==(const CrowdedKey&) const = default;
};

template <class Key>
void compare_with_map(std::uint64_t seed, std::uint32_t keys, int steps) {
  SeededRandom random(seed);
  FlatTable<Key> table(random.u64());
  std::map<std::uint32_t, std::uint32_t> model;
  for (int step = 0; step < steps; ++step) {
    const auto key = static_cast<std::uint32_t>(random.below(keys));
    if (random.below(2) == 0) {
      const auto value = static_cast<std::uint32_t>(random.below(1000000));
      table.insert({key}, value);
      model[key] = value;
    } else {
      REQUIRE(table.erase({key}) == (model.erase(key) == 1));
    }
    const auto asked = static_cast<std::uint32_t>(random.below(keys));
    const auto expected = model.find(asked);
    REQUIRE(table.find({asked}) ==
            (expected == model.end() ? FlatTable<Key>::kNone : expected->second));
    REQUIRE(table.size() == model.size());
  }
  for (const auto& [key, value] : model) REQUIRE(table.find({key}) == value);
}
}  // namespace

TEST_CASE("the flat table agrees with a map through random insertions and removals") {
  compare_with_map<SmallKey>(1, 500, 20000);
  compare_with_map<SmallKey>(2, 20, 5000);
  compare_with_map<CrowdedKey>(3, 40, 20000);
}
