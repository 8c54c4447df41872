#include "gateways/from_ip/zone.hh"

#include <doctest/doctest.h>

#include "tests/unit/dnsintercept/questions.hh"

using namespace i3;
using namespace i3::test;
using namespace std::chrono_literals;

namespace {

struct Meanings final : ZoneNames {
  std::vector<std::string> asked;
  ZoneMeaning look_up(std::string_view name, std::uint16_t, const DnsClient& client,
                      TimePoint) override {
    asked.emplace_back(name);
    using Kind = ZoneMeaning::Kind;
    if (name == "web") return {Kind::known, 0xcb007109, std::array<std::uint8_t, 16>{0x20, 1}};
    if (name == "four") return {Kind::known, 0xcb00710a, {}};
    if (name == "lab") return {Kind::empty, {}, {}};
    if (name == "rare")
      return client.transport == DnsTransport::tcp ? ZoneMeaning{Kind::known, 0xcb00710b, {}}
                                                   : ZoneMeaning{Kind::over_tcp, {}, {}};
    if (name.empty()) return {Kind::known, {}, {}};
    return {};
  }
};

struct World {
  Meanings meanings;
  Zone zone{{"i3.example.org",
             {{"ns1.i3.example.org", {IpAddress::v4(0xcb007109)}}, {"ns2.example.net", {}}},
             "hostmaster.i3.example.org"},
            meanings};
  TimePoint now{1h};
  DnsClient client{DnsTransport::udp, 0, {IpAddress::v4(0xc6336401), 5353}, {}};

  Message answer(Bytes message) {
    Message out(kDnsAnswerSize);
    out.resize(zone.answer(client, message, now, out));
    return out;
  }
  Message ask(const std::string& name, std::uint16_t type) {
    return answer(with_opt(question(name, type)));
  }
};

unsigned flags(Bytes message) {
  return static_cast<unsigned>(message[2] << 8 | message[3]);
}
unsigned rcode(Bytes message) {
  return flags(message) & 0xf;
}
constexpr unsigned kAa = 0x0400, kTc = 0x0200, kRd = 0x0100, kRa = 0x0080;
constexpr std::uint16_t kA = 1, kNs = 2, kSoa = 6, kTxt = 16, kAaaa = 28, kHttps = 65;

}  // namespace

TEST_CASE("a name's waypoint is answered with authority, a lifetime of 0 and no recursion") {
  World world;
  const Message message = world.ask("web.i3.example.org", kA);
  CHECK(rcode(message) == 0);
  CHECK((flags(message) & (kAa | kTc | kRd | kRa)) == (kAa | kRd));
  const auto answers = parsed(message).answers();
  REQUIRE(answers.size() == 1);
  CHECK(answers.front().dname() == "web.i3.example.org");
  CHECK(answers.front().data() == "203.0.113.9");
  CHECK(answers.front().ttl() == 0);
}

TEST_CASE("letter case comes back as it was asked, and names mean the same in any") {
  World world;
  const Message message = world.ask("wEb.I3.eXample.oRG", kA);
  CHECK(parsed(message).queries().front().dname() == "wEb.I3.eXample.oRG");
  CHECK(parsed(message).answers().front().dname() == "wEb.I3.eXample.oRG");
  CHECK(world.meanings.asked == std::vector<std::string>{"web"});
}

TEST_CASE(
    "a type that a name lacks is an empty answer, an unknown name is none; both with the SOA") {
  World world;
  for (const auto& [name, type, code] :
       {std::tuple{"four.i3.example.org", kAaaa, 0u}, std::tuple{"web.i3.example.org", kHttps, 0u},
        std::tuple{"lab.i3.example.org", kA, 0u}, std::tuple{"i3.example.org", kA, 0u},
        std::tuple{"nobody.i3.example.org", kA, 3u},
        std::tuple{"x.web.i3.example.org", kTxt, 3u}}) {
    const Message message = world.ask(name, type);
    CAPTURE(name);
    CHECK(rcode(message) == code);
    CHECK((flags(message) & kAa) != 0);
    CHECK(parsed(message).answers().empty());
    const auto authority = parsed(message).authority();
    REQUIRE(authority.size() == 1);
    CHECK(authority.front().query_type() == kSoa);
    CHECK(authority.front().dname() == "i3.example.org");
    CHECK(authority.front().ttl() == Zone::kNegativeTtl);
  }
}

TEST_CASE("the zone has its SOA and its servers, with the addresses of those inside") {
  World world;
  const auto soa = parsed(world.ask("i3.example.org", kSoa)).answers();
  REQUIRE(soa.size() == 1);
  const Tins::DNS::soa_record record(soa.front());
  CHECK(record.mname() == "ns1.i3.example.org");
  CHECK(record.rname() == "hostmaster.i3.example.org");
  CHECK(record.refresh() >= 14400);
  CHECK(record.retry() >= 3600);
  CHECK(record.retry() < record.refresh());
  CHECK(record.expire() >= 604800);
  CHECK(record.minimum_ttl() >= 300);
  const Tins::DNS servers = parsed(world.ask("i3.example.org", kNs));
  REQUIRE(servers.answers().size() == 2);
  CHECK(servers.answers().front().data() == "ns1.i3.example.org");
  CHECK(servers.answers().back().data() == "ns2.example.net");
  const auto address = parsed(world.ask("NS1.i3.example.org", kA)).answers();
  REQUIRE(address.size() == 1);
  CHECK(address.front().data() == "203.0.113.9");
  CHECK(address.front().ttl() == Zone::kTtl);
  CHECK(rcode(world.ask("ns1.i3.example.org", kAaaa)) == 0);
}

TEST_CASE("servers' addresses are given along with their names") {
  World world;
  const auto extra = parsed(world.answer(question("i3.example.org", kNs))).additional();
  REQUIRE(extra.size() == 1);
  CHECK(extra.front().dname() == "ns1.i3.example.org");
  CHECK(extra.front().data() == "203.0.113.9");
}

TEST_CASE("what is no question to this zone is refused, and names nothing") {
  World world;
  for (const auto& [name, type] :
       {std::pair{"example.org", kA}, std::pair{"i3.example.com", kSoa},
        std::pair{"notI3.example.org", kA}, std::pair{"org", kNs},
        std::pair{"i3.example.org", dns_type::axfr}, std::pair{"i3.example.org", dns_type::ixfr},
        std::pair{"web.i3.example.org", dns_type::opt}}) {
    const Message message = world.ask(name, type);
    CAPTURE(name);
    CHECK(rcode(message) == 5);
    CHECK((flags(message) & kAa) == 0);
    CHECK(parsed(message).answers_count() + parsed(message).authority_count() == 0);
  }
  CHECK(rcode(world.answer(question("version.bind", kTxt, 1, 3))) == 5);
  CHECK(rcode(world.answer(question("web.i3.example.org", kA, 1, 3))) == 5);
  CHECK(world.meanings.asked.empty());
}

TEST_CASE("a dot inside a label is no border of the zone") {
  World world;
  Message message = question("webxi3.example.org", kA);
  message[kDnsHeaderSize + 4] = '.';  // one label "web.i3"
  CHECK(rcode(world.answer(message)) == 5);
}

TEST_CASE("ANY gets one small record (RFC 8482), of names that exist") {
  World world;
  const auto answers = parsed(world.ask("web.i3.example.org", dns_type::any)).answers();
  REQUIRE(answers.size() == 1);
  CHECK(answers.front().query_type() == dns_type::hinfo);
  CHECK(rcode(world.ask("nobody.i3.example.org", dns_type::any)) == 3);
}

TEST_CASE("EDNS: an OPT to who sent one, BADVERS above version 0, unknown options no matter") {
  World world;
  CHECK(parsed(world.answer(question("web.i3.example.org", kA))).additional_count() == 0);
  const Message plain = world.ask("web.i3.example.org", kA);
  CHECK(plain[11] == 1);
  const Message bad = world.answer(with_opt(question("web.i3.example.org", kA), {.version = 1}));
  CHECK(rcode(bad) == 0);
  CHECK(bad[bad.size() - 6] == 1);  // the upper bits of 16
  CHECK(parsed(bad).answers_count() == 0);
  Message option = with_opt(question("web.i3.example.org", kA));
  option[option.size() - 1] = 4;
  option[option.size() - 3] = 0x40;  // a flag that nobody defined
  option.insert(option.end(), {0xfd, 0xe9, 0, 0});
  const Message answer = world.answer(option);
  CHECK(parsed(answer).answers_count() == 1);
  CHECK(answer[answer.size() - 3] == 0);
  CHECK(answer[answer.size() - 4] == 0);
}

TEST_CASE("responses are not answered, other operations are not implemented, ruins are said so") {
  World world;
  Message response = question("web.i3.example.org", kA);
  response[2] = static_cast<std::uint8_t>(response[2] | 0x80);
  CHECK(world.answer(response).empty());
  Message notify = question("i3.example.org", kSoa);
  notify[2] = static_cast<std::uint8_t>(notify[2] | 4 << 3);
  CHECK(rcode(world.answer(notify)) == 4);
  Message cut = question("web.i3.example.org", kA);
  cut.resize(cut.size() - 3);
  CHECK(rcode(world.answer(cut)) == 1);
  CHECK((flags(world.answer(cut)) & kRa) == 0);
  Message trailing = question("web.i3.example.org", kA);
  trailing.push_back(0);
  CHECK(rcode(world.answer(trailing)) == 1);
}

TEST_CASE("where waypoints are short, an address is given over TCP only") {
  World world;
  const Message udp = world.ask("rare.i3.example.org", kA);
  CHECK((flags(udp) & kTc) != 0);
  CHECK(parsed(udp).answers_count() == 0);
  world.client.transport = DnsTransport::tcp;
  CHECK(parsed(world.ask("rare.i3.example.org", kA)).answers_count() == 1);
}

TEST_CASE("a flood of questions from one network gets questions back with TC, then silence") {
  World world;
  const Message asked = with_opt(question("nobody.i3.example.org", kA));
  std::size_t whole = 0, cut = 0, silent = 0;
  for (int i = 0; i < 2000; ++i) {
    const Message message = world.answer(asked);
    if (message.empty()) {
      ++silent;
    } else if ((flags(message) & kTc) != 0) {
      ++cut;
      REQUIRE(message.size() <= asked.size());
    } else {
      ++whole;
    }
  }
  CHECK(whole == 200);
  CHECK(cut == 1000);
  CHECK(silent == 800);
  world.client.peer.address = IpAddress::v4(0xc6336501);  // another network
  CHECK((flags(world.answer(asked)) & kTc) == 0);
  world.client.transport = DnsTransport::tcp;
  world.client.peer.address = IpAddress::v4(0xc6336401);
  CHECK((flags(world.answer(asked)) & kTc) == 0);
}

TEST_CASE("the limit's table is bounded") {
  ResponseLimit limit;
  for (std::uint32_t n = 0; n < ResponseLimit::kMaxNetworks + 10; ++n)
    limit.judge(IpAddress::v4(n << 8), TimePoint{1h});
  CHECK(limit.size() == ResponseLimit::kMaxNetworks);
}
