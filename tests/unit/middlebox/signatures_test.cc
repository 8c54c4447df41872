#include "gateways/middlebox/plugins/signatures.hh"

#include <doctest/doctest.h>

#include "tests/unit/middlebox/talk.hh"

using namespace i3;
using namespace i3::inspect;
using i3::test::kWall;
using i3::test::Talk;

namespace {

struct Filter {
  std::vector<std::string> found;
  std::string why;
  SignatureFilter filter;

  explicit Filter(std::string_view list)
      : filter(*parse_signatures(list, why), [this](const Signature& signature, const Ends& ends) {
          found.push_back(signature.name + ' ' + std::to_string(ends.server_port));
        }) {}
  bool take(const std::vector<std::uint8_t>& packet) { return filter.packet(packet, kWall); }
  void open(Talk& talk) {
    CHECK(take(talk.syn()));
    CHECK(take(talk.syn_ack()));
  }
};

constexpr std::string_view kEggdrop = "backdoor drop tcp 21 \"STOR eggdrop\"\n";

}  // namespace

TEST_CASE("an upload of eggdrop is caught, in whatever pieces it is asked for") {
  for (std::size_t cut = 1; cut < 12; ++cut) {
    CAPTURE(cut);
    Filter filter(kEggdrop);
    Talk talk(21);
    filter.open(talk);
    const std::string command = "stor EGGDROP\r\n";
    CHECK(filter.take(talk.say(true, command.substr(0, cut))));
    CHECK_FALSE(filter.take(talk.say(true, command.substr(cut))));
    CHECK(filter.found == std::vector<std::string>{"backdoor 21"});
    CHECK_FALSE(filter.take(talk.say(false, "150 go on\r\n")));
  }
}

TEST_CASE("pieces out of order are caught where the last gap closes") {
  Filter filter(kEggdrop);
  Talk talk(21);
  filter.open(talk);
  CHECK(filter.take(talk.at(true, 5, "eggdrop\r\n")));
  CHECK_FALSE(filter.take(talk.at(true, 0, "STOR ")));
  CHECK(filter.found.size() == 1);
}

TEST_CASE("a word that is shown first and sent otherwise later does not pass") {
  Filter filter(kEggdrop);
  Talk talk(21);
  filter.open(talk);
  CHECK(filter.take(talk.say(true, "STOR letters\r\n")));
  CHECK_FALSE(filter.take(talk.at(true, -9, "eggdrop\r\n")));
  // What the receiver would drop as damaged is not read as said.
  auto damaged = talk.at(true, 0, "STOR xxxxxxx\r\n");
  damaged.back() ^= 1;
  CHECK_FALSE(filter.take(damaged));
  CHECK_FALSE(filter.take(talk.at(true, 0, "STOR eggdrop\r\n")));
}

TEST_CASE("other ports, other words and signatures that only alert pass") {
  Filter filter("x drop tcp 21 \"eggdrop\"\nseen alert tcp * \"passwd\"\n");
  Talk web(80);
  filter.open(web);
  CHECK(filter.take(web.say(true, "GET /eggdrop HTTP/1.1\r\n")));
  CHECK(filter.take(web.say(true, "GET /etc/passwd HTTP/1.1\r\n")));
  CHECK(filter.take(web.say(true, "GET /more HTTP/1.1\r\n")));
  CHECK(filter.found == std::vector<std::string>{"seen 80"});
}

TEST_CASE("UDP is searched packet by packet, and fragments do not pass") {
  Filter filter("x drop udp 53 \"\\x03bad\"\n");
  const auto packet = [](const std::string& text, std::uint16_t port) {
    Tins::IP ip = Tins::IP("10.0.0.1", "10.0.0.2") / Tins::UDP(port, 4000) / Tins::RawPDU(text);
    return ip.serialize();
  };
  CHECK(filter.take(packet("\x03good", 53)));
  CHECK_FALSE(
      filter.take(packet("\x03"
                         "bad",
                         53)));
  CHECK(
      filter.take(packet("\x03"
                         "bad",
                         54)));
  Tins::IP fragment = Tins::IP("10.0.0.1", "10.0.0.2") / Tins::UDP(53, 4000) / Tins::RawPDU("x");
  fragment.flags(Tins::IP::MORE_FRAGMENTS);
  CHECK_FALSE(filter.take(fragment.serialize()));
}

TEST_CASE("a list that is wrong says in which line and why") {
  std::string why;
  CHECK(parse_signatures("# a comment\n\n" + std::string(kEggdrop), why)->size() == 1);
  CHECK((*parse_signatures("a drop tcp * \"\\\"\\\\\\x41\"", why))[0].pattern == "\"\\a");
  for (const char* wrong :
       {"a", "a allow tcp 1 \"x\"", "a drop icmp 1 \"x\"", "a drop tcp 0 \"x\"",
        "a drop tcp 70000 \"x\"", "a drop tcp 1 x", "a drop tcp 1 \"\"", "a drop tcp 1 \"x\" y",
        "a drop tcp 1 \"\\q\"", "a drop tcp 1 \"\\x4\"", "a drop tcp 1 \"a\"b\""}) {
    CAPTURE(wrong);
    why.clear();
    CHECK_FALSE(parse_signatures(std::string(kEggdrop) + wrong, why));
    CHECK(why.starts_with("2: "));
  }
}
