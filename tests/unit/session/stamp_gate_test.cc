#include "overlay/session/stamp_gate.hh"

#include <doctest/doctest.h>

using namespace i3;
using Decision = StampGate::Decision;

namespace {
PublicKey key_number(std::uint32_t number) {
  PublicKey key;
  Writer(key.bytes).u32(number + 1);
  return key;
}
const PublicKey kAlice = key_number(1000), kBob = key_number(2000);
constexpr bool kClean = true, kUnclean = false;
}  // namespace

TEST_CASE("an early packet is delivered once, and only with a newer stamp again") {
  StampGate gate(10, kClean);
  CHECK(gate.check(kAlice, 5) == Decision::deliver);
  CHECK(gate.check(kAlice, 5) == Decision::repeat);
  CHECK(gate.check(kAlice, 4) == Decision::hold);
  CHECK(gate.check(kAlice, 6) == Decision::deliver);
  CHECK(gate.check(kAlice, 5) == Decision::hold);
  CHECK(gate.check(kBob, 1) == Decision::deliver);
}

TEST_CASE("a stamp of zero, as anonymous identities send, is delivered once") {
  StampGate gate(10, kClean);
  CHECK(gate.check(kAlice, 0) == Decision::deliver);
  CHECK(gate.check(kAlice, 0) == Decision::repeat);
}

TEST_CASE("after an unclean restart unknown keys are held until one session is confirmed") {
  StampGate gate(10, kUnclean);
  gate.restore({kBob, 50});
  CHECK(gate.check(kAlice, 100) == Decision::hold);
  CHECK(gate.check(kAlice, 100) == Decision::hold);
  CHECK(gate.confirmed(kAlice, 100));
  CHECK(gate.check(kAlice, 100) == Decision::repeat);
  CHECK(gate.check(kAlice, 101) == Decision::deliver);
  CHECK(gate.check(kBob, 50) == Decision::repeat);
  CHECK(gate.check(kBob, 51) == Decision::deliver);
}

TEST_CASE("a clock that was years ahead only holds early packets until it is passed") {
  StampGate gate(10, kClean);
  CHECK(gate.check(kAlice, 1'000'000) == Decision::deliver);
  CHECK(gate.check(kAlice, 10) == Decision::hold);
  // The session itself works and confirms, which opens no way for replays in between.
  CHECK_FALSE(gate.confirmed(kAlice, 10));
  CHECK(gate.check(kAlice, 10) == Decision::hold);
  CHECK(gate.check(kAlice, 999'999) == Decision::hold);
  CHECK(gate.check(kAlice, 1'000'001) == Decision::deliver);
}

TEST_CASE("the table keeps its size, and what it forgot is held, not delivered twice") {
  StampGate gate(100, kClean);
  for (std::uint32_t i = 0; i < 1000; ++i)
    REQUIRE(gate.check(key_number(i), 1 + i) == Decision::deliver);
  CHECK(gate.size() == 100);
  for (std::uint32_t i = 0; i < 900; ++i)
    REQUIRE(gate.check(key_number(i), 1 + i) == Decision::hold);
  for (std::uint32_t i = 900; i < 1000; ++i)
    REQUIRE(gate.check(key_number(i), 1 + i) == Decision::repeat);
  CHECK(gate.check(kAlice, 900) == Decision::hold);
  CHECK(gate.check(kAlice, 2000) == Decision::deliver);
  CHECK(gate.size() == 100);
}

TEST_CASE("entries and floor survive being written and read") {
  StampGate before(3, kClean);
  for (std::uint32_t i = 0; i < 5; ++i) before.check(key_number(i), 10 + i);
  std::vector<std::uint8_t> log(before.entries().size() * StampEntry::kSize);
  Writer writer(log);
  for (const StampEntry& entry : before.entries()) entry.write(writer);
  REQUIRE(writer.ok());
  REQUIRE(writer.size() == log.size());

  StampGate after(3, kClean);
  Reader reader(log);
  while (reader.left() > 0) after.restore(StampEntry::read(reader));
  REQUIRE(reader.complete());
  CHECK(after.size() == 3);
  REQUIRE(after.floor());
  CHECK(after.floor()->stamp == 11);
  REQUIRE(after.entry(key_number(4)));
  CHECK(after.entry(key_number(4))->stamp == 14);
  CHECK_FALSE(after.entry(key_number(0)));
  CHECK(after.check(key_number(0), 10) == Decision::hold);
  CHECK(after.check(key_number(2), 12) == Decision::repeat);
}

TEST_CASE("an older line of the log does not set an entry back") {
  StampGate gate(3, kClean);
  gate.restore({kAlice, 9});
  gate.restore({kAlice, 7});
  CHECK(gate.check(kAlice, 8) == Decision::hold);
}

TEST_CASE("stamps go up even when the clock goes back or stands still") {
  StampClock clock;
  CHECK(clock.next(100) == 100);
  CHECK(clock.next(100) == 101);
  CHECK(clock.next(50) == 102);
  CHECK(clock.next(200) == 200);
}
