// Rows that lead to other IDs: dead chains are pushed back, loops die, answers find the way home.
#include "tests/unit/node/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kForEver = ~std::uint64_t{0};

// Long enough for two answers.
const std::string kText(200, 't');

std::uint64_t total(SmallRing& bench, const std::string& counter) {
  std::uint64_t sum = 0;
  for (auto& node : bench.ring.nodes()) sum += node->core().counters()[counter];
  return sum;
}

// A row of `from`'s ID under `salt` that leads to `to`'s ID under `to_salt`.
wire::Insert link(BareHost& from, std::uint32_t salt, const BareHost& to, std::uint32_t to_salt) {
  wire::Insert row = from.trigger(salt);
  row.stack = {wire::Consent::issue(*to.identity, owner_prefix(to.identity->key(), to_salt),
                                    to_salt, row.id, kForEver)};
  return row;
}

struct Chain {
  Chain() {
    for (std::uint32_t i = 0; i < 3; ++i) {
      rows[i] = link(alice, i, alice, i + 1);
      REQUIRE(alice.insert(bench.owner(rows[i].id), rows[i]));
    }
    end = alice.trigger(3);
    alice.clear();
  }
  bool insert_end() {
    end.sequence = ++alice.sequence;
    const bool done = alice.insert(bench.owner(end.id), end).has_value();
    alice.clear();
    return done;
  }
  wire::IdPacket send() {
    bob.clear();
    const auto packet = bob.packet(rows[0].id, kText);
    bob.send_message(bench.ring[0].endpoint(), packet);
    bench.settle();
    return packet;
  }
  SmallRing bench{5};
  BareHost alice{bench.network, 1}, bob{bench.network, 2};
  wire::Insert rows[3];
  wire::Insert end;
};

}  // namespace

TEST_CASE("a chain of rows leads through several nodes, and the answer comes back through all") {
  Chain chain;
  REQUIRE(chain.insert_end());
  chain.send();
  const auto delivered = chain.alice.all<wire::IdPacket>();
  REQUIRE(delivered.size() == 1);
  wire::Returned answer;
  answer.tag = delivered[0].tag;
  answer.payload = as_bytes("back");
  chain.bob.clear();
  chain.alice.send_message(chain.bench.owner(chain.end.id).endpoint(), answer);
  chain.bench.settle();
  CHECK(chain.bob.all<wire::Returned>().size() == 1);
}

TEST_CASE("a dead chain is pushed back row by row, and the sender is told of the ID it used") {
  Chain chain;
  const auto packet = chain.send();
  const auto told = chain.bob.all<wire::NotPresent>();
  REQUIRE(told.size() == 1);
  CHECK(told[0].nonce == packet.nonce);
  CHECK(told[0].id == chain.rows[0].id);
  CHECK(total(chain.bench, "pushed_back") == 3);
  // The next one ends at the first row: nothing goes along the chain any more.
  const auto passed = total(chain.bench, "pushed_back");
  chain.send();
  CHECK(chain.bob.all<wire::NotPresent>().size() == 1);
  CHECK(total(chain.bench, "pushed_back") == passed);
}

TEST_CASE("a suspended row is tried again by and by, and at once after a new insertion") {
  Chain chain;
  chain.send();
  REQUIRE(chain.insert_end());
  chain.bench.network.run_for(1500ms);
  chain.send();
  CHECK(chain.alice.all<wire::IdPacket>().size() == 1);

  Chain other;
  other.send();
  REQUIRE(other.insert_end());
  for (auto& row : other.rows) {
    row.sequence = ++other.alice.sequence;
    REQUIRE(other.alice.insert(other.bench.owner(row.id), row));
  }
  other.alice.clear();
  other.send();
  CHECK(other.alice.all<wire::IdPacket>().size() == 1);
}

TEST_CASE("of several targets only the dead one is suspended, and the sender hears nothing of it") {
  SmallRing bench(3);
  BareHost group(bench.network, 1), member(bench.network, 2), bob(bench.network, 3);
  const auto dead = link(group, 0, group, 9);
  SimNode& owner = bench.owner(dead.id);
  REQUIRE(group.insert(owner, dead));
  wire::Insert alive = group.trigger(0);
  alive.delegation = wire::Delegation::issue(*group.identity, member.identity->key(), kForEver);
  REQUIRE(member.insert(owner, alive));
  member.clear();
  for (int i = 0; i < 3; ++i) {
    bob.send_message(owner.endpoint(), bob.packet(dead.id, kText));
    bench.settle();
  }
  CHECK(member.all<wire::IdPacket>().size() == 3);
  CHECK(bob.all<wire::NotPresent>().empty());
  CHECK(total(bench, "pushed_back") <= 3);
  CHECK(total(bench, "pushed_back") >= 1);
}

TEST_CASE("a later ID of the packet's own stack that is dead suspends no row") {
  Chain chain;
  REQUIRE(chain.insert_end());
  auto packet = chain.bob.packet(owner_prefix(chain.bob.identity->key(), 5), "x");
  packet.id_count = 2;
  packet.ids[1] = owner_prefix(chain.bob.identity->key(), 6);
  chain.bob.send_message(chain.bench.ring[0].endpoint(), packet);
  chain.bench.settle();
  CHECK(total(chain.bench, "pushed_back") == 0);
  chain.send();
  CHECK(chain.alice.all<wire::IdPacket>().size() == 1);
}

TEST_CASE("a row with every_stop passes over none of its IDs") {
  for (const bool every_stop : {false, true}) {
    CAPTURE(every_stop);
    SmallRing bench(5);
    BareHost alice(bench.network, 1), bob(bench.network, 2);
    auto row = link(alice, 0, alice, 7);  // a dead ID first and a live one then
    const auto end = alice.trigger(3);
    row.stack.push_back(wire::Consent::issue(*alice.identity, end.id, 3, row.id, kForEver));
    row.every_stop = every_stop;
    REQUIRE(alice.insert(bench.owner(row.id), row));
    REQUIRE(alice.insert(bench.owner(end.id), end));
    alice.clear();
    bob.send_message(bench.ring[0].endpoint(), bob.packet(row.id, kText));
    bench.settle();
    CHECK(alice.all<wire::IdPacket>().size() == (every_stop ? 0 : 1));
  }
}

TEST_CASE("a packet sent with few hops suspends nobody's row") {
  SmallRing bench(5);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  // The row leads to a dead ID first and to a live one then.
  auto row = link(alice, 0, alice, 7);
  const auto end = alice.trigger(3);
  row.stack.push_back(wire::Consent::issue(*alice.identity, end.id, 3, row.id, kForEver));
  REQUIRE(alice.insert(bench.owner(row.id), row));
  REQUIRE(alice.insert(bench.owner(end.id), end));
  for (std::uint8_t hops = 1; hops < 12; ++hops) {
    auto packet = bob.packet(row.id, kText);
    packet.hop_limit = hops;
    bob.send_message(bench.ring[0].endpoint(), packet);
    bench.settle();
  }
  CHECK(total(bench, "pushed_back") == 0);
  alice.clear();
  bob.send_message(bench.ring[0].endpoint(), bob.packet(row.id, "x"));
  bench.settle();
  CHECK(alice.all<wire::IdPacket>().size() == 1);
}

TEST_CASE("a loop of triggers dies within the hop limit") {
  SmallRing bench(5);
  BareHost alice(bench.network, 1), bob(bench.network, 2);
  const auto there = link(alice, 0, alice, 1), back = link(alice, 1, alice, 0);
  REQUIRE(alice.insert(bench.owner(there.id), there));
  REQUIRE(alice.insert(bench.owner(back.id), back));
  const auto before = total(bench, "packets_passed_on");
  bob.send_message(bench.ring[0].endpoint(), bob.packet(there.id, "round and round"));
  bench.network.run_for(20s);
  CHECK(total(bench, "hop_limit") == 1);
  CHECK(total(bench, "packets_passed_on") - before <= wire::kDefaultHops);
}

TEST_CASE("a tree of triggers makes no more copies than the packet's budget") {
  SmallRing bench(4);
  BareHost group(bench.network, 1), bob(bench.network, 2);
  std::vector<std::unique_ptr<BareHost>> members;
  // Each of four members leads the group's ID on to an ID that four hosts each listen to.
  auto delegated = [&](BareHost& host, wire::Insert row) {
    row.owner = group.identity->key();
    row.id = owner_prefix(row.owner, row.salt);
    row.sequence = ++host.sequence;
    row.delegation = wire::Delegation::issue(*group.identity, host.identity->key(), kForEver);
    return row;
  };
  const Id root = owner_prefix(group.identity->key(), 0);
  for (std::uint32_t i = 0; i < 24; ++i) {
    members.push_back(std::make_unique<BareHost>(bench.network, 10 + i));
    BareHost& host = *members.back();
    wire::Insert row = delegated(host, host.trigger(0));
    if (i < 4)
      row.stack = {
          wire::Consent::issue(*group.identity, owner_prefix(row.owner, 1), 1, root, kForEver)};
    else
      row = delegated(host, host.trigger(1));
    REQUIRE(host.insert(bench.owner(row.id), row));
    host.clear();
  }
  bob.send_message(bench.ring[0].endpoint(), bob.packet(root, "to all"));
  bench.network.run_for(5s);
  std::size_t copies = 0;
  for (auto& host : members) copies += host->all<wire::IdPacket>().size();
  CHECK(copies > 0);
  CHECK(copies <= wire::kDefaultCopies);
}
