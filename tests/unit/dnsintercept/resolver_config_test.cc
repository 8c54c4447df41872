#include "dnsintercept/resolver_config.hh"

#include <doctest/doctest.h>

using namespace i3;

TEST_CASE("nameservers are read in order, each once, comments and blanks aside") {
  const auto config = parse_resolver_config(
      "# nameserver 10.0.0.1\n"
      "; nameserver 10.0.0.2\n"
      "nameserver 192.0.2.1\n"
      "  nameserver\t2001:db8::1   # trailing\r\n"
      "nameserver 192.0.2.1\n"
      "options edns0\n"
      "nameservers 10.0.0.3\n"
      "nameserver\n"
      "nameserver 300.1.1.1\n"
      "nameserver 0.0.0.0\n"
      "nameserver fe80::1%eth0\n"
      "search corp.example other.example\n"
      "nameserver 127.0.0.53");
  CHECK(config.nameservers == std::vector<IpAddress>{*IpAddress::parse("192.0.2.1"),
                                                     *IpAddress::parse("2001:db8::1"),
                                                     *IpAddress::parse("127.0.0.53")});
  CHECK(config.search == std::vector<std::string>{"corp.example", "other.example"});
  CHECK(config.skipped == std::vector<std::string>{"fe80::1%eth0"});
}

TEST_CASE("our own line is not read, nor is the stub asked as an upstream") {
  const auto config =
      parse_resolver_config("nameserver 100.64.0.1 " + std::string(kResolvConfMarker) +
                            "\nnameserver 192.0.2.1\nnameserver 100.64.0.2\n");
  CHECK(config.nameservers.size() == 2);
  CHECK(upstreams_of(config, {*IpAddress::parse("100.64.0.2")}) ==
        std::vector<Endpoint>{*Endpoint::parse("192.0.2.1:53")});
}

TEST_CASE("a long or binary file is read only so far") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "nameserver 10.0.0." + std::to_string(i + 1) + "\n";
  CHECK(parse_resolver_config(text).nameservers.size() == kMaxNameservers);
  CHECK(
      parse_resolver_config(std::string(200000, '\n') + "nameserver 10.0.0.1").nameservers.empty());
  CHECK(parse_resolver_config(std::string("\0\xff nameserver", 13)).nameservers.empty());
  CHECK(parse_resolver_config("").nameservers.empty());
}
