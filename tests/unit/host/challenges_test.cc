// Challenges under way over one way, and its round trip.
#include <doctest/doctest.h>

#include "proxy/host/node_paths.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {
const TimePoint kStart{1000s};
}

TEST_CASE("challenges follow each other without waiting, and an answer counts for all before it") {
  Challenges asked;
  for (std::uint64_t nonce = 1; nonce <= 4; ++nonce)
    CHECK(asked.next(nonce, kStart + nonce * 100ms) == nonce);
  CHECK(asked.since() == kStart + 100ms);
  Duration trip{};
  CHECK(asked.answered(3, kStart + 650ms, trip));
  CHECK(trip == 350ms);
  CHECK(asked.count() == 1);
  CHECK(asked.since() == kStart + 400ms);
  CHECK_FALSE(asked.answered(2, kStart + 660ms, trip));
  CHECK_FALSE(asked.answered(3, kStart + 660ms, trip));
  CHECK(asked.answered(4, kStart + 700ms, trip));
  CHECK(asked.none());
}

TEST_CASE(
    "the oldest challenge is never pushed out: the last one is sent again, and measures nothing") {
  Challenges asked;
  for (std::uint64_t nonce = 1; nonce <= Challenges::kMost; ++nonce) asked.next(nonce, kStart);
  CHECK(asked.next(99, kStart + 1s) == Challenges::kMost);
  CHECK(asked.count() == Challenges::kMost);
  Duration trip = 5s;
  CHECK(asked.answered(1, kStart + 2s, trip));
  CHECK(trip == 2s);
  CHECK(asked.answered(Challenges::kMost, kStart + 3s, trip));
  CHECK(trip == Duration{});
  CHECK(asked.none());
  CHECK_FALSE(asked.answered(99, kStart + 3s, trip));
}

TEST_CASE("a round trip that does not vary leaves no doubt, one that does leaves more") {
  RoundTrip steady, varying;
  for (int i = 0; i < 100; ++i) {
    steady.add(80ms);
    varying.add(i % 2 == 0 ? 60ms : 100ms);
  }
  CHECK(steady.smoothed == 80ms);
  CHECK(steady.varies < 1ms);
  CHECK(varying.smoothed > 70ms);
  CHECK(varying.smoothed < 90ms);
  CHECK(varying.varies > 10ms);
}
