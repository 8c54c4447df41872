// The rules of look-ups, proofs, ways through others and fingers, one core against hand-made
// neighbours.
#include "chord_bench.hh"

using namespace i3;
using namespace i3::test;

TEST_CASE("a look-up whose first hop is silent is sent another way") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  const RingId position = bench.others[20].ring_id();
  bench.sent.clear();
  bench.chord.find(1, position, bench.now);
  bench.pass(2500ms);
  std::set<PublicKey> asked;
  for (const auto& sent : bench.sent)
    if (sent.kind == RingKind::find) asked.insert(sent.to.key);
  CHECK(asked.size() >= 2);
}

TEST_CASE("a look-up that nobody answers ends with nothing") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  bench.chord.find(1, bench.others[20].ring_id(), bench.now);
  // The neighbours live, and take it, but no answer comes back.
  for (int i = 0; i < 120 && bench.results.empty(); ++i) {
    bench.pass(100ms);
    bench.answer_all();
  }
  REQUIRE(bench.results.size() == 1);
  CHECK(bench.results[0].empty());
  CHECK(bench.chord.view().successors().size() == 3);
}

TEST_CASE("a look-up that the next hop does not take goes another way at once") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  bench.sent.clear();
  bench.chord.find(1, bench.others[20].ring_id(), bench.now);
  bench.pass(600ms);
  CHECK(bench.finds().size() == 2);
  CHECK(bench.finds()[0].to != bench.finds()[1].to);
}

TEST_CASE("a look-up that was taken is not sent again before the answer is overdue") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  bench.sent.clear();
  bench.chord.find(1, bench.others[20].ring_id(), bench.now);
  REQUIRE(bench.finds().size() == 1);
  const auto first = bench.finds()[0];
  bench.receive(first.to, RingKind::taken,
                wire::NonceBody{wire::FindBody::parse(first.body)->step});
  bench.pass(600ms);
  CHECK(bench.finds().size() == 1);
  // Then another way, and the answer shall come back along it.
  bench.pass(200ms);
  REQUIRE(bench.finds().size() >= 2);
  CHECK(bench.finds()[1].to != first.to);
  CHECK(wire::FindBody::parse(bench.finds()[1].body)->flags == wire::FindBody::kByPath);
}

TEST_CASE("an answer that comes back along the path is given to the one before us") {
  Bench bench;
  const auto before = bench.others[30], next = bench.others[1];
  bench.join(next, {bench.others[2], bench.others[3]});
  bench.prove(before);
  wire::FindBody find;
  find.nonce = 9;
  find.step = 10;
  find.position = next.ring_id();
  find.flags = wire::FindBody::kByPath;
  find.asker = bench.others[35];
  bench.sent.clear();
  bench.receive(before, RingKind::find, find);
  REQUIRE(bench.last(before, RingKind::taken));
  CHECK(wire::NonceBody::parse(bench.last(before, RingKind::taken)->body)->nonce == 10);
  REQUIRE(bench.last(next, RingKind::find));
  const auto passed = wire::FindBody::parse(bench.last(next, RingKind::find)->body);
  CHECK(passed->nonce == 9);
  CHECK(passed->hops == 1);
  const wire::FoundBody answer{passed->step, find.position, 2, {next}};
  bench.receive(bench.others[5], RingKind::found, answer);  // not whom it was passed to
  CHECK(!bench.last(before, RingKind::found));
  bench.receive(next, RingKind::found, answer);
  REQUIRE(bench.last(before, RingKind::found));
  CHECK(wire::FoundBody::parse(bench.last(before, RingKind::found)->body)->nonce == 10);
}

TEST_CASE("the range of a silent predecessor is not ours before it is dead") {
  Bench bench;
  const auto predecessor = bench.others[36], further = bench.others[30];
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  bench.receive(predecessor, RingKind::notify, Bytes());
  bench.pong(predecessor);
  REQUIRE(bench.chord.view().predecessor()->contact == predecessor);
  bench.prove(further);
  wire::FindBody find;
  find.nonce = 9;
  find.step = 10;
  find.position = predecessor.ring_id();
  find.hops = 1;
  find.asker = bench.others[20];
  bench.receive(further, RingKind::find, find);
  CHECK(bench.last(predecessor, RingKind::find));
  bench.pass(400ms);
  CHECK(!bench.last(bench.others[20], RingKind::found));
  for (int i = 0; i < 60 && !bench.last(bench.others[20], RingKind::found); ++i) {
    bench.pass(100ms);
    bench.answer_all({predecessor});
  }
  CHECK(bench.last(bench.others[20], RingKind::found));
}

TEST_CASE("a question with the proof that our pong gave is answered without another ping") {
  Bench bench;
  bench.chord.start({}, bench.now);
  const auto asker = bench.others[3];
  bench.receive(asker, RingKind::ping, wire::NonceBody{5});
  REQUIRE(bench.last(asker, RingKind::pong));
  wire::FindBody find;
  find.nonce = 9;
  find.step = 10;
  find.proof = wire::PongBody::parse(bench.last(asker, RingKind::pong)->body)->proof;
  find.position = asker.ring_id();
  find.asker = asker;
  bench.receive(asker, RingKind::find, find);
  CHECK(bench.last(asker, RingKind::found));
  CHECK(!bench.last(asker, RingKind::ping));
  // It is the asker's alone, and of that address.
  auto elsewhere = asker;
  elsewhere.v4->port = 9999;
  find.asker = elsewhere;
  bench.sent.clear();
  bench.receive(elsewhere, RingKind::find, find);
  CHECK(!bench.last(elsewhere, RingKind::found));
  CHECK(bench.last(elsewhere, RingKind::ping));
}

TEST_CASE("an address proves nothing for another one of the same place") {
  Bench bench;
  bench.chord.start({}, bench.now);
  const auto honest = bench.others[0];
  bench.prove(honest);
  auto victim = honest;  // the same /24, hence the same place
  victim.v4 = Endpoint{IpAddress::v4(honest.v4->address.to_v4() + 7), 53};
  REQUIRE(victim.ring_id() == honest.ring_id());
  bench.sent.clear();
  bench.receive(victim, RingKind::state_request, wire::StateRequestBody{1, 1, 0});
  CHECK(!bench.last(victim, RingKind::state));
  REQUIRE(bench.last(victim, RingKind::ping));
  // Nor does an answer from elsewhere, with the right nonce.
  const auto nonce = wire::NonceBody::parse(bench.last(victim, RingKind::ping)->body)->nonce;
  bench.receive(honest, RingKind::pong, wire::PongBody{nonce, 0});
  CHECK(!bench.last(victim, RingKind::state));
}

TEST_CASE("a neighbour that does not answer us is asked through others before it counts as dead") {
  Bench bench;
  const auto near = bench.others[1], other = bench.others[2];
  bench.join(near, {other, bench.others[3]});
  bench.prove(other);
  bench.sent.clear();
  for (int i = 0; i < 60 && !bench.relayed_to(near); ++i) {
    bench.pass(50ms);
    bench.answer_all({near});
  }
  const auto* asked = bench.relayed_to(near);
  REQUIRE(asked);
  CHECK(*asked->via != near);
  const auto via = *asked->via;
  // The answer comes back the same way; it lives, and is spoken to so from now on.
  wire::StateBody state;
  state.nonce =
      asked->kind == RingKind::ping ? 0 : wire::StateRequestBody::parse(asked->body)->nonce;
  REQUIRE(state.nonce != 0);
  bench.receive(near, RingKind::state, state, &via);
  bench.pass(500ms);
  REQUIRE(bench.chord.view().successor());
  CHECK(bench.chord.view().successor()->contact == near);
  REQUIRE(bench.chord.way_to(near.ring_id(), bench.now));
  CHECK(*bench.chord.way_to(near.ring_id(), bench.now) == via);
}

TEST_CASE("messages are carried only between nodes whose addresses are proven") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  const auto from = bench.others[8], to = bench.others[9];
  CHECK(!bench.chord.may_relay(from, to, bench.now));
  bench.pong(from);
  CHECK(!bench.chord.may_relay(from, to, bench.now));
  bench.pong(to);
  CHECK(bench.chord.may_relay(from, to, bench.now));
  CHECK(bench.counts["relay_unproven"] == 2);
}

TEST_CASE("a joining node that only its entry node reaches stays out and says so") {
  Bench bench;
  const auto entry = bench.others[3];
  bench.chord.start({{*entry.v4, std::nullopt}}, bench.now);
  // The entry answers; it knows of three others, whose answers never come straight.
  for (int i = 0; i < 300 && !bench.chord.unreachable(); ++i) {
    bench.entry_answers(entry, {entry, bench.others[4], bench.others[5], bench.others[6]});
    bench.pass(200ms);
  }
  CHECK(bench.chord.unreachable());
  CHECK(!bench.chord.member());
  // Later one of them does.
  for (int i = 0; i < 300 && !bench.chord.member(); ++i) {
    bench.entry_answers(entry, {entry, bench.others[4], bench.others[5], bench.others[6]});
    for (const auto& find : bench.finds()) {
      const auto body = wire::FindBody::parse(find.body);
      bench.receive(bench.others[5], RingKind::found,
                    wire::FoundBody{body->nonce, body->position, 1, {bench.others[5]}});
    }
    if (bench.last(entry, RingKind::state_request)) bench.state(entry, std::nullopt, {});
    if (bench.last(bench.others[5], RingKind::state_request))
      bench.state(bench.others[5], std::nullopt, {});
    bench.sent.clear();
    bench.pass(200ms);
  }
  CHECK(bench.chord.member());
  CHECK(!bench.chord.unreachable());
}

TEST_CASE("the successor's list is not sent twice: the digest says that it is the same") {
  Bench bench;
  bench.chord.start({}, bench.now);
  const auto asker = bench.others[0], other = bench.others[1];
  bench.prove(asker);
  bench.receive(asker, RingKind::state_request, wire::StateRequestBody{1, 1, 0});
  auto state = wire::StateBody::parse(bench.last(asker, RingKind::state)->body);
  REQUIRE(state->holds == wire::StateBody::kSuccessors);
  bench.receive(asker, RingKind::state_request,
                wire::StateRequestBody{2, 1, wire::StateBody::digest(state->members)});
  state = wire::StateBody::parse(bench.last(asker, RingKind::state)->body);
  CHECK(state->holds == 0);
  CHECK(state->members.empty());
  (void)other;
}

TEST_CASE(
    "of the members that another one routes by, the one that it says is nearest is asked first") {
  Bench bench;
  bench.join(bench.others[0], {bench.others.begin() + 1, bench.others.begin() + 8});
  // A part of the ring that has room for two, and three that are said to stand in it.
  std::vector<wire::NodeContact> far;
  for (const auto& node : bench.others) {
    const RingId distance = node.ring_id().minus(bench.self.ring_id());
    if (distance.high >> 61 == 4) far.push_back(node);
  }
  REQUIRE(far.size() >= 3);
  far.resize(3);
  const wire::NodeContact& teller = bench.others[0];
  for (int i = 0; i < 200 && !bench.asked_for_fingers(teller); ++i) bench.pass(100ms);
  wire::StateBody state;
  state.nonce = bench.asked_of(teller);
  state.holds = wire::StateBody::kFingers;
  state.members = far;
  for (const int ms : {300, 20, 100})
    state.round_trips.push_back(wire::StateBody::round_trip_byte(std::chrono::milliseconds(ms)));
  bench.sent.clear();
  bench.receive(teller, RingKind::state, state);
  bench.pass(140ms);
  bench.pass(40ms);
  CHECK(!bench.last(far[0], RingKind::ping));
  CHECK(bench.last(far[1], RingKind::ping));
  CHECK(!bench.last(far[2], RingKind::ping));
}

TEST_CASE("fingers are told with their round trips, in steps of 4 ms") {
  CHECK(wire::StateBody::round_trip_byte(Duration{}) == 0);
  CHECK(wire::StateBody::round_trip_byte(11ms) == 2);
  CHECK(wire::StateBody::round_trip_byte(5s) == 255);
  CHECK(wire::StateBody::round_trip_of(255) == 1020ms);
  wire::StateBody state;
  state.holds = wire::StateBody::kFingers;
  state.members = {contact(2), contact(3)};
  state.round_trips = {1, 200};
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  state.write(writer);
  const auto read = wire::StateBody::parse(writer.written());
  REQUIRE(read);
  CHECK(read->round_trips == state.round_trips);
  CHECK(!wire::StateBody::parse(writer.written().first(writer.written().size() - 1)));
  buffer[8] = wire::StateBody::kSuccessors;  // which have none
  CHECK(!wire::StateBody::parse(writer.written()));
}

TEST_CASE("look-ups in progress are bounded") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2]});
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < Chord::kMaxFinds + 50; ++i)
    if (bench.chord.find(i, bench.others[20].ring_id(), bench.now)) ++accepted;
  CHECK(accepted <= Chord::kMaxFinds);
  CHECK(bench.counts["finds_full"] >= 50);
}

TEST_CASE("a question that has come round too often is dropped") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2]});
  bench.receive(bench.others[1], RingKind::ping, wire::NonceBody{1});
  wire::FindBody find;
  find.nonce = 9;
  find.position = bench.others[20].ring_id();
  find.hops = Chord::kMaxFindHops;
  find.asker = bench.others[5];
  bench.sent.clear();
  bench.receive(bench.others[1], RingKind::find, find);
  CHECK(bench.sent.empty());
  CHECK(bench.counts["find_hops"] == 1);
}
