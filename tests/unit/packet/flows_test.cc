// Owns the tests of the cache of conversations.
#include "proxy/packet/flows.hh"

#include <doctest/doctest.h>

#include "packets.hh"

using namespace i3;
using namespace i3::testing;
using namespace std::chrono_literals;

namespace {
FlowKey key(std::uint32_t number) {
  return {IpAddress::v4(0x64400000 + number), 53, static_cast<std::uint16_t>(number), 17};
}
const TimePoint kStart = TimePoint{} + 1000s;
}  // namespace

TEST_CASE("a flow is open from its opening until its lifetime after it was last seen") {
  SeededRandom random(1);
  FlowTable flows(1024, 300s, random);
  CHECK_FALSE(flows.contains(key(1), kStart));
  flows.open(key(1), kStart);
  CHECK(flows.contains(key(1), kStart));
  CHECK(flows.refresh(key(1), kStart + 200s));
  CHECK(flows.contains(key(1), kStart + 499s));
  CHECK_FALSE(flows.contains(key(1), kStart + 500s));
  CHECK_FALSE(flows.refresh(key(1), kStart + 500s));
  flows.open(key(1), kStart + 501s);
  CHECK(flows.contains(key(1), kStart + 502s));
}

TEST_CASE("every part of a flow's key counts") {
  SeededRandom random(1);
  FlowTable flows(1024, 300s, random);
  flows.open(key(1), kStart);
  FlowKey other = key(1);
  other.peer_port = 54;
  CHECK_FALSE(flows.contains(other, kStart));
  other = key(1);
  other.protocol = 132;
  CHECK_FALSE(flows.contains(other, kStart));
  other = key(1);
  other.peer = ip("100.64.0.2");
  CHECK_FALSE(flows.contains(other, kStart));
  other = key(1);
  other.own_port = 2;
  CHECK_FALSE(flows.contains(other, kStart));
}

TEST_CASE("the table grows with its flows, up to its maximum, and then forgets the oldest") {
  SeededRandom random(2);
  FlowTable flows(4096, 300s, random);
  CHECK(flows.capacity() == 64);
  for (std::uint32_t i = 0; i < 1000; ++i) flows.open(key(i), kStart);
  CHECK(flows.capacity() >= 1000);
  CHECK(flows.capacity() <= 4096);
  CHECK(flows.count(kStart) >= 990);
  for (std::uint32_t i = 1000; i < 50000; ++i)
    flows.open(key(i), kStart + std::chrono::milliseconds(i));
  CHECK(flows.capacity() == 4096);
  const TimePoint end = kStart + 50s;
  CHECK(flows.count(end) <= 4096);
  CHECK(flows.count(end) > 4000);
  CHECK(flows.contains(key(49999), end));
  CHECK_FALSE(flows.contains(key(1500), end));
}

TEST_CASE("dead flows make room without growth") {
  SeededRandom random(3);
  FlowTable flows(65536, 300s, random);
  for (int round = 0; round < 200; ++round)
    for (std::uint32_t i = 0; i < 20; ++i)
      flows.open(key(static_cast<std::uint32_t>(round) * 20 + i), kStart + round * 301s);
  CHECK(flows.capacity() <= 256);
}

TEST_CASE("a clock that steps back forgets nothing") {
  SeededRandom random(1);
  FlowTable flows(64, 300s, random);
  flows.open(key(1), kStart);
  CHECK(flows.refresh(key(1), kStart - 10s));
  CHECK(flows.contains(key(1), kStart + 299s));
}
