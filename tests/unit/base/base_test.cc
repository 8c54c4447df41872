#include <doctest/doctest.h>

#include "overlay/base/bytes.hh"
#include "overlay/base/endpoint.hh"
#include "overlay/base/id.hh"
#include "overlay/base/keys.hh"
#include "overlay/base/log.hh"

using namespace i3;

TEST_CASE("a reader past the end yields zeros, fails for good and never completes") {
  const std::uint8_t three[] = {1, 2, 3};
  Reader reader(three);
  CHECK(reader.u16() == 0x0102);
  CHECK(reader.u32() == 0);
  CHECK_FALSE(reader.ok());
  CHECK(reader.u8() == 0);
  CHECK_FALSE(reader.complete());
}

TEST_CASE("trailing bytes are an error") {
  const std::uint8_t two[] = {1, 2};
  Reader reader(two);
  reader.u8();
  CHECK(reader.ok());
  CHECK_FALSE(reader.complete());
}

TEST_CASE("a writer past its buffer stops being ok and writes nothing outside") {
  std::uint8_t buffer[4] = {9, 9, 9, 9};
  Writer writer(MutBytes(buffer).first(3));
  writer.u16(1);
  writer.u16(2);
  CHECK_FALSE(writer.ok());
  CHECK(buffer[3] == 9);
}

TEST_CASE(
    "an interval on the ring wraps round zero and covers everything when its ends are equal") {
  const RingId a{0, 10}, b{~0ull, 5}, c{0, 3};
  CHECK(c.in_half_open(b, a));
  CHECK_FALSE(c.in_half_open(a, b));
  CHECK(a.in_half_open(a, a));
  CHECK_FALSE(a.in_open(a, a));
  CHECK(a.in_half_open(b, a));
  CHECK_FALSE(a.in_open(b, a));
  CHECK(RingId{0, ~0ull}.plus_power(0) == RingId{1, 0});
  CHECK(RingId{~0ull, 0}.plus_power(127) == RingId{0x7fffffffffffffffull, 0});
}

TEST_CASE("the common prefix of two IDs counts bits") {
  Id a, b;
  CHECK(a.common_prefix(b) == 256);
  b.bytes[16] = 0x01;
  CHECK(a.common_prefix(b) == 135);
  CHECK(Id::from_hex(b.hex()) == b);
}

TEST_CASE("a key's text form is canonical: 52 characters, spare bits zero, a real point") {
  SeededRandom random(1);
  auto identity = Identity::generate(random);
  const std::string text = identity->key().text();
  CHECK(text.size() == 52);
  CHECK(PublicKey::from_text(text) == identity->key());
  std::string spare = text;
  spare.back() = spare.back() == 'a' ? 'b' : static_cast<char>(spare.back() + 1);
  CHECK_FALSE(PublicKey::from_text(spare));
  CHECK_FALSE(PublicKey::from_text(std::string(52, 'a')));
  std::string upper = text;
  upper[0] = '!';
  CHECK_FALSE(PublicKey::from_text(upper));
}

TEST_CASE("signatures verify only what was signed") {
  SeededRandom random(2);
  auto identity = Identity::generate(random);
  auto signature = identity->sign(as_bytes("hello"));
  CHECK(identity->key().verify(as_bytes("hello"), signature));
  CHECK_FALSE(identity->key().verify(as_bytes("hellO"), signature));
  CHECK(*identity->key().x25519() == identity->x25519_public());
}

TEST_CASE("endpoints parse both families and refuse what is ambiguous") {
  CHECK(Endpoint::parse("203.0.113.7:5100")->text() == "203.0.113.7:5100");
  CHECK(Endpoint::parse("[2001:db8::1]:53")->text() == "[2001:db8::1]:53");
  CHECK_FALSE(Endpoint::parse("2001:db8::1:53"));
  CHECK_FALSE(Endpoint::parse("203.0.113.7"));
  CHECK_FALSE(Endpoint::parse("203.0.113.7:70000"));
  CHECK_FALSE(Endpoint::parse("[203.0.113.7]:1"));
  CHECK(IpAddress::parse("100.64.0.1")->is_private());
}

TEST_CASE("a logged value from the network cannot forge a line") {
  std::string seen;
  Log log(LogLevel::info, [&](LogLevel, std::string_view line) { seen = line; });
  log.info("peer", {{"name", "a\nb=\"c\""}, {"port", 7}});
  CHECK(seen == "peer name=\"a\\x0ab=\\\"c\\\"\" port=7");
}
