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
  };

  Bench() : self(contact(1)), chord(ChordSettings{}, self, random, log, *this) {
    // Neighbours 2.. in the order of the ring, seen from ourselves.
    for (std::uint8_t i = 2; i < 40; ++i) others.push_back(contact(i));
    std::sort(others.begin(), others.end(), [&](const auto& a, const auto& b) {
      return a.ring_id().minus(self.ring_id()) < b.ring_id().minus(self.ring_id());
    });
  }

  void send(const wire::NodeContact& to, RingKind kind, Bytes body) override {
    sent.push_back({to, kind, {body.begin(), body.end()}});
  }
  void probe(const Endpoint& to, std::uint64_t nonce) override { probes.push_back({to, nonce}); }
  void found(std::uint64_t, const std::vector<wire::NodeContact>& contacts) override {
    results.push_back(contacts);
  }
  void count(std::string_view what) override { ++counts[std::string(what)]; }

  void receive(const wire::NodeContact& from, RingKind kind, Bytes body) {
    chord.on_message(from, kind, body, *from.v4, now);
  }
  template <class Body>
  void receive(const wire::NodeContact& from, RingKind kind, const Body& body) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    body.write(writer);
    receive(from, kind, Bytes(writer.written()));
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
    receive(from, RingKind::pong, *wire::NonceBody::parse(ping->body));
  }
  void state(const wire::NodeContact& from, std::optional<wire::NodeContact> predecessor,
             std::vector<wire::NodeContact> successors) {
    const Sent* asked = last(from, RingKind::state_request);
    REQUIRE(asked);
    wire::StateBody body{wire::NonceBody::parse(asked->body)->nonce, *self.v4,
                         std::move(predecessor), std::move(successors)};
    receive(from, RingKind::state, body);
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
  bench.receive(bench.others[5], RingKind::state_request, wire::NonceBody{1});
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
  bench.receive(bench.others[0], RingKind::state_request, wire::NonceBody{77});
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
  wire::StateBody state{5, *bench.self.v4, bench.others[1], {bench.others[2]}};
  bench.receive(bench.others[0], RingKind::state, state);
  bench.receive(bench.others[0], RingKind::pong, wire::NonceBody{5});
  bench.receive(bench.others[0], RingKind::found,
                wire::FoundBody{5, RingId{}, 1, {bench.others[0]}});
  CHECK(bench.chord.view().alone());
  CHECK(bench.counts["ring_unasked"] == 3);
}

TEST_CASE("a leave is only about its sender, and the nodes it names are asked first") {
  Bench bench;
  bench.join(bench.others[1], {bench.others[2], bench.others[3]});
  wire::LeaveBody leave{std::nullopt, {bench.others[9]}};
  bench.receive(bench.others[7], RingKind::leave, leave);
  CHECK(bench.chord.view().successor()->contact == bench.others[1]);
  bench.receive(bench.others[1], RingKind::leave, leave);
  CHECK(bench.chord.view().successor()->contact == bench.others[2]);
  CHECK(!bench.chord.view().knows(bench.others[9].ring_id()));
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
  bench.pass(1500ms);
  CHECK(bench.results.empty());
  bench.pass(5s);
  REQUIRE(bench.results.size() == 1);
  CHECK(bench.results[0].empty());
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
  wire::FindBody find{9, bench.others[20].ring_id(), Chord::kMaxFindHops, bench.others[5]};
  bench.sent.clear();
  bench.receive(bench.others[1], RingKind::find, find);
  CHECK(bench.sent.empty());
  CHECK(bench.counts["find_hops"] == 1);
}
