// Underlays that let large packets vanish without a word: what is sent still arrives.
#include <doctest/doctest.h>

#include "proxy/host/path_size.hh"
#include "proxy/packet/checksum.hh"
#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

// An underlay of 1280 bytes has room for so much of UDP over IPv4.
constexpr std::size_t kSmallest = 1280 - 28;

// What A's programs are told: the least MTU of an ICMP error among what they received; 0: none.
std::uint16_t told(const SimHost& host) {
  std::uint16_t least = 0;
  for (const auto& packet : host.received) {
    const auto view = IpView::parse(packet);
    if (!view || !view->is_icmp() || view->family() != Family::v4) continue;
    if (view->icmp_type() != 3 || view->icmp_code() != 4) continue;
    const std::uint16_t mtu = load16(view->transport(), 6);
    least = least == 0 ? mtu : std::min(least, mtu);
  }
  return least;
}

std::string text_for(std::size_t packet, char fill) {
  return std::string(packet - kIpv4HeaderSize - kUdpHeaderSize, fill);
}

std::size_t arrived(const SimHost& host, const std::string& text) {
  const auto texts = host.texts(9);
  return static_cast<std::size_t>(std::count(texts.begin(), texts.end(), text));
}

std::vector<std::uint8_t> v6_packet(SimHost& from, SimHost& to, std::size_t size) {
  std::vector<std::uint8_t> packet(size, 0x5a);
  packet[0] = 0x60;
  std::fill(packet.begin() + 1, packet.begin() + 4, 0);
  store16(packet, 4, static_cast<std::uint16_t>(size - kIpv6HeaderSize));
  packet[6] = ip_protocol::kUdp;
  packet[7] = 64;
  const IpAddress source = from.host().own6().address();
  const IpAddress destination = from.address_of(to.key(), true).address();
  std::copy(source.bytes.begin(), source.bytes.end(), packet.begin() + 8);
  std::copy(destination.bytes.begin(), destination.bytes.end(), packet.begin() + 24);
  const MutBytes udp = MutBytes(packet).subspan(kIpv6HeaderSize);
  store16(udp, 0, 5000);
  store16(udp, 2, 9);
  store16(udp, 4, static_cast<std::uint16_t>(udp.size()));
  store16(udp, 6, 0);
  store16(udp, 6,
          static_cast<std::uint16_t>(~fold(
              sum_of(udp, pseudo_header_sum(source, destination, ip_protocol::kUdp, udp.size())))));
  return packet;
}

std::size_t arrived(const SimHost& host, const std::vector<std::uint8_t>& packet) {
  return static_cast<std::size_t>(std::count_if(
      host.received.begin(), host.received.end(), [&](const std::vector<std::uint8_t>& one) {
        return one.size() == packet.size() &&
               std::equal(one.begin() + 40, one.end(), packet.begin() + 40);
      }));
}

}  // namespace

TEST_CASE("where large packets vanish, programs are told the largest size that arrives") {
  for (const std::size_t largest : {kSmallest, std::size_t{1400}}) {
    SmallWorld world(seed_or(5));
    world.network.set_tap([largest](const Endpoint&, const Endpoint&, Bytes bytes) {
      return bytes.size() > largest;
    });
    REQUIRE(world.ready());
    REQUIRE(world.gets_through(*world.a, *world.b, "small", 10s));
    const std::string large = text_for(1400, 'x');
    REQUIRE(world.network.run_until(
        [&] {
          world.a->send_udp(world.b->key(), 5000, 9, large);
          return told(*world.a) != 0;
        },
        10s));
    CHECK(arrived(*world.b, large) == 0);
    world.network.run_for(20s);
    world.a->received.clear();
    world.a->send_udp(world.b->key(), 5000, 9, large);
    const std::uint16_t mtu = told(*world.a);
    CAPTURE(mtu);
    // Within the step of the search, and room for the carrier.
    CHECK(mtu + 36 <= largest + 8);
    CHECK(mtu + 36 + 2 * 16 >= std::min<std::size_t>(largest, 1400));
    const std::string fits = text_for(mtu, 'y');
    world.a->send_udp(world.b->key(), 5000, 9, fits);
    world.network.run_for(1s);
    CHECK(arrived(*world.b, fits) == 1);
  }
}

TEST_CASE("IPv6's least packet arrives over an underlay of 1280 bytes") {
  SmallWorld world(seed_or(6));
  world.network.set_tap(
      [](const Endpoint&, const Endpoint&, Bytes bytes) { return bytes.size() > kSmallest; });
  REQUIRE(world.ready());
  REQUIRE(world.gets_through(*world.a, *world.b, "small", 10s));
  const auto packet = v6_packet(*world.a, *world.b, 1280);
  REQUIRE(world.network.run_until(
      [&] {
        world.a->send_packet(packet);
        return arrived(*world.b, packet) != 0;
      },
      10s));
  world.network.run_for(20s);
  const std::size_t before = arrived(*world.b, packet);
  for (int i = 0; i < 10; ++i) {
    world.a->send_packet(packet);
    world.network.run_for(100ms);
  }
  CHECK(arrived(*world.b, packet) == before + 10);
}

TEST_CASE("where everything passes nothing is told, and one probe is enough") {
  SmallWorld world(seed_or(7));
  REQUIRE(world.ready());
  REQUIRE(world.gets_through(*world.a, *world.b, "small", 10s));
  world.network.run_for(5s);
  std::size_t large_ones = 0;
  world.network.set_tap([&](const Endpoint&, const Endpoint&, Bytes bytes) {
    large_ones += bytes.size() > 1400 ? 1 : 0;
    return false;
  });
  const std::string large = text_for(1400, 'x');
  for (int i = 0; i < 50; ++i) {
    world.a->send_udp(world.b->key(), 5000, 9, large);
    world.network.run_for(100ms);
  }
  CHECK(arrived(*world.b, large) == 50);
  CHECK(told(*world.a) == 0);
  CHECK(large_ones == 51);
}

TEST_CASE("a way that is silent altogether is not taken for a small one") {
  SmallWorld world(seed_or(8));
  REQUIRE(world.ready());
  REQUIRE(world.gets_through(*world.a, *world.b, "small", 10s));
  world.network.run_for(2s);
  bool cut = true;
  world.network.set_tap([&](const Endpoint&, const Endpoint&, Bytes) { return cut; });
  const std::string large = text_for(1400, 'x');
  for (int i = 0; i < 10; ++i) {
    world.a->send_udp(world.b->key(), 5000, 9, large);
    world.network.run_for(100ms);
  }
  cut = false;
  CHECK(world.gets_through(*world.a, *world.b, large, 20s));
  CHECK(told(*world.a) == 0);
}

TEST_CASE("a way that takes less from some moment on is found out within about a minute") {
  SmallWorld world(seed_or(9));
  REQUIRE(world.ready());
  REQUIRE(world.gets_through(*world.a, *world.b, "small", 10s));
  const std::string large = text_for(1400, 'x');
  world.a->send_udp(world.b->key(), 5000, 9, large);
  world.network.run_for(5s);
  CHECK(arrived(*world.b, large) == 1);
  world.network.set_tap(
      [](const Endpoint&, const Endpoint&, Bytes bytes) { return bytes.size() > kSmallest; });
  CHECK(world.network.run_until(
      [&] {
        world.a->send_udp(world.b->key(), 5000, 9, large);
        return told(*world.a) != 0;
      },
      70s, 500ms));
}
