#include <doctest/doctest.h>

#include "gateways/from_ip/first_bytes.hh"

using namespace i3;
using State = FirstBytes::State;

namespace {
FirstBytes read(std::string_view text) {
  return read_http_host(as_bytes(text));
}
}  // namespace

TEST_CASE("a request names its host, without port and final dot, in lower case") {
  CHECK(read("GET / HTTP/1.1\r\nHost: Shop.i3.Example.org\r\n\r\n").name == "shop.i3.example.org");
  CHECK(read("GET / HTTP/1.1\r\nhost:shop.i3:8080 \r\n\r\n").name == "shop.i3");
  CHECK(read("GET / HTTP/1.1\nHOST:\tshop.i3.\n\n").name == "shop.i3");
  CHECK(read("\r\nPOST /a b HTTP/1.1\r\nHost: x\r\n\r\n").state == State::other);
}

TEST_CASE("a request that arrives byte by byte is named with its last one and not before") {
  const std::string_view request =
      "GET /x HTTP/1.1\r\nAccept: */*\r\nHost: a.i3\r\nCookie: c\r\n\r\n";
  for (std::size_t size = 0; size < request.size(); ++size) {
    const FirstBytes found = read(request.substr(0, size));
    REQUIRE(found.state == State::more);
    REQUIRE(found.needed == size + 1);
  }
  CHECK(read(request).name == "a.i3");
}

TEST_CASE("a whole address in the request line counts more than Host") {
  CHECK(read("GET http://a.i3:80/x?y HTTP/1.1\r\nHost: b.i3\r\n\r\n").name == "a.i3");
  CHECK(read("CONNECT a.i3:443 HTTP/1.1\r\nHost: b.i3\r\n\r\n").name == "a.i3");
}

TEST_CASE("requests without a host, or with an address for one, are nameless") {
  CHECK(read("GET / HTTP/1.0\r\n\r\n").state == State::nameless);
  CHECK(read("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n").state == State::nameless);
  CHECK(read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").state == State::nameless);
}

TEST_CASE("requests that two readers could understand differently are refused") {
  CHECK(read("GET / HTTP/1.1\r\nHost: a.i3\r\nHost: b.i3\r\n\r\n").state == State::other);
  CHECK(read("GET / HTTP/1.1\r\nHost : a.i3\r\n\r\n").state == State::other);
  CHECK(read("GET / HTTP/1.1\r\nHost: a.i3\r\n b.i3\r\n\r\n").state == State::other);
  CHECK(read("GET / HTTP/1.1\r\nHost\r\n\r\n").state == State::other);
}

TEST_CASE("other protocols are told apart by their first line, or by its first bytes") {
  CHECK(read("SSH-2.0-OpenSSH_9.2\r\n").state == State::other);
  CHECK(read("\x16\x03\x01").state == State::other);
  CHECK(read(std::string(33, 'A')).state == State::other);
  CHECK(read("GET / HTTP/9.9\r\n").state == State::other);
}

TEST_CASE("a head larger than is ever read is named by what it said until there") {
  const std::string cookies = "Cookie: " + std::string(kMaxFirstBytes, 'c');
  CHECK(read("GET / HTTP/1.1\r\nHost: a.i3\r\n" + cookies).name == "a.i3");
  CHECK(read("GET / HTTP/1.1\r\n" + cookies).state == State::other);
  CHECK(read("GET /" + cookies).state == State::other);
}
