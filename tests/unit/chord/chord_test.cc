// Each rule of the ring that a message could break, one core against hand-made neighbours: who is a
// member, and whom one believes.
#include "chord_bench.hh"

using namespace i3;
using namespace i3::test;

TEST_CASE("a node without entries is the first of its ring and owns everything") {
  Bench bench;
  bench.chord.start({}, bench.now);
  CHECK(bench.chord.member());
  bench.chord.find(7, RingId{1, 2}, bench.now);
  REQUIRE(bench.results.size() == 1);
  CHECK(bench.results[0].front() == bench.self);
}

TEST_CASE("a joining node is no member before it has its successor's list") {
  Bench bench;
  const auto entry = bench.others[3];
  bench.chord.start({{*entry.v4, std::nullopt}}, bench.now);
  wire::ProbeReply reply;
  reply.nonce = bench.probes.back().second;
  reply.observed = *bench.self.v4;
  reply.contact = entry;
  bench.chord.on_probe_reply(reply, bench.now);
  const auto* find = bench.last(entry, RingKind::find);
  REQUIRE(find);
  bench.receive(
      entry, RingKind::found,
      wire::FoundBody{wire::FindBody::parse(find->body)->nonce, bench.chord.id(), 1, {entry}});
  CHECK(!bench.chord.member());
  bench.state(entry, std::nullopt, {bench.others[4], bench.others[5]});
  CHECK(bench.chord.member());
  REQUIRE(bench.chord.view().successors().size() == 3);
  CHECK(bench.chord.view().successors()[0].contact == entry);
  CHECK(bench.last(entry, RingKind::notify));
}

TEST_CASE("who is no member yet answers no questions about the ring") {
  Bench bench;
  bench.chord.start({{*bench.others[3].v4, std::nullopt}}, bench.now);
  bench.receive(bench.others[5], RingKind::state_request, wire::StateRequestBody{1, 1, 0});
  CHECK(bench.sent.empty());
  CHECK(bench.counts["ring_not_member"] == 1);
}

TEST_CASE("an entry whose key is another one than expected is not joined") {
  Bench bench;
  bench.chord.start({{*bench.others[0].v4, bench.others[1].key}}, bench.now);
  wire::ProbeReply reply;
  reply.nonce = bench.probes.back().second;
  reply.contact = bench.others[0];
  bench.chord.on_probe_reply(reply, bench.now);
  CHECK(bench.sent.empty());
  CHECK(bench.counts["join_wrong_key"] == 1);
}

TEST_CASE("a probe's answer with another nonce is not believed") {
  Bench bench;
  bench.chord.start({{*bench.others[0].v4, std::nullopt}}, bench.now);
  wire::ProbeReply reply;
  reply.nonce = bench.probes.back().second + 1;
  reply.contact = bench.others[0];
  bench.chord.on_probe_reply(reply, bench.now);
  CHECK(bench.sent.empty());
}

TEST_CASE("an entry that does not answer is asked again for ever") {
  Bench bench;
  bench.chord.start({{*bench.others[0].v4, std::nullopt}}, bench.now);
  bench.pass(600s);
  const std::size_t asked = bench.probes.size();
  CHECK(asked > 20);
  bench.pass(60s);
  CHECK(bench.probes.size() > asked);
}

TEST_CASE("a place that is taken already is left for the next one") {
  Bench bench;
  const auto entry = bench.others[3];
  bench.chord.start({{*entry.v4, std::nullopt}}, bench.now);
  wire::ProbeReply reply;
  reply.nonce = bench.probes.back().second;
  reply.contact = entry;
  bench.chord.on_probe_reply(reply, bench.now);
  const auto* find = bench.last(entry, RingKind::find);
  REQUIRE(find);
  const RingId before = bench.chord.id();
  bench.receive(entry, RingKind::found,
                wire::FoundBody{wire::FindBody::parse(find->body)->nonce, before, 1, {bench.self}});
  CHECK(bench.chord.self().k == 1);
  CHECK(bench.chord.id() != before);
  CHECK(!bench.chord.member());
}

TEST_CASE("a closer successor counts only once it has answered itself") {
  Bench bench;
  const auto far = bench.others[5], near = bench.others[2];
  bench.join(far, {bench.others[6], bench.others[7]});
  bench.pass(1s);
  bench.state(far, near, {bench.others[6], bench.others[7]});
  CHECK(bench.chord.view().successor()->contact == far);
  bench.state(near, std::nullopt, {far, bench.others[6]});
  CHECK(bench.chord.view().successor()->contact == near);
  CHECK(bench.chord.view().successors()[1].contact == far);
  CHECK(bench.last(near, RingKind::notify));
}

TEST_CASE("a closer successor that does not answer changes nothing") {
  Bench bench;
  const auto far = bench.others[5], near = bench.others[2];
  bench.join(far, {bench.others[6]});
  bench.pass(1s);
  bench.state(far, near, {bench.others[6]});
  for (int i = 0; i < 8; ++i) {
    bench.pass(500ms);
    bench.state(far, near, {bench.others[6]});
  }
  CHECK(bench.chord.view().successor()->contact == far);
}

TEST_CASE("a successor that falls silent is dropped and the next in the list takes its place") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  for (int i = 0; i < 60 && bench.chord.view().knows(bench.others[1].ring_id()); ++i)
    bench.pass(100ms);
  REQUIRE(bench.chord.view().successor());
  CHECK(bench.chord.view().successor()->contact == bench.others[2]);
}

TEST_CASE("a dead member is not taken back on another's word") {
  Bench bench;
  const auto dead = bench.others[1], next = bench.others[2];
  bench.join(dead, {next});
  for (int i = 0; i < 60 && bench.chord.view().knows(dead.ring_id()); ++i) {
    bench.pass(100ms);
    if (bench.last(next, RingKind::ping)) bench.pong(next);
  }
  REQUIRE(bench.chord.view().successor());
  REQUIRE(bench.chord.view().successor()->contact == next);
  for (int i = 0; i < 20 && !bench.last(next, RingKind::state_request); ++i) bench.pass(50ms);
  bench.sent.erase(bench.sent.begin(), bench.sent.end() - 1);
  bench.state(next, dead, {});
  CHECK(bench.chord.view().successor()->contact == next);
  CHECK(!bench.last(dead, RingKind::state_request));
}

TEST_CASE("a question from an unproven address is answered only after it has answered ours") {
  Bench bench;
  bench.chord.start({}, bench.now);
  bench.receive(bench.others[0], RingKind::state_request, wire::StateRequestBody{77, 1, 0});
  CHECK(!bench.last(bench.others[0], RingKind::state));
  bench.pong(bench.others[0]);
  REQUIRE(bench.last(bench.others[0], RingKind::state));
  CHECK(wire::StateBody::parse(bench.last(bench.others[0], RingKind::state)->body)->nonce == 77);
}

TEST_CASE("a forged sender that cannot answer leaves nothing behind") {
  Bench bench;
  bench.chord.start({}, bench.now);
  bench.receive(bench.others[0], RingKind::notify, Bytes());
  bench.pass(5s);
  CHECK(bench.chord.view().alone());
}

TEST_CASE("questions of unproven nodes that wait are bounded") {
  Bench bench;
  bench.chord.start({}, bench.now);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    wire::NodeContact node = contact(9);
    node.v4 = Endpoint{IpAddress::v4(0x30000000u + (i << 8)), 5100};
    bench.receive(node, RingKind::notify, Bytes());
  }
  CHECK(bench.counts["ring_unproven_dropped"] > 900);
}

TEST_CASE("a nearer node becomes predecessor, a further one only when the old one is dead") {
  Bench bench;
  const auto& others = bench.others;
  const auto near = others[others.size() - 1], further = others[others.size() - 4];
  bench.chord.start({}, bench.now);
  bench.receive(near, RingKind::notify, Bytes());
  bench.pong(near);
  REQUIRE(bench.chord.view().predecessor());
  bench.receive(further, RingKind::notify, Bytes());
  bench.pong(further);
  CHECK(bench.chord.view().predecessor()->contact == near);
  bench.pass(10s);  // near answers nothing any more
  bench.receive(further, RingKind::notify, Bytes());
  bench.pong(further);
  REQUIRE(bench.chord.view().predecessor());
  CHECK(bench.chord.view().predecessor()->contact == further);
}

TEST_CASE("answers nobody asked for change nothing") {
  Bench bench;
  bench.chord.start({}, bench.now);
  wire::StateBody state{5, wire::StateBody::kSuccessors, bench.others[1], {bench.others[2]}, {}};
  bench.receive(bench.others[0], RingKind::state, state);
  bench.receive(bench.others[0], RingKind::pong, wire::PongBody{5, 0});
  bench.receive(bench.others[0], RingKind::found,
                wire::FoundBody{5, RingId{}, 1, {bench.others[0]}});
  CHECK(bench.chord.view().alone());
  CHECK(bench.counts["ring_unasked"] == 3);
}

TEST_CASE("a leave is only about its sender, and the nodes it names are asked first") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  wire::LeaveBody leave{bench.asked_of(bench.others[1]), std::nullopt, {bench.others[9]}};
  bench.receive(bench.others[7], RingKind::leave, leave);
  CHECK(bench.chord.view().successor()->contact == bench.others[1]);
  bench.receive(bench.others[1], RingKind::leave, leave);
  CHECK(bench.chord.view().successor()->contact == bench.others[2]);
  CHECK(!bench.chord.view().knows(bench.others[9].ring_id()));
}

TEST_CASE(
    "a leave without the nonce that we asked with last changes nothing, its sender is asked") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  const std::uint64_t old = bench.asked_of(bench.others[1]);
  bench.pass(1s);
  bench.state(bench.others[1], std::nullopt, {bench.others[2], bench.others[3]});
  REQUIRE(bench.asked_of(bench.others[1]) != old);
  bench.sent.clear();
  for (std::uint64_t nonce : {std::uint64_t{0}, old}) {
    bench.receive(bench.others[1], RingKind::leave, wire::LeaveBody{nonce, std::nullopt, {}});
    CHECK(bench.chord.view().successor()->contact == bench.others[1]);
  }
  CHECK(bench.last(bench.others[1], RingKind::ping));
  CHECK(bench.counts["ring_leave_unproven"] == 2);
}

TEST_CASE("a leave that was recorded does not serve against the same node's next life") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  const wire::LeaveBody leave{bench.asked_of(bench.others[1]), std::nullopt, {bench.others[2]}};
  bench.receive(bench.others[1], RingKind::leave, leave);
  REQUIRE(bench.chord.view().successor()->contact == bench.others[2]);
  // It comes back.
  bench.sent.clear();
  for (int i = 0; i < 200 && bench.chord.view().successor()->contact != bench.others[1]; ++i) {
    bench.pass(50ms);
    bench.answer_all({bench.others[1], bench.others[2]});
    if (bench.last(bench.others[1], RingKind::ping)) bench.pong(bench.others[1]);
    if (bench.last(bench.others[1], RingKind::state_request))
      bench.state(bench.others[1], std::nullopt, {bench.others[2], bench.others[3]});
    if (bench.last(bench.others[2], RingKind::state_request))
      bench.state(bench.others[2], bench.others[1], {bench.others[3]});
  }
  REQUIRE(bench.chord.view().successor()->contact == bench.others[1]);
  bench.receive(bench.others[1], RingKind::leave, leave);
  CHECK(bench.chord.view().successor()->contact == bench.others[1]);
}

TEST_CASE("who leaves shows each neighbour the nonce that it asked with last") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2]});
  bench.receive(bench.others[1], RingKind::ping, wire::NonceBody{77});
  bench.chord.leave(bench.now);
  REQUIRE(bench.last(bench.others[1], RingKind::leave));
  CHECK(wire::LeaveBody::parse(bench.last(bench.others[1], RingKind::leave)->body)->nonce == 77);
}

TEST_CASE("who leaves tells its neighbours and is silent afterwards") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2]});
  bench.chord.leave(bench.now);
  CHECK(bench.last(bench.others[1], RingKind::leave));
  bench.sent.clear();
  bench.receive(bench.others[1], RingKind::ping, wire::NonceBody{1});
  CHECK(bench.sent.empty());
  CHECK(bench.chord.next_deadline() == kNever);
}
