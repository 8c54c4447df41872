#include "samples.hh"

using namespace i3;
using namespace i3::test;

TEST_CASE("an empty file means the defaults that the manual names") {
  const auto settings = proxy_from("<i3-proxy/>");
  CHECK(settings.identity_file == "/var/lib/i3/identity.key");
  CHECK(settings.overlay.listen.text() == "[::]:0");
  CHECK(settings.overlay.shortcuts);
  CHECK(settings.overlay.transport == Transport::automatic);
  CHECK_FALSE(settings.overlay.operator_key);
  CHECK(settings.overlay.nodes.empty());
  CHECK(settings.tun.name == "i3");
  CHECK_FALSE(settings.tun.mtu);
  CHECK(settings.virtual_addresses.ipv4.text() == "100.64.0.0/10");
  CHECK_FALSE(settings.virtual_addresses.chosen);
  CHECK(settings.dns.suffix == "i3");
  CHECK(settings.dns.intercept == Intercept::automatic);
  CHECK(settings.inbound.rules().empty());
  CHECK(settings.state.file == "/var/lib/i3/proxy.state");
  CHECK(settings.state.idle == std::chrono::seconds(7200));
  CHECK(settings.control.socket == "/run/i3/proxy.sock");
  CHECK(settings.control.group == "i3");
  CHECK_FALSE(settings.metrics);
}

TEST_CASE("everything that is written is read") {
  const auto settings = proxy_from(
      R"(<?xml version="1.0"?>
<i3-proxy xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="i3.xsd">
  <identity key="keys/me.key"/>
  <overlay listen="0.0.0.0:4000" shortcuts="no" transport="tls" operator-key="KEY3">
    <node address="203.0.113.7:5100" key="KEY1"/>
    <node address="[2001:db8::7]:5100"/>
  </overlay>
  <tun name="i3x" mtu="1380"/>
  <virtual-addresses ipv4="10.64.0.0/16"/>
  <dns suffix="overlay" intercept="resolv.conf"/>
  <address-book file="/books/a.xml"/>
  <address-book file="b.xml"/>
  <inbound><allow from="Alice" protocol="tcp" ports="22"/></inbound>
  <state file="/s/p" idle="60"/>
  <control socket="/s/p.sock" group=""/>
  <metrics listen="127.0.0.1:9413"/>
</i3-proxy>)",
      {{"/books/a.xml", R"(<address-book><host name="alice" key="KEY1"/></address-book>)"},
       {"/etc/i3/b.xml", R"(<address-book><host name="ALICE" key="KEY2"/>
                           <host name="bob" key="KEY2" anonymous="yes" shortcuts="no"/></address-book>)"}});
  CHECK(settings.identity_file == "/etc/i3/keys/me.key");
  CHECK_FALSE(settings.overlay.shortcuts);
  CHECK(settings.overlay.transport == Transport::tls);
  CHECK(settings.overlay.operator_key == key_number(3));
  REQUIRE(settings.overlay.nodes.size() == 2);
  CHECK(settings.overlay.nodes[0] ==
        EntryNode{*Endpoint::parse("203.0.113.7:5100"), key_number(1)});
  REQUIRE(settings.warnings.size() == 1);
  CHECK(settings.warnings[0] ==
        "/etc/i3/proxy.xml:6:5: node [2001:db8::7]:5100 has no key and is believed whoever it is");
  CHECK(settings.tun.mtu == 1380u);
  CHECK(settings.virtual_addresses.chosen);
  CHECK(settings.dns.intercept == Intercept::resolv_conf);
  CHECK(settings.state.idle == std::chrono::seconds(60));
  CHECK(settings.control.group.empty());
  CHECK(settings.metrics->port == 9413);
  SUBCASE("of a name in two books the first book's entry counts") {
    CHECK(settings.books.find("ALICE.")->key == key_number(1));
    CHECK(settings.books.entries().size() == 2);
    CHECK(settings.books.name_of(key_number(2)) == "bob");
    CHECK(settings.books.name_of(key_number(3)) == key_number(3).text());
    CHECK(settings.books.find("bob")->anonymous);
    CHECK_FALSE(settings.books.find("nobody"));
  }
  SUBCASE("settings can be copied and moved without losing what points into the books") {
    ProxySettings copy = settings;
    ProxySettings moved = std::move(copy);
    CHECK(moved.books.find("alice")->key == key_number(1));
    CHECK(moved.books.find("alice") != settings.books.find("alice"));
  }
}

TEST_CASE("a middle-box may be in another book than the host that wants it") {
  const auto settings = proxy_from(
      R"(<i3-proxy><address-book file="a"/><address-book file="b"/><inbound middlebox="ids"/></i3-proxy>)",
      {{"/etc/i3/a",
        R"(<address-book><host name="files" key="KEY1" middlebox="IDS"/></address-book>)"},
       {"/etc/i3/b", R"(<address-book><middlebox name="ids" key="KEY2"/></address-book>)"}});
  CHECK(settings.books.find("files")->middlebox == "ids");
  CHECK(settings.inbound.middlebox == key_number(2));
}

TEST_CASE("a book of a hundred thousand hosts is read, places and all, in one pass") {
  std::string text = "<address-book>\n";
  for (int i = 0; i < 100000; ++i)
    text += "<host name=\"h" + std::to_string(i) + "\" key=\"KEY1\"/>\n";
  const std::string key = key_number(1).text();
  std::string full;
  for (std::size_t at = 0, mark; at < text.size(); at = mark + 4) {
    mark = text.find("KEY1", at);
    full += text.substr(at, mark - at);
    if (mark == std::string::npos) break;
    full += key;
  }
  const auto book = AddressBook::parse(full + "</address-book>", "book.xml");
  REQUIRE(book.entries().size() == 100000);
  CHECK(book.entries().back().place.text() == "book.xml:100001:1");
}
