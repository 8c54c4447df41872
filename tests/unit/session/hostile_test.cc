#include <set>

#include "two_hosts.hh"

using namespace i3;
using namespace i3::session_test;

namespace {
// A first message as a stranger would write it by hand, claiming `claimed` as its key.
Message forged_first(const Identity& by, const PublicKey& claimed, const PublicKey& to,
                     Random& random) {
  std::array<std::uint8_t, 45> prologue{};
  Writer start(prologue);
  start.bytes(as_bytes("i3 session v1"));
  to.write(start);
  NoiseIk noise = NoiseIk::initiator(NoisePattern::ikpsk2, prologue, by.x25519_secret(),
                                     by.x25519_public(), *to.x25519());
  std::array<std::uint8_t, 42> text{};
  Writer fields(text);
  fields.u64(1);
  fields.u16(0);
  claimed.write(fields);
  Message message(kFirstOverhead);
  Writer(message).u32(77);
  REQUIRE(noise.write_first(random.array<32>(), text,
                            MutBytes(message).subspan(4, text.size() + NoiseIk::kFirstOverhead)));
  OutgoingMacs(to).write(message, TimePoint{});
  return message;
}
SessionOptions loaded() {
  SessionOptions options;
  options.handshakes_per_second = 1;
  return options;
}
}  // namespace

TEST_CASE("a first message written by the rules of the protocol passes") {
  TwoHosts net;
  const Message message =
      forged_first(*net.a.identity, net.a.identity->key(), net.b.identity->key(), net.a.random);
  Received received = net.give(net.b, SessionKind::first, message);
  REQUIRE(std::holds_alternative<FirstMessage>(received));
  CHECK(std::get<FirstMessage>(received).key == net.a.identity->key());
  CHECK(std::get<FirstMessage>(received).stamp == 1);
}

TEST_CASE("nobody can claim another's Ed25519 key, nor ours") {
  TwoHosts net;
  SeededRandom random(8);
  auto mallory = Identity::generate(random);
  const PublicKey& b = net.b.identity->key();
  auto give = [&](const PublicKey& claimed) {
    return std::string(verdict_of(
        net.give(net.b, SessionKind::first, forged_first(*mallory, claimed, b, random))));
  };
  CHECK(give(net.a.identity->key()) == "key_mismatch");
  CHECK(give(PublicKey{}) == "key_mismatch");
  CHECK(give(b) == "own_key");
  CHECK(net.b.sessions->dropped(SessionVerdict::key_mismatch) == 2);
  CHECK(net.b.sessions->peers() == 0);
}

TEST_CASE("every byte of every handshake message matters") {
  SessionOptions calm;
  calm.handshakes_per_second = 1'000'000;
  TwoHosts net(calm, calm);
  const Message first = net.first(net.a);
  auto macs_again = [&](Message& message, const Host& to) {
    OutgoingMacs(to.identity->key()).write(message, net.now);
  };
  // Index (0-3) is not sealed but only tells where the answer goes; mac1 still covers it. mac2 (the
  // last 16) counts only under load.
  for (std::size_t at = 0; at < first.size() - 16; ++at) {
    Message changed = first;
    changed[at] ^= 0x40;
    REQUIRE(verdict_of(net.give(net.b, SessionKind::first, changed)) == "bad_mac");
    if (at < 4 || at >= first.size() - 32) continue;
    macs_again(changed, net.b);
    REQUIRE(verdict_of(net.give(net.b, SessionKind::first, changed)) == "not_authentic");
  }
  const Message second = net.answer(net.b, first);
  for (std::size_t at = 0; at < second.size() - 16; ++at) {
    Message changed = second;
    changed[at] ^= 0x40;
    REQUIRE(verdict_of(net.give(net.a, SessionKind::second, changed)) ==
            (at >= 4 && at < 8 ? "unknown_index" : "bad_mac"));
    if (at < 8 || at >= second.size() - 32) continue;
    macs_again(changed, net.a);
    REQUIRE(verdict_of(net.give(net.a, SessionKind::second, changed)) == "not_authentic");
  }
  CHECK(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  const Message data = net.sealed(net.a, "data");
  for (std::size_t at = 0; at < data.size(); ++at) {
    Message changed = data;
    changed[at] ^= 0x40;
    REQUIRE(net.open(net.b, changed) == (at < 4 ? "<unknown_index>" : "<not_authentic>"));
  }
  CHECK(net.open(net.b, data) == "data");
}

TEST_CASE("messages of every length but the right ones are malformed or not ours") {
  TwoHosts net;
  const Message first = net.first(net.a);
  const Message second = net.answer(net.b, first);
  for (std::size_t size = 0; size < first.size(); ++size)
    REQUIRE(verdict_of(net.give(net.b, SessionKind::first,
                                Message(first.begin(), first.begin() + static_cast<long>(size)))) ==
            (size < kFirstOverhead ? "malformed" : "bad_mac"));
  for (std::size_t size = 0; size < second.size(); ++size)
    REQUIRE(
        verdict_of(net.give(net.a, SessionKind::second,
                            Message(second.begin(), second.begin() + static_cast<long>(size)))) ==
        (size < kSecondOverhead ? "malformed" : "bad_mac"));
  for (std::size_t size = 0; size < kTransportOverhead; ++size)
    REQUIRE(net.open(net.a, Message(size)) == "<malformed>");
  for (std::size_t size : {0, 59, 61})
    REQUIRE(verdict_of(net.give(net.a, SessionKind::cookie, Message(size))) == "malformed");
  REQUIRE(verdict_of(net.give(net.b, SessionKind::first,
                              Message(kFirstOverhead + kMaxHandshakePayload + 1))) == "malformed");
  REQUIRE(verdict_of(net.give(net.b, static_cast<SessionKind>(4), first)) == "malformed");
}

TEST_CASE("a message for another host is met with silence") {
  TwoHosts net;
  SeededRandom random(4);
  auto other = Identity::generate(random);
  Message out(4096);
  out.resize(net.a.sessions->initiate(1, other->key(), kNoPsk, 1, {}, out, net.now));
  CHECK(verdict_of(net.give(net.b, SessionKind::first, out)) == "bad_mac");
}

TEST_CASE("replayed first messages are answered, but push nothing out that a live peer uses") {
  TwoHosts net;
  const Message oldest = net.first(net.a);
  net.answer(net.b, oldest);
  const Message latest = net.first(net.a);
  const Message second = net.answer(net.b, latest);
  // Between answer and confirmation somebody replays both, many times.
  for (int i = 0; i < 10; ++i) {
    CHECK_FALSE(net.answer(net.b, oldest, false).empty());
    CHECK_FALSE(net.answer(net.b, latest, true).empty());
  }
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  CHECK(net.send(net.a, "up") == "up");
  for (int i = 0; i < 10; ++i) {
    net.answer(net.b, oldest, false);
    net.answer(net.b, latest, true);
    CHECK(net.send(net.a, "up") == "up");
    CHECK(net.send(net.b, "down") == "down");
  }
  CHECK(net.b.sessions->stored() <= 3);
}

TEST_CASE("replayed transport and second messages are refused") {
  TwoHosts net;
  const Message second = net.answer(net.b, net.first(net.a));
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  CHECK(verdict_of(net.give(net.a, SessionKind::second, second)) == "unknown_index");
  const Message data = net.sealed(net.a, "once");
  CHECK(net.open(net.b, data) == "once");
  CHECK(net.open(net.b, data) == "<replayed>");
  CHECK(net.b.sessions->dropped(SessionVerdict::replayed) == 1);
}

TEST_CASE("a host's own messages come back to nothing") {
  TwoHosts net;
  const Message first = net.first(net.a);
  CHECK(verdict_of(net.give(net.a, SessionKind::first, first)) == "bad_mac");
  net.shake(net.a);
  const Message data = net.sealed(net.a, "mirror");
  Message mirrored = data;
  CHECK(net.open(net.a, mirrored) != "mirror");
}

TEST_CASE("under load a first message needs a cookie, gets one, and then passes") {
  TwoHosts net({}, loaded());
  net.give(net.b, SessionKind::first, net.first(net.a), "elsewhere");
  const Message first = net.first(net.a);
  Received refused = net.give(net.b, SessionKind::first, first, "a's place");
  REQUIRE(std::holds_alternative<SendBack>(refused));
  const auto& reply = std::get<SendBack>(refused).bytes;
  CHECK(reply.size() < first.size());

  Received stored = net.give(net.a, SessionKind::cookie, Message(reply.begin(), reply.end()));
  REQUIRE(std::holds_alternative<CookieStored>(stored));
  CHECK(std::get<CookieStored>(stored).peer == net.a.other);
  CHECK(std::get<CookieStored>(stored).kind == SessionKind::first);
  Message again(4096);
  again.resize(net.a.sessions->repeat(net.a.other, SessionKind::first, again, net.now));
  CHECK(again != first);
  // A cookie is worth something only where it was given.
  CHECK(std::holds_alternative<SendBack>(
      net.give(net.b, SessionKind::first, again, "another place")));
  Received passed = net.give(net.b, SessionKind::first, again, "a's place");
  REQUIRE(std::holds_alternative<FirstMessage>(passed));
  const Message second = net.respond(net.b, std::get<FirstMessage>(passed));
  CHECK(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
}

TEST_CASE("a cookie serves for later handshakes until it is two minutes old") {
  TwoHosts net({}, loaded());
  net.give(net.b, SessionKind::first, net.first(net.a));
  Received refused = net.give(net.b, SessionKind::first, net.first(net.a));
  REQUIRE(std::holds_alternative<SendBack>(refused));
  const auto& reply = std::get<SendBack>(refused).bytes;
  REQUIRE(std::holds_alternative<CookieStored>(
      net.give(net.a, SessionKind::cookie, Message(reply.begin(), reply.end()))));
  for (int i = 0; i < 11; ++i) {
    net.pass(10s);
    net.give(net.b, SessionKind::first, net.first(net.a), "keeps b under load");
    CHECK(std::holds_alternative<FirstMessage>(
        net.give(net.b, SessionKind::first, net.first(net.a))));
  }
  net.pass(15s);
  net.give(net.b, SessionKind::first, net.first(net.a), "keeps b under load");
  CHECK(std::holds_alternative<SendBack>(net.give(net.b, SessionKind::first, net.first(net.a))));
}

TEST_CASE("under load an answer that was asked for passes without a cookie") {
  TwoHosts net(loaded(), {});
  const Message probe = net.first(net.b);
  net.give(net.a, SessionKind::first, probe, "elsewhere");
  const Message second = net.answer(net.b, net.first(net.a));
  CHECK(std::holds_alternative<Established>(
      net.give(net.a, SessionKind::second, second, "b's place")));
  CHECK(net.send(net.a, "up") == "up");
}

TEST_CASE("a cookie reply that no message of ours caused is refused") {
  TwoHosts net({}, loaded());
  net.give(net.b, SessionKind::first, net.first(net.a));
  Received refused = net.give(net.b, SessionKind::first, net.first(net.a));
  REQUIRE(std::holds_alternative<SendBack>(refused));
  const auto& bytes = std::get<SendBack>(refused).bytes;
  const Message reply(bytes.begin(), bytes.end());
  for (std::size_t at = 0; at < reply.size(); ++at) {
    Message changed = reply;
    changed[at] ^= 1;
    REQUIRE(verdict_of(net.give(net.a, SessionKind::cookie, changed)) ==
            (at < 4 ? "unknown_index" : "bad_cookie"));
  }
  CHECK(std::holds_alternative<CookieStored>(net.give(net.a, SessionKind::cookie, reply)));
  CHECK(verdict_of(net.give(net.a, SessionKind::cookie, reply)) == "bad_cookie");
}

TEST_CASE("under load one source cannot take all the handshakes even with a cookie") {
  TwoHosts net({}, loaded());
  net.give(net.b, SessionKind::first, net.first(net.a));
  Received refused = net.give(net.b, SessionKind::first, net.first(net.a));
  REQUIRE(std::holds_alternative<SendBack>(refused));
  const auto& reply = std::get<SendBack>(refused).bytes;
  REQUIRE(std::holds_alternative<CookieStored>(
      net.give(net.a, SessionKind::cookie, Message(reply.begin(), reply.end()))));
  int passed = 0;
  for (int i = 0; i < 100; ++i)
    passed +=
        std::holds_alternative<FirstMessage>(net.give(net.b, SessionKind::first, net.first(net.a)));
  CHECK(passed == 5);
  CHECK(net.b.sessions->dropped(SessionVerdict::over_limit) == 95);
  net.pass(500ms);
  CHECK(
      std::holds_alternative<FirstMessage>(net.give(net.b, SessionKind::first, net.first(net.a))));
}

TEST_CASE("load passes: after a quiet second no cookie is asked for") {
  TwoHosts net({}, loaded());
  net.give(net.b, SessionKind::first, net.first(net.a));
  CHECK(std::holds_alternative<SendBack>(net.give(net.b, SessionKind::first, net.first(net.a))));
  net.pass(2s);
  CHECK(
      std::holds_alternative<FirstMessage>(net.give(net.b, SessionKind::first, net.first(net.a))));
}

TEST_CASE("a flood of first messages stores nothing that nobody answered") {
  SessionOptions calm;
  calm.handshakes_per_second = 1'000'000;
  TwoHosts net({}, calm);
  SeededRandom random(12);
  for (int i = 0; i < 200; ++i) {
    auto stranger = Identity::generate(random);
    REQUIRE(std::holds_alternative<FirstMessage>(
        net.give(net.b, SessionKind::first,
                 forged_first(*stranger, stranger->key(), net.b.identity->key(), random))));
  }
  CHECK(net.b.sessions->stored() == 0);
  CHECK(net.b.sessions->peers() == 0);
}

TEST_CASE("the table stays within its maximum whoever is answered, and empties by itself") {
  SessionOptions small;
  small.handshakes_per_second = 1'000'000;
  small.max_peers = 16;
  TwoHosts net({}, small);
  SeededRandom random(13);
  int answered = 0;
  for (PeerHandle i = 0; i < 100; ++i) {
    auto stranger = Identity::generate(random);
    Received received =
        net.give(net.b, SessionKind::first,
                 forged_first(*stranger, stranger->key(), net.b.identity->key(), random));
    REQUIRE(std::holds_alternative<FirstMessage>(received));
    Message out(4096);
    answered +=
        net.b.sessions->respond(std::get<FirstMessage>(received), i, true, {}, out, net.now) > 0;
  }
  CHECK(answered == 16);
  CHECK(net.b.sessions->peers() == 16);
  CHECK(net.b.sessions->stored() == 16);
  net.pass(180s);
  CHECK(net.b.sessions->peers() == 0);
  CHECK(net.b.sessions->stored() == 0);
  net.shake(net.a);
}

TEST_CASE("one peer's endless handshakes cost at most four sessions and a handshake") {
  SessionOptions calm;
  calm.handshakes_per_second = 1'000'000;
  TwoHosts net({}, calm);
  for (int i = 0; i < 300; ++i) {
    if (i % 3 == 0) {
      net.shake(net.a);
    } else {
      net.answer(net.b, i % 3 == 1 ? net.first(net.a) : net.first_with_stamp(net.a, 3));
    }
    net.first(net.b);
    REQUIRE(net.b.sessions->stored() <= 5);
    net.now += 100ms;
  }
}

TEST_CASE("indices are unlike each other and none is given twice at a time") {
  SeededRandom random(14);
  SlotTable table(random, 1000);
  std::set<std::uint32_t> indices;
  for (int i = 0; i < 1024; ++i) {
    const auto slot = table.take(1, TimePoint{});
    REQUIRE(slot != SlotTable::kNone);
    CHECK(table.index(slot) != 0);
    CHECK(indices.insert(table.index(slot)).second);
    CHECK(table.find(table.index(slot)) == slot);
  }
  CHECK(table.take(1, TimePoint{}) == SlotTable::kNone);
  const auto slot = table.find(*indices.begin());
  const auto before = table.index(slot);
  table.release(slot);
  CHECK(table.find(before) == SlotTable::kNone);
  const auto again = table.take(1, TimePoint{});
  CHECK(again == slot);
  CHECK(table.index(again) != before);
  CHECK(table.find(before) == SlotTable::kNone);
}

TEST_CASE("a slot with the fewest random bits never has the same index twice in a row") {
  SeededRandom random(15);
  SlotTable table(random, SlotTable::kMostSlots);
  std::uint32_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const auto slot = table.take(1, TimePoint{});
    REQUIRE(table.index(slot) != last);
    last = table.index(slot);
    table.release(slot);
  }
}

TEST_CASE("a cookie dies with its secret, and its holder drops it a little earlier") {
  SeededRandom random(16);
  const auto giver = Identity::generate(random);
  HandshakeGuard guard(giver->key(), random, 1);
  OutgoingMacs macs(giver->key());
  const Bytes place = as_bytes("place");
  Message message(100);
  TimePoint now{1h};
  auto judge = [&] {
    guard.check(message, as_bytes("elsewhere"), now);  // keeps it under load
    return guard.check(message, place, now);
  };
  macs.write(message, now);
  REQUIRE(judge() == HandshakeGuard::Verdict::cookie_needed);
  const auto reply = guard.cookie_reply(1, message, place, now);
  REQUIRE(macs.take_cookie(Bytes(reply).subspan(4, 24), Bytes(reply).subspan(28), now));
  macs.write(message, now);
  now += 114s;
  macs.write(message, now);
  CHECK(judge() == HandshakeGuard::Verdict::pass);
  const Message with_cookie = message;
  now += 1s;
  macs.write(message, now);
  CHECK(Message(message.end() - 16, message.end()) == Message(16));
  message = with_cookie;
  CHECK(judge() == HandshakeGuard::Verdict::pass);
  now += 5s;
  CHECK(judge() == HandshakeGuard::Verdict::cookie_needed);
}
