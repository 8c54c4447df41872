// Every way in which a file can be wrong, with the exact line that the operator reads.
#include "overlay/base/xml/node_settings.hh"
#include "samples.hh"

using namespace i3;
using namespace i3::test;

namespace {

std::string proxy_refusal(const std::string& text, Files files = {}) {
  return refusal_of([&] { proxy_from(text, std::move(files)); });
}
std::string node_refusal(const std::string& text) {
  return refusal_of([&] { parse_node_settings(with_keys(text), "node.xml"); });
}
std::string gateway_refusal(const std::string& text) {
  return refusal_of([&] { gateway_from(text); });
}
std::string book_refusal(const std::string& text) {
  return refusal_of([&] { AddressBook::parse(with_keys(text), "book.xml"); });
}
// One element in a proxy's file, at line 2, column 3.
std::string inner(const std::string& element) {
  return proxy_refusal("<i3-proxy>\n  " + element + "\n</i3-proxy>");
}
std::string entry(const std::string& element) {
  return book_refusal("<address-book>\n  " + element + "\n</address-book>");
}
const std::string kHere = "/etc/i3/proxy.xml:2:3: ";

}  // namespace

TEST_CASE("what is not well-formed is refused with its place") {
  CHECK(proxy_refusal("<i3-proxy>\n <dns>\n</i3-proxy>")
            .starts_with("/etc/i3/proxy.xml:3:3: not well-formed XML: "));
  CHECK(proxy_refusal("").starts_with("/etc/i3/proxy.xml:1:1: "));
  CHECK(proxy_refusal("<!-- nothing -->") ==
        "/etc/i3/proxy.xml:1:1: no element; the file is empty");
  CHECK(proxy_refusal("<i3-proxy/>\n<i3-proxy/>") ==
        "/etc/i3/proxy.xml:2:1: a second root element; only one is allowed");
  CHECK(proxy_refusal(std::string("<i3-proxy>\n\0</i3-proxy>", 23)) ==
        "/etc/i3/proxy.xml:2:1: a zero byte; the file has to be text in UTF-8");
}

TEST_CASE("document types, processing instructions and stray text are refused") {
  CHECK(proxy_refusal("<!DOCTYPE a [<!ENTITY x \"y\">]>\n<i3-proxy/>")
            .ends_with(": a document type (DTD) is refused; remove <!DOCTYPE ...>"));
  CHECK(inner("<?php echo ?>") ==
        kHere + "a processing instruction is refused; remove <?php ...?>");
  CHECK(inner("hello") ==
        kHere + "text \"hello\" between elements; only elements and comments are allowed");
  CHECK(proxy_refusal("<i3-proxy/>\nhello").find("only elements and comments are allowed") !=
        std::string::npos);
}

TEST_CASE("nesting is bounded, and a file that is deep or large is refused without recursion") {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<a>";
  for (int i = 0; i < 100000; ++i) deep += "</a>";
  CHECK(proxy_refusal(deep) == "/etc/i3/proxy.xml:1:49: nested too deeply; 16 levels are allowed");
  CHECK(proxy_refusal("<i3-proxy>" + std::string(kMaximumConfigSize, ' ') + "</i3-proxy>") ==
        "/etc/i3/proxy.xml:1:1: is larger than 16 MB");
}

TEST_CASE("unknown and repeated elements and attributes are refused with what is allowed") {
  CHECK(proxy_refusal("<i3-node/>") ==
        "/etc/i3/proxy.xml:1:1: the root element is <i3-node>; <i3-proxy> is needed here");
  CHECK(
      inner("<dsn/>") ==
      kHere +
          "unknown element <dsn> in <i3-proxy>; allowed are identity, overlay, tun, "
          "virtual-addresses, dns, address-book, policy, inbound, member, state, control, metrics");
  CHECK(inner("<dns sufix=\"i3\"/>") ==
        kHere + "unknown attribute sufix in <dns>; allowed are suffix, intercept");
  CHECK(inner("<dns suffix=\"i3\" suffix=\"i4\"/>") ==
        kHere + "attribute suffix twice in <dns>; once is allowed");
  CHECK(inner("<dns/><dns/>") ==
        "/etc/i3/proxy.xml:2:9: a second <dns> in <i3-proxy>; one is allowed");
  CHECK(inner("<dns><x/></dns>") ==
        "/etc/i3/proxy.xml:2:8: unknown element <x> in <dns>; it is to be empty");
  CHECK(inner("<policy how=\"x\"/>") == kHere + "unknown attribute how in <policy>; it takes none");
}

TEST_CASE("the column counts characters, not bytes") {
  CHECK(proxy_refusal("<i3-proxy><!-- \xc3\xa4\xc3\xb6 --><x/></i3-proxy>")
            .starts_with("/etc/i3/proxy.xml:1:22: unknown element <x>"));
}

TEST_CASE("values of the wrong form are refused with the form that is allowed") {
  CHECK(inner("<dns intercept=\"magic\"/>") ==
        kHere +
            "intercept=\"magic\" is unknown; allowed are auto, resolved, redirect, "
            "resolv.conf, none");
  CHECK(inner("<overlay shortcuts=\"true\"/>") ==
        kHere + "shortcuts=\"true\" is unknown; allowed are yes, no");
  CHECK(inner("<overlay transport=\"\"/>") ==
        kHere + "transport=\"\" is unknown; allowed are auto, udp, tls");
  CHECK(inner("<overlay listen=\"::1:5100 \"/>") ==
        kHere +
            "listen=\"::1:5100 \" is no address with a port; write ADDR:PORT, an IPv6 address "
            "in brackets");
  CHECK(inner("<metrics listen=\"127.0.0.1:0\"/>") ==
        kHere + "listen=\"127.0.0.1:0\" has port 0; allowed are 1 to 65535");
  for (const std::string everywhere : {"0.0.0.0:9413", "[::]:9413", "[::ffff:0.0.0.0]:9413"})
    CHECK(inner("<metrics listen=\"" + everywhere + "\"/>")
              .starts_with(kHere + "listen=\"" + everywhere + "\" names no address of its own"));
  CHECK(inner("<state idle=\"0\"/>") ==
        kHere + "idle=\"0\" is out of range; allowed are 1 to 31536000");
  CHECK(inner("<state idle=\"-5\"/>") ==
        kHere + "idle=\"-5\" is no whole number; allowed are 1 to 31536000");
  CHECK(inner("<state file=\"\"/>") == kHere + "file=\"\" is empty; a file name is needed");
  CHECK(inner("<identity key=\" k\"/>") ==
        kHere + "key=\" k\" starts or ends with a blank; write the file name alone");
  CHECK(inner("<tun mtu=\"100\"/>") ==
        kHere + "mtu=\"100\" is out of range; allowed are 1280 to 1700, or auto");
  CHECK(inner("<tun name=\"a/b\"/>") ==
        kHere +
            "name=\"a/b\" is no name for an interface; allowed are 1 to 15 letters, digits, "
            "hyphens, underscores and dots");
  CHECK(inner("<virtual-addresses ipv4=\"100.64.0.1/10\"/>") ==
        kHere +
            "ipv4=\"100.64.0.1/10\" has bits set behind its length; the network is "
            "100.64.0.0/10");
  CHECK(inner("<virtual-addresses ipv4=\"10.0.0.0/30\"/>") ==
        kHere + "ipv4=\"10.0.0.0/30\" is no IPv4 network of a fitting size; allowed are /8 to /24");
  CHECK(inner("<virtual-addresses ipv4=\"127.0.0.0/8\"/>")
            .starts_with(kHere + "ipv4=\"127.0.0.0/8\" cannot be used for hosts"));
  CHECK(inner("<control socket=\"/" + std::string(120, 's') + "\"/>")
            .ends_with(" is too long for a socket; at most 107 bytes are allowed"));
  CHECK(inner("<dns suffix=\"a..b\"/>").starts_with(kHere + "suffix=\"a..b\" has an empty label"));
}

TEST_CASE("a key that is wrong is refused by length, alphabet, spare bits and point") {
  const std::string good = key_number(1).text();
  const auto node = [](const std::string& key) {
    return inner("<overlay operator-key=\"" + key + "\"/>");
  };
  CHECK(node(good.substr(1))
            .ends_with("\" is no key: it has 51 characters; a key has 52 of a-z and 2-7"));
  std::string capital = good;
  capital[3] = 'X';
  CHECK(
      node(capital).ends_with("\" is no key: character 4 is not one of a-z (lower case) and 2-7"));
  std::string spare = good;
  spare.back() = spare.back() == 'a' ? 'b' : 'r';
  CHECK(node(spare).ends_with(
      "\" is no key: its last character has spare bits set; it can only be a or q"));
  CHECK(node(std::string(52, 'a'))
            .ends_with(
                "\" is no key: no point of the curve has this value, probably a typing error"));
}

TEST_CASE("a book refuses names twice, blanks, wrong labels, missing keys") {
  CHECK(entry("<host name=\"a\"/>") == "book.xml:2:3: <host> needs key=\"...\"");
  CHECK(entry("<host key=\"KEY1\"/>") == "book.xml:2:3: <host> needs name=\"...\"");
  CHECK(entry("<host name=\"\" key=\"KEY1\"/>") ==
        "book.xml:2:3: name=\"\" is empty; a value is needed");
  CHECK(entry("<host name=\"a b\" key=\"KEY1\"/>") ==
        "book.xml:2:3: name=\"a b\" has a blank; names have letters, digits, hyphens and dots");
  CHECK(entry("<host name=\"a_b\" key=\"KEY1\"/>") ==
        "book.xml:2:3: name=\"a_b\" has a character that names cannot have; allowed are letters, "
        "digits, hyphens and dots");
  CHECK(entry("<host name=\"-a\" key=\"KEY1\"/>") ==
        "book.xml:2:3: name=\"-a\" has a label that starts or ends with a hyphen");
  CHECK(entry("<host name=\"KEY2\" key=\"KEY1\"/>")
            .ends_with(" reads as a key; names that are keys need no address book"));
  CHECK(entry("<gateway name=\"drop\" key=\"KEY1\"/>") ==
        "book.xml:2:3: name=\"drop\" is a word of policies (via=\"ip\", via=\"drop\"); choose "
        "another name");
  CHECK(book_refusal("<address-book>\n  <host name=\"a\" key=\"KEY1\"/>\n"
                     "  <gateway name=\"A\" key=\"KEY2\"/>\n</address-book>") ==
        "book.xml:3:3: name=\"A\" is in this address book twice; remove or rename one of them");
  CHECK(entry("<group name=\"g\" key=\"KEY1\" mode=\"multicast\" address=\"10.0.0.1\"/>") ==
        "book.xml:2:3: address=\"10.0.0.1\" is no multicast address; write one of 224.0.0.0/4 or "
        "ff00::/8");
  CHECK(entry("<group name=\"g\" key=\"KEY1\" address=\"239.1.2.3\"/>") ==
        "book.xml:2:3: address is for mode=\"multicast\" only; remove it or change the mode");
  CHECK(entry("<gateway name=\"g\" key=\"KEY1\" shortcuts=\"no\"/>") ==
        "book.xml:2:3: unknown attribute shortcuts in <gateway>; allowed are name, key, "
        "middlebox, stack");
}

TEST_CASE("a box for sealed packets is one machine of the books, and the only one on the way") {
  const auto host = [](const std::string& attributes) {
    return proxy_refusal(
        "<i3-proxy>\n  <address-book file=\"book.xml\"/>\n</i3-proxy>",
        {{"/etc/i3/book.xml", "<address-book><host name=\"a\" key=\"KEY1\" " + attributes +
                                  "/><middlebox name=\"m\" key=\"KEY2\"/>"
                                  "<group name=\"g\" key=\"KEY3\"/>"
                                  "</address-book>"}});
  };
  CHECK(host("stack=\"m\"") == "accepted");
  CHECK(host("stack=\"x\"")
            .ends_with("stack=\"x\" is in no address book; add it, or correct the name"));
  CHECK(host("stack=\"a\"").ends_with("is the host itself; nobody is reached through itself"));
  CHECK(host("stack=\"g\"").ends_with("is a group; a pass is made for one box"));
  CHECK(host("stack=\"m\" middlebox=\"m\"")
            .ends_with("cannot both be on the way; remove one of them"));
  CHECK(
      host("stack=\"m\" anonymous=\"yes\"").ends_with("an anonymous visit has a relay of its own"));
}

TEST_CASE("a book that is missing is the proxy's line, a mistake in it is the book's") {
  const std::string proxy = "<i3-proxy>\n  <address-book file=\"book.xml\"/>\n</i3-proxy>";
  CHECK(proxy_refusal(proxy) ==
        kHere +
            "address book \"/etc/i3/book.xml\" cannot be read: No such file or directory; make "
            "the file or remove this line");
  CHECK(proxy_refusal(proxy, {{"/etc/i3/book.xml", "<address-book>\n<x/></address-book>"}}) ==
        "/etc/i3/book.xml:2:1: unknown element <x> in <address-book>; allowed are host, group, "
        "gateway, middlebox");
  CHECK(proxy_refusal(proxy, {{"/etc/i3/book.xml",
                               "<address-book>\n <host name=\"a\" key=\"KEY1\" "
                               "middlebox=\"ids\"/></address-book>"}}) ==
        "/etc/i3/book.xml:2:2: middlebox=\"ids\" is in no address book; add it, or correct the "
        "name");
  CHECK(proxy_refusal(proxy, {{"/etc/i3/book.xml",
                               "<address-book>\n <host name=\"a\" key=\"KEY1\" middlebox=\"b\"/>"
                               "<middlebox name=\"b\" key=\"KEY1\"/></address-book>"}}) ==
        "/etc/i3/book.xml:2:2: middlebox=\"b\" is the host itself; nobody is reached through "
        "itself");
  CHECK(proxy_refusal(proxy, {{"/etc/i3/book.xml",
                               "<address-book>\n <host name=\"a\" key=\"KEY1\" middlebox=\"g\"/>"
                               "<group name=\"g\" key=\"KEY2\" mode=\"multicast\"/>"
                               "</address-book>"}})
            .ends_with("is a multicast group; allowed are a middlebox, a host, an anycast group"));
  CHECK(proxy_refusal("<i3-proxy>\n  <inbound middlebox=\"ids\"/>\n</i3-proxy>") ==
        kHere + "middlebox=\"ids\" is in no address book; allowed are a name from there, or a key");
  CHECK(proxy_refusal("<i3-proxy>\n  <address-book file=\"book.xml\"/>\n"
                      "  <address-book file=\"/etc/i3/book.xml\"/>\n</i3-proxy>",
                      {{"/etc/i3/book.xml", "<address-book/>"}}) ==
        "/etc/i3/proxy.xml:3:3: file=\"/etc/i3/book.xml\" is named twice; once is enough");
}

TEST_CASE("gateways and middle-boxes may be anycast groups, and no others") {
  const auto with_group = [](const std::string& proxy, const char* mode,
                             const std::string& host = "") {
    return proxy_refusal(
        "<i3-proxy><address-book file=\"book.xml\"/>" + proxy + "</i3-proxy>",
        {{"/etc/i3/book.xml", std::string("<address-book><group name=\"g\" key=\"KEY2\" mode=\"") +
                                  mode + "\"/>" + host + "</address-book>"}});
  };
  const std::string route = "<policy><route suffix=\"a.example\" via=\"g\"/></policy>";
  const std::string inbound = "<inbound middlebox=\"g\"/>";
  const std::string host = "<host name=\"a\" key=\"KEY1\" middlebox=\"g\"/>";
  CHECK(with_group(route + inbound, "anycast", host) == "accepted");
  CHECK(with_group(route, "multicast")
            .ends_with("is a multicast group; a group of gateways is mode=\"anycast\""));
  CHECK(with_group(inbound, "multicast")
            .ends_with("is a multicast group; a group of middle-boxes is anycast"));
  const std::string visit = "<host name=\"a\" key=\"KEY1\" anonymous=\"yes\" middlebox=\"g\"/>";
  CHECK(with_group("", "anycast", visit).find("an anonymous visit goes through one middle-box") !=
        std::string::npos);
}

TEST_CASE("policies and rules refuse names that nobody knows") {
  CHECK(inner("<policy><route suffix=\"a.example\" via=\"corp\"/></policy>") ==
        "/etc/i3/proxy.xml:2:11: via=\"corp\" is in no address book; allowed are ip, drop, or the "
        "name of a gateway");
  CHECK(
      inner("<policy><route via=\"drop\"/></policy>") ==
      "/etc/i3/proxy.xml:2:11: <route> needs either suffix=\"...\" or match=\"...\", one of both");
  CHECK(
      inner("<policy><route suffix=\"a\" match=\"a\"/></policy>") ==
      "/etc/i3/proxy.xml:2:11: <route> needs either suffix=\"...\" or match=\"...\", one of both");
  CHECK(
      inner("<policy><route match=\"(a\" via=\"drop\"/></policy>") ==
      "/etc/i3/proxy.xml:2:11: match=\"(a\" is no regular expression (RE2 syntax): missing ): (a");
  CHECK(inner("<policy><route match=\"" + std::string(1025, 'a') + "\"/></policy>")
            .ends_with(" is longer than 1024 characters"));
  CHECK(inner("<inbound><allow from=\"bob\"/></inbound>") ==
        "/etc/i3/proxy.xml:2:12: from=\"bob\" is in no address book; allowed are a name from "
        "there, a key, or *");
  CHECK(inner("<inbound><allow/></inbound>") ==
        "/etc/i3/proxy.xml:2:12: <allow> needs from=\"...\"");
}

TEST_CASE("ports and protocols refuse ranges backwards and nonsense") {
  const auto allow = [](const std::string& rest) {
    return inner("<inbound><allow from=\"*\" " + rest + "/></inbound>");
  };
  const std::string place = "/etc/i3/proxy.xml:2:12: ";
  CHECK(allow("ports=\"90-80\"") ==
        place + "ports=\"90-80\" has the range \"90-80\" backwards; write the lower port first");
  CHECK(allow("ports=\"22, 80\"") ==
        place +
            "ports=\"22, 80\" holds no port in \" 80\"; write ports (1 to 65535) and ranges "
            "with commas, for example 22,80,8000-8100");
  CHECK(allow("ports=\"0\"").starts_with(place + "ports=\"0\" holds no port in \"0\""));
  CHECK(allow("ports=\"65536\"").starts_with(place + "ports=\"65536\" holds no port"));
  CHECK(allow("ports=\"22,\"").starts_with(place + "ports=\"22,\" holds no port in \"\""));
  CHECK(allow("protocol=\"sctp\"") ==
        place +
            "protocol=\"sctp\" is unknown; allowed are tcp, udp, icmp, or several of them with "
            "commas");
  CHECK(allow("protocol=\"icmp\" ports=\"1\"") ==
        place + "ports=\"1\" has no meaning for protocol=\"icmp\"; remove it");
}

TEST_CASE("a node refuses to be without an address, and what cannot be one") {
  CHECK(node_refusal("<i3-node/>") ==
        "node.xml:1:1: a node needs <listen address=\"ADDR:PORT\"/>, at least one");
  CHECK(node_refusal("<i3-node><listen/></i3-node>") ==
        "node.xml:1:10: <listen> needs address=\"...\"");
  CHECK(node_refusal("<i3-node><listen address=\"0.0.0.0:0\"/></i3-node>") ==
        "node.xml:1:10: address=\"0.0.0.0:0\" has port 0; allowed are 1 to 65535");
  CHECK(
      node_refusal("<i3-node><listen address=\"0.0.0.0:1\" advertise=\"0.0.0.0:1\"/></i3-node>") ==
      "node.xml:1:10: advertise=\"0.0.0.0:1\" names no host; write the address that others can "
      "reach");
  CHECK(node_refusal("<i3-node><listen address=\"192.0.2.1:1\" advertise=\"[2001:db8::1]:1\"/>"
                     "</i3-node>") ==
        "node.xml:1:10: advertise=\"[2001:db8::1]:1\" is of another family than address; use a "
        "<listen> for each");
  const std::string listen = "<i3-node><listen address=\"0.0.0.0:1\"/>\n";
  CHECK(node_refusal(listen + "<ring successors=\"0\"/></i3-node>") ==
        "node.xml:2:1: successors=\"0\" is out of range; allowed are 1 to 32");
  CHECK(node_refusal(listen + "<ring successors=\"1\" replicas=\"2\"/></i3-node>") ==
        "node.xml:2:1: replicas=\"2\" is more than successors; each replica is on a successor");
  CHECK(node_refusal(listen + "<relay kernel=\"yes\"/></i3-node>") ==
        "node.xml:2:1: kernel=\"yes\" is unknown; allowed are auto, on, off");
  CHECK(node_refusal(listen + "<join address=\"0.0.0.0:5\"/></i3-node>") ==
        "node.xml:2:1: address=\"0.0.0.0:5\" is no host's address; write the address of a node");
  CHECK(node_refusal(listen + "<limits triggers=\"1e6\"/></i3-node>") ==
        "node.xml:2:1: triggers=\"1e6\" is no whole number; allowed are 1 to 100000000");
}

TEST_CASE("options of a node are refused with the option's name") {
  const auto options = [](NodeOptions chosen) {
    return refusal_of([&] { node_settings_from(chosen); });
  };
  CHECK(options({}) == "--listen ADDR:PORT is needed where there is no --config FILE");
  CHECK(
      options({{"5100"}, {}, {}, {}, ""}) ==
      "--listen \"5100\" is no address with a port; write ADDR:PORT, an IPv6 address in brackets");
  CHECK(options({{"0.0.0.0:1"}, {"192.0.2.1:1", "192.0.2.2:1"}, {}, {}, ""}) ==
        "--advertise \"192.0.2.2:1\" has no --listen that it belongs to; give as many --listen");
  CHECK(
      options({{"0.0.0.0:1"}, {}, {}, {"host"}, ""}).starts_with("--join \"host\" is no address"));
}

TEST_CASE("a gateway refuses to do nothing, and addresses of the wrong family or backwards") {
  CHECK(gateway_refusal("<i3-gateway/>") ==
        "/etc/i3/gateway.xml:1:1: a gateway needs at least one of <i3-to-ip>, <ip-to-i3>, "
        "<middlebox>, <relay>");
  const auto inside = [](const std::string& element) {
    return gateway_refusal("<i3-gateway>\n" + element + "</i3-gateway>");
  };
  const std::string place = "/etc/i3/gateway.xml:2:1: ";
  CHECK(inside("<i3-to-ip resolver=\"dns\"/>") ==
        place +
            "resolver=\"dns\" is no address; write ADDR or ADDR:PORT, an IPv6 address before a "
            "port in brackets, or system");
  CHECK(inside("<i3-to-ip><allow client=\"*\" addresses=\"10.0.0.9-10.0.0.1\"/></i3-to-ip>") ==
        "/etc/i3/gateway.xml:2:11: addresses=\"10.0.0.9-10.0.0.1\" has the range "
        "\"10.0.0.9-10.0.0.1\" backwards; write the lower address first");
  CHECK(inside("<i3-to-ip><allow client=\"*\" addresses=\"10.0.0.0/33\"/></i3-to-ip>")
            .ends_with("is no network; write ADDR/LENGTH, for example 10.20.0.0/16 or "
                       "2001:db8::/64"));
  CHECK(inside("<ip-to-i3 waypoints4=\"2001:db8::1\"/>") ==
        place + "waypoints4=\"2001:db8::1\" has an IPv6 address; those go into waypoints6");
  CHECK(inside("<ip-to-i3 waypoints6=\"10.0.0.0/8\"/>") ==
        place + "waypoints6=\"10.0.0.0/8\" is an IPv4 network; those go into waypoints4");
  CHECK(inside("<ip-to-i3 waypoints6=\"2001:db8::/96\"/>") ==
        place + "waypoints6=\"2001:db8::/96\" is too small; allowed are networks up to /80");
  CHECK(inside("<ip-to-i3 listen=\"0.0.0.0:53\"/>")
            .ends_with("needs a <nameserver name=\"ns1.i3\" addresses=\"...\"/>"));
  CHECK(inside("<ip-to-i3 contact=\"a.b@example.org\"/>").find("without a dot before the @") !=
        std::string::npos);
  CHECK(inside("<ip-to-i3><nameserver name=\"ns1.i3\"/></ip-to-i3>")
            .ends_with("is inside the zone: say its addresses"));
  CHECK(inside("<ip-to-i3 dns-at=\"*\"/>").ends_with("must be one machine"));
  CHECK(inside("<middlebox><allow client=\"eve\"/></middlebox>") ==
        "/etc/i3/gateway.xml:2:12: client=\"eve\" is in no address book; allowed are a name from "
        "there, a key, or *");
}
