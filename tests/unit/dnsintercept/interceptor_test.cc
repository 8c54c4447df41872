#include <doctest/doctest.h>

#include "interceptor_fixture.hh"

using namespace i3;
using namespace i3::test;

namespace {
constexpr std::uint16_t kA = 1, kMx = 15, kPtr = 12, kAaaa = 28, kAny = 255;

std::string reverse6(const IpAddress& address) {
  std::string name;
  for (std::size_t i = 16; i-- > 0;)
    for (unsigned nibble : {address.bytes[i] & 0xfu, unsigned{address.bytes[i]} >> 4u})
      name += std::string(1, "0123456789abcdef"[nibble]) + ".";
  return name + "ip6.arpa";
}
}  // namespace

TEST_CASE("a known name has its addresses, and nothing goes upstream") {
  World world;
  world.core.set_upstreams({kFirst});
  auto dns = world.answer_to(question("WEB.i3", kA));
  REQUIRE(dns.answers_count() == 1);
  CHECK(dns.answers().front().data() == "100.64.0.7");
  CHECK(dns.queries().front().dname() == "WEB.i3");
  CHECK(world.names.resolved == std::vector<std::string>{"web.i3"});
  dns = world.answer_to(question("web.i3", kAaaa));
  REQUIRE(dns.answers_count() == 1);
  CHECK(dns.answers().front().data() == "fd13:700::");
  CHECK(world.answer_to(question("web.i3", kAny)).answers_count() == 2);
  CHECK(world.asked.empty());
}

TEST_CASE("a known name without that type is an empty NOERROR with an SOA") {
  World world;
  for (const Message& message : {question("four.i3", kAaaa), question("web.i3", kMx)}) {
    const auto dns = world.answer_to(message);
    CHECK(dns.rcode() == 0);
    CHECK(dns.answers_count() == 0);
    REQUIRE(dns.authority_count() == 1);
    CHECK(dns.authority().front().dname() == "i3");
  }
}

TEST_CASE("an unknown name under an own suffix is NXDOMAIN whatever the name service says") {
  World world;
  world.core.set_upstreams({kFirst});
  world.names.table["odd.i3"] = {.kind = NameAnswer::Kind::not_ours};
  for (const char* name : {"nobody.i3", "odd.i3", "a.b.c.I3"}) {
    const auto dns = world.answer_to(question(name, kA));
    CHECK(dns.rcode() == 3);
    CHECK(dns.authority_count() == 1);
  }
  CHECK(world.asked.empty());
}

TEST_CASE("the suffix itself exists") {
  World world;
  const auto dns = world.answer_to(question("i3", kA));
  CHECK(dns.rcode() == 0);
  CHECK(dns.answers_count() == 0);
}

TEST_CASE("a suffix only counts at a label's border") {
  World world;
  world.core.set_upstreams({kFirst});
  world.ask_core(question("mi3", kA));
  world.ask_core(question("www.fooi3", kA));
  CHECK(world.answers.empty());
  CHECK(world.asked.size() == 2);
}

TEST_CASE("a policy answers names outside the suffix, or hides them") {
  World world;
  CHECK(world.answer_to(question("policy.example", kA)).answers_count() == 1);
  CHECK(world.answer_to(question("hidden.example", kA)).rcode() == 3);
}

TEST_CASE("browsers are told to use the host's resolver") {
  World world;
  world.core.set_upstreams({kFirst});
  CHECK(world.answer_to(question("use-application-dns.net", kA)).rcode() == 3);
  CHECK(world.asked.empty());
}

TEST_CASE("an address of the pool has its name, or none, and is never asked upstream") {
  World world;
  world.core.set_upstreams({kFirst});
  auto dns = world.answer_to(question("7.0.64.100.in-addr.arpa", kPtr));
  REQUIRE(dns.answers_count() == 1);
  CHECK(dns.answers().front().data() == "web.i3");
  dns = world.answer_to(question(reverse6(IpAddress::v6({0xfd, 0x13, 7})), kPtr));
  REQUIRE(dns.answers_count() == 1);
  CHECK(dns.answers().front().data() == "web.i3");

  CHECK(world.answer_to(question("8.0.64.100.in-addr.arpa", kPtr)).rcode() == 3);
  CHECK(world.answer_to(question("255.255.127.100.in-addr.arpa", kPtr)).rcode() == 3);
  CHECK(world.answer_to(question("lb._dns-sd._udp.0.0.64.100.in-addr.arpa", kPtr)).rcode() == 3);
  CHECK(world.answer_to(question("7.0.64.100.in-addr.arpa", kA)).rcode() == 0);
  CHECK(world.answer_to(question("64.100.in-addr.arpa", 2)).rcode() == 0);
  CHECK(world.asked.empty());
}

TEST_CASE("addresses outside the pools, and zones that hold more, go upstream") {
  World world;
  world.core.set_upstreams({kFirst});
  for (const char* name :
       {"1.0.128.100.in-addr.arpa", "100.in-addr.arpa", "in-addr.arpa", "x.64.100.in-addr.arpa",
        "064.100.in-addr.arpa", "256.in-addr.arpa", "ip6.arpa", "d.f.ip6.arpa", "1.g.ip6.arpa"})
    world.ask_core(question(name, kPtr));
  CHECK(world.answers.empty());
  CHECK(world.asked.size() == 9);
}

TEST_CASE("other classes and operations on our names stay here, refused") {
  World world;
  world.core.set_upstreams({kFirst});
  CHECK(world.answer_to(question("web.i3", kA, 1, 3)).rcode() == 5);
  Message update = question("i3", 6);
  update[2] = 0x28;  // opcode 5
  CHECK(world.answer_to(update).rcode() == 4);
  CHECK(world.asked.empty());
  CHECK(world.names.resolved.empty());
  Message elsewhere = question("example", 6);
  elsewhere[2] = 0x28;
  world.ask_core(elsewhere);
  CHECK(world.asked.size() == 1);
}

TEST_CASE("an escaped dot does not make a name ours that only looks like one of ours") {
  World world;
  world.core.set_upstreams({kFirst});
  Message message{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 6, 'w', 'e', 'b', '.', 'i', '3', 0};
  message.insert(message.end(), {0, 1, 0, 1});
  world.ask_core(message);
  CHECK(world.names.table.count("web\\.i3") == 0);
  REQUIRE(world.answers.size() == 1);  // kept from upstream all the same
  CHECK(parsed(world.answers.front().message).answers_count() == 0);
}

TEST_CASE("malformed questions are answered with FORMERR, responses with nothing") {
  World world;
  Message two = question("web.i3", kA);
  two[5] = 2;
  CHECK(world.answer_to(two).rcode() == 1);
  Message trailing = question("web.i3", kA);
  trailing.push_back(1);
  CHECK(world.answer_to(trailing).rcode() == 1);
  world.answers.clear();
  Message response = question("web.i3", kA);
  response[2] |= 0x80;
  world.ask_core(response);
  world.ask_core({1, 2, 3});
  CHECK(world.answers.empty());
  CHECK(world.core.counters().malformed == 4);
}

TEST_CASE("EDNS versions that nobody defined get BADVERS") {
  World world;
  world.answer_to(with_opt(question("web.i3", kA), {.version = 1}));
  const Message& answer = world.answers.front().message;
  CHECK(parsed(answer).answers_count() == 0);
  CHECK(Bytes(answer).last(11)[5] == 1);
}

TEST_CASE("a parked question is answered when its name is known") {
  World world;
  world.ask_core(question("far.corp.example", kA, 0x0101));
  world.ask_core(question("FAR.corp.example", kAaaa, 0x0202));
  CHECK(world.answers.empty());
  CHECK(world.core.outstanding() == 2);
  world.core.complete(41, Rcode::refused);
  CHECK(world.answers.empty());
  world.core.complete(42, {.kind = NameAnswer::Kind::known, .ipv4 = 0x64400063u}, world.now);
  REQUIRE(world.answers.size() == 2);
  CHECK(parsed(world.answers[0].message).id() == 0x0101);
  CHECK(parsed(world.answers[0].message).answers().front().data() == "100.64.0.99");
  CHECK(parsed(world.answers[1].message).id() == 0x0202);
  CHECK(parsed(world.answers[1].message).answers_count() == 0);
  CHECK(parsed(world.answers[1].message).queries().front().dname() == "FAR.corp.example");
  CHECK(world.core.outstanding() == 0);
}

TEST_CASE("a parked question may end in an error, upstream, or in SERVFAIL after its time") {
  World world;
  world.core.set_upstreams({kFirst});
  world.ask_core(question("far.corp.example", kA));
  world.core.complete(42, Rcode::refused);
  CHECK(parsed(world.answers.back().message).rcode() == 5);

  world.ask_core(question("far.corp.example", kA, 0x7777));
  world.core.complete(42, {.kind = NameAnswer::Kind::not_ours}, world.now);
  REQUIRE(world.asked.size() == 1);
  world.respond(world.asked[0], server_answer(world.asked[0].message));
  CHECK(parsed(world.answers.back().message).id() == 0x7777);

  world.ask_core(question("far.corp.example", kA));
  const std::size_t before = world.answers.size();
  world.core.poll(world.now + 5s - 1ns);
  CHECK(world.answers.size() == before);
  CHECK(world.core.next_deadline() == world.now + 5s);
  world.core.poll(world.now + 5s);
  REQUIRE(world.answers.size() == before + 1);
  CHECK(parsed(world.answers.back().message).rcode() == 2);
  CHECK(world.core.outstanding() == 0);
}

TEST_CASE("parked questions are bounded") {
  World world;
  for (std::size_t i = 0; i <= kMaxParkedQuestions; ++i)
    world.ask_core(question("far.corp.example", kA));
  CHECK(world.core.outstanding() == kMaxParkedQuestions);
  REQUIRE(world.answers.size() == 1);
  CHECK(parsed(world.answers.front().message).rcode() == 2);
}
