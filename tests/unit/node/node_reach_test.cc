// What a host learns from nodes of how it is reached, and whom a node writes to for that.
#include "overlay/wire/reach.hh"
#include "tests/unit/node/sim_host.hh"

using namespace i3;
using namespace i3::sim;

namespace {

wire::ReachSeen seen_by(SmallRing& bench, BareHost& host, SimNode& node) {
  host.clear();
  host.send_message(node.endpoint(), wire::Reach{wire::ReachHow::seen, 1, {}, {}});
  bench.settle();
  const auto answers = host.all<wire::ReachSeen>();
  REQUIRE(answers.size() == 1);
  return answers[0];
}

}  // namespace

TEST_CASE("a node says where it sees a host, and which other places it can have answer") {
  SmallRing bench(3);
  BareHost bob(bench.network, 1);
  const auto seen = seen_by(bench, bob, bench.ring[0]);
  CHECK(seen.observed == bob.endpoint());
  CHECK(seen.other_port != 0);
  CHECK(seen.other_port != bench.ring[0].endpoint().port);
  CHECK(seen.other_node);
  SmallRing alone(1);
  BareHost carol(alone.network, 1);
  CHECK_FALSE(seen_by(alone, carol, alone.ring[0]).other_node);
}

TEST_CASE("with its cookie a host is answered from the same port, another one and another node") {
  SmallRing bench(3);
  BareHost bob(bench.network, 1);
  SimNode& node = bench.ring[0];
  const auto seen = seen_by(bench, bob, node);
  for (auto how : {wire::ReachHow::same, wire::ReachHow::other_port, wire::ReachHow::other_node}) {
    bob.clear();
    bob.send_message(node.endpoint(), wire::Reach{how, 9, bob.endpoint(), seen.cookie});
    bench.settle();
    REQUIRE(bob.all<wire::Reached>().size() == 1);
    CHECK(bob.all<wire::Reached>()[0].nonce == 9);
    CHECK(bob.all<wire::Reached>()[0].how == how);
    const Endpoint& from = bob.got[0].first;
    CHECK((from == node.endpoint()) == (how == wire::ReachHow::same));
    CHECK((from.address == node.endpoint().address) == (how != wire::ReachHow::other_node));
  }
  CHECK(bob.bytes_in <= bob.bytes_out);
}

TEST_CASE("a node writes to nobody who did not ask it: the cookie is the target's own") {
  SmallRing bench(3);
  BareHost bob(bench.network, 1), victim(bench.network, 2);
  SimNode& node = bench.ring[0];
  const auto seen = seen_by(bench, bob, node);
  for (auto how : {wire::ReachHow::same, wire::ReachHow::other_port, wire::ReachHow::other_node}) {
    bob.send_message(node.endpoint(), wire::Reach{how, 9, victim.endpoint(), seen.cookie});
    bob.send_message(node.endpoint(), wire::Reach{how, 9, victim.endpoint(), {}});
  }
  bench.settle();
  CHECK(victim.got.empty());
  CHECK(node.core().counters()["reach_bad_cookie"] == 6);
  // Nor does it believe a cookie of another node.
  bob.clear();
  bob.send_message(bench.ring[1].endpoint(),
                   wire::Reach{wire::ReachHow::same, 9, bob.endpoint(), seen.cookie});
  bench.settle();
  CHECK(bob.all<wire::Reached>().empty());
}

TEST_CASE("the second port answers only where it sees a host") {
  SmallRing bench(3);
  BareHost bob(bench.network, 1);
  SimNode& node = bench.ring[0];
  const auto seen = seen_by(bench, bob, node);
  const Endpoint other{node.endpoint().address, seen.other_port};
  bob.clear();
  bob.send_message(other, wire::Reach{wire::ReachHow::seen, 2, {}, {}});
  bob.send_message(other, wire::Reach{wire::ReachHow::same, 3, bob.endpoint(), seen.cookie});
  bob.send_message(other, wire::Probe{4});
  bench.settle();
  REQUIRE(bob.got.size() == 1);
  CHECK(bob.got[0].first == other);
  CHECK(bob.all<wire::ReachSeen>().size() == 1);
}

TEST_CASE("steps lead to the owner of an ID, which says whether a trigger matches") {
  SmallRing bench(8);
  BareHost bob(bench.network, 1);
  const auto trigger = bob.trigger();
  SimNode& owner = bench.owner(trigger.id);
  for (const std::size_t matches : {0u, 1u}) {
    if (matches == 1) REQUIRE(bob.insert(owner, trigger));
    for (auto& start : bench.ring.nodes()) {
      Endpoint at = start->endpoint();
      for (int hops = 0; hops < 8; ++hops) {
        bob.clear();
        bob.send_message(at, wire::Step{1, trigger.id});
        bench.settle();
        const auto replies = bob.all<wire::StepReply>();
        REQUIRE(replies.size() == 1);
        CHECK(replies[0].in_ring);
        CHECK(replies[0].node.owns(at));
        if (!replies[0].next) break;
        at = *replies[0].next->v4;
      }
      CHECK(at == owner.endpoint());
      CHECK(bob.all<wire::StepReply>()[0].owner);
      CHECK(bob.all<wire::StepReply>()[0].matches == matches);
    }
  }
  CHECK(bob.bytes_in <= bob.bytes_out);
}
