// Anycast at one node: the triggers nearest to an ID, in order.
#include <doctest/doctest.h>

#include "overlay/triggers/trigger_table.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

constexpr WallTime kWall = 1'750'000'000'000'000'000;

Id member_id(std::uint8_t group, std::uint8_t first, std::uint8_t second = 0) {
  Id id;
  id.bytes[0] = group;
  id.bytes[16] = first;
  id.bytes[17] = second;
  return id;
}

struct Bench {
  void put(const Id& id, std::uint8_t number, bool exact = false) {
    TriggerSpec spec;
    spec.id = id;
    spec.owner.bytes[0] = id.bytes[0];
    spec.member.bytes[0] = number;
    spec.exact = exact;
    spec.sequence = ++sequence;
    spec.observed = {IpAddress::v4(0xc0000200u + number), 4000};
    REQUIRE(table.put(spec, now, kWall).result == TriggerTable::Put::stored);
  }
  std::vector<unsigned> numbers(const Id& id, std::size_t most) {
    std::vector<unsigned> result;
    for (const auto& match : table.nearest(id, most, now))
      result.push_back(match.target->address.to_v4() & 0xff);
    return result;
  }
  SeededRandom random{3};
  TimePoint now{1h};
  std::uint64_t sequence = 0;
  TriggerTable table{{}, random};
};

}  // namespace

TEST_CASE("the nearest few come in the order of their common prefixes, each once") {
  Bench bench;
  bench.put(member_id(1, 0b1010'0000), 1);
  bench.put(member_id(1, 0b1011'0000), 2);
  bench.put(member_id(1, 0b1000'0000), 3);
  bench.put(member_id(1, 0b0000'0000), 4);
  CHECK(bench.numbers(member_id(1, 0b1010'1000), 16) == std::vector<unsigned>{1, 2, 3, 4});
  CHECK(bench.numbers(member_id(1, 0b1010'1000), 2) == std::vector<unsigned>{1, 2});
  CHECK(bench.numbers(member_id(1, 0b0000'0001), 1) == std::vector<unsigned>{4});
  const auto far = bench.numbers(member_id(1, 0b0111'1111), 16);
  REQUIRE(far.size() == 4);
  CHECK(far[0] == 4);
}

TEST_CASE("another group's triggers, exact ones and those that ran out are not among the nearest") {
  Bench bench;
  bench.put(member_id(1, 0x10), 1);
  bench.put(member_id(2, 0x10), 2);
  bench.put(member_id(1, 0x11), 3, true);
  CHECK(bench.numbers(member_id(1, 0x11), 16) == std::vector<unsigned>{1});
  CHECK(bench.numbers(member_id(3, 0x11), 16).empty());
  bench.now += 31s;
  CHECK(bench.numbers(member_id(1, 0x11), 16).empty());
}

TEST_CASE("members that share one ID are all there, up to the number asked for") {
  Bench bench;
  for (std::uint8_t i = 1; i <= 5; ++i) bench.put(member_id(1, 0x10), i);
  bench.put(member_id(1, 0x80), 9);
  CHECK(bench.numbers(member_id(1, 0x10), 16).size() == 6);
  CHECK(bench.numbers(member_id(1, 0x10), 4).size() == 4);
  CHECK(bench.numbers(member_id(1, 0x90), 1) == std::vector<unsigned>{9});
}

TEST_CASE("the nearest one is what a plain match gives") {
  Bench bench;
  SeededRandom random(5);
  for (std::uint8_t i = 1; i <= 40; ++i)
    bench.put(member_id(1, static_cast<std::uint8_t>(random.below(256)),
                        static_cast<std::uint8_t>(random.below(256))),
              i);
  for (int i = 0; i < 500; ++i) {
    Id asked = member_id(1, static_cast<std::uint8_t>(random.below(256)),
                         static_cast<std::uint8_t>(random.below(256)));
    asked.bytes[20] = 1;  // never a member's own
    const auto plain = bench.table.match(asked, 1, bench.now);
    REQUIRE(plain.size() == 1);
    const unsigned bits = plain[0].id->common_prefix(asked);
    const auto all = bench.table.nearest(asked, 40, bench.now);
    REQUIRE(all.size() == 40);
    CHECK(all[0].id->common_prefix(asked) == bits);
    for (std::size_t k = 1; k < all.size(); ++k)
      CHECK(all[k].id->common_prefix(asked) <= all[k - 1].id->common_prefix(asked));
  }
}
