// The table's rules: rows, matching, expiry, labels, quotas.
#include "overlay/triggers/trigger_table.hh"

#include <doctest/doctest.h>
#include <set>

using namespace i3;
using namespace std::chrono_literals;
using Put = TriggerTable::Put;
using Relay = TriggerTable::Relay;

namespace {

constexpr WallTime kWall = 1'750'000'000'000'000'000;

Endpoint host(std::uint32_t number, std::uint16_t port = 4000) {
  return {IpAddress::v4(0xc0000200u + number), port};
}

PublicKey key(std::uint32_t number) {
  PublicKey result;
  result.bytes[0] = static_cast<std::uint8_t>(number);
  result.bytes[1] = static_cast<std::uint8_t>(number >> 8);
  result.bytes[2] = static_cast<std::uint8_t>(number >> 16);
  return result;
}

Id id(std::uint8_t prefix, std::initializer_list<std::uint8_t> suffix = {}) {
  Id result;
  result.bytes[0] = prefix;
  std::copy(suffix.begin(), suffix.end(), result.bytes.begin() + 16);
  return result;
}

TriggerSpec spec(const Id& of, std::uint32_t owner = 1, std::uint32_t at = 1,
                 std::uint64_t sequence = 1) {
  TriggerSpec result;
  result.id = of;
  result.owner = result.member = key(owner);
  result.sequence = sequence;
  result.observed = host(at);
  return result;
}

struct Bench {
  explicit Bench(TriggerLimits limits = {}) : table(limits, random) {}
  TriggerTable::Stored put(const TriggerSpec& row) { return table.put(row, now, kWall); }
  std::vector<Endpoint> targets(const Id& of, std::size_t most = 16) {
    std::vector<Endpoint> result;
    for (const auto& match : table.match(of, most, now))
      if (match.target) result.push_back(*match.target);
    return result;
  }
  SeededRandom random{3};
  TimePoint now{1h};
  TriggerTable table;
};

}  // namespace

TEST_CASE("a trigger is found by its ID and leads to the observed address") {
  Bench bench;
  REQUIRE(bench.put(spec(id(1))).result == Put::stored);
  CHECK(bench.targets(id(1)) == std::vector{host(1)});
  CHECK(bench.targets(id(2)).empty());
}

TEST_CASE("an exact trigger does not match a longer or shorter ID under its prefix") {
  Bench bench;
  bench.put(spec(id(1, {7})));
  CHECK(bench.targets(id(1, {7, 1})).empty());
  CHECK(bench.targets(id(1)).empty());
}

TEST_CASE("of the triggers that are not exact the longest prefix wins, and 128 bits are needed") {
  Bench bench;
  TriggerSpec general = spec(id(1)), close = spec(id(1, {0xf0}), 1, 2),
              best = spec(id(1, {0xff}), 1, 3);
  for (TriggerSpec* row : {&general, &close, &best}) {
    row->exact = false;
    bench.put(*row);
  }
  CHECK(bench.targets(id(1, {0xfe})) == std::vector{host(3)});
  CHECK(bench.targets(id(1, {0xf1})) == std::vector{host(2)});
  CHECK(bench.targets(id(1, {0x01})) == std::vector{host(1)});
  CHECK(bench.targets(id(2)).empty());
}

TEST_CASE("the very ID comes before every prefix") {
  Bench bench;
  TriggerSpec prefix = spec(id(1, {1}), 1, 2);
  prefix.exact = false;
  bench.put(prefix);
  bench.put(spec(id(1, {1, 1}), 1, 1));
  CHECK(bench.targets(id(1, {1, 1})) == std::vector{host(1)});
}

TEST_CASE("a higher sequence replaces the row, a lower one is stale") {
  Bench bench;
  bench.put(spec(id(1), 1, 1, 5));
  CHECK(bench.put(spec(id(1), 1, 2, 4)).result == Put::stale);
  CHECK(bench.put(spec(id(1), 1, 2, 5)).result == Put::stale);
  CHECK(bench.targets(id(1)) == std::vector{host(1)});
  CHECK(bench.put(spec(id(1), 1, 2, 6)).result == Put::stored);
  CHECK(bench.targets(id(1)) == std::vector{host(2)});
  CHECK(bench.table.size() == 1);
}

TEST_CASE("the same insertion again, its acknowledgement lost, is acknowledged again") {
  Bench bench;
  const auto first = bench.put(spec(id(1)));
  const auto again = bench.put(spec(id(1)));
  CHECK(again.result == Put::stored);
  CHECK(again.label == first.label);
  CHECK(bench.table.size() == 1);
}

TEST_CASE("an unrefreshed trigger is there just before 30 s and gone just after") {
  Bench bench;
  bench.put(spec(id(1)));
  bench.now += 29'999ms;
  CHECK(bench.targets(id(1)).size() == 1);
  bench.now += 1ms;
  CHECK(bench.targets(id(1)).empty());
  bench.now += 300ms;
  bench.table.expire(bench.now);
  CHECK(bench.table.size() == 0);
  CHECK(bench.table.next_deadline() == kNever);
}

TEST_CASE("a lifetime beyond the maximum is cut, one of no length is a second") {
  Bench bench;
  TriggerSpec longer = spec(id(1));
  longer.lifetime = 24h;
  CHECK(bench.put(longer).lifetime == 120s);
  TriggerSpec shorter = spec(id(2));
  shorter.lifetime = 1ns;
  CHECK(bench.put(shorter).lifetime == 1s);
}

TEST_CASE("no refresh carries a row beyond the delegation that it rests on") {
  Bench bench;
  TriggerSpec row = spec(id(1));
  row.not_after = kWall + 5'000'000'000;
  CHECK(bench.put(row).lifetime == 5s);
  bench.now += 4s;
  const auto done = bench.table.refresh(row.owner, row.member, row.observed, bench.now, bench.now,
                                        kWall + 4'000'000'000, [](RingId, bool) { return true; });
  CHECK(done.count == 1);
  CHECK(done.lifetime == 1s);
}

TEST_CASE("one refresh keeps all rows of a member at its address, and no others") {
  Bench bench;
  for (std::uint8_t i = 0; i < 10; ++i) bench.put(spec(id(i)));
  bench.put(spec(id(20), 1, 2));
  bench.put(spec(id(21), 2, 1));
  bench.now += 20s;
  const auto done = bench.table.refresh(key(1), key(1), host(1), bench.now, bench.now, kWall,
                                        [](RingId, bool) { return true; });
  CHECK(done.count == 10);
  CHECK(done.elsewhere == 1);
  bench.now += 15s;
  CHECK(bench.targets(id(3)).size() == 1);
  CHECK(bench.targets(id(20)).empty());
  CHECK(bench.targets(id(21)).empty());
}

TEST_CASE("rows that a node no longer answers for are not refreshed") {
  Bench bench;
  bench.put(spec(id(1)));
  const auto done = bench.table.refresh(key(1), key(1), host(1), bench.now, bench.now, kWall,
                                        [](RingId, bool) { return false; });
  CHECK(done.count == 0);
  CHECK(done.not_ours == 1);
  CHECK(done.first_not_ours == id(1).ring());
}

TEST_CASE("a label leads to its trigger, survives a change of target, and dies with the row") {
  Bench bench;
  const auto label = bench.put(spec(id(1))).label;
  CHECK(bench.table.by_label(label, bench.now).target == host(1));
  CHECK(bench.put(spec(id(1), 1, 2, 2)).label == label);
  CHECK(bench.table.by_label(label, bench.now).target == host(2));
  bench.now += 30s;
  CHECK(bench.table.by_label(label, bench.now).verdict == Relay::no_label);
}

TEST_CASE("a label's slot used again has another label; none ever comes twice") {
  Bench bench;
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  std::uint64_t sequence = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto label = bench.put(spec(id(1), 1, 1, ++sequence)).label;
    CHECK(label.slot == 0);
    CHECK(seen.insert({label.slot, label.secret}).second);
    bench.now += 31s;
    bench.table.expire(bench.now);
    CHECK(bench.table.by_label(label, bench.now).verdict == Relay::no_label);
  }
}

TEST_CASE("a guessed label leads nowhere") {
  Bench bench;
  auto label = bench.put(spec(id(1))).label;
  label.secret ^= 1;
  CHECK(bench.table.by_label(label, bench.now).verdict == Relay::no_label);
  label.slot = 0xfffffffe;
  CHECK(bench.table.by_label(label, bench.now).verdict == Relay::no_label);
}

TEST_CASE("a removed trigger matches no more, its label is dead, and its insertion is stale") {
  Bench bench;
  const auto label = bench.put(spec(id(1), 1, 1, 5)).label;
  CHECK(bench.table.remove(spec(id(1), 1, 1, 4), bench.now) == Put::stale);
  CHECK(bench.table.remove(spec(id(1), 1, 1, 6), bench.now) == Put::stored);
  CHECK(bench.targets(id(1)).empty());
  CHECK(bench.table.by_label(label, bench.now).verdict == Relay::no_label);
  CHECK(bench.put(spec(id(1), 1, 1, 5)).result == Put::stale);
  CHECK(bench.put(spec(id(1), 1, 1, 6)).result == Put::stale);
  const auto fresh = bench.put(spec(id(1), 1, 1, 7));
  CHECK(fresh.result == Put::stored);
  CHECK(!(fresh.label == label));
  CHECK(bench.targets(id(1)).size() == 1);
}

TEST_CASE("the memory of a removal ends with the life of a cookie") {
  Bench bench;
  bench.put(spec(id(1)));
  bench.table.remove(spec(id(1)), bench.now);
  bench.now += TriggerTable::kGoneMemory - 1s;
  CHECK(bench.put(spec(id(1))).result == Put::stale);
  bench.now += 1s;
  CHECK(bench.put(spec(id(1))).result == Put::stored);
}

TEST_CASE("an insertion that arrives after the removal that followed it is stale") {
  Bench bench;
  CHECK(bench.table.remove(spec(id(1), 1, 1, 5), bench.now) == Put::stored);
  CHECK(bench.put(spec(id(1), 1, 1, 4)).result == Put::stale);
  CHECK(bench.put(spec(id(1), 1, 1, 6)).result == Put::stored);
}

TEST_CASE("a replayed insertion neither keeps its trigger alive nor brings it back") {
  Bench bench;
  REQUIRE(bench.put(spec(id(1))).result == Put::stored);
  const TimePoint start = bench.now;
  for (; bench.now < start + 30s; bench.now += 1s) {
    const auto again = bench.put(spec(id(1)));
    CHECK(again.result == Put::stored);
    CHECK(again.lifetime == start + 30s - bench.now);
  }
  CHECK(bench.targets(id(1)).empty());
  for (; bench.now < start + 120s; bench.now += 1s) {
    CHECK(bench.put(spec(id(1))).result == Put::stale);
    CHECK(bench.targets(id(1)).empty());
  }
}

TEST_CASE("the right to refresh, once recorded, carries a trigger two lifetimes and no further") {
  Bench bench;
  const TriggerSpec row = spec(id(1));
  bench.put(row);
  const TimePoint granted = bench.now;
  while (!bench.targets(id(1)).empty()) {
    bench.table.refresh(row.owner, row.member, row.observed, granted, bench.now, kWall,
                        [](RingId, bool) { return true; });
    bench.now += 100ms;
    REQUIRE(bench.now < granted + 100s);
  }
  CHECK(bench.now == granted + 60s);
}

TEST_CASE("several members under one owner may hold one ID; copies are bounded") {
  Bench bench;
  for (std::uint32_t i = 0; i < 5; ++i) {
    TriggerSpec row = spec(id(1), 1, 10 + i);
    row.member = key(100 + i);
    CHECK(bench.put(row).result == Put::stored);
  }
  CHECK(bench.targets(id(1)).size() == 5);
  CHECK(bench.targets(id(1), 3).size() == 3);
}

TEST_CASE("a key's quota counts what it delegated, and is free again after expiry") {
  Bench bench(TriggerLimits{.per_key = 3});
  for (std::uint8_t i = 0; i < 3; ++i) {
    TriggerSpec row = spec(id(i));
    row.member = key(50u + i);
    CHECK(bench.put(row).result == Put::stored);
  }
  CHECK(bench.put(spec(id(9))).result == Put::quota);
  CHECK(bench.put(spec(id(9), 2)).result == Put::stored);
  bench.now += 31s;
  CHECK(bench.put(spec(id(9))).result == Put::stored);
}

TEST_CASE("one address prefix cannot fill the table with any number of keys") {
  Bench bench(TriggerLimits{.per_prefix = 4});
  for (std::uint32_t i = 0; i < 4; ++i)
    CHECK(bench.put(spec(id(static_cast<std::uint8_t>(i)), i + 1)).result == Put::stored);
  CHECK(bench.put(spec(id(9), 9, 1)).result == Put::quota);
  CHECK(bench.put(spec(id(9), 9, 2)).result == Put::stored);
  CHECK(bench.put(spec(id(9), 9, 1, 2)).result == Put::quota);
}

TEST_CASE("a full table says so and keeps what it has") {
  Bench bench(TriggerLimits{.total = 2});
  bench.put(spec(id(1), 1));
  bench.put(spec(id(2), 2));
  CHECK(bench.put(spec(id(3), 3)).result == Put::full);
  CHECK(bench.put(spec(id(1), 1, 1, 2)).result == Put::stored);
  CHECK(bench.table.size() == 2);
}

TEST_CASE("a trigger's packet rate holds on both ways in") {
  Bench bench;
  TriggerSpec row = spec(id(1));
  row.rate_pps = 10;
  const auto label = bench.put(row).label;
  int passed = 0;
  for (int i = 0; i < 100; ++i)
    if (bench.table.by_label(label, bench.now).verdict == Relay::forward) ++passed;
  CHECK(passed == 10);
  const auto slot = bench.table.match(id(1), 1, bench.now)[0].slot;
  CHECK(!bench.table.within_rate(slot, bench.now));
  bench.now += 500ms;
  for (int i = 0; i < 100; ++i)
    if (bench.table.within_rate(slot, bench.now)) ++passed;
  CHECK(passed == 15);
}

TEST_CASE("a trigger to a stack of IDs has no label") {
  Bench bench;
  TriggerSpec row = spec(id(1));
  row.stack = {id(2), id(3)};
  CHECK(bench.put(row).label.none());
  const auto matches = bench.table.match(id(1), 1, bench.now);
  REQUIRE(matches.size() == 1);
  CHECK(matches[0].target == nullptr);
  CHECK(std::equal(matches[0].stack.begin(), matches[0].stack.end(), row.stack.begin(),
                   row.stack.end()));
}

TEST_CASE("the table agrees with a simple model over many random steps") {
  Bench bench(TriggerLimits{.total = 500, .per_key = 40, .per_prefix = 200});
  struct Row {
    std::uint64_t sequence;
    Endpoint at;
    TimePoint until;
  };
  std::map<std::pair<std::uint8_t, std::uint32_t>, Row> model;
  std::uint64_t floor = 0;  // all sequences rise by and by, else most were stale for ever
  SeededRandom random(77);
  for (int step = 0; step < 20000; ++step) {
    bench.now += std::chrono::milliseconds(random.below(60));
    const auto number = static_cast<std::uint8_t>(random.below(60));
    const auto owner = static_cast<std::uint32_t>(number % 5);
    floor += random.below(2);
    TriggerSpec row = spec(id(number), owner, static_cast<std::uint32_t>(random.below(4)),
                           floor + random.below(50));
    auto known = model.find({number, owner});
    const bool replaces = known == model.end() || row.sequence > known->second.sequence;
    const bool repeats = !replaces && row.sequence == known->second.sequence &&
                         row.observed == known->second.at && known->second.until > bench.now;
    const auto done = bench.put(row);
    CHECK((done.result == Put::stored) == (replaces || repeats));
    if (replaces) model[{number, owner}] = {row.sequence, row.observed, bench.now + 30s};
    if (step % 100 == 0) {
      bench.table.expire(bench.now + 0s);
      for (const auto& [name, expected] : model)
        CHECK(bench.targets(id(name.first)) ==
              (expected.until > bench.now ? std::vector{expected.at} : std::vector<Endpoint>{}));
    }
  }
}

TEST_CASE("of 200,000 triggers each is found by its ID") {
  constexpr std::uint32_t kCount = 200'000;
  Bench bench(TriggerLimits{.per_prefix = kCount});
  auto nth = [](std::uint32_t i) {
    Id result;
    Writer writer(result.bytes);
    writer.u64(i * 0x9e3779b97f4a7c15ull);
    return result;
  };
  for (std::uint32_t i = 0; i < kCount; ++i) bench.put(spec(nth(i), i, i % 250));
  CHECK(bench.table.size() == kCount);
  std::size_t wrong = 0;
  for (std::uint32_t i = 0; i < kCount; ++i)
    if (bench.targets(nth(i)) != std::vector{host(i % 250)}) ++wrong;
  CHECK(wrong == 0);
  // They run out together, match no more at once, and are dropped in parts.
  bench.now += 31s;
  CHECK(bench.targets(nth(1)).empty());
  bench.table.expire(bench.now);
  CHECK(bench.table.size() > kCount / 2);
  CHECK(bench.table.next_deadline() <= bench.now);
  for (std::uint32_t i = 0; i < kCount / 1000; ++i) bench.table.expire(bench.now);
  CHECK(bench.table.size() == 0);
}
