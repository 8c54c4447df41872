// Owns the tests of who may come in.
#include "proxy/packet/inbound_rules.hh"

#include <doctest/doctest.h>

#include "packets.hh"

using namespace i3;
using namespace i3::testing;
using namespace std::chrono_literals;

namespace {

const TimePoint kStart = TimePoint{} + 1000s;
PublicKey key_of(std::uint8_t number) {
  PublicKey key;
  key.bytes.fill(number);
  return key;
}
const PublicKey kAlice = key_of(1), kMallory = key_of(2);

// Addresses of the peer and of this host, by family.
IpAddress peer(Family family) {
  return ip(family == Family::v4 ? "100.64.0.9" : "fd00::9");
}
IpAddress own(Family family) {
  return ip(family == Family::v4 ? "100.70.1.2" : "fd00::1:2");
}

struct Shape {
  Family family = Family::v4;
  Kind kind = Kind::tcp;
  std::uint16_t peer_port = 5000;
  std::uint16_t own_port = 22;
  std::uint8_t flags = tcp_flag::kSyn;
  std::size_t payload = 20;
};
Packet in(const Shape& shape) {
  Recipe recipe;
  recipe.family = shape.family;
  recipe.kind = shape.kind;
  recipe.source_port = shape.peer_port;
  recipe.destination_port = shape.own_port;
  recipe.flags = shape.flags;
  recipe.payload = Packet(shape.payload, 1);
  return build(recipe, peer(shape.family), own(shape.family));
}
Packet out(const Shape& shape) {
  Recipe recipe;
  recipe.family = shape.family;
  recipe.kind = shape.kind;
  recipe.source_port = shape.own_port;
  recipe.destination_port = shape.peer_port;
  recipe.flags = shape.flags;
  recipe.payload = Packet(shape.payload, 1);
  return build(recipe, own(shape.family), peer(shape.family));
}

Allow allow(std::optional<PublicKey> from, Allow::Protocol protocol = Allow::Protocol::usual,
            std::vector<PortRange> ports = {}) {
  return {from, protocol, std::move(ports)};
}

// Rules and a clock in one, for short sentences below.
struct Door {
  SeededRandom random{5};
  InboundRules rules;
  TimePoint now = kStart;

  explicit Door(const std::vector<Allow>& lines) : rules(lines, random) {}
  InboundVerdict knock(const Packet& packet, const PublicKey& from = kAlice) {
    return rules.inbound(from, view(packet), now);
  }
  void send(const Packet& packet, const PublicKey& to = kAlice) {
    rules.outbound(to, view(packet), now);
  }
};

using P = Allow::Protocol;

}  // namespace

TEST_CASE("without a line nobody gets in and nobody is answered") {
  Door door({});
  for (Family family : {Family::v4, Family::v6}) {
    for (Kind kind : {Kind::tcp, Kind::udp, Kind::echo})
      CHECK(door.knock(in({family, kind})) == InboundVerdict::silent);
  }
}

TEST_CASE("a line opens its ports to its peer only") {
  Door door({allow(kAlice, P::tcp, {{22, 22}, {80, 80}, {8000, 8100}})});
  for (Family family : {Family::v4, Family::v6}) {
    for (int port : {22, 80, 8000, 8050, 8100})
      CHECK(door.knock(in({family, Kind::tcp, 5000, static_cast<std::uint16_t>(port)})) ==
            InboundVerdict::pass);
    for (int port : {21, 23, 7999, 8101, 65535})
      CHECK(door.knock(in({family, Kind::tcp, 5000, static_cast<std::uint16_t>(port)})) ==
            InboundVerdict::reset);
    CHECK(door.knock(in({family, Kind::udp})) == InboundVerdict::prohibited);
    CHECK(door.knock(in({family, Kind::echo})) == InboundVerdict::prohibited);
    CHECK(door.knock(in({family}), kMallory) == InboundVerdict::silent);
  }
}

TEST_CASE("a line without more opens TCP, UDP and ICMP, and nothing else") {
  Door door({allow(kAlice)});
  for (Kind kind : {Kind::tcp, Kind::udp, Kind::echo})
    CHECK(door.knock(in({Family::v4, kind})) == InboundVerdict::pass);
  Packet sctp = in({Family::v4, Kind::udp});
  sctp[9] = 132;
  CHECK(door.knock(sctp) == InboundVerdict::prohibited);
  Door every({allow(kAlice, P::every)});
  CHECK(every.knock(sctp) == InboundVerdict::pass);
  CHECK(every.knock(in({})) == InboundVerdict::pass);
}

TEST_CASE("each protocol's line opens that protocol alone; ports do not open ICMP") {
  const Shape tcp{Family::v4, Kind::tcp}, udp{Family::v4, Kind::udp}, echo{Family::v4, Kind::echo};
  const auto opened = [&](const Allow& line) {
    Door door({line});
    return std::array{door.knock(in(tcp)) == InboundVerdict::pass,
                      door.knock(in(udp)) == InboundVerdict::pass,
                      door.knock(in(echo)) == InboundVerdict::pass};
  };
  CHECK(opened(allow(kAlice, P::tcp)) == std::array{true, false, false});
  CHECK(opened(allow(kAlice, P::udp)) == std::array{false, true, false});
  CHECK(opened(allow(kAlice, P::icmp)) == std::array{false, false, true});
  CHECK(opened(allow(kAlice, P::usual, {{22, 22}})) == std::array{true, true, false});
  CHECK(opened(allow(kAlice, P::every, {{22, 22}})) == std::array{true, true, false});
  CHECK(opened(allow(kAlice, P::udp, {{1, 21}})) == std::array{false, false, false});
}

TEST_CASE("a line for anybody lets anybody in, and makes refusals answered") {
  Door door({allow(std::nullopt, P::tcp, {{80, 80}}), allow(kAlice, P::tcp, {{22, 22}})});
  CHECK(door.knock(in({Family::v4, Kind::tcp, 5000, 80}), kMallory) == InboundVerdict::pass);
  CHECK(door.knock(in({Family::v4, Kind::tcp, 5000, 80}), kAlice) == InboundVerdict::pass);
  CHECK(door.knock(in({Family::v4, Kind::tcp, 5000, 22}), kAlice) == InboundVerdict::pass);
  CHECK(door.knock(in({Family::v4, Kind::tcp, 5000, 22}), kMallory) == InboundVerdict::reset);
}

TEST_CASE("TCP that opens nothing passes, also after a restart") {
  Door door({});
  for (int flags : {0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x00})
    CHECK(door.knock(in({Family::v4, Kind::tcp, 80, 40000, static_cast<std::uint8_t>(flags)})) ==
          InboundVerdict::pass);
  for (int flags : {0x02, 0x03, 0x06, 0x42, 0xc2})
    CHECK(door.knock(in({Family::v4, Kind::tcp, 80, 40000, static_cast<std::uint8_t>(flags)})) ==
          InboundVerdict::silent);
}

TEST_CASE("a UDP packet sent opens the way for its answers, for 300 s after the last packet") {
  for (Family family : {Family::v4, Family::v6}) {
    Door door({});
    const Shape flow{family, Kind::udp, 53, 40000};
    CHECK(door.knock(in(flow)) == InboundVerdict::silent);
    door.send(out(flow));
    CHECK(door.knock(in(flow)) == InboundVerdict::pass);
    CHECK(door.knock(in({family, Kind::udp, 54, 40000})) == InboundVerdict::silent);
    CHECK(door.knock(in({family, Kind::udp, 53, 40001})) == InboundVerdict::silent);
    door.now += 250s;
    CHECK(door.knock(in(flow)) == InboundVerdict::pass);
    door.now += 250s;
    CHECK(door.knock(in(flow)) == InboundVerdict::pass);
    door.now += 301s;
    CHECK(door.knock(in(flow)) == InboundVerdict::silent);
  }
}

TEST_CASE("answers to a peer that a line lets in take no room in the table") {
  Door door({allow(kAlice, P::udp, {{53, 53}})});
  for (std::uint16_t port = 1000; port < 3000; ++port)
    door.send(out({Family::v4, Kind::udp, port, 53}));
  CHECK(door.rules.flows().count(door.now) == 0);
  door.send(out({Family::v4, Kind::udp, 53, 40000}));
  CHECK(door.rules.flows().count(door.now) == 1);
}

TEST_CASE("other protocols are answered too") {
  Door door({});
  Packet there = out({Family::v4, Kind::udp}), back = in({Family::v4, Kind::udp});
  there[9] = back[9] = 132;
  CHECK(door.knock(back) == InboundVerdict::silent);
  door.send(there);
  CHECK(door.knock(back) == InboundVerdict::pass);
}

TEST_CASE("echo replies pass, echo requests need a line") {
  for (Family family : {Family::v4, Family::v6}) {
    Door door({});
    Packet echo = in({family, Kind::echo});
    CHECK(door.knock(echo) == InboundVerdict::silent);
    echo[view(echo).transport_offset()] = family == Family::v4 ? 0 : 129;
    CHECK(door.knock(echo) == InboundVerdict::pass);
  }
}

TEST_CASE("a peer may report errors of its own conversations and of no others") {
  for (Family family : {Family::v4, Family::v6}) {
    Door door({});
    const Packet error = in({family, Kind::error});
    CHECK(door.knock(error) == InboundVerdict::pass);
    const std::size_t quote = view(error).quoted()->offset;
    const std::size_t source = quote + (family == Family::v4 ? 15 : 23);
    const std::size_t destination = quote + (family == Family::v4 ? 19 : 39);
    for (std::size_t at : {source, destination}) {
      Packet foreign = error;
      foreign[at] ^= 1;
      CHECK(door.knock(foreign) == InboundVerdict::silent);
    }
  }
}

TEST_CASE("errors without a readable quotation, redirects and discovery never pass") {
  Door door({allow(kAlice, P::every)});
  Recipe cut;
  cut.kind = Kind::error;
  cut.quoted_size = 12;
  const Packet unreadable = build(cut, peer(Family::v4), own(Family::v4));
  CHECK(door.knock(unreadable) == InboundVerdict::silent);
  for (int type : {4, 5, 9, 10, 13, 15, 17}) {
    Packet packet = in({Family::v4, Kind::error});
    packet[20] = static_cast<std::uint8_t>(type);
    CHECK(door.knock(packet) == InboundVerdict::silent);
  }
  for (int type : {0, 100, 127, 130, 133, 134, 135, 136, 137}) {
    Packet packet = in({Family::v6, Kind::error});
    packet[40] = static_cast<std::uint8_t>(type);
    CHECK(door.knock(packet) == InboundVerdict::silent);
  }
}

TEST_CASE("later fragments pass behind their first one, or where the peer has a line") {
  for (Family family : {Family::v4, Family::v6}) {
    const Shape flow{family, Kind::udp, 53, 40000, 0, 200};
    const Packet whole = in(flow);
    const Packet first = fragment_of(whole, 0, 64), later = fragment_of(whole, 64, 64);
    Door door({});
    CHECK(door.knock(first) == InboundVerdict::silent);
    CHECK(door.knock(later) == InboundVerdict::silent);
    door.send(out(flow));
    CHECK(door.knock(later) == InboundVerdict::silent);
    CHECK(door.knock(first) == InboundVerdict::pass);
    CHECK(door.knock(later) == InboundVerdict::pass);
    Packet another = later;
    another[family == Family::v4 ? 5 : 47] ^= 1;
    CHECK(door.knock(another) == InboundVerdict::silent);
    door.now += 31s;
    CHECK(door.knock(later) == InboundVerdict::silent);
    Door lined({allow(kAlice, P::tcp, {{22, 22}})});
    CHECK(lined.knock(later) == InboundVerdict::pass);
    CHECK(lined.knock(first) == InboundVerdict::prohibited);
  }
}

TEST_CASE("new lines count at once and leave flows open") {
  Door door({allow(kAlice, P::tcp, {{22, 22}})});
  const Shape flow{Family::v4, Kind::udp, 53, 40000};
  door.send(out(flow));
  door.rules.replace({allow(kMallory, P::tcp, {{22, 22}})});
  CHECK(door.knock(in({})) == InboundVerdict::silent);
  CHECK(door.knock(in({}), kMallory) == InboundVerdict::pass);
  CHECK(door.knock(in(flow)) == InboundVerdict::pass);
  CHECK_FALSE(door.rules.has_line(kAlice));
}

TEST_CASE("several lines for one peer add up, overlapping or touching") {
  Door door({allow(kAlice, P::tcp, {{100, 200}}), allow(kAlice, P::tcp, {{150, 300}, {301, 301}}),
             allow(kAlice, P::tcp, {{65535, 65535}, {1, 1}}), allow(kAlice, P::udp, {{9, 9}})});
  for (int port : {1, 100, 175, 250, 300, 301, 65535})
    CHECK(door.knock(in({Family::v4, Kind::tcp, 5, static_cast<std::uint16_t>(port)})) ==
          InboundVerdict::pass);
  for (int port : {2, 99, 302, 65534, 9})
    CHECK(door.knock(in({Family::v4, Kind::tcp, 5, static_cast<std::uint16_t>(port)})) ==
          InboundVerdict::reset);
  CHECK(door.knock(in({Family::v4, Kind::udp, 5, 9})) == InboundVerdict::pass);
}
