// Owns the tests of packet parsing.
#include <doctest/doctest.h>

#include "packets.hh"

using namespace i3;
using namespace i3::testing;

namespace {
const IpAddress kA4 = ip("100.64.0.9"), kB4 = ip("100.70.1.2");
const IpAddress kA6 = ip("fd00::9"), kB6 = ip("fd00::1:2");

Packet simple(Family family, Kind kind) {
  Recipe recipe;
  recipe.family = family;
  recipe.kind = kind;
  recipe.payload = Packet(100, 0x5a);
  return family == Family::v4 ? build(recipe, kA4, kB4) : build(recipe, kA6, kB6);
}
}  // namespace

TEST_CASE("a packet's fields are those it was built with") {
  for (Family family : {Family::v4, Family::v6}) {
    for (bool options : {false, true}) {
      Recipe recipe;
      recipe.family = family;
      recipe.options = options;
      recipe.source_port = 4711;
      recipe.destination_port = 22;
      recipe.payload = Packet(33, 1);
      const bool v4 = family == Family::v4;
      const Packet bytes = build(recipe, v4 ? kA4 : kA6, v4 ? kB4 : kB6);
      const IpView packet = view(bytes);
      CHECK(packet.family() == family);
      CHECK(packet.source() == (v4 ? kA4 : kA6));
      CHECK(packet.destination() == (v4 ? kB4 : kB6));
      CHECK(packet.is_tcp());
      CHECK(packet.is_tcp_open());
      CHECK(packet.source_port() == 4711);
      CHECK(packet.destination_port() == 22);
      CHECK(packet.ttl() == 64);
      CHECK(packet.transport().size() == 20 + 33);
      CHECK_FALSE(packet.is_fragment());
      CHECK((packet.transport_offset() > (v4 ? 20u : 40u)) == options);
    }
  }
}

TEST_CASE("echo requests and replies show type and identifier in both families") {
  for (Family family : {Family::v4, Family::v6}) {
    Recipe recipe;
    recipe.family = family;
    recipe.kind = Kind::echo;
    recipe.source_port = 0x1234;
    Packet bytes = family == Family::v4 ? build(recipe, kA4, kB4) : build(recipe, kA6, kB6);
    CHECK(view(bytes).is_echo_request());
    CHECK(view(bytes).icmp_id() == 0x1234);
    CHECK_FALSE(view(bytes).is_icmp_error());
    CHECK(view(bytes).source_port() == 0);
    bytes[view(bytes).transport_offset()] = family == Family::v4 ? 0 : 129;
    CHECK(view(bytes).is_echo_reply());
  }
}

TEST_CASE("the other family's ICMP is not ICMP") {
  Packet bytes = simple(Family::v4, Kind::echo);
  bytes[9] = ip_protocol::kIcmp6;
  CHECK_FALSE(view(bytes).is_icmp());
  CHECK_FALSE(view(bytes).is_echo_request());
}

TEST_CASE("a packet that is longer or shorter than its header says is malformed") {
  for (Family family : {Family::v4, Family::v6}) {
    for (Kind kind : {Kind::tcp, Kind::udp, Kind::echo}) {
      Packet bytes = simple(family, kind);
      CHECK(IpView::parse(bytes));
      Packet longer = bytes;
      longer.push_back(0);
      CHECK_FALSE(IpView::parse(longer));
      for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK_FALSE(IpView::parse(Bytes(bytes).first(size)));
    }
  }
}

TEST_CASE("an IPv6 packet that names mapped IPv4 addresses is malformed") {
  Packet bytes = simple(Family::v6, Kind::udp);
  Packet source = bytes, destination = bytes;
  std::copy(kA4.bytes.begin(), kA4.bytes.end(), source.begin() + 8);
  std::copy(kA4.bytes.begin(), kA4.bytes.end(), destination.begin() + 24);
  CHECK_FALSE(IpView::parse(source));
  CHECK_FALSE(IpView::parse(destination));
}

TEST_CASE("wrong IPv4 header lengths, versions and options are malformed") {
  const Packet bytes = simple(Family::v4, Kind::udp);
  for (int first : {0x00, 0x44, 0x4f, 0x55, 0x65, 0xf5}) {
    Packet changed = bytes;
    changed[0] = static_cast<std::uint8_t>(first);
    CHECK_FALSE(IpView::parse(changed));
  }
  Recipe recipe;
  recipe.options = true;
  const Packet with_options = build(recipe, kA4, kB4);
  REQUIRE(with_options[20] == 136);
  for (int length : {0, 1, 200}) {
    Packet changed = with_options;
    changed[21] = static_cast<std::uint8_t>(length);
    CHECK_FALSE(IpView::parse(changed));
  }
}

TEST_CASE("source routing is refused in both families") {
  Recipe recipe;
  recipe.options = true;
  Packet four = build(recipe, kA4, kB4);
  for (int kind : {131, 137}) {
    four[20] = static_cast<std::uint8_t>(kind);
    CHECK_FALSE(IpView::parse(four));
  }
  recipe.family = Family::v6;
  Packet six = build(recipe, kA6, kB6);
  REQUIRE(IpView::parse(six));
  six[6] = 43;  // the first extension becomes a routing header
  six[43] = 0;  // nothing left to route
  CHECK(IpView::parse(six));
  six[43] = 1;
  CHECK_FALSE(IpView::parse(six));
}

TEST_CASE("a chain of extension headers is followed to eight and no further") {
  const Packet udp = simple(Family::v6, Kind::udp);
  for (std::size_t count = 1; count <= 12; ++count) {
    Packet bytes(udp.begin(), udp.begin() + 40);
    bytes[6] = 60;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t next = i + 1 == count ? 17 : 60;
      const std::uint8_t header[] = {next, 0, 1, 4, 0, 0, 0, 0};
      bytes.insert(bytes.end(), std::begin(header), std::end(header));
    }
    bytes.insert(bytes.end(), udp.begin() + 40, udp.end());
    store16(bytes, 4, static_cast<std::uint16_t>(bytes.size() - 40));
    const auto packet = IpView::parse(bytes);
    CHECK(packet.has_value() == (count <= 8));
    if (packet) CHECK(packet->destination_port() == 80);
  }
}

TEST_CASE("an extension header that runs past the packet is malformed") {
  Recipe recipe;
  recipe.family = Family::v6;
  recipe.options = true;
  Packet bytes = build(recipe, kA6, kB6);
  bytes[41] = 200;
  CHECK_FALSE(IpView::parse(bytes));
}

TEST_CASE("only the first fragment has ports") {
  for (Family family : {Family::v4, Family::v6}) {
    const Packet whole = simple(family, Kind::udp);
    const Packet first = fragment_of(whole, 0, 48), later = fragment_of(whole, 48, 48),
                 last = fragment_of(whole, 96, 48);
    CHECK(view(first).is_first_fragment());
    CHECK(view(first).destination_port() == 80);
    CHECK(view(first).fragment_id() == 0x4711);
    for (const Packet& piece : {later, last}) {
      const IpView packet = view(piece);
      CHECK(packet.is_fragment());
      CHECK_FALSE(packet.is_first_fragment());
      CHECK_FALSE(packet.has_transport());
      CHECK(packet.is_udp());
      CHECK(packet.destination_port() == 0);
      CHECK(packet.fragment_id() == 0x4711);
    }
  }
}

TEST_CASE("an IPv6 atomic fragment is a whole packet") {
  const Packet atomic = fragment_of(simple(Family::v6, Kind::udp), 0, 4096);
  CHECK(atomic[6] == 44);
  CHECK_FALSE(view(atomic).is_fragment());
  CHECK(view(atomic).destination_port() == 80);
}

TEST_CASE("fragments that hide or overwrite a transport header are malformed") {
  for (Family family : {Family::v4, Family::v6}) {
    const Packet tcp = simple(family, Kind::tcp);
    CHECK_FALSE(IpView::parse(fragment_of(tcp, 0, 8)));
    CHECK_FALSE(IpView::parse(fragment_of(tcp, 0, 16)));
    CHECK(IpView::parse(fragment_of(tcp, 0, 24)));
    CHECK_FALSE(IpView::parse(fragment_of(tcp, 8, 48)));
    CHECK_FALSE(IpView::parse(fragment_of(tcp, 16, 48)));
    CHECK(IpView::parse(fragment_of(tcp, 24, 48)));
    CHECK(IpView::parse(fragment_of(simple(family, Kind::udp), 0, 8)));
  }
}

TEST_CASE("inconsistent TCP and UDP lengths are malformed") {
  Packet tcp = simple(Family::v4, Kind::tcp);
  for (int offset : {0x00, 0x40}) {
    tcp[32] = static_cast<std::uint8_t>(offset);
    CHECK_FALSE(IpView::parse(tcp));
  }
  Packet cut = simple(Family::v4, Kind::tcp);
  cut.resize(44);
  store16(cut, 2, 44);
  CHECK(IpView::parse(cut));
  cut[32] = 0xf0;
  CHECK_FALSE(IpView::parse(cut));
  Packet udp = simple(Family::v4, Kind::udp);
  for (int length : {0, 7, 109}) {
    store16(udp, 24, static_cast<std::uint16_t>(length));
    CHECK_FALSE(IpView::parse(udp));
  }
  store16(udp, 24, 108);
  CHECK(IpView::parse(udp));
}

TEST_CASE("an ICMP error shows what it quotes, and a cut or foreign quotation is none") {
  for (Family family : {Family::v4, Family::v6}) {
    Recipe recipe;
    recipe.family = family;
    recipe.kind = Kind::error;
    recipe.quoted_kind = Kind::tcp;
    const bool v4 = family == Family::v4;
    const IpAddress a = v4 ? kA4 : kA6, b = v4 ? kB4 : kB6;
    const Packet bytes = build(recipe, a, b);
    REQUIRE(view(bytes).is_icmp_error());
    const auto quote = view(bytes).quoted();
    REQUIRE(quote);
    CHECK(quote->source == b);
    CHECK(quote->destination == a);
    CHECK(quote->headers.protocol == ip_protocol::kTcp);
    CHECK(load16(bytes, quote->transport + 2) == 80);
    recipe.quoted_size = v4 ? 19 : 39;
    const Packet cut = build(recipe, a, b);
    CHECK_FALSE(view(cut).quoted());
    Packet foreign = bytes;
    foreign[quote->offset] ^= 0x20;  // 4 <-> 6
    CHECK_FALSE(view(foreign).quoted());
    const Packet echo = simple(family, Kind::echo);
    CHECK_FALSE(view(echo).quoted());
  }
}
