#include "two_hosts.hh"

using namespace i3;
using namespace i3::session_test;

TEST_CASE("the initiator renews after two minutes, the other side only near the end") {
  TwoHosts net;
  net.shake(net.a);
  net.pass(119s);
  CHECK_FALSE(net.a.sessions->wants_rekey(net.a.other, net.now));
  net.pass(1s);
  CHECK(net.a.sessions->wants_rekey(net.a.other, net.now));
  CHECK_FALSE(net.b.sessions->wants_rekey(net.b.other, net.now));
  net.pass(45s);
  CHECK(net.b.sessions->wants_rekey(net.b.other, net.now));
  const Message first = net.first(net.a);
  CHECK_FALSE(net.a.sessions->wants_rekey(net.a.other, net.now));  // one is under way
  const Message second = net.answer(net.b, first);
  CHECK_FALSE(net.b.sessions->wants_rekey(net.b.other, net.now));  // and answered
  net.pass(5s);
  CHECK(net.a.sessions->wants_rekey(net.a.other, net.now));  // without an answer again
}

TEST_CASE("a session ends after three minutes at both ends, and its memory with it") {
  TwoHosts net;
  net.shake(net.a);
  const Message late = net.sealed(net.a, "late");
  CHECK(net.a.sessions->next_deadline() == net.now + 180s);
  net.now += 180s;
  CHECK_FALSE(net.a.sessions->can_seal(net.a.other, net.now));
  CHECK(net.sealed(net.a, "x").empty());
  CHECK(net.open(net.b, late) == "<expired>");
  net.pass(0s);
  CHECK(net.open(net.b, late) == "<unknown_index>");
  CHECK(net.a.sessions->stored() == 0);
  CHECK(net.a.sessions->peers() == 0);
  CHECK(net.b.sessions->peers() == 0);
  CHECK(net.b.sessions->next_deadline() == kNever);
}

TEST_CASE("a session ends by count, at the sender's first, and never repeats a counter") {
  SessionOptions options;
  options.rekey_after_messages = 5;
  options.reject_after_messages = 8;
  TwoHosts net(options, options);
  net.shake(net.a);  // one message
  for (int i = 1; i < 5; ++i) {
    CHECK_FALSE(net.a.sessions->wants_rekey(net.a.other, net.now));
    CHECK(net.send(net.a, "x") == "x");
  }
  CHECK(net.a.sessions->wants_rekey(net.a.other, net.now));
  for (int i = 5; i < 8; ++i) CHECK(net.send(net.a, "x") == "x");
  CHECK_FALSE(net.a.sessions->can_seal(net.a.other, net.now));
  CHECK(net.send(net.a, "x") == "<none>");
  for (int i = 0; i < 5; ++i) CHECK(net.send(net.b, "y") == "y");
  CHECK(net.b.sessions->wants_rekey(net.b.other, net.now));  // the answering side counts too
  net.shake(net.a);
  CHECK(net.send(net.a, "again") == "again");
}

TEST_CASE("nothing is lost while keys change, whatever overtakes what") {
  TwoHosts net;
  net.shake(net.a);
  net.pass(120s);
  const Message old_a = net.sealed(net.a, "old a"), old_b = net.sealed(net.b, "old b");
  const Message first = net.first(net.a);
  CHECK(net.send(net.a, "while waiting") == "while waiting");
  const Message second = net.answer(net.b, first);
  // Unconfirmed: the answering side stays with the older keys, which the initiator surely has.
  const Message between = net.sealed(net.b, "between");
  CHECK(net.open(net.a, between) == "between");
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  const Message new_a = net.sealed(net.a, "new a");
  CHECK(net.send(net.b, "still old") == "still old");
  CHECK(net.open(net.b, new_a) == "new a");
  const Message new_b = net.sealed(net.b, "new b");
  CHECK(net.open(net.a, new_b) == "new b");
  CHECK(net.open(net.a, old_b) == "old b");
  CHECK(net.open(net.b, old_a) == "old a");
  CHECK(net.open(net.b, old_a) == "<replayed>");
}

TEST_CASE("a lost second message of a renewal costs nothing") {
  TwoHosts net;
  net.shake(net.a);
  net.pass(120s);
  net.answer(net.b, net.first(net.a));  // lost
  for (int second = 0; second < 20; ++second) {
    CHECK(net.send(net.b, "down") == "down");
    CHECK(net.send(net.a, "up") == "up");
    net.pass(1s);
  }
  net.shake(net.a);
  CHECK(net.send(net.b, "down") == "down");
}

TEST_CASE("renewal goes on for an hour of traffic without losing a message") {
  TwoHosts net;
  net.shake(net.a);
  int handshakes = 0;
  for (int second = 0; second < 3600; ++second) {
    net.pass(1s);
    for (Host* host : {&net.a, &net.b}) {
      REQUIRE(net.send(*host, "tick") == "tick");
      if (host->sessions->wants_rekey(host->other, net.now)) {
        net.shake(*host);
        ++handshakes;
      }
    }
    REQUIRE(net.a.sessions->stored() <= 2);
    REQUIRE(net.b.sessions->stored() <= 2);
  }
  CHECK(handshakes == 30);
}

TEST_CASE("both may initiate at once, and then talk over the larger key's session") {
  // Every order in which the two answers and the two confirmations can arrive.
  for (int order = 0; order < 16; ++order) {
    CAPTURE(order);
    TwoHosts net;
    const Message first_a = net.first(net.a), first_b = net.first(net.b);
    const bool early = (order & 8) != 0;
    const Message second_b = net.answer(net.b, first_a, early);
    const Message second_a = net.answer(net.a, first_b, early);
    auto to_a = [&] { return net.give(net.a, SessionKind::second, second_b); };
    auto to_b = [&] { return net.give(net.b, SessionKind::second, second_a); };
    REQUIRE(std::holds_alternative<Established>((order & 1) ? to_a() : to_b()));
    if (order & 2) CHECK(net.send((order & 1) ? net.a : net.b, "one ready") == "one ready");
    REQUIRE(std::holds_alternative<Established>((order & 1) ? to_b() : to_a()));
    Host& earlier = (order & 4) ? net.a : net.b;
    Host& later = net.peer_of(earlier);
    for (int i = 0; i < 3; ++i) {
      CHECK(net.send(earlier, "first") == "first");
      CHECK(net.send(later, "then") == "then");
    }
    if ((order & 2) == 0) {
      const bool a_larger = net.b.identity->key() < net.a.identity->key();
      CHECK(net.a.sessions->info(net.a.other, net.now)->initiated_by_us == a_larger);
      CHECK(net.b.sessions->info(net.b.other, net.now)->initiated_by_us != a_larger);
    }
  }
}

TEST_CASE("both may renew at once without losing a message") {
  TwoHosts net;
  net.shake(net.a);
  net.pass(120s);
  auto both_ways = [&] {
    CHECK(net.send(net.a, "up") == "up");
    CHECK(net.send(net.b, "down") == "down");
  };
  const Message first_a = net.first(net.a), first_b = net.first(net.b);
  const Message old_a = net.sealed(net.a, "old a"), old_b = net.sealed(net.b, "old b");
  both_ways();
  const Message second_b = net.answer(net.b, first_a);
  both_ways();
  const Message second_a = net.answer(net.a, first_b);
  both_ways();
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second_b)));
  CHECK(net.open(net.b, old_a) == "old a");
  CHECK(net.open(net.a, old_b) == "old b");
  both_ways();
  REQUIRE(std::holds_alternative<Established>(net.give(net.b, SessionKind::second, second_a)));
  both_ways();
  both_ways();
}

TEST_CASE("a host that restarted is heard again with its first message") {
  for (const bool initiator_restarts : {true, false}) {
    CAPTURE(initiator_restarts);
    TwoHosts net;
    net.shake(net.a);
    Host& restarted = initiator_restarts ? net.a : net.b;
    Host& stayed = net.peer_of(restarted);
    restarted.restart();
    CHECK(net.send(stayed, "into the void") == "<unknown_index>");
    net.pass(3s);
    const Message second = net.answer(stayed, net.first(restarted));
    // The reply to the early packet must go by the new keys at once.
    const Message reply = net.sealed(stayed, "reply");
    REQUIRE(std::holds_alternative<Established>(net.give(restarted, SessionKind::second, second)));
    CHECK(net.open(restarted, reply) == "reply");
    CHECK(net.send(restarted, "up") == "up");
    CHECK(net.send(stayed, "down") == "down");
  }
}

TEST_CASE("the host that stayed can reach the restarted one by shaking hands anew") {
  TwoHosts net;
  net.shake(net.a);
  net.b.restart();
  net.pass(3s);
  const Message second = net.answer(net.b, net.first(net.a));
  const Message reply = net.sealed(net.b, "reply");
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  CHECK(net.open(net.a, reply) == "reply");
  CHECK(net.send(net.a, "up") == "up");
}

TEST_CASE("a clock set back locks nobody out: the session works once it is confirmed") {
  TwoHosts net;
  net.shake(net.a);
  net.a.restart();
  net.pass(3s);
  const Message first = net.first_with_stamp(net.a, 5);
  const Message second = net.answer(net.b, first, false);
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  CHECK(net.send(net.a, "up") == "up");
  CHECK(net.send(net.b, "down") == "down");
}

TEST_CASE("a confirmation that a newer first message overtook is still heard") {
  TwoHosts net;
  const Message second = net.answer(net.b, net.first(net.a));
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  const Message slow = net.sealed(net.a, "slow");
  const Message newer = net.answer(net.b, net.first(net.a));
  CHECK(net.open(net.b, slow) == "slow");
  REQUIRE(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, newer)));
  CHECK(net.send(net.a, "up") == "up");
  CHECK(net.send(net.b, "down") == "down");
}

TEST_CASE("an answered handshake that nobody confirms stops being used for sending") {
  TwoHosts net;
  net.shake(net.a);
  const auto held = [&] { return net.sealed(net.b, "x"); };
  // A fresh first message of a host that claims to have lost its sessions, and then silence.
  TwoHosts twin;
  twin.a.restart();
  twin.stamp = net.stamp + 1;
  twin.now = net.now;
  net.answer(net.b, twin.first(twin.a));
  CHECK(net.open(net.a, held()) == "<unknown_index>");
  net.pass(2s);
  CHECK(net.open(net.a, held()) == "x");
}

TEST_CASE("forgetting a peer ends everything about it and frees its handle") {
  TwoHosts net;
  net.shake(net.a);
  net.first(net.a);
  const Message data = net.sealed(net.b, "x");
  CHECK(net.a.sessions->stored() == 2);
  net.a.sessions->forget(net.a.other);
  net.a.sessions->forget(net.a.other);
  CHECK(net.a.sessions->stored() == 0);
  CHECK(net.a.sessions->peers() == 0);
  CHECK(net.a.sessions->next_deadline() == kNever);
  CHECK(net.open(net.a, data) == "<unknown_index>");
  net.shake(net.a);
  CHECK(net.send(net.b, "again") == "again");
}

TEST_CASE("an unanswered handshake is forgotten") {
  TwoHosts net;
  const Message second = net.answer(net.b, net.first(net.a));
  net.pass(29s);
  CHECK(net.a.sessions->handshaking(net.a.other));
  net.pass(1s);
  CHECK_FALSE(net.a.sessions->handshaking(net.a.other));
  CHECK(net.a.sessions->peers() == 0);
  CHECK(verdict_of(net.give(net.a, SessionKind::second, second)) == "unknown_index");
}

TEST_CASE("a newer handshake replaces the pending one") {
  TwoHosts net;
  const Message first = net.first(net.a);
  const Message old_second = net.answer(net.b, first);
  const Message second = net.answer(net.b, net.first(net.a));
  CHECK(net.a.sessions->stored() == 1);
  CHECK(verdict_of(net.give(net.a, SessionKind::second, old_second)) == "unknown_index");
  CHECK(std::holds_alternative<Established>(net.give(net.a, SessionKind::second, second)));
  CHECK(net.send(net.a, "up") == "up");
}
