#include "overlay/triggers/record_table.hh"

#include <doctest/doctest.h>

using namespace i3;
using Put = RecordTable::Put;

namespace {

struct Thief {
  SeededRandom random{7};
  std::unique_ptr<Identity> old = Identity::generate(random);
  std::unique_ptr<Identity> next = Identity::generate(random);
  std::unique_ptr<Identity> his = Identity::generate(random);
  std::unique_ptr<Identity> third = Identity::generate(random);
  KeyRecord moved = KeyRecord::move(*old, next->key(), 1);
  KeyRecord stolen = KeyRecord::move(*old, his->key(), 2);
  KeyRecord revoked = KeyRecord::revoke(*old, 0);
};

Endpoint from(std::uint32_t number) {
  return {IpAddress::v4(0x0a000000 + number), 4000};
}
const TimePoint kStart{std::chrono::hours(1)};

}  // namespace

TEST_CASE("a record is kept for an hour, and as long again when the very same is put again") {
  RecordTable table;
  Thief t;
  CHECK_FALSE(table.renew(t.moved, kStart));
  CHECK(table.put(t.moved, from(1), kStart) == Put::kept);
  CHECK(table.of(t.old->key(), kStart + std::chrono::minutes(59)).size() == 1);
  CHECK(table.of(t.old->key(), kStart + std::chrono::minutes(60)).empty());
  CHECK(table.renew(t.moved, kStart + std::chrono::minutes(30)));
  KeyRecord forged = t.moved;
  forged.signature[5] ^= 1;
  CHECK_FALSE(table.renew(forged, kStart + std::chrono::minutes(40)));
  table.expire(kStart + std::chrono::minutes(61));
  CHECK(table.of(t.old->key(), kStart + std::chrono::minutes(89)).size() == 1);
  CHECK(table.next_expiry() == kStart + std::chrono::minutes(90));
  table.expire(kStart + std::chrono::minutes(90));
  CHECK(table.size() == 0);
  CHECK(table.next_expiry() == kNever);
}

TEST_CASE("a revocation takes the place of all moves, and no move comes behind it") {
  RecordTable table;
  Thief t;
  table.put(t.moved, from(1), kStart);
  table.put(t.stolen, from(2), kStart);
  CHECK(table.of(t.old->key(), kStart).size() == 2);
  CHECK(table.put(t.revoked, from(1), kStart) == Put::kept);
  REQUIRE(table.of(t.old->key(), kStart).size() == 1);
  CHECK(table.of(t.old->key(), kStart)[0].kind == KeyRecord::Kind::revoked);
  CHECK(table.put(t.moved, from(1), kStart) == Put::kept);
  CHECK(table.of(t.old->key(), kStart)[0].kind == KeyRecord::Kind::revoked);
  CHECK(table.size() == 1);
}

TEST_CASE("of moves that contradict each other the first two are told, whatever their dates") {
  RecordTable table;
  Thief t;
  table.put(t.moved, from(1), kStart);
  table.put(t.stolen, from(2), kStart);
  table.put(KeyRecord::move(*t.old, t.third->key(), 99), from(3), kStart);
  const auto told = table.of(t.old->key(), kStart);
  REQUIRE(told.size() == 2);
  CHECK(told[0].successor == t.next->key());
  CHECK(told[1].successor == t.his->key());
}

TEST_CASE("one address prefix cannot fill the table of records, nor keep a revocation out of it") {
  RecordTable table({100, 3, std::chrono::hours(1)});
  SeededRandom random(3);
  std::vector<std::unique_ptr<Identity>> keys;
  for (int i = 0; i < 4; ++i) keys.push_back(Identity::generate(random));
  for (int i = 0; i < 3; ++i)
    CHECK(table.put(KeyRecord::move(*keys[static_cast<std::size_t>(i)], keys[3]->key(), 1), from(1),
                    kStart) == Put::kept);
  const KeyRecord one_more = KeyRecord::revoke(*keys[3], 1);
  CHECK(table.put(one_more, from(1), kStart) == Put::quota);
  CHECK(table.put(one_more, from(2), kStart) == Put::kept);
  CHECK(table.put(KeyRecord::revoke(*keys[0], 1), from(1), kStart) == Put::kept);
  table.expire(kStart + std::chrono::hours(1));
  CHECK(table.size() == 0);
  CHECK(table.put(one_more, from(1), kStart + std::chrono::hours(1)) == Put::kept);
}

TEST_CASE("a full table of records says so, and keeps what it has") {
  RecordTable table({2, 256, std::chrono::hours(1)});
  Thief t;
  CHECK(table.put(KeyRecord::revoke(*t.next, 1), from(1), kStart) == Put::kept);
  CHECK(table.put(t.moved, from(2), kStart) == Put::kept);
  CHECK(table.put(KeyRecord::revoke(*t.his, 1), from(3), kStart) == Put::full);
  CHECK(table.put(t.revoked, from(3), kStart) == Put::kept);
  CHECK(table.size() == 2);
}
