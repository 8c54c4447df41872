#include "proxy/host/believed.hh"

#include <doctest/doctest.h>

#include "proxy/host/state.hh"

using namespace i3;
using Change = Believed::Change;

namespace {

struct Keys {
  SeededRandom random{5};
  std::vector<std::unique_ptr<Identity>> all;
  Keys() {
    for (int i = 0; i < 12; ++i) all.push_back(Identity::generate(random));
  }
  const Identity& at(std::size_t i) const { return *all[i]; }
  const PublicKey& key(std::size_t i) const { return all[i]->key(); }
  KeyRecord move(std::size_t from, std::size_t to, WallTime made = 1) const {
    return KeyRecord::move(at(from), key(to), made);
  }
  KeyRecord revoke(std::size_t which) const { return KeyRecord::revoke(at(which), 0); }
};

Change take(Believed& believed, const KeyRecord& record, bool named = true) {
  return believed.take(std::span(&record, 1), named);
}

}  // namespace

TEST_CASE(
    "a key is itself until it says otherwise, and the first move counts, whatever the dates") {
  Keys keys;
  Believed believed;
  CHECK(believed.current(keys.key(0)) == keys.key(0));
  CHECK(take(believed, keys.move(0, 1, 5)) == Change::moved);
  CHECK(believed.current(keys.key(0)) == keys.key(1));
  CHECK(take(believed, keys.move(0, 1, 9)) == Change::none);
  CHECK(take(believed, keys.move(0, 2, 99)) == Change::contradicted);
  CHECK(take(believed, keys.move(0, 2, 1)) == Change::none);
  CHECK(believed.current(keys.key(0)) == keys.key(1));
  CHECK(believed.current(keys.key(3)) == keys.key(3));
}

TEST_CASE("a revocation ends every move, and no move comes behind it") {
  Keys keys;
  Believed believed;
  take(believed, keys.move(0, 1));
  CHECK(take(believed, keys.revoke(0)) == Change::revoked);
  CHECK_FALSE(believed.current(keys.key(0)));
  CHECK(take(believed, keys.move(0, 1, ~0ull)) == Change::none);
  CHECK(take(believed, keys.revoke(0)) == Change::none);
  CHECK_FALSE(believed.current(keys.key(0)));
  // What was heard in one answer is judged as one.
  const std::vector<KeyRecord> both{keys.move(2, 3), keys.revoke(2)};
  CHECK(believed.take(both, true) == Change::revoked);
  CHECK_FALSE(believed.current(keys.key(2)));
}

TEST_CASE("moves that contradict each other, heard at once, are believed by nobody") {
  Keys keys;
  Believed believed;
  const std::vector<KeyRecord> both{keys.move(0, 1), keys.move(0, 2)};
  CHECK(believed.take(both, true) == Change::contested);
  CHECK_FALSE(believed.current(keys.key(0)));
  CHECK(take(believed, keys.move(0, 1)) == Change::none);
  CHECK_FALSE(believed.current(keys.key(0)));
  CHECK(take(believed, keys.revoke(0)) == Change::revoked);
}

TEST_CASE("a way from key to key is followed eight steps, and a circle leads to nobody") {
  Keys keys;
  Believed believed;
  for (std::size_t i = 0; i < 8; ++i) take(believed, keys.move(i, i + 1));
  CHECK(believed.current(keys.key(0)) == keys.key(8));
  take(believed, keys.move(8, 9));
  CHECK_FALSE(believed.current(keys.key(0)));
  CHECK(believed.current(keys.key(1)) == keys.key(9));
  take(believed, keys.move(10, 11));
  take(believed, keys.move(11, 10));
  CHECK_FALSE(believed.current(keys.key(10)));
  take(believed, keys.revoke(9));
  CHECK_FALSE(believed.current(keys.key(5)));
}

TEST_CASE("names and rules follow a key that moved, and end with one that was revoked") {
  Keys keys;
  Believed believed;
  take(believed, keys.move(0, 1));
  take(believed, keys.revoke(2));
  const Directory named({{"home", keys.key(0), false}, {"lost", keys.key(2), true}},
                        {keys.key(0), keys.key(2), keys.key(3)});
  const Directory meant = believed.applied(named);
  REQUIRE(meant.by_name("home") != nullptr);
  CHECK(meant.by_name("home")->key == keys.key(1));
  CHECK_FALSE(meant.by_name("home")->shortcuts);
  CHECK(meant.by_name("lost") == nullptr);
  CHECK(meant.knows(keys.key(1)));
  CHECK(meant.knows(keys.key(3)));
  CHECK_FALSE(meant.knows(keys.key(0)));
  CHECK_FALSE(meant.knows(keys.key(2)));
  const auto lines = believed.applied(
      std::vector<Allow>{{keys.key(0), {}, {}}, {keys.key(2), {}, {}}, {std::nullopt, {}, {}}});
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].from == keys.key(1));
  CHECK_FALSE(lines[1].from);
}

TEST_CASE("strangers' records have a bound, and never take the place of keys that settings name") {
  Keys keys;
  Believed believed;
  std::vector<std::unique_ptr<Identity>> many;
  for (std::size_t i = 0; i < Believed::kMost; ++i) {
    std::array<std::uint8_t, 32> seed{};
    seed[0] = static_cast<std::uint8_t>(i);
    seed[1] = static_cast<std::uint8_t>(i >> 8);
    // Signatures are not its affair, so none is made here.
    KeyRecord record;
    record.kind = KeyRecord::Kind::revoked;
    record.key.bytes = seed;
    CHECK(take(believed, record, false) == Change::revoked);
  }
  CHECK(take(believed, keys.revoke(0), false) == Change::none);
  CHECK(take(believed, keys.revoke(0), true) == Change::revoked);
}

TEST_CASE("what is believed comes back from the state log as it was, and nothing forged does") {
  Keys keys;
  Believed believed;
  take(believed, keys.move(0, 1));
  believed.publish(keys.key(0));
  take(believed, keys.revoke(2));
  believed.take(std::vector<KeyRecord>{keys.move(3, 4), keys.move(3, 5)}, true);
  KeyRecord forged = keys.revoke(6);
  forged.key = keys.key(7);
  const std::string log = believed.lines() + "record " + forged.encode() +
                          "\nrecord i3-record:a\n" + "record " + keys.move(8, 9).encode() + "," +
                          keys.move(9, 8).encode() + "\n";
  const RestoredState state = RestoredState::parse(log);
  CHECK(state.records.size() == 3);
  Believed again;
  for (const RestoredRecord& one : state.records) {
    again.take(one.records, true);
    if (one.publish) again.publish(one.records[0].key);
  }
  CHECK(again.lines() == believed.lines());
  CHECK(again.find(keys.key(0))->publish);
  CHECK(again.find(keys.key(3))->contested());
}
