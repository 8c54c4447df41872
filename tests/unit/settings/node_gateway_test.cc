#include "overlay/base/xml/node_settings.hh"
#include "samples.hh"

using namespace i3;
using namespace i3::test;

TEST_CASE("a node's defaults are those of the manual") {
  const auto settings =
      parse_node_settings("<i3-node><listen address=\"0.0.0.0:5100\"/></i3-node>", "node.xml");
  CHECK(settings.identity_file == "/var/lib/i3/node.key");
  CHECK(settings.successors == 8);
  CHECK(settings.replicas == 2);
  CHECK(settings.triggers_per_key == 1024);
  CHECK(settings.triggers == 1000000);
  CHECK(settings.relay_kernel == RelayKernel::automatic);
  CHECK(settings.relay_xdp == RelayXdp::off);
  CHECK(settings.control.socket == "/run/i3/node.sock");
  CHECK(settings.control.socket_if_free.empty());
  CHECK_FALSE(settings.listen[0].advertise);
}

TEST_CASE("a node may listen at several addresses, each advertised") {
  const auto settings = parse_node_settings(
      R"(<i3-node><listen address="0.0.0.0:5100" advertise="203.0.113.7:5100" tls="0.0.0.0:443"/>
         <listen address="[::]:5100" advertise="[2001:db8::7]:5100"/>
         <join address="198.51.100.4:5100"/><ring operator-key=""/></i3-node>)",
      "node.xml");
  REQUIRE(settings.listen.size() == 2);
  CHECK(settings.listen[0].tls->port == 443);
  CHECK(settings.listen[1].advertise->text() == "[2001:db8::7]:5100");
  CHECK(settings.join == std::vector<EntryNode>{{*Endpoint::parse("198.51.100.4:5100"), {}}});
  CHECK_FALSE(settings.operator_key);
}

TEST_CASE("XDP is asked for by name, and not without the relay that it is part of") {
  const auto with = [](const std::string& relay) {
    return parse_node_settings(
        "<i3-node><listen address=\"0.0.0.0:5100\"/><relay " + relay + "/></i3-node>", "node.xml");
  };
  CHECK(with("kernel=\"on\" xdp=\"on\"").relay_xdp == RelayXdp::on);
  CHECK(with("xdp=\"auto\"").relay_xdp == RelayXdp::automatic);
  CHECK(with("kernel=\"off\" xdp=\"off\"").relay_xdp == RelayXdp::off);
  CHECK_THROWS_AS(with("kernel=\"off\" xdp=\"auto\""), ConfigError);
  CHECK_THROWS_AS(with("xdp=\"generic\""), ConfigError);
}

TEST_CASE("a node without a file takes everything from its options") {
  const auto plain = node_settings_from({{"0.0.0.0:5100"}, {}, {}, {}, ""});
  CHECK(plain.identity_file == "/var/lib/i3/node.key");
  CHECK(plain.control.socket == "/run/i3/node.sock");
  const auto own = node_settings_from(
      {{"0.0.0.0:5100", "[::]:5100"}, {"192.0.2.1:5100"}, {}, {"192.0.2.9:5100"}, "/tmp/n1"});
  CHECK(own.listen[0].advertise->text() == "192.0.2.1:5100");
  CHECK_FALSE(own.listen[1].advertise);
  CHECK(own.join[0].address.text() == "192.0.2.9:5100");
  CHECK(own.identity_file == "/tmp/n1/node.key");
  CHECK(own.state.file == "/tmp/n1/node.state");
  CHECK(own.control.socket == "/tmp/n1/node.sock");
  CHECK(own.control.socket_if_free == "/run/i3/node.sock");
}

namespace {
const Files kBook{
    {"/etc/i3/book.xml", R"(<address-book><host name="alice" key="KEY1"/></address-book>)"}};
}

TEST_CASE("an i3-to-IP gateway lets a client through where client, name, address and port fit") {
  const auto settings = gateway_from(R"(<i3-gateway><i3-to-ip resolver="192.0.2.53">
      <allow client="alice" names="(.+\.)?corp\.example" addresses="10.20.0.0/16" protocol="tcp" ports="22,443"/>
    </i3-to-ip><address-book file="book.xml"/></i3-gateway>)",
                                     kBook);
  const auto& gate = *settings.i3_to_ip;
  const auto alice = key_number(1), eve = key_number(2);
  const auto inside = *IpAddress::parse("10.20.0.5"), outside = *IpAddress::parse("10.21.0.5");
  CHECK(gate.resolver->text() == "192.0.2.53:53");
  CHECK(gate.may_resolve(alice, "git.corp.example"));
  CHECK(gate.may_resolve(alice, "CORP.example"));
  CHECK_FALSE(gate.may_resolve(alice, "corp.example.evil"));
  CHECK_FALSE(gate.may_resolve(eve, "corp.example"));
  CHECK(gate.may_open(alice, "corp.example", inside, Protocol::tcp, 22));
  CHECK_FALSE(gate.may_open(alice, "corp.example", outside, Protocol::tcp, 22));
  CHECK_FALSE(gate.may_open(alice, "corp.example", inside, Protocol::tcp, 23));
  CHECK_FALSE(gate.may_open(alice, "corp.example", inside, Protocol::udp, 22));
  CHECK_FALSE(gate.may_open(alice, "corp.example", inside, Protocol::icmp, 0));
  CHECK_FALSE(gate.may_open(alice, "other.example", inside, Protocol::tcp, 22));
  CHECK_FALSE(gate.may_open(eve, "corp.example", inside, Protocol::tcp, 22));
}

TEST_CASE("an i3-to-IP gateway without a rule lets nobody through") {
  const auto settings = gateway_from("<i3-gateway><i3-to-ip/></i3-gateway>");
  CHECK_FALSE(settings.i3_to_ip->resolver);
  CHECK_FALSE(settings.i3_to_ip->may_resolve(key_number(1), "a"));
}

TEST_CASE("clients of a gateway may have to come through a middle-box, by either side's settings") {
  const Files files{{"/etc/i3/book.xml", R"(<address-book><middlebox name="ids" key="KEY2"/>
      <gateway name="corp" key="KEY3" middlebox="ids"/></address-book>)"}};
  const auto settings = gateway_from(
      R"(<i3-gateway><i3-to-ip middlebox="ids"/><address-book file="book.xml"/></i3-gateway>)",
      files);
  CHECK(settings.i3_to_ip->middlebox == key_number(2));
  CHECK(settings.books.find("corp")->middlebox == "ids");
  CHECK_FALSE(gateway_from("<i3-gateway><i3-to-ip/></i3-gateway>").i3_to_ip->middlebox);
}

TEST_CASE("an IP-to-i3 gateway reads its zone and waypoints") {
  const auto settings = gateway_from(R"(<i3-gateway><ip-to-i3 zone="i3.example.org"
      listen="203.0.113.9" waypoints4="203.0.113.9-203.0.113.12" waypoints6="2001:db8:7::/64"/></i3-gateway>)");
  CHECK(settings.ip_to_i3->zone == "i3.example.org");
  CHECK(settings.ip_to_i3->listen->text() == "203.0.113.9:53");
  CHECK(settings.ip_to_i3->waypoints4[0].text() == "203.0.113.9-203.0.113.12");
  CHECK(settings.ip_to_i3->waypoints6->text() == "2001:db8:7::/64");
}

TEST_CASE("a zone has a nameserver where it listens, or those that are written") {
  const auto one = gateway_from(R"(<i3-gateway><ip-to-i3 zone="i3.example.org"
      listen="203.0.113.9"><listen address="[2001:db8::9]:53"/></ip-to-i3></i3-gateway>)");
  REQUIRE(one.ip_to_i3->nameservers.size() == 1);
  CHECK(one.ip_to_i3->nameservers[0].name == "ns1.i3.example.org");
  CHECK(one.ip_to_i3->nameservers[0].addresses.size() == 2);
  CHECK(one.ip_to_i3->contact == "hostmaster.i3.example.org");
  const auto two = gateway_from(R"(<i3-gateway><ip-to-i3 zone="i3.example.org" listen="0.0.0.0:53"
      contact="dns@example.org" ports="80,443" default="alice" waypoints-at="alice">
      <nameserver name="ns1.i3.example.org" addresses="203.0.113.9"/>
      <nameserver name="ns.example.net"/></ip-to-i3>
      <address-book file="book.xml"/></i3-gateway>)",
                                kBook);
  CHECK(two.ip_to_i3->nameservers.size() == 2);
  CHECK(two.ip_to_i3->contact == "dns.example.org");
  CHECK(two.ip_to_i3->default_name == "alice");
  CHECK(two.ip_to_i3->ports.contains(443));
  CHECK_FALSE(two.ip_to_i3->ports.contains(22));
  CHECK(two.ip_to_i3->waypoints_at == key_number(1));
}

TEST_CASE("a relay serves the hosts of its books, or whom it names, each at a rate") {
  const auto open =
      gateway_from(R"(<i3-gateway><relay/><address-book file="book.xml"/></i3-gateway>)", kBook);
  REQUIRE(open.relay->users.size() == 1);
  CHECK(open.relay->users[0].key == key_number(1));
  CHECK(open.relay->rate.per_second == 0);
  const auto named = gateway_from(R"(<i3-gateway>
      <relay rate="20Mbit" client-rate="800kbit" client-burst="64kB">
        <allow client="KEY2"/><allow client="KEY3" rate="1Gbit"/></relay></i3-gateway>)");
  CHECK(named.relay->rate == ByteRate{2'500'000, 250'000});
  REQUIRE(named.relay->users.size() == 2);
  CHECK(named.relay->users[0].rate == ByteRate{100'000, 64'000});
  CHECK(named.relay->users[1].rate == ByteRate{125'000'000, 12'500'000});
  const auto refusal = [](const std::string& relay) {
    return refusal_of([&] { (void)gateway_from("<i3-gateway>" + relay + "</i3-gateway>"); });
  };
  for (const char* wrong : {"20", "Mbit", "0Mbit", "-1Mbit", "1.5Mbit", "20mbit", "20 Mbit",
                            "2000000Gbit", "99999999999999999999kbit"}) {
    CAPTURE(wrong);
    CHECK(refusal("<relay rate=\"" + std::string(wrong) + "\"/>").find("20Mbit") !=
          std::string::npos);
  }
  CHECK(refusal("<relay burst=\"64kB\"/>").find("has no meaning without rate") !=
        std::string::npos);
  CHECK(refusal("<relay rate=\"1Mbit\" burst=\"1kB\"/>").find("less than 32kB") !=
        std::string::npos);
  CHECK(refusal("<relay><allow client=\"*\"/></relay>").find("name the clients") !=
        std::string::npos);
}

TEST_CASE("a middle-box admits its address books, or only whom it names") {
  const auto open = gateway_from(
      R"(<i3-gateway><middlebox/><address-book file="book.xml"/></i3-gateway>)", kBook);
  CHECK(open.middlebox->admits(key_number(1), open.books));
  CHECK_FALSE(open.middlebox->admits(key_number(2), open.books));
  const auto named = gateway_from(R"(<i3-gateway>
      <middlebox program="/usr/sbin/tcpdump -i {tun} -w -"><allow client="KEY2"/></middlebox>
      <address-book file="book.xml"/></i3-gateway>)",
                                  kBook);
  CHECK(named.middlebox->tun == "i3-inspect");
  CHECK_FALSE(named.middlebox->admits(key_number(1), named.books));
  CHECK(named.middlebox->admits(key_number(2), named.books));
}
