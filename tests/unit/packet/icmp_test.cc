// Owns the tests of the answers given in somebody's place; libtins reads them.
#include "proxy/packet/icmp.hh"

#include <doctest/doctest.h>

#include "overlay/base/token_bucket.hh"
#include "packets.hh"

using namespace i3;
using namespace i3::testing;

namespace {

const IpAddress kA4 = ip("100.64.0.9"), kB4 = ip("100.70.1.2");
const IpAddress kA6 = ip("fd00::9"), kB6 = ip("fd00::1:2");

struct Reply {
  std::array<std::uint8_t, kReplyCapacity> buffer;
  Packet operator()(MutBytes written) const { return Packet(written.begin(), written.end()); }
};

Packet unreachable(const Packet& to, Unreachable reason) {
  Reply reply;
  const IpView packet = view(to);
  return reply(build_unreachable(packet, reason, packet.destination(), reply.buffer));
}

Packet reset(const Packet& to) {
  Reply reply;
  return reply(build_tcp_reset(view(to), reply.buffer));
}

Packet sample(Family family, Kind kind, std::size_t payload = 30,
              std::uint8_t flags = tcp_flag::kSyn) {
  Recipe recipe;
  recipe.family = family;
  recipe.kind = kind;
  recipe.flags = flags;
  recipe.payload = Packet(payload, 0x77);
  return family == Family::v4 ? build(recipe, kA4, kB4) : build(recipe, kA6, kB6);
}

// libtins' own sum finds nothing wrong with the IP and ICMP checksums.
bool sum_judged(const Packet& reply) {
  const auto right = [](const Packet& bytes) {
    return Tins::Utils::sum_range(bytes.data(), bytes.data() + bytes.size()) == 0xffff;
  };
  const IpView packet = view(reply);
  const Packet payload(packet.transport().begin(), packet.transport().end());
  if (packet.family() == Family::v4)
    return right(payload) && right(Packet(reply.begin(), reply.begin() + 20));
  Packet covered(reply.begin() + 8, reply.begin() + 40);  // the pseudo header
  const std::size_t length = payload.size();
  for (std::size_t byte : {std::size_t{0}, std::size_t{0}, length >> 8, length & 0xff})
    covered.push_back(static_cast<std::uint8_t>(byte));
  covered.insert(covered.end(), {0, 0, 0, ip_protocol::kIcmp6});
  covered.insert(covered.end(), payload.begin(), payload.end());
  return right(covered);
}

// libtins, given the same parts, arrives at the same bytes: so all checksums and lengths are right.
void check_judged(const Packet& reply, Family family) {
  REQUIRE(IpView::parse(reply));
  if (family == Family::v4) {
    Tins::IP parsed(reply.data(), static_cast<std::uint32_t>(reply.size()));
    CHECK(show(serialize(parsed)) == show(reply));
  } else {
    Tins::IPv6 parsed(reply.data(), static_cast<std::uint32_t>(reply.size()));
    CHECK(show(serialize(parsed)) == show(reply));
  }
}

}  // namespace

TEST_CASE("unreachable answers have the type and code of their reason and quote the packet") {
  struct Case {
    Unreachable reason;
    int type4, code4, type6, code6;
  };
  for (const Case& c : {Case{Unreachable::host, 3, 1, 1, 3}, Case{Unreachable::port, 3, 3, 1, 4},
                        Case{Unreachable::prohibited, 3, 13, 1, 1}}) {
    for (Family family : {Family::v4, Family::v6}) {
      for (Kind kind : {Kind::tcp, Kind::udp, Kind::echo}) {
        const Packet asked = sample(family, kind);
        const Packet reply = unreachable(asked, c.reason);
        REQUIRE(!reply.empty());
        const IpView packet = view(reply);
        const bool v4 = family == Family::v4;
        CHECK(packet.icmp_type() == (v4 ? c.type4 : c.type6));
        CHECK(packet.icmp_code() == (v4 ? c.code4 : c.code6));
        CHECK(packet.source() == (v4 ? kB4 : kB6));
        CHECK(packet.destination() == (v4 ? kA4 : kA6));
        CHECK(Packet(packet.transport().begin() + 8, packet.transport().end()) == asked);
        CHECK(sum_judged(reply));
      }
    }
  }
}

TEST_CASE("long packets are quoted up to 576 bytes over IPv4 and 1280 over IPv6") {
  CHECK(unreachable(sample(Family::v4, Kind::udp, 1300), Unreachable::host).size() == 576);
  CHECK(unreachable(sample(Family::v6, Kind::udp, 1300), Unreachable::host).size() == 1280);
}

TEST_CASE("too big and time exceeded tell MTU and type") {
  Reply reply;
  for (Family family : {Family::v4, Family::v6}) {
    const Packet asked = sample(family, Kind::udp, 1300);
    const IpView packet = view(asked);
    const bool v4 = family == Family::v4;
    Packet told = reply(build_too_big(packet, 1312, packet.destination(), reply.buffer));
    CHECK(view(told).icmp_type() == (v4 ? 3 : 2));
    CHECK(view(told).icmp_code() == (v4 ? 4 : 0));
    CHECK(load32(view(told).transport(), 4) == 1312);
    CHECK(sum_judged(told));
    told = reply(build_too_big(packet, 10, packet.destination(), reply.buffer));
    CHECK(load32(view(told).transport(), 4) == (v4 ? 68 : 1280));
    told = reply(build_time_exceeded(packet, packet.destination(), reply.buffer));
    CHECK(view(told).icmp_type() == (v4 ? 11 : 3));
    CHECK(sum_judged(told));
  }
}

TEST_CASE("a refused SYN is reset with its sequence number acknowledged") {
  for (Family family : {Family::v4, Family::v6}) {
    const Packet bytes = reset(sample(family, Kind::tcp, 0));
    REQUIRE(!bytes.empty());
    check_judged(bytes, family);
    const IpView packet = view(bytes);
    CHECK(packet.source_port() == 80);
    CHECK(packet.destination_port() == 1000);
    CHECK(packet.tcp_flags() == (tcp_flag::kRst | tcp_flag::kAck));
    CHECK(load32(packet.transport(), 4) == 0);
    CHECK(load32(packet.transport(), 8) == 0x01020305);
    CHECK(packet.source() == (family == Family::v4 ? kB4 : kB6));
  }
}

TEST_CASE("data in a SYN is acknowledged too, and an acknowledging segment is reset in its place") {
  const Packet with_data = reset(sample(Family::v4, Kind::tcp, 30));
  CHECK(load32(view(with_data).transport(), 8) == 0x01020304 + 31);
  const Packet to_ack = reset(sample(Family::v4, Kind::tcp, 30, tcp_flag::kAck));
  CHECK(view(to_ack).tcp_flags() == tcp_flag::kRst);
  CHECK(load32(view(to_ack).transport(), 4) == 0xa1a2a3a4);
  check_judged(to_ack, Family::v4);
}

TEST_CASE("resets are not reset, and nothing but TCP is") {
  CHECK(reset(sample(Family::v4, Kind::tcp, 0, tcp_flag::kRst)).empty());
  CHECK(reset(sample(Family::v4, Kind::udp)).empty());
  CHECK(reset(sample(Family::v6, Kind::echo)).empty());
}

TEST_CASE("ICMP errors and redirects are never answered") {
  for (Family family : {Family::v4, Family::v6}) {
    CHECK(unreachable(sample(family, Kind::error), Unreachable::host).empty());
  }
  Packet redirect = sample(Family::v6, Kind::echo);
  redirect[40] = 137;
  CHECK(unreachable(redirect, Unreachable::host).empty());
  Packet redirect4 = sample(Family::v4, Kind::echo);
  redirect4[20] = 5;
  CHECK(unreachable(redirect4, Unreachable::host).empty());
}

TEST_CASE("first fragments are answered, later ones are not") {
  for (Family family : {Family::v4, Family::v6}) {
    const Packet whole = sample(family, Kind::udp, 200);
    CHECK_FALSE(unreachable(fragment_of(whole, 0, 64), Unreachable::host).empty());
    CHECK(unreachable(fragment_of(whole, 64, 64), Unreachable::host).empty());
    const Packet tcp = sample(family, Kind::tcp, 200);
    CHECK(reset(fragment_of(tcp, 64, 64)).empty());
  }
}

TEST_CASE("no answer from or to an address that is not one host") {
  Recipe recipe;
  for (const char* bad : {"0.0.0.0", "255.255.255.255", "224.0.0.1", "239.1.2.3", "127.0.0.1",
                          "240.0.0.1", "0.1.2.3"}) {
    Packet from = build(recipe, kA4, kB4);
    store32(from, 12, ip(bad).to_v4());  // libtins does not send from 0.0.0.0
    const Packet to = build(recipe, kA4, ip(bad));
    CHECK(unreachable(from, Unreachable::host).empty());
    CHECK(unreachable(to, Unreachable::host).empty());
    CHECK(reset(from).empty());
    CHECK(reset(to).empty());
  }
  recipe.family = Family::v6;
  for (const char* bad : {"::", "::1", "ff02::1"}) {
    const Packet from = build(recipe, ip(bad), kB6), to = build(recipe, kA6, ip(bad));
    CHECK(unreachable(from, Unreachable::host).empty());
    CHECK(unreachable(to, Unreachable::host).empty());
    CHECK(reset(from).empty());
    CHECK(reset(to).empty());
  }
}

TEST_CASE("a buffer that is too small and a sender of another family give no answer") {
  const Packet asked = sample(Family::v4, Kind::udp);
  std::array<std::uint8_t, kReplyCapacity - 1> small;
  CHECK(build_unreachable(view(asked), Unreachable::host, kB4, small).empty());
  std::array<std::uint8_t, kReplyCapacity> enough;
  CHECK(build_unreachable(view(asked), Unreachable::host, kB6, enough).empty());
  CHECK_FALSE(build_unreachable(view(asked), Unreachable::host, kB4, enough).empty());
}

TEST_CASE("a token bucket gives its burst at once and then its rate") {
  using namespace std::chrono_literals;
  TokenBucket bucket(10, 3);
  TimePoint now{};
  for (int i = 0; i < 3; ++i) CHECK(bucket.take(now));
  CHECK_FALSE(bucket.take(now));
  CHECK_FALSE(bucket.take(now + 99ms));
  CHECK(bucket.take(now + 101ms));
  CHECK_FALSE(bucket.take(now + 101ms));
  CHECK_FALSE(bucket.take(now));  // time going back adds nothing
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += bucket.take(now + 1h) ? 1 : 0;
  CHECK(taken == 3);
  CHECK_FALSE(bucket.take(now + 2h, 4));
  CHECK(bucket.take(now + 2h, 3));
}
