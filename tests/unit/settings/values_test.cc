#include "overlay/base/xml/values.hh"

#include <doctest/doctest.h>

using namespace i3;

namespace {
std::string why;
}

TEST_CASE("a prefix contains its network and nothing of the other family") {
  const auto pool = *parse_prefix("100.64.0.0/10", why);
  CHECK(pool.contains(*IpAddress::parse("100.127.255.255")));
  CHECK_FALSE(pool.contains(*IpAddress::parse("100.128.0.0")));
  CHECK_FALSE(pool.contains(*IpAddress::parse("2001:db8::1")));
  CHECK(pool.text() == "100.64.0.0/10");
  CHECK(parse_prefix("0.0.0.0/0", why)->contains(*IpAddress::parse("9.9.9.9")));
  CHECK_FALSE(parse_prefix("::/0", why)->contains(*IpAddress::parse("9.9.9.9")));
  CHECK(parse_prefix("2001:db8:7::/64", why)->contains(*IpAddress::parse("2001:db8:7::9")));
}

TEST_CASE("port lists hold single ports and ranges, ends included; none means all") {
  const auto ports = *parse_ports("22,80,8000-8100", why);
  CHECK(ports.contains(22));
  CHECK(ports.contains(8000));
  CHECK(ports.contains(8100));
  CHECK_FALSE(ports.contains(8101));
  CHECK_FALSE(ports.contains(23));
  CHECK(ports.text() == "22,80,8000-8100");
  CHECK(Ports().contains(1));
  CHECK(Ports().all());
}

TEST_CASE("address ranges come as one address, two ends, or a network") {
  const auto ranges = *parse_ip_ranges("203.0.113.9-203.0.113.12,10.0.0.0/8,192.0.2.1", why);
  REQUIRE(ranges.size() == 3);
  CHECK(ranges[0].text() == "203.0.113.9-203.0.113.12");
  CHECK(ranges[1].text() == "10.0.0.0-10.255.255.255");
  CHECK(ranges[2].text() == "192.0.2.1");
  CHECK_FALSE(parse_ip_ranges("10.0.0.1-2001:db8::1", why));
}

TEST_CASE("an address alone takes the default port where there is one") {
  CHECK(parse_endpoint("192.0.2.1", false, 53, why)->text() == "192.0.2.1:53");
  CHECK(parse_endpoint("2001:db8::1", false, 53, why)->text() == "[2001:db8::1]:53");
  CHECK(parse_endpoint("[2001:db8::1]:5353", false, 53, why)->text() == "[2001:db8::1]:5353");
  CHECK_FALSE(parse_endpoint("192.0.2.1", false, 0, why));
}

TEST_CASE("a reason left over from an earlier value spoils no later one") {
  std::string left = "an earlier reason";
  CHECK(domain_name("home", left).has_value());
  CHECK(parse_ports("22,80", left).has_value());
  CHECK(parse_ip_ranges("192.0.2.1", left).has_value());
}

TEST_CASE("names are in lower case, with labels of 63 and 253 characters in all") {
  CHECK(domain_name("Home.Example", why) == "home.example");
  CHECK(domain_name(std::string(63, 'a'), why));
  CHECK_FALSE(domain_name(std::string(64, 'a'), why));
  CHECK_FALSE(domain_name("a.", why));
  CHECK_FALSE(domain_name(".a", why));
  std::string longest;
  for (int i = 0; i < 127; ++i) longest += "a.";
  longest.pop_back();
  CHECK(domain_name(longest, why));
  CHECK_FALSE(domain_name(longest + ".b", why));
}

TEST_CASE("what is quoted in a message cannot break its line or fill the terminal") {
  CHECK(quoted("a\n\x1b[31m") == "\"a\\x0a\\x1b[31m\"");
  CHECK(quoted(std::string(100, 'x')) == '"' + std::string(80, 'x') + "...\"");
}
