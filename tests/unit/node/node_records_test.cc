// What keys said of themselves, as nodes keep it and tell it.
#include "overlay/wire/records.hh"
#include "tests/unit/node/sim_host.hh"

using namespace i3;
using namespace i3::sim;

namespace {

struct Bench : SmallRing {
  Bench() : SmallRing(3) {}
  // Asks, is challenged, puts again. True if it is kept then.
  bool put(BareHost& host, SimNode& node, const KeyRecord& record) {
    host.clear();
    host.send_message(node.endpoint(), wire::RecordPut{1, {}, record});
    settle();
    const auto challenges = host.all<wire::Challenge>();
    if (challenges.empty()) return host.all<wire::RecordKept>().size() == 1;
    host.clear();
    host.send_message(node.endpoint(), wire::RecordPut{2, challenges[0].cookie, record});
    settle();
    return host.all<wire::RecordKept>().size() == 1;
  }
  std::vector<wire::Records> ask(BareHost& host, SimNode& node, const PublicKey& key) {
    host.clear();
    host.send_message(node.endpoint(), wire::RecordAsk{3, key});
    settle();
    return host.all<wire::Records>();
  }
};

}  // namespace

TEST_CASE("what a key says of itself is kept at its place in the ring and told to who asks") {
  Bench bench;
  BareHost bob(bench.network, 1), carol(bench.network, 2);
  SimNode& node = bench.owner(public_id(bob.identity->key()));
  const auto nothing = bench.ask(carol, node, bob.identity->key());
  REQUIRE(nothing.size() == 1);
  CHECK(nothing[0].records.empty());
  const KeyRecord record = KeyRecord::move(*bob.identity, carol.identity->key(), 5);
  CHECK(bench.put(bob, node, record));
  const auto told = bench.ask(carol, node, bob.identity->key());
  REQUIRE(told.size() == 1);
  REQUIRE(told[0].records.size() == 1);
  CHECK(told[0].records[0].says_as(record));
  CHECK(told[0].records[0].valid());
  CHECK(bob.bytes_in <= bob.bytes_out);
  CHECK(carol.bytes_in <= carol.bytes_out);
}

TEST_CASE("whoever has a record may put it; nobody changes a byte of it") {
  Bench bench;
  BareHost bob(bench.network, 1), mallory(bench.network, 2);
  SimNode& node = bench.owner(public_id(bob.identity->key()));
  const KeyRecord record = KeyRecord::move(*bob.identity, mallory.identity->key(), 5);
  CHECK(bench.put(mallory, node, record));
  KeyRecord forged = KeyRecord::revoke(*mallory.identity, 5);
  forged.key = bob.identity->key();
  CHECK_FALSE(bench.put(mallory, node, forged));
  REQUIRE(mallory.all<wire::Refused>().size() == 1);
  CHECK(mallory.all<wire::Refused>()[0].reason == wire::Refusal::bad_proof);
  forged = record;
  forged.successor = PublicKey{};
  forged.kind = KeyRecord::Kind::revoked;
  CHECK_FALSE(bench.put(mallory, node, forged));
  const auto told = bench.ask(mallory, node, bob.identity->key());
  REQUIRE(told[0].records.size() == 1);
  CHECK(told[0].records[0].says_as(record));
}

TEST_CASE("a record's signature is not looked at before its bearer showed a cookie of its own") {
  Bench bench;
  BareHost bob(bench.network, 1), mallory(bench.network, 2);
  SimNode& node = bench.owner(public_id(bob.identity->key()));
  const KeyRecord record = KeyRecord::revoke(*bob.identity, 5);
  bob.send_message(node.endpoint(), wire::RecordPut{1, {}, record});
  bench.settle();
  REQUIRE(bob.all<wire::Challenge>().size() == 1);
  mallory.send_message(node.endpoint(),
                       wire::RecordPut{1, bob.all<wire::Challenge>()[0].cookie, record});
  bench.settle();
  CHECK(mallory.all<wire::RecordKept>().empty());
  CHECK(mallory.all<wire::Challenge>().size() == 1);
  CHECK(node.core().records().size() == 0);
}

TEST_CASE("a node far from a key keeps nothing of it and says where to go") {
  SmallRing ring(6);
  BareHost bob(ring.network, 1);
  const PublicKey key = bob.identity->key();
  std::size_t holders = 0, others = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    bob.clear();
    bob.send_message(ring.ring[i].endpoint(), wire::RecordAsk{3, key});
    ring.settle();
    holders += bob.all<wire::Records>().size();
    for (const wire::Refused& refused : bob.all<wire::Refused>())
      others += refused.reason == wire::Refusal::not_owner;
  }
  CHECK(holders >= 3);
  CHECK(holders <= 6);
  CHECK(holders + others == 6);
}

TEST_CASE("a known record lives on when it is put again, without a challenge") {
  Bench bench;
  BareHost bob(bench.network, 1);
  SimNode& node = bench.owner(public_id(bob.identity->key()));
  const KeyRecord record = KeyRecord::revoke(*bob.identity, 5);
  CHECK(bench.put(bob, node, record));
  bob.clear();
  bob.send_message(node.endpoint(), wire::RecordPut{9, {}, record});
  bench.settle();
  REQUIRE(bob.all<wire::RecordKept>().size() == 1);
  CHECK(bob.all<wire::RecordKept>()[0].lifetime_s == 3600);
  CHECK(bob.all<wire::Challenge>().empty());
}
