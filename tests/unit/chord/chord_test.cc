// Each rule of the ring that a message could break, one core against hand-made neighbours.
#include "overlay/chord/chord.hh"

#include <doctest/doctest.h>
#include <map>
#include <set>

using namespace i3;
using namespace std::chrono_literals;
using wire::RingKind;

namespace {

wire::NodeContact contact(std::uint8_t number) {
  wire::NodeContact node;
  node.key.bytes[0] = number;
  node.v4 = Endpoint{IpAddress::v4(0x0b000000u + (std::uint32_t{number} << 8) + 1), 5100};
  return node;
}

// Everything that one Chord sends, and a way to answer it.
class Bench final : public ChordOutput {
 public:
  struct Sent {
    wire::NodeContact to;
    RingKind kind;
    std::vector<std::uint8_t> body;
    std::optional<wire::NodeContact> via;
  };

  Bench() : self(contact(1)), chord(ChordSettings{}, self, random, log, *this) {
    // Neighbours 2.. in the order of the ring, seen from ourselves.
    for (std::uint8_t i = 2; i < 40; ++i) others.push_back(contact(i));
    std::sort(others.begin(), others.end(), [&](const auto& a, const auto& b) {
      return a.ring_id().minus(self.ring_id()) < b.ring_id().minus(self.ring_id());
    });
  }

  void send(const wire::NodeContact& to, RingKind kind, Bytes body,
            const wire::NodeContact* via) override {
    sent.push_back({to, kind, {body.begin(), body.end()}, {}});
    if (via) sent.back().via = *via;
  }
  void probe(const Endpoint& to, std::uint64_t nonce) override { probes.push_back({to, nonce}); }
  void found(std::uint64_t, const std::vector<wire::NodeContact>& contacts) override {
    results.push_back(contacts);
  }
  void count(std::string_view what) override { ++counts[std::string(what)]; }

  void receive(const wire::NodeContact& from, RingKind kind, Bytes body,
               const wire::NodeContact* via = nullptr) {
    chord.on_message(from, kind, body, now, via);
  }
  template <class Body>
  void receive(const wire::NodeContact& from, RingKind kind, const Body& body,
               const wire::NodeContact* via = nullptr) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    body.write(writer);
    receive(from, kind, Bytes(writer.written()), via);
  }
  // The last message of a kind to a node; null if none.
  const Sent* last(const wire::NodeContact& to, RingKind kind) const {
    for (auto it = sent.rbegin(); it != sent.rend(); ++it)
      if (it->to == to && it->kind == kind) return &*it;
    return nullptr;
  }
  void pong(const wire::NodeContact& from) {
    const Sent* ping = last(from, RingKind::ping);
    REQUIRE(ping);
    receive(from, RingKind::pong, wire::PongBody{wire::NonceBody::parse(ping->body)->nonce, 0});
  }
  void state(const wire::NodeContact& from, std::optional<wire::NodeContact> predecessor,
             std::vector<wire::NodeContact> successors) {
    const Sent* asked = last(from, RingKind::state_request);
    REQUIRE(asked);
    wire::StateBody body{wire::StateRequestBody::parse(asked->body)->nonce,
                         wire::StateBody::kSuccessors,
                         std::move(predecessor),
                         std::move(successors),
                         {}};
    receive(from, RingKind::state, body);
  }
  // The nonce that it was asked with last.
  std::uint64_t asked_of(const wire::NodeContact& node) const {
    for (auto it = sent.rbegin(); it != sent.rend(); ++it) {
      if (it->to != node) continue;
      if (it->kind == RingKind::state_request)
        return wire::StateRequestBody::parse(it->body)->nonce;
      if (it->kind == RingKind::ping) return wire::NonceBody::parse(it->body)->nonce;
    }
    return 0;
  }
  std::vector<Sent> finds() const {
    std::vector<Sent> result;
    for (const Sent& one : sent)
      if (one.kind == RingKind::find) result.push_back(one);
    return result;
  }
  bool asked_for_fingers(const wire::NodeContact& node) const {
    for (auto it = sent.rbegin(); it != sent.rend(); ++it) {
      if (it->to != node || it->kind != RingKind::state_request) continue;
      return wire::StateRequestBody::parse(it->body)->wants == wire::StateRequestBody::kFingers;
    }
    return false;
  }
  const Sent* relayed_to(const wire::NodeContact& node) const {
    for (const Sent& one : sent)
      if (one.to == node && one.via) return &one;
    return nullptr;
  }
  // It has answered a nonce of ours.
  void prove(const wire::NodeContact& node) {
    receive(node, RingKind::notify, Bytes());
    pong(node);
  }
  // Everybody but `silent` answers what was asked, and takes look-ups, which lead nowhere.
  void answer_all(const std::vector<wire::NodeContact>& silent = {}) {
    const auto asked = std::move(sent);
    sent.clear();
    for (const Sent& one : asked) {
      if (std::find(silent.begin(), silent.end(), one.to) != silent.end()) {
        sent.push_back(one);
        continue;
      }
      if (one.kind == RingKind::ping)
        receive(one.to, RingKind::pong, wire::PongBody{wire::NonceBody::parse(one.body)->nonce, 0});
      if (one.kind == RingKind::find)
        receive(one.to, RingKind::taken, wire::NonceBody{wire::FindBody::parse(one.body)->step});
      if (one.kind == RingKind::found) sent.push_back(one);
      if (one.kind == RingKind::state_request) {
        wire::StateBody state;
        state.nonce = wire::StateRequestBody::parse(one.body)->nonce;
        receive(one.to, RingKind::state, state);
      }
    }
  }
  // The entry answers probes, and look-ups along the path: with itself as the owner.
  void entry_answers(const wire::NodeContact& entry, std::vector<wire::NodeContact> contacts) {
    for (const auto& [to, nonce] : probes) {
      wire::ProbeReply reply;
      reply.nonce = nonce;
      reply.observed = *self.v4;
      reply.contact = entry;
      chord.on_probe_reply(reply, now);
    }
    probes.clear();
    for (const Sent& one : finds()) {
      const auto find = wire::FindBody::parse(one.body);
      receive(entry, RingKind::taken, wire::NonceBody{find->step});
      if (find->flags & wire::FindBody::kByPath)
        receive(entry, RingKind::found, wire::FoundBody{find->step, find->position, 1, contacts});
    }
  }
  void pass(Duration time) {
    const TimePoint end = now + time;
    while (chord.next_deadline() <= end) {
      now = std::max(now, chord.next_deadline());
      chord.on_timer(now);
    }
    now = end;
  }
  // Joins through `entry`, which says that it is the owner of our place.
  void join(const wire::NodeContact& entry, std::vector<wire::NodeContact> list) {
    chord.start({{*entry.v4, std::nullopt}}, now);
    wire::ProbeReply reply;
    reply.nonce = probes.back().second;
    reply.observed = *self.v4;
    reply.contact = entry;
    chord.on_probe_reply(reply, now);
    const Sent* find = last(entry, RingKind::find);
    REQUIRE(find);
    receive(entry, RingKind::found,
            wire::FoundBody{wire::FindBody::parse(find->body)->nonce, chord.id(), 1, {entry}});
    state(entry, std::nullopt, std::move(list));
  }

  SeededRandom random{1};
  Log log;
  TimePoint now{1h};
  wire::NodeContact self;
  std::vector<wire::NodeContact> others;
  std::vector<Sent> sent;
  std::vector<std::pair<Endpoint, std::uint64_t>> probes;
  std::vector<std::vector<wire::NodeContact>> results;
  std::map<std::string, int> counts;
  Chord chord;
};

}  // namespace

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
