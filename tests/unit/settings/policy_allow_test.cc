#include "samples.hh"

using namespace i3;
using namespace i3::test;

namespace {

const Files kBook{{"/etc/i3/book.xml", R"(<address-book>
  <host name="alice" key="KEY1"/><gateway name="corp" key="KEY2"/></address-book>)"}};

ProxySettings with(const std::string& inner) {
  return proxy_from("<i3-proxy><address-book file=\"book.xml\"/>" + inner + "</i3-proxy>", kBook);
}

}  // namespace

TEST_CASE("the first route that matches decides, and without one a name goes to the Internet") {
  const auto policy = with(R"(<policy>
    <route suffix="public.corp.example"/>
    <route suffix="corp.example" via="corp"/>
    <route match="(build|ci)-[0-9]+\.lab\.example" via="corp"/>
    <route suffix="ads.example" via="drop"/>
  </policy>)")
                          .policy;
  CHECK(policy.decide("www.debian.org") == Decision{});
  CHECK(policy.decide("corp.example") == Decision{Via::gateway, "corp", key_number(2)});
  CHECK(policy.decide("A.B.Corp.Example.").via == Via::gateway);
  CHECK(policy.decide("notcorp.example").via == Via::ip);
  CHECK(policy.decide("x.public.corp.example").via == Via::ip);
  CHECK(policy.decide("CI-7.lab.example").via == Via::gateway);
  CHECK(policy.decide("ci-7.lab.example.evil").via == Via::ip);
  CHECK(policy.decide("x.ads.example").via == Via::drop);
  CHECK(policy.routing_domains() == std::vector<std::string>{"corp.example", "ads.example"});
  CHECK(policy.sees_every_query());
}

TEST_CASE("only an expression that leads away from the Internet needs every query") {
  CHECK_FALSE(with(R"(<policy><route suffix="a" via="drop"/></policy>)").policy.sees_every_query());
  CHECK_FALSE(
      with(R"(<policy><route match=".*\.a" via="ip"/></policy>)").policy.sees_every_query());
  CHECK_FALSE(with("").policy.sees_every_query());
}

TEST_CASE("an expression with intercept=resolved is accepted with a warning") {
  const auto settings =
      with("<dns intercept=\"resolved\"/>\n<policy><route match=\"x.*\" via=\"drop\"/></policy>");
  REQUIRE(settings.warnings.size() == 1);
  CHECK(settings.warnings[0].starts_with("/etc/i3/proxy.xml:2:9: with intercept=\"resolved\""));
}

TEST_CASE("matching stays fast on an expression made to be slow") {
  std::string why;
  const auto pattern = NamePattern::parse("(a*)*(a*)*(a|a)*b", why);
  REQUIRE(pattern);
  CHECK_FALSE(pattern->matches(std::string(5000, 'a')));
}

TEST_CASE("nobody gets in without a line, whatever the address book says") {
  const auto settings = with("");
  CHECK_FALSE(settings.inbound.allows(key_number(1), Protocol::tcp, 80));
  CHECK_FALSE(settings.inbound.knows(key_number(1)));
}

TEST_CASE("a line lets in whom it names, at its protocols and ports") {
  const auto list = with(R"(<inbound>
    <allow from="alice" protocol="tcp" ports="22,8000-8100"/>
    <allow from="KEY3"/>
  </inbound>)")
                        .inbound;
  const auto alice = key_number(1), corp = key_number(2), third = key_number(3);
  CHECK(list.allows(alice, Protocol::tcp, 22));
  CHECK(list.allows(alice, Protocol::tcp, 8100));
  CHECK_FALSE(list.allows(alice, Protocol::tcp, 23));
  CHECK_FALSE(list.allows(alice, Protocol::udp, 22));
  CHECK_FALSE(list.allows(alice, Protocol::icmp, 0));
  CHECK(list.allows(third, Protocol::tcp, 1));
  CHECK(list.allows(third, Protocol::udp, 1));
  CHECK(list.allows(third, Protocol::icmp, 0));
  CHECK_FALSE(list.allows(corp, Protocol::tcp, 22));
  CHECK(list.knows(alice));
  CHECK_FALSE(list.knows(corp));
}

TEST_CASE("ports without a protocol mean TCP and UDP, and * means anybody") {
  const auto list = with(R"(<inbound><allow from="*" ports="53"/></inbound>)").inbound;
  CHECK(list.allows(key_number(9), Protocol::tcp, 53));
  CHECK(list.allows(key_number(9), Protocol::udp, 53));
  CHECK_FALSE(list.allows(key_number(9), Protocol::icmp, 0));
  CHECK_FALSE(list.allows(key_number(9), Protocol::udp, 54));
}
