// Bounds of a node's tables.
#include "tests/unit/node/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {
PacketSource from_host(std::uint32_t number) {
  PacketSource source;
  source.host = Endpoint{IpAddress::v4(number + 1), 1};
  return source;
}
}  // namespace

TEST_CASE("a return table holds no more than its maximum and forgets the oldest first") {
  SeededRandom random(1);
  ReturnTable table(random, 10);
  TimePoint now{1h};
  std::vector<wire::SourceTag> tags;
  for (std::uint32_t i = 0; i < 25; ++i) tags.push_back(table.note(from_host(i), 100, now));
  CHECK(table.size() == 10);
  CHECK(!table.find(tags[0], now));
  REQUIRE(table.find(tags[24], now));
  CHECK(table.find(tags[24], now)->source.host == from_host(24).host);
}

TEST_CASE("a way back ends 30 s after the last packet, and credit is what came") {
  SeededRandom random(1);
  ReturnTable table(random, 10);
  TimePoint now{1h};
  const auto tag = table.note(from_host(1), 100, now);
  CHECK(table.spend(tag, 60, now));
  CHECK(!table.spend(tag, 60, now));
  now += 20s;
  table.note(from_host(1), 100, now);
  CHECK(table.spend(tag, 140, now));
  now += 29s;
  CHECK(table.find(tag, now));
  now += 1s;
  CHECK(!table.find(tag, now));
  table.note(from_host(2), 1, now);
  CHECK(table.size() == 1);
}

TEST_CASE("tags differ between nodes, hosts and entries") {
  SeededRandom one(1), two(2);
  ReturnTable here(one, 10), there(two, 10);
  CHECK(here.tag(from_host(1)) != here.tag(from_host(2)));
  CHECK(here.tag(from_host(1)) != there.tag(from_host(1)));
  PacketSource relayed;
  relayed.origin = here.tag(from_host(1));
  const auto first = here.tag(relayed);
  relayed.entry.key.bytes[0] = 1;
  CHECK(here.tag(relayed) != first);
}

TEST_CASE("limits count by prefix, are bounded in number, and refill") {
  SourceLimitSettings settings;
  settings.requests_per_second = 10;
  settings.requests_burst = 5;
  settings.most_prefixes = 100;
  SourceLimits limits(settings);
  TimePoint now{1h};
  const Endpoint one{IpAddress::v4(1), 1}, same{IpAddress::v4(1), 999}, other{IpAddress::v4(2), 1};
  for (int i = 0; i < 5; ++i) CHECK(limits.request(one, 1, now));
  CHECK(!limits.request(same, 1, now));
  CHECK(limits.request(other, 1, now));
  now += 100ms;
  CHECK(limits.request(one, 1, now));
  for (std::uint32_t i = 0; i < 10'000; ++i)
    limits.request(Endpoint{IpAddress::v4(i << 1), 1}, 1, now);
  CHECK(limits.size() == 100);
}

TEST_CASE("verifications of all strangers are limited, and take nothing from the proven") {
  SourceLimitSettings settings;
  settings.verifications_per_second = 10;
  settings.verifications_burst = 20;
  SourceLimits limits(settings);
  using Address = SourceLimits::Address;
  int allowed = 0;
  for (std::uint32_t i = 0; i < 1000; ++i)
    if (limits.verification(Endpoint{IpAddress::v4(i), 1}, Address::unproven, TimePoint{1h}))
      ++allowed;
  CHECK(allowed == 20);
  CHECK(limits.verification(Endpoint{IpAddress::v4(5), 1}, Address::proven, TimePoint{1h}));
}

TEST_CASE("pair keys are bounded, and forgotten ones are made again") {
  SeededRandom random(4);
  const auto me = Identity::generate(random), peer = Identity::generate(random);
  RingLink mine(*me, std::nullopt, std::nullopt), theirs(*peer, std::nullopt, std::nullopt);
  wire::NodeContact self, to;
  self.key = me->key();
  to.key = peer->key();
  self.v4 = to.v4 = Endpoint{IpAddress::v4(1), 1};
  std::array<std::uint8_t, 512> buffer;
  Writer writer(buffer);
  REQUIRE(mine.seal(writer, self, to, wire::RingKind::notify, {}));
  int asked = 0;
  auto allow = [&] {
    ++asked;
    return true;
  };
  CHECK(theirs.open(writer.written(), 1, allow).fault == RingLink::Fault::none);
  CHECK(theirs.open(writer.written(), 1, allow).fault == RingLink::Fault::none);
  CHECK(asked == 1);
  RingLink fresh(*peer, std::nullopt, std::nullopt);
  CHECK(fresh.open(writer.written(), 1, [] { return false; }).fault == RingLink::Fault::refused);
}

TEST_CASE("a packet limit by tag takes nothing from other tags") {
  SourceLimitSettings settings;
  settings.packets_per_second = 10;
  settings.packets_burst = 10;
  settings.most_prefixes = 4;
  SourceLimits limits(settings);
  const TimePoint now{1h};
  int passed = 0;
  for (int i = 0; i < 100; ++i)
    if (limits.tagged({1}, now)) ++passed;
  CHECK(passed == 10);
  CHECK(limits.tagged({2}, now));
  // Bounded in number: the oldest goes, and starts anew.
  for (std::uint8_t i = 3; i < 10; ++i) CHECK(limits.tagged({i}, now));
  CHECK(limits.tagged({1}, now));
}
