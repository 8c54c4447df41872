#include <doctest/doctest.h>
#include <set>

#include "interceptor_fixture.hh"

using namespace i3;
using namespace i3::test;

namespace {
constexpr std::uint16_t kA = 1, kAxfr = 252;
const Endpoint kThird = *Endpoint::parse("192.0.2.54:53");
}  // namespace

TEST_CASE("a question that is not ours goes upstream byte for byte but for its ID, and back") {
  World world;
  world.core.set_upstreams({kFirst, kSecond});
  const Message sent = with_opt(question("wWw.Example", kA, 0x5151), {.size = 4096});
  world.ask_core(sent);
  REQUIRE(world.asked.size() == 1);
  CHECK(world.asked[0].channel.server == kFirst);
  Message forwarded = world.asked[0].message;
  CHECK(forwarded != sent);
  forwarded[0] = forwarded[1] = 0x51;
  CHECK(forwarded == sent);

  Message answer = server_answer(world.asked[0].message);
  answer[2] |= 2;                           // TC passes
  answer.insert(answer.end(), 3000, 0x77);  // and so does whatever follows
  world.respond(world.asked[0], answer);
  REQUIRE(world.answers.size() == 1);
  CHECK(world.answers[0].client == world.client);
  answer[0] = answer[1] = 0x51;
  CHECK(world.answers[0].message == answer);
  CHECK(world.core.outstanding() == 0);
}

TEST_CASE("IDs and ports are drawn by lot") {
  World world;
  world.core.set_upstreams({kFirst});
  std::set<std::uint16_t> ids;
  std::set<std::uint32_t> ports;
  for (int i = 0; i < 200; ++i) world.ask_core(question("n" + std::to_string(i) + ".example", kA));
  for (const Asked& asked : world.asked) {
    ids.insert(parse_question(asked.message)->id);
    ports.insert(asked.channel.number);
    CHECK(asked.channel.number < kUdpChannels);
  }
  CHECK(ids.size() == 200);
  CHECK(ports.size() == kUdpChannels);
  CHECK(*ids.rbegin() - *ids.begin() > 30000);
}

TEST_CASE(
    "an answer counts only from the server, on the port, with the ID and the question asked") {
  World world;
  world.core.set_upstreams({kFirst});
  world.ask_core(question("www.example", kA));
  const Asked asked = world.asked[0];
  const Message good = server_answer(asked.message);

  Asked wrong = asked;
  wrong.channel.server = kSecond;
  world.respond(wrong, good);
  wrong = asked;
  wrong.channel.number = (wrong.channel.number + 1) % kUdpChannels;
  world.respond(wrong, good);
  wrong = asked;
  wrong.channel.transport = DnsTransport::tcp;
  world.respond(wrong, good);
  Message other_id = good;
  other_id[0] ^= 1;
  world.respond(asked, other_id);
  Message other_question = question("wwx.example", kA, parse_question(good)->id);
  world.respond(asked, server_answer(other_question));
  world.respond(asked, asked.message);  // a question is no answer
  Message no_question(good.begin(), good.begin() + 12);
  no_question[5] = no_question[7] = 0;
  world.respond(asked, no_question);  // NOERROR about nothing
  world.respond(asked, {});
  CHECK(world.answers.empty());
  CHECK(world.core.counters().stray_responses == 8);

  world.respond(asked, good);
  CHECK(world.answers.size() == 1);
  world.respond(asked, good);  // and only once
  CHECK(world.answers.size() == 1);
}

TEST_CASE("an error that comes as a bare header is passed on") {
  World world;
  world.core.set_upstreams({kFirst});
  world.ask_core(question("www.example", kA, 0x2222));
  Message answer(world.asked[0].message.begin(), world.asked[0].message.begin() + 12);
  answer[2] |= 0x80;
  answer[3] = 1;  // FORMERR
  answer[5] = 0;
  world.respond(world.asked[0], answer);
  REQUIRE(world.answers.size() == 1);
  CHECK(parsed(world.answers[0].message).id() == 0x2222);
}

TEST_CASE("a silent server is asked again with the next one, and its late answer still counts") {
  World world;
  world.core.set_upstreams({kFirst, kSecond});
  world.ask_core(question("www.example", kA));
  CHECK(world.core.next_deadline() == world.now + 2s);
  world.now += 2s;
  world.core.poll(world.now);
  REQUIRE(world.asked.size() == 2);
  CHECK(world.asked[1].channel.server == kSecond);
  CHECK(world.silents.size() == 1);
  world.respond(world.asked[0], server_answer(world.asked[0].message));
  CHECK(world.answers.size() == 1);
  world.respond(world.asked[1], server_answer(world.asked[1].message));
  CHECK(world.answers.size() == 1);
}

TEST_CASE("nobody answers: SERVFAIL after five seconds and three questions") {
  World world;
  world.core.set_upstreams({kFirst});
  world.ask_core(question("www.example", kA, 0x3333));
  const TimePoint start = world.now;
  for (; world.core.next_deadline() != kNever; world.core.poll(world.now))
    world.now = world.core.next_deadline();
  CHECK(world.now == start + 5s);
  CHECK(world.asked.size() == 3);
  REQUIRE(world.answers.size() == 1);
  CHECK(parsed(world.answers[0].message).rcode() == 2);
  CHECK(parsed(world.answers[0].message).id() == 0x3333);
  CHECK(world.core.outstanding() == 0);
}

TEST_CASE("the server that answered when the first was silent is preferred for a minute") {
  World world;
  world.core.set_upstreams({kFirst, kSecond});
  world.ask_core(question("a.example", kA));
  world.now += 2s;
  world.core.poll(world.now);
  world.respond(world.asked[1], server_answer(world.asked[1].message));
  world.ask_core(question("b.example", kA));
  CHECK(world.asked[2].channel.server == kSecond);
  world.now += 61s;
  world.ask_core(question("c.example", kA));
  CHECK(world.asked[3].channel.server == kFirst);
}

TEST_CASE("SERVFAIL and REFUSED are passed on only when every server said so") {
  World world;
  world.core.set_upstreams({kFirst, kSecond, kThird});
  world.ask_core(question("www.example", kA));
  world.respond(world.asked[0], server_answer(world.asked[0].message, 2));
  REQUIRE(world.asked.size() == 2);
  world.respond(world.asked[1], server_answer(world.asked[1].message, 5));
  REQUIRE(world.asked.size() == 3);
  CHECK(world.answers.empty());
  world.respond(world.asked[2], server_answer(world.asked[2].message, 2));
  REQUIRE(world.answers.size() == 1);
  CHECK(parsed(world.answers[0].message).rcode() == 2);
}

TEST_CASE("a server that cannot be sent to is skipped; none at all is SERVFAIL at once") {
  World world;
  world.core.set_upstreams({kFirst, kSecond});
  world.unreachable = {kFirst};
  world.ask_core(question("a.example", kA));
  REQUIRE(world.asked.size() == 1);
  CHECK(world.asked[0].channel.server == kSecond);
  world.unreachable = {kFirst, kSecond};
  world.ask_core(question("b.example", kA));
  REQUIRE(world.answers.size() == 1);
  CHECK(parsed(world.answers[0].message).rcode() == 2);
  world.core.set_upstreams({});
  world.ask_core(question("c.example", kA));
  CHECK(world.answers.size() == 2);
}

TEST_CASE("a refused UDP port moves its questions to the next server") {
  World world;
  world.core.set_upstreams({kFirst, kSecond});
  world.ask_core(question("a.example", kA));
  world.core.on_channel_closed(world.asked[0].channel, false);
  REQUIRE(world.asked.size() == 2);
  CHECK(world.asked[1].channel.server == kSecond);
  world.core.on_channel_closed(world.asked[1].channel, false);
  REQUIRE(world.answers.size() == 1);
  CHECK(parsed(world.answers[0].message).rcode() == 2);
}

TEST_CASE("the same question from a local resolver is not sent back to it") {
  World world;
  const Endpoint local = *Endpoint::parse("127.0.0.1:53");
  world.core.set_upstreams({local, kFirst});
  world.ask_core(question("www.example", kA));
  world.ask_core(question("www.EXAMPLE", kA));  // the local resolver's own, redirected to us
  REQUIRE(world.asked.size() == 2);
  CHECK(world.asked[0].channel.server == local);
  CHECK(world.asked[1].channel.server == kFirst);
  world.respond(world.asked[1], server_answer(world.asked[1].message));
  world.respond(world.asked[0], server_answer(world.asked[0].message));
  CHECK(world.answers.size() == 2);
  world.ask_core(question("www.example", kA));
  CHECK(world.asked[2].channel.server == local);
}

TEST_CASE("one question more than the table holds is SERVFAIL, and its end frees the table") {
  World world;
  world.core.set_upstreams({kFirst});
  for (std::size_t i = 0; i <= kMaxWaitingQuestions; ++i)
    world.ask_core(question("n" + std::to_string(i) + ".example", kA));
  CHECK(world.asked.size() == kMaxWaitingQuestions);
  REQUIRE(world.answers.size() == 1);
  CHECK(parsed(world.answers[0].message).rcode() == 2);
  CHECK(world.core.counters().table_full == 1);
  world.core.poll(world.now + 6s);
  world.core.poll(world.now + 6s);
  CHECK(world.core.outstanding() == 0);
}

TEST_CASE("TCP questions travel over TCP and may come back in any order") {
  World world;
  world.core.set_upstreams({kFirst});
  for (std::uint16_t i = 0; i < 3; ++i)
    world.core.on_question(world.tcp_client, question("n" + std::to_string(i) + ".example", kA, i),
                           world.now);
  REQUIRE(world.asked.size() == 3);
  for (std::size_t i : {2u, 0u, 1u}) {
    CHECK(world.asked[i].channel == DnsChannel{DnsTransport::tcp, 9, kFirst});
    world.respond(world.asked[i], server_answer(world.asked[i].message));
    CHECK(parsed(world.answers.back().message).id() == i);
    CHECK(world.answers.back().client == world.tcp_client);
  }
}

TEST_CASE("a server that closes after each answer is asked the rest again") {
  World world;
  world.core.set_upstreams({kFirst, kSecond});
  for (std::uint16_t i = 0; i < 3; ++i)
    world.core.on_question(world.tcp_client, question("n" + std::to_string(i) + ".example", kA, i),
                           world.now);
  for (std::size_t answered = 0; answered < 3; ++answered) {
    const Asked first = world.asked.front();
    world.respond(first, server_answer(first.message));
    CHECK(world.answers.size() == answered + 1);
    world.asked.clear();
    world.core.on_channel_closed(first.channel, true);
    CHECK(world.asked.size() == 2 - answered);
    for (const Asked& again : world.asked) CHECK(again.channel.server == kFirst);
  }
  CHECK(world.core.outstanding() == 0);
}

TEST_CASE("a server whose connections carry nothing is given up for the next one") {
  World world;
  world.core.set_upstreams({kFirst, kSecond});
  world.core.on_question(world.tcp_client, question("www.example", kA), world.now);
  int closed = 0;
  while (world.asked.back().channel.server == kFirst && closed < 10) {
    world.core.on_channel_closed(world.asked.back().channel, false);
    ++closed;
  }
  CHECK(world.asked.back().channel.server == kSecond);
  CHECK(closed <= 3);
}

TEST_CASE("a client that goes away takes its questions along") {
  World world;
  world.core.set_upstreams({kFirst});
  world.core.on_question(world.tcp_client, question("www.example", kA), world.now);
  world.core.on_question(world.tcp_client, question("far.corp.example", kA), world.now);
  world.ask_core(question("www.example", kA));
  world.core.on_client_gone(world.tcp_client);
  CHECK(world.core.outstanding() == 1);
  world.respond(world.asked[0], server_answer(world.asked[0].message));
  CHECK(world.answers.empty());
}

TEST_CASE("a zone transfer brings many messages for one question") {
  World world;
  world.core.set_upstreams({kFirst});
  world.core.on_question(world.tcp_client, question("zone.example", kAxfr, 0x4444), world.now);
  const Asked asked = world.asked[0];
  Message bare = server_answer(asked.message);
  for (int i = 0; i < 5; ++i) {
    world.now += 3s;
    world.core.poll(world.now);
    world.respond(asked, server_answer(asked.message));
  }
  CHECK(world.answers.size() >= 5);
  for (const Sent& sent : world.answers) CHECK(parsed(sent.message).id() == 0x4444);
  world.core.on_channel_closed(asked.channel, true);
  CHECK(world.core.outstanding() == 0);
}
