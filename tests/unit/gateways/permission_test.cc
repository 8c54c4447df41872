#include "gateways/to_ip/permission.hh"

#include <doctest/doctest.h>

#include "gateways/to_ip/literal.hh"

using namespace i3;

namespace {

const char* const kAlice = "ww4lnv4uzcxlkh6cq6o2nhry54zxresslkyjgf7nsg7c64s4dmlq";
const char* const kBob = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkena";

PublicKey alice() {
  return *PublicKey::from_text(kAlice);
}
IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

// `rules`: <allow> lines in which ALICE stands for her key. This machine is 10.1.0.1.
Permissions permissions(std::string rules) {
  for (std::size_t at; (at = rules.find("ALICE")) != rules.npos;) rules.replace(at, 5, kAlice);
  const auto settings = parse_gateway_settings(
      "<i3-gateway><i3-to-ip>" + rules + "</i3-to-ip></i3-gateway>", "gateway.xml", {});
  return Permissions(*settings.i3_to_ip,
                     [](const IpAddress& address) { return address == ip("10.1.0.1"); });
}

}  // namespace

TEST_CASE("a name that spells an address is that address, of either family") {
  CHECK(literal_address("10-20-0-5") == ip("10.20.0.5"));
  CHECK(literal_address("fd00-7--5") == ip("fd00:7::5"));
  CHECK(literal_address("0--5") == ip("::5"));
  for (const char* name : {"10-20-0", "10-20-0-256", "10.20.0.5", "www", "a-b", "", "-",
                           "10-20-0-5-", "fd00-7--5--6", "www-10-20-0-5", "1"})
    CHECK_FALSE(literal_address(name));
}

TEST_CASE("a client gets the names, addresses and ports that its lines give, and nobody else any") {
  const auto given = permissions(
      R"(<allow client="ALICE" names="(.+\.)?corp\.example" addresses="10.20.0.0/16" protocol="tcp" ports="22,443"/>)");
  CHECK(given.knows(alice()));
  CHECK_FALSE(given.knows(*PublicKey::from_text(kBob)));
  CHECK(given.may_ask(alice(), "corp.example"));
  CHECK(given.may_ask(alice(), "www.corp.example"));
  CHECK_FALSE(given.may_ask(alice(), "corp.example.org"));
  CHECK_FALSE(given.may_ask(*PublicKey::from_text(kBob), "www.corp.example"));
  const auto opens = given.opens(alice(), "www.corp.example", ip("10.20.0.5"));
  REQUIRE(opens);
  CHECK(opens->tcp == std::vector<Ports::Range>{{22, 22}, {443, 443}});
  CHECK(opens->udp.empty());
  CHECK_FALSE(opens->icmp);
  CHECK_FALSE(given.opens(alice(), "www.corp.example", ip("10.21.0.5")));
  CHECK_FALSE(given.opens(alice(), "www.corp.example", ip("fd00::5")));
}

TEST_CASE("several lines for one name give together what each gives") {
  const auto given =
      permissions(R"(<allow client="ALICE" names="a" protocol="tcp" ports="80-90,22"/>
    <allow client="*" protocol="tcp" ports="91-95,85"/><allow client="ALICE" protocol="icmp"/>)");
  const auto opens = given.opens(alice(), "a", ip("10.0.0.1"));
  REQUIRE(opens);
  CHECK(opens->tcp == std::vector<Ports::Range>{{22, 22}, {80, 95}});
  CHECK(opens->icmp);
}

TEST_CASE("a line without more gives every name and port, and no address that is reserved") {
  const auto given = permissions(R"(<allow client="ALICE"/>)");
  const auto opens = given.opens(alice(), "www", ip("203.0.113.7"));
  REQUIRE(opens);
  CHECK(opens->tcp == std::vector<Ports::Range>{{0, 65535}});
  CHECK(opens->udp == opens->tcp);
  CHECK(opens->icmp);
  for (const char* reserved :
       {"127.0.0.1", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.1.1", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "ff02::1", "64:ff9b::7f00:1",
        "2002:7f00:1::1", "::7f00:1", "fd00:ec2::254", "100.100.100.200", "10.1.0.1"})
    CHECK_MESSAGE(!given.opens(alice(), "www", ip(reserved)), reserved);
}

TEST_CASE("a reserved address is given only by a line that names it by itself") {
  CHECK_FALSE(permissions(R"(<allow client="ALICE" addresses="127.0.0.0/8"/>)")
                  .opens(alice(), "www", ip("127.0.0.1")));
  CHECK_FALSE(permissions(R"(<allow client="ALICE" addresses="10.1.0.0/24"/>)")
                  .opens(alice(), "www", ip("10.1.0.1")));
  CHECK(permissions(R"(<allow client="ALICE" addresses="10.1.0.0/24,10.1.0.1"/>)")
            .opens(alice(), "www", ip("10.1.0.1")));
}

TEST_CASE("an address without a name is given by a line that has it, or that limits nothing") {
  const auto named =
      permissions(R"(<allow client="ALICE" names="corp" addresses="10.20.0.0/16"/>)");
  CHECK(named.may_ask(alice(), "10-20-0-5"));
  CHECK_FALSE(named.may_ask(alice(), "10-21-0-5"));
  CHECK_FALSE(permissions(R"(<allow client="ALICE" names="corp"/>)").may_ask(alice(), "10-20-0-5"));
  CHECK(permissions(R"(<allow client="ALICE"/>)").may_ask(alice(), "10-20-0-5"));
}

TEST_CASE("the kernel decides on ports of its own choice only where a helper's protocol is open") {
  CHECK(has_helper({0, false, {{20, 25}}, {}}));
  CHECK_FALSE(has_helper({0, false, {{22, 22}, {443, 443}}, {}}));
  CHECK(has_helper({0, false, {}, {{69, 69}}}));
}
