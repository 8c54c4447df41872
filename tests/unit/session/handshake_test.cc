#include "overlay/session/stamp_gate.hh"
#include "two_hosts.hh"

using namespace i3;
using namespace i3::session_test;

TEST_CASE("two hosts shake hands and talk both ways") {
  TwoHosts net;
  CHECK_FALSE(net.a.sessions->can_seal(net.a.other, net.now));
  const Message first = net.first(net.a, "candidates of a");
  CHECK(first.size() == kFirstOverhead + 15);
  CHECK(net.a.sessions->handshaking(net.a.other));
  Received at_b = net.give(net.b, SessionKind::first, first);
  REQUIRE(std::holds_alternative<FirstMessage>(at_b));
  const auto& heard = std::get<FirstMessage>(at_b);
  CHECK(heard.key == net.a.identity->key());
  CHECK(heard.stamp == net.stamp);
  CHECK(heard.payload == bytes_of("candidates of a"));

  const Message second = net.respond(net.b, heard, true, "candidates of b");
  CHECK(second.size() == kSecondOverhead + 15);
  Received at_a = net.give(net.a, SessionKind::second, second);
  REQUIRE(std::holds_alternative<Established>(at_a));
  CHECK(std::get<Established>(at_a).peer == net.a.other);
  CHECK(std::get<Established>(at_a).early_accepted);
  CHECK(std::get<Established>(at_a).payload == bytes_of("candidates of b"));
  CHECK_FALSE(net.a.sessions->handshaking(net.a.other));

  const Message data = net.sealed(net.a, "ping");
  CHECK(data.size() == 4 + kTransportOverhead);
  Received opened = net.give(net.b, SessionKind::transport, data);
  REQUIRE(std::holds_alternative<Data>(opened));
  CHECK(std::get<Data>(opened).peer == net.b.other);
  CHECK(as_text(std::get<Data>(opened).plaintext) == "ping");
  CHECK(std::get<Data>(opened).confirms);
  CHECK(std::get<Data>(opened).stamp == net.stamp);
  CHECK(net.send(net.b, "pong") == "pong");
  CHECK(net.send(net.a, "") == "");
  CHECK(net.a.sessions->info(net.a.other, net.now)->initiated_by_us);
  CHECK_FALSE(net.b.sessions->info(net.b.other, net.now)->initiated_by_us);
}

TEST_CASE("only the first transport message confirms") {
  TwoHosts net;
  net.shake(net.a);
  const Message data = net.sealed(net.a, "x");
  Received opened = net.give(net.b, SessionKind::transport, data);
  REQUIRE(std::holds_alternative<Data>(opened));
  CHECK_FALSE(std::get<Data>(opened).confirms);
}

TEST_CASE("nothing leaves a host about who it is but its indices, ephemerals and macs") {
  TwoHosts net;
  const Message first = net.first(net.a, "secret words");
  auto holds = [&](Bytes part) {
    return std::search(first.begin(), first.end(), part.begin(), part.end()) != first.end();
  };
  CHECK_FALSE(holds(net.a.identity->key().bytes));
  CHECK_FALSE(holds(net.a.identity->x25519_public()));
  CHECK_FALSE(holds(as_bytes("secret words")));
}

TEST_CASE("the answering side sends at once when the early packet was accepted") {
  TwoHosts net;
  const Message second = net.answer(net.b, net.first(net.a), true);
  CHECK(net.b.sessions->can_seal(net.b.other, net.now));
  const Message reply = net.sealed(net.b, "syn-ack");
  // Overtakes the second message: the initiator has no key yet, and says so by name.
  CHECK(net.open(net.a, reply) == "<not_established>");
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  CHECK(net.open(net.a, reply) == "syn-ack");
}

TEST_CASE("the answering side waits for the first transport message when it was held") {
  TwoHosts net;
  const Message second = net.answer(net.b, net.first(net.a), false);
  CHECK_FALSE(net.b.sessions->can_seal(net.b.other, net.now));
  CHECK(net.sealed(net.b, "too early").empty());
  Received at_a = net.give(net.a, SessionKind::second, second);
  REQUIRE(std::holds_alternative<Established>(at_a));
  CHECK_FALSE(std::get<Established>(at_a).early_accepted);
  CHECK(net.send(net.a, "") == "");
  CHECK(net.send(net.b, "now") == "now");
}

TEST_CASE("AES-256-GCM is used only if both ends prefer it") {
  SessionOptions aes;
  aes.aes_preferred = true;
  if (!crypto_aead_aes256gcm_is_available()) return;
  struct Case {
    bool a, b;
  };
  for (const Case c :
       {Case{false, false}, Case{true, false}, Case{false, true}, Case{true, true}}) {
    TwoHosts net(c.a ? aes : SessionOptions{}, c.b ? aes : SessionOptions{});
    net.shake(net.a);
    CHECK(net.send(net.a, "there") == "there");
    CHECK(net.send(net.b, "and back") == "and back");
    const Cipher expected = c.a && c.b ? Cipher::aes256_gcm : Cipher::chacha20_poly1305;
    CHECK(net.a.sessions->info(net.a.other, net.now)->cipher == expected);
    CHECK(net.b.sessions->info(net.b.other, net.now)->cipher == expected);
  }
}

TEST_CASE("a pre-shared key must be the same at both ends") {
  TwoHosts net;
  net.psk_a = Psk{1, 2, 3};
  const Message second = net.answer(net.b, net.first(net.a));
  CHECK(verdict_of(net.give(net.a, SessionKind::second, second)) == "not_authentic");
  CHECK_FALSE(net.a.sessions->can_seal(net.a.other, net.now));
  net.psk_b = net.psk_a;
  net.shake(net.a);
  CHECK(net.send(net.b, "shared") == "shared");
}

TEST_CASE("a bad answer does not spoil the handshake for the good one") {
  TwoHosts net;
  const Message second = net.answer(net.b, net.first(net.a));
  Message wrong = second;
  wrong[45] ^= 1;  // inside the payload's ciphertext; mac1 made right again
  OutgoingMacs(net.a.identity->key()).write(wrong, net.now);
  CHECK(verdict_of(net.give(net.a, SessionKind::second, wrong)) == "not_authentic");
  CHECK(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
}

TEST_CASE("a copy of a first message gets the same answer and changes nothing") {
  TwoHosts net;
  const Message first = net.first(net.a);
  const Message second = net.answer(net.b, first);
  const std::size_t stored = net.b.sessions->stored();
  CHECK(net.answer(net.b, first) == second);
  CHECK(net.answer(net.b, first, false) == second);
  CHECK(net.b.sessions->stored() == stored);
  // The first answer got lost; the second one serves.
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  CHECK(net.send(net.a, "x") == "x");
  CHECK(net.send(net.b, "y") == "y");
}

TEST_CASE("an unanswered first message can be repeated, the same but for its macs") {
  TwoHosts net;
  const Message first = net.first(net.a);
  Message again(4096);
  again.resize(net.a.sessions->repeat(net.a.other, SessionKind::first, again, net.now));
  CHECK(again == first);
  CHECK(net.a.sessions->repeat(net.a.other, SessionKind::second, again, net.now) == 0);
  CHECK(net.a.sessions->repeat(12345, SessionKind::first, again, net.now) == 0);
  Message small(first.size() - 1);
  CHECK(net.a.sessions->repeat(net.a.other, SessionKind::first, small, net.now) == 0);
}

TEST_CASE("initiate refuses what cannot work") {
  TwoHosts net;
  Message out(4096);
  auto initiate = [&](PeerHandle handle, const PublicKey& key, std::size_t payload,
                      std::size_t room) {
    return net.a.sessions->initiate(handle, key, kNoPsk, 1, Message(payload),
                                    MutBytes(out).first(room), net.now);
  };
  const PublicKey& b = net.b.identity->key();
  CHECK(initiate(1, PublicKey{}, 0, 4096) == 0);               // no such point
  CHECK(initiate(1, net.a.identity->key(), 0, 4096) == 0);     // ourselves
  CHECK(initiate(1, b, 10, kFirstOverhead + 9) == 0);          // does not fit
  CHECK(initiate(1, b, kMaxHandshakePayload + 1, 4096) == 0);  // too long
  CHECK(net.a.sessions->peers() == 0);
  CHECK(initiate(1, b, 10, kFirstOverhead + 10) == kFirstOverhead + 10);
  CHECK(initiate(1, b, kMaxHandshakePayload, 4096) == kFirstOverhead + kMaxHandshakePayload);
  SeededRandom random(99);
  CHECK(initiate(1, Identity::generate(random)->key(), 0, 4096) == 0);  // handle is taken
  CHECK(net.a.sessions->stored() == 1);
}

TEST_CASE("the greatest payloads pass both ways") {
  TwoHosts net;
  const std::string big(kMaxHandshakePayload, 'x');
  Received at_b = net.give(net.b, SessionKind::first, net.first(net.a, big));
  REQUIRE(std::holds_alternative<FirstMessage>(at_b));
  CHECK(std::get<FirstMessage>(at_b).payload == bytes_of(big));
  const Message second = net.respond(net.b, std::get<FirstMessage>(at_b), true, big);
  Received at_a = net.give(net.a, SessionKind::second, second);
  REQUIRE(std::holds_alternative<Established>(at_a));
  CHECK(std::get<Established>(at_a).payload == bytes_of(big));
}

TEST_CASE("a short buffer or a missing session seals nothing") {
  TwoHosts net;
  net.shake(net.a);
  Message buffer(kTransportOverhead - 1, 7);
  CHECK_FALSE(net.a.sessions->seal(net.a.other, buffer, net.now));
  Message room(kTransportOverhead, 7);
  CHECK_FALSE(net.a.sessions->seal(net.a.other + 1, room, net.now));
  CHECK(room == Message(kTransportOverhead, 7));
  CHECK(net.a.sessions->seal(net.a.other, room, net.now));
}

TEST_CASE("a session serves between any two of many hosts at once") {
  SeededRandom random(3);
  SessionOptions options;
  options.handshakes_per_second = 100'000;
  TwoHosts net(options, options);
  std::vector<std::unique_ptr<Host>> hosts;
  for (PeerHandle i = 0; i < 50; ++i) {
    auto& host = *hosts.emplace_back(std::make_unique<Host>(100 + i, 1, options));
    Message out(4096);
    out.resize(host.sessions->initiate(1, net.b.identity->key(), kNoPsk, 1, {}, out, net.now));
    Received received = net.give(net.b, SessionKind::first, out);
    REQUIRE(std::holds_alternative<FirstMessage>(received));
    Message second(4096);
    second.resize(net.b.sessions->respond(std::get<FirstMessage>(received), 1000 + i, true, {},
                                          second, net.now));
    REQUIRE(std::holds_alternative<Established>(net.give(host, SessionKind::second, second)));
  }
  CHECK(net.b.sessions->peers() == 50);
  for (PeerHandle i = 0; i < 50; ++i) {
    const std::string text = "to " + std::to_string(i);
    Message out(kTransportOverhead + text.size());
    std::copy(text.begin(), text.end(), out.begin() + kTransportHeader);
    REQUIRE(net.b.sessions->seal(1000 + i, out, net.now));
    for (PeerHandle j = 0; j < 50; ++j) CHECK((net.open(*hosts[j], out) == text) == (i == j));
  }
}

TEST_CASE("an early packet is delivered once; its replay after a crash is held until confirmed") {
  TwoHosts net;
  auto judge = [&](StampGate& gate, const Message& first) {
    Received received = net.give(net.b, SessionKind::first, first);
    REQUIRE(std::holds_alternative<FirstMessage>(received));
    const auto& heard = std::get<FirstMessage>(received);
    const auto decision = gate.check(heard.key, heard.stamp);
    net.respond(net.b, heard, decision != StampGate::Decision::hold);
    return decision;
  };
  StampGate gate(10, true);
  const Message recorded = net.first(net.a);
  CHECK(judge(gate, recorded) == StampGate::Decision::deliver);
  CHECK(judge(gate, recorded) == StampGate::Decision::repeat);

  net.b.restart();
  StampGate after_crash(10, false);
  CHECK(judge(after_crash, recorded) == StampGate::Decision::hold);
  CHECK_FALSE(net.b.sessions->can_seal(net.b.other, net.now));
  const Message second = net.answer(net.b, net.first(net.a), false);
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  const Message confirming = net.sealed(net.a, "");
  Received opened = net.give(net.b, SessionKind::transport, confirming);
  REQUIRE(std::holds_alternative<Data>(opened));
  REQUIRE(std::get<Data>(opened).confirms);
  CHECK(after_crash.confirmed(net.a.identity->key(), std::get<Data>(opened).stamp));
  CHECK(judge(after_crash, recorded) == StampGate::Decision::hold);
  CHECK(judge(after_crash, net.first(net.a)) == StampGate::Decision::deliver);
}

TEST_CASE("a key's negative point counts as another key of the same holder") {
  // Both have one X25519 form, so only the whole Ed25519 key in prologue and payload tells them
  // apart: a message for the one is not for the other.
  TwoHosts net;
  PublicKey negative = net.b.identity->key();
  negative.bytes[31] ^= 0x80;
  REQUIRE(negative.x25519() == net.b.identity->x25519_public());
  Message out(4096);
  out.resize(net.a.sessions->initiate(1, negative, kNoPsk, 1, {}, out, net.now));
  REQUIRE(!out.empty());
  OutgoingMacs(net.b.identity->key()).write(out, net.now);
  CHECK(verdict_of(net.give(net.b, SessionKind::first, out)) == "not_authentic");
}
