#include <doctest/doctest.h>

#include "gateways/from_ip/first_bytes.hh"
#include "hello.hh"

using namespace i3;
using State = FirstBytes::State;

TEST_CASE("a ClientHello names its server, in lower case") {
  const auto hello = test::client_hello("Shop.I3.example.ORG");
  const FirstBytes found = read_tls_hello(hello);
  CHECK(found.state == State::named);
  CHECK(found.name == "shop.i3.example.org");
  CHECK_FALSE(found.encrypted);
}

TEST_CASE("a ClientHello that arrives byte by byte is named with its last one and not before") {
  const auto hello = test::client_hello("shop.i3.example.org");
  for (std::size_t size = 0; size < hello.size(); ++size) {
    const FirstBytes found = read_tls_hello(Bytes(hello).first(size));
    REQUIRE(found.state == State::more);
    REQUIRE(found.needed > size);
    REQUIRE(found.needed <= hello.size());
  }
}

TEST_CASE("a ClientHello is read over any cuts into records") {
  for (std::size_t piece : {1u, 3u, 5u, 64u, 100u}) {
    const auto records = test::in_records(test::hello_message("a.i3"), piece);
    CHECK(read_tls_hello(records).name == "a.i3");
    CHECK(read_tls_hello(Bytes(records).first(records.size() - 1)).state == State::more);
  }
}

TEST_CASE("what follows the ClientHello in the stream changes nothing") {
  auto hello = test::client_hello("a.i3");
  hello.insert(hello.end(), {0, 1, 2, 3});
  CHECK(read_tls_hello(hello).name == "a.i3");
}

TEST_CASE("an encrypted ClientHello shows its outer name") {
  test::Hello wanted{.name = "public.i3"};
  wanted.encrypted = true;
  const FirstBytes found = read_tls_hello(test::in_records(test::hello_message(wanted), 16384));
  CHECK(found.name == "public.i3");
  CHECK(found.encrypted);
}

TEST_CASE("a ClientHello without a server name, or with an address for one, is nameless") {
  test::Hello without{.name = ""};
  CHECK(read_tls_hello(test::in_records(test::hello_message(without), 16384)).state ==
        State::nameless);
  CHECK(read_tls_hello(test::client_hello("2001:db8::1")).state == State::nameless);
  CHECK(read_tls_hello(test::client_hello("a b")).state == State::nameless);
  CHECK(read_tls_hello(test::client_hello("..")).state == State::nameless);
}

TEST_CASE("other protocols are told apart by their first bytes") {
  for (std::string_view first : {"S", "GET / HTTP/1.1", "\x16\x02", "\x16\x03\x01\x40\x01"})
    CHECK(read_tls_hello(as_bytes(first)).state == State::other);
  // A record without a byte, an alert, a ServerHello.
  for (std::vector<std::uint8_t> bytes :
       {std::vector<std::uint8_t>{22, 3, 1, 0, 0}, std::vector<std::uint8_t>{21, 3, 1, 0, 2, 1, 0},
        std::vector<std::uint8_t>{22, 3, 1, 0, 4, 2}})
    CHECK(read_tls_hello(bytes).state == State::other);
}

TEST_CASE("a ClientHello must fill its lengths exactly") {
  auto message = test::hello_message("a.i3");
  ++message[3];  // one byte more than there are extensions
  message.push_back(0);
  CHECK(read_tls_hello(test::in_records(message, 16384)).state == State::other);
}

TEST_CASE("a ClientHello with two server names is refused") {
  test::Hello twice{.name = "a.i3"};
  twice.name_again = "b.i3";
  CHECK(read_tls_hello(test::in_records(test::hello_message(twice), 16384)).state == State::other);
}

TEST_CASE("a ClientHello that claims more than is ever read is refused at once") {
  const std::vector<std::uint8_t> bytes{22, 3, 1, 0x40, 0, 1, 0x10, 0, 0};
  CHECK(read_tls_hello(bytes).state == State::other);
}
