// A box for sealed packets: whose it takes, where they go on, and how much of them.
#include "gateways/relay/sealed_relay.hh"

#include <doctest/doctest.h>

#include "overlay/wire/middlebox.hh"

using namespace i3;
using namespace std::chrono_literals;
using wire::Pass;

namespace {

struct Bench {
  static Identity identity(std::uint64_t number) {
    return Identity(SeededRandom(number).array<32>());
  }

  explicit Bench(ByteRate all = {}, ByteRate each = {}) {
    relay.set({{alice.key(), "alice", each}, {bob.key(), "bob", each}}, all);
  }
  Id pass(const Identity& who, Pass::Use use = Pass::Use::out, int hours = 0) const {
    const auto hour = static_cast<std::uint32_t>(wire::pass_hour(wall) + hours);
    return Pass::issue(use, hour, *wire::pass_key(who, box.key())).under(box.key());
  }
  Id inward(const Identity& who, const Id& own, std::uint32_t salt) const {
    return wire::Inward::seal(own, salt, wire::pass_hour(wall), *wire::pass_key(who, box.key()));
  }
  wire::IdPacket packet(std::initializer_list<Id> ids) const {
    wire::IdPacket packet;
    packet.flags = wire::IdPacket::kDelivered;
    packet.id_count = ids.size();
    std::copy(ids.begin(), ids.end(), packet.ids.begin());
    packet.payload = payload;
    return packet;
  }
  auto judge(const wire::IdPacket& packet) { return relay.judge(packet, now, wall); }

  Identity box = identity(1), alice = identity(2), bob = identity(3), stranger = identity(4);
  SealedRelay relay{box};
  TimePoint now{1h};
  WallTime wall = 5000 * wire::kHourNs + 1;
  std::vector<std::uint8_t> payload = std::vector<std::uint8_t>(1000, 7);
  Id there = owner_prefix(identity(9).key(), 77);
};

}  // namespace

TEST_CASE(
    "a client's packet goes on to the next ID as it stands, one copy, a hop limit less later") {
  Bench bench;
  wire::IdPacket packet = bench.packet({bench.pass(bench.alice), bench.there});
  packet.copies = 16;
  const auto onward = bench.judge(packet);
  REQUIRE(onward);
  CHECK(onward->ids[1] == bench.there);
  CHECK(onward->copies == 1);
  CHECK(onward->flags == wire::IdPacket::kEveryStop);
  CHECK(onward->hop_limit == packet.hop_limit);
  CHECK(onward->payload.data() == bench.payload.data());
  CHECK(bench.relay.counters().passed == 1);
  CHECK(bench.relay.counters().passed_bytes == 24 + 32 + 1000);
  CHECK(bench.relay.clients()[0].bytes == 24 + 32 + 1000);
  CHECK(bench.relay.clients()[1].bytes == 0);
}

TEST_CASE("a packet to a client goes to the ID that the client itself sealed") {
  Bench bench;
  Id own = owner_prefix(bench.alice.key(), 1234);
  own.bytes[31] = 5;
  const auto onward = bench.judge(
      bench.packet({bench.pass(bench.alice, Pass::Use::in), bench.inward(bench.alice, own, 1234)}));
  REQUIRE(onward);
  CHECK(onward->ids[1] == own);
}

TEST_CASE("whoever has a client's inward pass reaches nobody but that client by it") {
  Bench bench;
  const Id in = bench.pass(bench.alice, Pass::Use::in);
  CHECK_FALSE(bench.judge(bench.packet({in, bench.there})));
  CHECK_FALSE(bench.judge(bench.packet({in, public_id(bench.alice.key())})));
  const Id bobs = owner_prefix(bench.bob.key(), 9);
  CHECK_FALSE(bench.judge(bench.packet({in, bench.inward(bench.bob, bobs, 9)})));
  // Nor any further.
  const Id own = owner_prefix(bench.alice.key(), 9);
  CHECK_FALSE(bench.judge(bench.packet({in, bench.inward(bench.alice, own, 9), bench.there})));
  CHECK(bench.relay.counters().bad_address == 4);
  CHECK(bench.relay.counters().passed == 0);
}

TEST_CASE("strangers, guessed codes and other uses of a code get nothing passed on") {
  Bench bench;
  CHECK_FALSE(bench.judge(bench.packet({bench.pass(bench.stranger), bench.there})));
  Id guessed = bench.pass(bench.alice);
  guessed.bytes[31] ^= 1;
  CHECK_FALSE(bench.judge(bench.packet({guessed, bench.there})));
  Id turned = bench.pass(bench.alice, Pass::Use::in);
  turned.bytes[16] = 0;
  CHECK_FALSE(bench.judge(bench.packet({turned, bench.there})));
  CHECK_FALSE(bench.judge(bench.packet({owner_prefix(bench.box.key(), kPassSalt), bench.there})));
  CHECK(bench.relay.counters().no_pass + bench.relay.counters().expired == 4);
  CHECK(bench.relay.counters().passed == 0);
}

TEST_CASE("a pass that is over, or claims more than a day, is none") {
  Bench bench;
  CHECK_FALSE(
      bench.judge(bench.packet({bench.pass(bench.alice, Pass::Use::out, -25), bench.there})));
  CHECK_FALSE(bench.judge(bench.packet({bench.pass(bench.alice, Pass::Use::out, 2), bench.there})));
  CHECK(bench.relay.counters().expired == 2);
  const Id good = bench.pass(bench.alice);
  CHECK(bench.judge(bench.packet({good, bench.there})));
  bench.wall += 25 * wire::kHourNs;
  CHECK_FALSE(bench.judge(bench.packet({good, bench.there})));
}

TEST_CASE("a client that is no longer named ends at once; who stays keeps what it has used") {
  Bench bench({}, {100'000, 40'000});
  const auto alice = bench.packet({bench.pass(bench.alice), bench.there});
  while (bench.judge(alice)) {
  }
  bench.relay.set({{bench.alice.key(), "alice", {100'000, 40'000}}}, {});
  CHECK_FALSE(bench.judge(alice));
  CHECK(bench.relay.counters().over_client_rate == 2);
  CHECK(bench.relay.clients()[0].packets > 10);
  CHECK_FALSE(bench.judge(bench.packet({bench.pass(bench.bob), bench.there})));
  CHECK(bench.relay.counters().no_pass == 1);
}

TEST_CASE("only messages of sessions pass, no questions to groups and no multicast") {
  Bench bench;
  for (const unsigned kind : {4u, 8u, 9u, 10u, 255u}) {
    wire::IdPacket packet = bench.packet({bench.pass(bench.alice), bench.there});
    packet.kind = static_cast<std::uint8_t>(kind);
    CHECK_FALSE(bench.judge(packet));
  }
  CHECK(bench.relay.counters().not_sealed == 5);
}

TEST_CASE("a packet that would come here again, or has no hop left, ends") {
  Bench bench;
  const Id pass = bench.pass(bench.alice);
  CHECK_FALSE(bench.judge(bench.packet({pass, pass})));
  CHECK_FALSE(bench.judge(bench.packet({pass, pass, pass, pass})));
  CHECK(bench.relay.counters().loop == 2);
  wire::IdPacket tired = bench.packet({pass, bench.there});
  tired.hop_limit = 1;
  CHECK_FALSE(bench.judge(tired));
  CHECK(bench.relay.counters().hop_limit == 1);
}

TEST_CASE("in ten seconds no more passes than the rate says, and the burst once") {
  const ByteRate rate{100'000, 40'000};
  for (const bool each : {false, true}) {
    CAPTURE(each);
    Bench bench(each ? ByteRate{} : rate, each ? rate : ByteRate{});
    const auto alice = bench.packet({bench.pass(bench.alice), bench.there});
    const auto bob = bench.packet({bench.pass(bench.bob), bench.there});
    for (int i = 0; i < 10'000; ++i, bench.now += 1ms) {
      bench.judge(alice);
      bench.judge(alice);
      if (!each) bench.judge(bob);
    }
    const auto passed = static_cast<double>(bench.relay.counters().passed_bytes);
    CHECK(passed <= 1'040'000);
    CHECK(passed >= 1'030'000);
    if (!each) continue;
    // The other one's share is its own.
    CHECK(bench.judge(bob));
  }
}

TEST_CASE("passes of many hours are remembered no longer than they last") {
  Bench bench;
  for (int hour = 0; hour < 200; ++hour, bench.wall += wire::kHourNs)
    CHECK(bench.judge(bench.packet({bench.pass(bench.alice), bench.there})));
  CHECK(bench.relay.remembered() <= 27 * 4);
}

TEST_CASE("a client's public ID may lead to its own pass, and nobody else's to it") {
  Bench bench;
  std::array<std::uint8_t, wire::ConsentAsk::kSize> payload;
  Writer writer(payload);
  wire::ConsentAsk{77, 1}.write(writer);
  const auto ask = [&](const Id& pass) {
    wire::IdPacket packet = bench.packet({pass});
    packet.kind = wire::kConsentAsk;
    packet.payload = writer.written();
    return bench.relay.consent(packet, bench.now, bench.wall);
  };
  const Id pass = bench.pass(bench.alice);
  const auto answer = ask(pass);
  REQUIRE(answer);
  CHECK(answer->nonce == 77);
  CHECK(answer->consent.id == pass);
  CHECK(answer->consent.owner == bench.box.key());
  CHECK(answer->consent.valid(public_id(bench.alice.key(), 1), bench.wall));
  CHECK_FALSE(answer->consent.valid(public_id(bench.alice.key(), 0), bench.wall));
  CHECK_FALSE(answer->consent.valid(public_id(bench.bob.key(), 1), bench.wall));
  CHECK_FALSE(
      answer->consent.valid(public_id(bench.alice.key(), 1), bench.wall + 25 * wire::kHourNs));
  CHECK_FALSE(ask(bench.pass(bench.stranger)));
  CHECK_FALSE(ask(bench.pass(bench.alice, Pass::Use::in)));
  CHECK_FALSE(ask(bench.pass(bench.alice, Pass::Use::out, -25)));
  CHECK(bench.relay.counters().no_pass == 3);
  // Signatures cost time: so many a second.
  for (int i = 0; i < 1000; ++i) (void)ask(pass);
  CHECK(bench.relay.counters().consents <= 101);
}

TEST_CASE("a receiver's cookie goes back to where the handshake came from, for ten seconds") {
  Bench bench;
  const Endpoint node = *Endpoint::parse("192.0.2.1:5100");
  wire::IdPacket first = bench.packet({bench.pass(bench.alice), bench.there});
  first.tag = {1, 2, 3};
  const std::vector<std::uint8_t> index{7, 7, 7, 7, 9, 9}, other{7, 7, 7, 8, 9, 9};
  bench.relay.note_source(first, node, bench.now);  // no handshake
  CHECK_FALSE(bench.relay.source_of(index, bench.now));
  first.kind = 1;
  bench.relay.note_source(first, node, bench.now);
  const auto source = bench.relay.source_of(index, bench.now + 9s);
  REQUIRE(source);
  CHECK(source->node == node);
  CHECK(source->tag == first.tag);
  CHECK_FALSE(bench.relay.source_of(other, bench.now));
  CHECK_FALSE(bench.relay.source_of(Bytes(index).first(3), bench.now));
  CHECK_FALSE(bench.relay.source_of(index, bench.now + 10s));
  // Bounded: the oldest give way.
  for (std::uint32_t i = 0; i < 5000; ++i) {
    std::vector<std::uint8_t> bytes(8);
    Writer(bytes).u32(i);
    first.payload = bytes;
    bench.relay.note_source(first, node, bench.now);
  }
  CHECK_FALSE(bench.relay.source_of(index, bench.now));
  CHECK(bench.relay.source_of(std::vector<std::uint8_t>{0, 0, 0x13, 0x87}, bench.now));
  CHECK_FALSE(bench.relay.source_of(std::vector<std::uint8_t>{0, 0, 0, 1}, bench.now));
}

TEST_CASE("both ends want this box: a packet passes both lines at once, and counts for both") {
  Bench bench;
  Id own = owner_prefix(bench.bob.key(), 77);
  own.bytes[30] = 1;
  const auto onward =
      bench.judge(bench.packet({bench.pass(bench.alice), bench.pass(bench.bob, Pass::Use::in),
                                bench.inward(bench.bob, own, 77)}));
  REQUIRE(onward);
  CHECK(onward->id_count == 2);
  CHECK(onward->ids[1] == own);
  CHECK(onward->hop_limit == wire::kDefaultHops - 1);
  CHECK(bench.relay.counters().passed == 1);
  for (const auto& client : bench.relay.clients()) CHECK(client.packets == 1);
}
