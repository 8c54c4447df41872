#include "gateways/to_ip/inner_names.hh"

#include <doctest/doctest.h>

#include "proxy/host/gateway_names.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

constexpr WallTime kWall = 1'700'000'000'000'000'000;
constexpr TimePoint kNow{1h};

PublicKey key(std::uint8_t number) {
  std::array<std::uint8_t, 32> seed{};
  seed[0] = number;
  return Identity(seed).key();
}

struct Table {
  SeededRandom random{7};
  AddressPool pool{{}, random};
  InnerNames names{pool, key(1)};
};

}  // namespace

TEST_CASE("each client has an address of its own for a name, the same each time") {
  Table table;
  InnerName* alices = table.names.add(key(2), "www.corp.example", kNow);
  InnerName* bobs = table.names.add(key(3), "www.corp.example", kNow);
  REQUIRE(alices != nullptr);
  REQUIRE(bobs != nullptr);
  CHECK(alices->v4.inner != bobs->v4.inner);
  CHECK(alices->v6.inner != bobs->v6.inner);
  CHECK(table.names.add(key(2), "www.corp.example", kNow) == alices);
  CHECK(table.names.at(alices->v4.inner.address()) == alices);
  CHECK(table.names.at(alices->v6.inner.address()) == alices);
  const VirtualIp before = alices->v4.inner;
  table.names.remove(*alices);
  CHECK(table.names.at(before.address()) == nullptr);
  CHECK(table.names.add(key(2), "www.corp.example", kNow)->v4.inner == before);
}

TEST_CASE("a client comes to the address that its gateway gives by itself") {
  Table table;
  InnerName* name = table.names.add(key(2), "www.corp.example", kNow);
  CHECK(preferred_ipv4(table.pool.ipv4(), gateway_name_id(key(1), key(2), "www.corp.example")) ==
        name->v4.inner);
}

TEST_CASE("what the state log says is there again, and what it says is gone is not") {
  Table before;
  InnerName* kept = before.names.add(key(2), "kept", kNow);
  kept->v4.real = IpAddress::parse("10.1.0.10");
  InnerName* gone = before.names.add(key(2), "gone", kNow);
  const std::string log = InnerNames::line(*kept, kNow + 5s, kWall) + "\npeer x\n" +
                          InnerNames::line(*gone, kNow, kWall) + "\n" +
                          InnerNames::gone_line(*gone) + "\ninner cut off";
  Table after;
  after.names.restore(log, kNow, kWall + 10'000'000'000);
  CHECK(after.names.size() == 1);
  InnerName* found = after.names.find(key(2), "kept");
  REQUIRE(found != nullptr);
  CHECK(found->v4.inner == kept->v4.inner);
  CHECK(found->v6.inner == kept->v6.inner);
  CHECK(found->v4.real == kept->v4.real);
  CHECK_FALSE(found->v6.real);
  CHECK_FALSE(found->v4.installed);
  CHECK(found->used == kNow - 15s);
}

TEST_CASE("lines of the state log that say nonsense are passed over") {
  Table table;
  const std::string client = key(2).text();
  for (const std::string& line :
       {std::string("inner"), "inner " + client, "outer " + client + " none",
        "inner " + client + " 100.64.0.9 fd00::1 10.0.0.1 - x name",
        "inner " + client + " fd00::1 100.64.0.9 - - 1 name",
        "inner " + client + " 100.64.0.9 fd00::1 fd00::2 10.0.0.1 1 name",
        std::string("inner nobody 100.64.0.9 fd00::1 - - 1 name")})
    table.names.restore(line + "\n", kNow, kWall);
  CHECK(table.names.size() == 0);
}

TEST_CASE("a client with too many names loses the one that it has not used for longest") {
  Table table;
  std::vector<std::string> removed;
  table.names.removed = [&](InnerName& name) { removed.push_back(name.name); };
  for (std::size_t i = 0; i < InnerNames::kMaxOfClient; ++i)
    REQUIRE(table.names.add(key(2), "n" + std::to_string(i), kNow + i * 1us) != nullptr);
  table.names.add(key(3), "another's", kNow - 1s);
  REQUIRE(removed.empty());
  REQUIRE(table.names.add(key(2), "one more", kNow + 1s) != nullptr);
  CHECK(removed == std::vector<std::string>{"n0"});
  CHECK(table.names.find(key(3), "another's") != nullptr);
}
