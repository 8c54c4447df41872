// Owns the tests of rewriting: whatever is rewritten must equal, byte for byte, what libtins builds
// from the new addresses.
#include "proxy/packet/rewrite.hh"

#include <doctest/doctest.h>

#include "packets.hh"

using namespace i3;
using namespace i3::testing;

namespace {

constexpr std::uint64_t kSeed = 20040829;

Packet rewritten(Packet bytes, const IpAddress& source, const IpAddress& destination,
                 TransportChecksum kind = TransportChecksum::full) {
  auto packet = IpPacket::parse(bytes);
  REQUIRE(packet);
  REQUIRE(rewrite_addresses(*packet, source, destination, kind));
  return bytes;
}

Recipe random_recipe(Random& random, Family family, Kind kind) {
  Recipe recipe;
  recipe.family = family;
  recipe.kind = kind;
  recipe.source_port = static_cast<std::uint16_t>(random.u32());
  recipe.destination_port = static_cast<std::uint16_t>(random.u32());
  recipe.flags = static_cast<std::uint8_t>(random.below(64));
  recipe.payload = random_bytes(random, random.below(200));
  recipe.options = random.below(3) == 0;
  constexpr Kind kQuoted[] = {Kind::tcp, Kind::udp, Kind::echo};
  recipe.quoted_kind = kQuoted[random.below(3)];
  if (random.below(2) == 0) {
    // Cut anywhere but in the middle of a checksum: half of one cannot be kept right.
    std::size_t transport = random.below(30);
    if (transport == 3 || transport == 7 || transport == 17) ++transport;
    recipe.quoted_size = (family == Family::v4 ? 20 : 40) + transport;
  }
  return recipe;
}

struct Addresses {
  IpAddress source, destination;
};

// Either address may stay the same.
Addresses change(Random& random, Family family, const Addresses& from) {
  Addresses to = from;
  const auto which = random.below(3);
  if (which != 0) to.source = random_address(random, family);
  if (which != 1) to.destination = random_address(random, family);
  return to;
}

}  // namespace

TEST_CASE("rewritten packets equal those that libtins builds from the new addresses, and back") {
  SeededRandom random(kSeed);
  INFO("seed ", kSeed);
  for (int round = 0; round < 1500; ++round) {
    for (Family family : {Family::v4, Family::v6}) {
      for (Kind kind : {Kind::tcp, Kind::udp, Kind::echo, Kind::error}) {
        const Recipe recipe = random_recipe(random, family, kind);
        const Addresses old{random_address(random, family), random_address(random, family)};
        const Addresses fresh = change(random, family, old);
        const Packet before = build(recipe, old.source, old.destination);
        const Packet expected = build(recipe, fresh.source, fresh.destination);
        const Packet after = rewritten(before, fresh.source, fresh.destination);
        REQUIRE(show(after) == show(expected));
        REQUIRE(show(rewritten(after, old.source, old.destination)) == show(before));
      }
    }
  }
}

TEST_CASE("fragments are rewritten as the pieces of the rewritten packet") {
  SeededRandom random(kSeed + 1);
  for (int round = 0; round < 500; ++round) {
    for (Family family : {Family::v4, Family::v6}) {
      for (Kind kind : {Kind::tcp, Kind::udp, Kind::echo}) {
        Recipe recipe = random_recipe(random, family, kind);
        recipe.options = false;
        recipe.payload = random_bytes(random, 200);
        const Addresses old{random_address(random, family), random_address(random, family)};
        const Addresses fresh = change(random, family, old);
        const Packet whole = build(recipe, old.source, old.destination);
        const Packet expected = build(recipe, fresh.source, fresh.destination);
        for (std::size_t offset : {0u, 64u, 128u}) {
          const Packet piece = fragment_of(whole, offset, 64);
          const Packet after = rewritten(piece, fresh.source, fresh.destination);
          REQUIRE(show(after) == show(fragment_of(expected, offset, 64)));
        }
      }
    }
  }
}

TEST_CASE("a UDP checksum that comes out as zero is sent as all ones") {
  int met = 0;
  Recipe recipe;
  recipe.kind = Kind::udp;
  for (Family family : {Family::v4, Family::v6}) {
    recipe.family = family;
    const bool v4 = family == Family::v4;
    const IpAddress a = ip(v4 ? "10.0.0.1" : "fd00::1"), b = ip(v4 ? "10.0.0.2" : "fd00::2"),
                    c = ip(v4 ? "100.64.3.4" : "fd77::9");
    for (unsigned word = 0; word < 0x10000; ++word) {
      recipe.payload = {static_cast<std::uint8_t>(word >> 8), static_cast<std::uint8_t>(word)};
      // libtins judges only the neighbourhood of the dangerous value; the rest is judged above.
      Packet bytes = build(recipe, a, b);
      auto packet = IpPacket::parse(bytes);
      REQUIRE(rewrite_source(*packet, c));
      const std::uint16_t checksum = load16(packet->transport(), 6);
      REQUIRE(checksum != 0);
      if (checksum != 0xffff) continue;
      ++met;
      REQUIRE(show(bytes) == show(build(recipe, c, b)));
    }
  }
  CHECK(met == 2);
}

TEST_CASE("a zero UDP checksum over IPv4 stays zero, also in a quotation") {
  Recipe recipe;
  recipe.kind = Kind::udp;
  recipe.payload = Packet(10, 3);
  Packet bytes = build(recipe, ip("10.0.0.1"), ip("10.0.0.2"));
  store16(bytes, 26, 0);
  Packet after = rewritten(bytes, ip("10.9.9.9"), ip("10.8.8.8"));
  CHECK(load16(after, 26) == 0);
  Packet expected = build(recipe, ip("10.9.9.9"), ip("10.8.8.8"));
  store16(expected, 26, 0);
  CHECK(show(after) == show(expected));

  recipe.kind = Kind::error;
  Packet error = build(recipe, ip("10.0.0.1"), ip("10.0.0.2"));
  const std::size_t field = view(error).quoted()->transport + 6;
  store16(error, field, 0);
  CHECK(load16(rewritten(error, ip("10.9.9.9"), ip("10.8.8.8")), field) == 0);
}

TEST_CASE("a partial checksum, completed after the rewrite, is the right one") {
  SeededRandom random(kSeed + 2);
  for (int round = 0; round < 1000; ++round) {
    for (Family family : {Family::v4, Family::v6}) {
      for (Kind kind : {Kind::tcp, Kind::udp}) {
        const Recipe recipe = random_recipe(random, family, kind);
        const Addresses old{random_address(random, family), random_address(random, family)};
        const Addresses fresh = change(random, family, old);
        Packet bytes = build(recipe, old.source, old.destination);
        const std::size_t transport = view(bytes).transport_offset();
        const std::size_t field = transport + (kind == Kind::tcp ? 16 : 6);
        const std::size_t length = bytes.size() - transport;
        store16(
            bytes, field,
            fold(pseudo_header_sum(old.source, old.destination, view(bytes).protocol(), length)));
        bytes = rewritten(bytes, fresh.source, fresh.destination, TransportChecksum::partial);
        std::uint16_t checksum =
            static_cast<std::uint16_t>(~fold(sum_of(Bytes(bytes).subspan(transport))));
        if (kind == Kind::udp && checksum == 0) checksum = 0xffff;
        store16(bytes, field, checksum);
        REQUIRE(show(bytes) == show(build(recipe, fresh.source, fresh.destination)));
      }
    }
  }
}

TEST_CASE("a checksum that was wrong is still wrong after the rewrite") {
  Recipe recipe;
  recipe.payload = Packet(10, 3);
  Packet bytes = build(recipe, ip("10.0.0.1"), ip("10.0.0.2"));
  bytes[45] ^= 0x10;
  const Packet after = rewritten(bytes, ip("10.9.9.9"), ip("10.8.8.8"));
  Packet expected = build(recipe, ip("10.9.9.9"), ip("10.8.8.8"));
  expected[45] ^= 0x10;
  CHECK(show(after) == show(expected));
}

TEST_CASE("an address of the other family changes nothing") {
  Recipe recipe;
  Packet bytes = build(recipe, ip("10.0.0.1"), ip("10.0.0.2"));
  const Packet before = bytes;
  auto packet = IpPacket::parse(bytes);
  CHECK_FALSE(rewrite_source(*packet, ip("fd00::1")));
  CHECK_FALSE(rewrite_addresses(*packet, ip("10.0.0.3"), ip("fd00::1")));
  CHECK(bytes == before);
}

TEST_CASE("quoted addresses of somebody else stay as they are") {
  Recipe recipe;
  recipe.kind = Kind::error;
  const Packet quoted_other = build(recipe, ip("10.0.0.1"), ip("10.0.0.2"));
  // As from a router: the outer source is not the quoted destination.
  Packet from_router = rewritten(quoted_other, ip("10.0.0.1"), ip("10.0.0.2"));
  std::size_t quote = view(from_router).quoted()->offset;
  store32(from_router, 12, 0x0a000063);
  const Packet after = rewritten(from_router, ip("100.64.0.7"), ip("100.64.0.8"));
  CHECK(destination_in(Bytes(after).subspan(quote), Family::v4) == ip("10.0.0.1"));
  CHECK(source_in(Bytes(after).subspan(quote), Family::v4) == ip("100.64.0.8"));
}

TEST_CASE("the MSS of a SYN is clamped to the MTU, with a right checksum") {
  for (Family family : {Family::v4, Family::v6}) {
    for (bool ack : {false, true}) {
      Recipe recipe;
      recipe.family = family;
      recipe.flags = static_cast<std::uint8_t>(tcp_flag::kSyn | (ack ? tcp_flag::kAck : 0));
      const bool v4 = family == Family::v4;
      const IpAddress a = ip(v4 ? "10.0.0.1" : "fd00::1"), b = ip(v4 ? "10.0.0.2" : "fd00::2");
      recipe.mss = 8960;
      Packet bytes = build(recipe, a, b);
      auto packet = IpPacket::parse(bytes);
      CHECK(clamp_mss(*packet, 1400));
      recipe.mss = v4 ? 1360 : 1340;
      CHECK(show(bytes) == show(build(recipe, a, b)));
      CHECK_FALSE(clamp_mss(*packet, 1400));
      CHECK_FALSE(clamp_mss(*packet, 1500));
      CHECK_FALSE(clamp_mss(*packet, 20));
    }
  }
}

TEST_CASE("an MSS at an odd offset is clamped with a right checksum") {
  Recipe recipe;
  recipe.mss = 9000;
  const IpAddress a = ip("10.0.0.1"), b = ip("10.0.0.2");
  // The four bytes of the option, one byte later behind a NOP, then padding.
  const auto with_mss = [&](std::uint16_t mss) {
    Tins::IP ip_pdu(b.text(), a.text());
    Tins::TCP tcp(80, 1000);
    tcp.flags(tcp_flag::kSyn);
    tcp.add_option(Tins::TCP::option(Tins::TCP::NOP));
    tcp.mss(mss);
    ip_pdu /= tcp;
    return serialize(ip_pdu);
  };
  Packet bytes = with_mss(9000);
  REQUIRE(bytes[40] == 1);
  REQUIRE(bytes[41] == 2);
  auto packet = IpPacket::parse(bytes);
  CHECK(clamp_mss(*packet, 1283));
  CHECK(show(bytes) == show(with_mss(1243)));
}

TEST_CASE("segments without SYN, and broken options, are left alone by the clamp") {
  Recipe recipe;
  recipe.mss = 9000;
  recipe.flags = tcp_flag::kAck;
  Packet bytes = build(recipe, ip("10.0.0.1"), ip("10.0.0.2"));
  auto acknowledgement = IpPacket::parse(bytes);
  CHECK_FALSE(clamp_mss(*acknowledgement, 1400));
  recipe.flags = tcp_flag::kSyn;
  for (int length : {0, 1, 3, 5, 255}) {
    Packet broken = build(recipe, ip("10.0.0.1"), ip("10.0.0.2"));
    broken[41] = static_cast<std::uint8_t>(length);
    const Packet before = broken;
    auto packet = IpPacket::parse(broken);
    REQUIRE(packet);
    CHECK_FALSE(clamp_mss(*packet, 1400));
    CHECK(broken == before);
  }
}
