#include <doctest/doctest.h>
#include <map>

#include "packets.hh"
#include "proxy/packet/coalescer.hh"
#include "proxy/packet/segmenter.hh"

using namespace i3;
using namespace i3::testing;

namespace {

constexpr std::uint8_t kPsh = 0x08;

struct Stream {
  Family family = Family::v4;
  bool tcp = true;
  std::uint16_t port = 4000;
  std::uint32_t sequence = 1000;
  std::uint16_t id = 7;
};

void put_checksums(Packet& packet, std::size_t transport, bool tcp) {
  const bool v4 = transport == kIpv4HeaderSize;
  if (v4) {
    store16(packet, 10, 0);
    store16(packet, 10, static_cast<std::uint16_t>(~fold(sum_of(Bytes(packet).first(20)))));
  }
  const std::size_t field = transport + (tcp ? 16 : 6);
  store16(packet, field, 0);
  const auto view = IpView::parse(packet).value();
  auto sum = static_cast<std::uint16_t>(
      ~fold(sum_of(view.transport(), pseudo_header_sum(view.source(), view.destination(),
                                                       view.protocol(), view.transport().size()))));
  store16(packet, field, sum == 0 && !tcp ? std::uint16_t{0xffff} : sum);
}

// The next packet of a stream, as a kernel without offloads sends it.
Packet next(Stream& stream, Bytes payload, std::uint8_t flags = tcp_flag::kAck) {
  Recipe recipe;
  recipe.family = stream.family;
  recipe.kind = stream.tcp ? Kind::tcp : Kind::udp;
  recipe.source_port = stream.port;
  recipe.flags = flags;
  recipe.payload = Packet(payload.begin(), payload.end());
  Packet packet = build(recipe, ip(stream.family == Family::v4 ? "100.64.0.1" : "fd00::1"),
                        ip(stream.family == Family::v4 ? "100.64.0.2" : "fd00::2"));
  const std::size_t transport = stream.family == Family::v4 ? kIpv4HeaderSize : kIpv6HeaderSize;
  if (stream.family == Family::v4) store16(packet, 4, stream.id++);
  if (stream.tcp) {
    store32(packet, transport + 4, stream.sequence);
    stream.sequence += static_cast<std::uint32_t>(payload.size());
  }
  put_checksums(packet, transport, stream.tcp);
  return packet;
}

struct Written {
  VirtioHeader header;
  Packet bytes;
};

std::vector<Written> joined(Coalescer& coalescer) {
  std::vector<Written> out;
  coalescer.each([&](const VirtioHeader& header, Bytes first, const std::vector<Bytes>& parts) {
    Packet bytes(first.begin(), first.end());
    for (Bytes part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
    out.push_back({header, std::move(bytes)});
  });
  coalescer.clear();
  return out;
}

std::vector<Packet> cut(const Written& written) {
  if (!written.header.is_super()) return {written.bytes};
  auto segmenter = Segmenter::of(written.header, written.bytes);
  REQUIRE(segmenter);
  std::vector<Packet> out;
  for (std::size_t i = 0; i < segmenter->count(); ++i) {
    Packet packet(segmenter->size(i));
    segmenter->write(i, packet);
    out.push_back(std::move(packet));
  }
  return out;
}

std::vector<Written> join(const std::vector<Packet>& packets) {
  Coalescer coalescer;
  for (const Packet& packet : packets) coalescer.add(packet);
  return joined(coalescer);
}

}  // namespace

TEST_CASE("segments of a stream become one super-packet, and cut again are the same bytes") {
  SeededRandom random(1);
  for (const Family family : {Family::v4, Family::v6})
    for (const bool tcp : {true, false}) {
      Stream stream{family, tcp};
      std::vector<Packet> packets;
      for (int i = 0; i < 20; ++i) packets.push_back(next(stream, random_bytes(random, 1300)));
      packets.push_back(
          next(stream, random_bytes(random, 77), tcp ? tcp_flag::kAck | kPsh : tcp_flag::kAck));
      const auto out = join(packets);
      REQUIRE(out.size() == 1);
      CHECK(out[0].header.gso_size == 1300);
      CHECK(out[0].header.flags == VirtioHeader::kNeedsChecksum);
      CHECK(cut(out[0]) == packets);
    }
}

TEST_CASE("the partial checksum of a super-packet completes to the right one") {
  SeededRandom random(2);
  Stream stream;
  const auto out =
      join({next(stream, random_bytes(random, 500)), next(stream, random_bytes(random, 501 - 1))});
  REQUIRE(out.size() == 1);
  Packet whole = out[0].bytes;
  REQUIRE(complete_checksum(out[0].header, whole));
  Packet judged = whole;
  put_checksums(judged, kIpv4HeaderSize, true);
  CHECK(judged == whole);
}

TEST_CASE("what would change in the receiver's eyes is not joined") {
  SeededRandom random(3);
  const auto pair = [&](auto change) {
    Stream stream;
    Packet first = next(stream, random_bytes(random, 600));
    Packet second = next(stream, random_bytes(random, 600));
    change(first, second);
    put_checksums(first, kIpv4HeaderSize, true);
    put_checksums(second, kIpv4HeaderSize, true);
    const auto out = join({first, second});
    for (std::size_t i = 0; i < out.size() && out.size() == 2; ++i)
      CHECK(out[i].bytes == (i == 0 ? first : second));
    return out.size();
  };
  CHECK(pair([](Packet&, Packet&) {}) == 1);
  CHECK(pair([](Packet& a, Packet&) { a[33] |= kPsh; }) == 2);  // PSH in the middle
  CHECK(pair([](Packet&, Packet& b) { b[33] |= kPsh; }) == 1);  // and at the end
  CHECK(pair([](Packet&, Packet& b) { b[33] |= 0x80; }) == 2);  // CWR
  CHECK(pair([](Packet&, Packet& b) { b[33] |= 0x40; }) == 2);  // ECE in one only
  CHECK(pair([](Packet&, Packet& b) { b[33] |= tcp_flag::kFin; }) == 2);
  CHECK(pair([](Packet&, Packet& b) { b[1] = 0x03; }) == 2);            // ECN of the IP header
  CHECK(pair([](Packet&, Packet& b) { b[8] = 9; }) == 2);               // TTL
  CHECK(pair([](Packet&, Packet& b) { store16(b, 34, 99); }) == 2);     // window
  CHECK(pair([](Packet&, Packet& b) { store32(b, 28, 99); }) == 2);     // acknowledgement
  CHECK(pair([](Packet&, Packet& b) { store32(b, 24, 99); }) == 2);     // a gap
  CHECK(pair([](Packet&, Packet& b) { store16(b, 4, 99); }) == 2);      // ID
  CHECK(pair([](Packet&, Packet& b) { store16(b, 20, 99); }) == 2);     // another flow
  CHECK(pair([](Packet&, Packet& b) { store16(b, 6, 0x4000); }) == 2);  // DF in one only
}

TEST_CASE("a wrong checksum is passed on as it is") {
  SeededRandom random(4);
  Stream stream;
  const Packet first = next(stream, random_bytes(random, 600));
  Packet second = next(stream, random_bytes(random, 600));
  second.back() ^= 1;
  const auto out = join({first, second});
  REQUIRE(out.size() == 2);
  CHECK(out[1].bytes == second);
}

TEST_CASE("a UDP super-packet has no more segments than a kernel takes") {
  SeededRandom random(5);
  Stream stream{Family::v4, false};
  std::vector<Packet> packets;
  for (int i = 0; i < 200; ++i) packets.push_back(next(stream, random_bytes(random, 100)));
  const auto out = join(packets);
  REQUIRE(out.size() == 4);
  std::vector<Packet> again;
  for (const auto& written : out)
    for (auto& packet : cut(written)) again.push_back(std::move(packet));
  CHECK(again == packets);
  Coalescer without(false);
  for (const Packet& packet : packets) without.add(packet);
  CHECK(joined(without).size() == 200);
}

TEST_CASE("any mixture of flows comes out with each flow in order and every byte the same") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SeededRandom random(seed);
    std::vector<Stream> streams;
    for (std::uint16_t i = 0; i < 12; ++i)
      streams.push_back(
          {i % 2 == 0 ? Family::v4 : Family::v6, i % 3 != 0, static_cast<std::uint16_t>(2000 + i)});
    std::vector<Packet> packets;
    for (int i = 0; i < 200; ++i) {
      Stream& stream = streams[random.below(1 + random.below(streams.size()))];
      const std::size_t size = random.below(4) == 0 ? random.below(700) : 700;
      auto flags = tcp_flag::kAck;
      if (random.below(10) == 0) flags |= kPsh;
      if (random.below(30) == 0) flags |= tcp_flag::kFin;
      packets.push_back(next(stream, random_bytes(random, size), flags));
      if (random.below(20) == 0) packets.back().back() ^= 0x55;
      if (random.below(40) == 0) packets.push_back(random_bytes(random, random.below(60)));
    }
    std::map<Packet, std::vector<Packet>> before, after;
    const auto flow_of = [](const Packet& packet) {
      const auto view = IpView::parse(packet);
      if (!view) return Packet{};
      return Packet{packet[0], static_cast<std::uint8_t>(view->source_port() >> 8),
                    static_cast<std::uint8_t>(view->source_port())};
    };
    for (const Packet& packet : packets) before[flow_of(packet)].push_back(packet);
    const auto out = join(packets);
    CHECK(out.size() < packets.size());
    for (const auto& written : out)
      for (const Packet& packet : cut(written)) after[flow_of(packet)].push_back(packet);
    CHECK(after == before);
  }
}

TEST_CASE("flags and IDs of segments are those that a kernel without offloads would set") {
  SeededRandom random(6);
  Stream stream;
  Packet whole = next(stream, random_bytes(random, 2500),
                      static_cast<std::uint8_t>(tcp_flag::kAck | tcp_flag::kFin | kPsh | 0x80));
  VirtioHeader header;
  header.gso_type = VirtioHeader::kTcp4 | VirtioHeader::kEcn;
  header.gso_size = 1000;
  const auto segments = cut({header, whole});
  REQUIRE(segments.size() == 3);
  CHECK(segments[0][33] == (tcp_flag::kAck | 0x80));
  CHECK(segments[1][33] == tcp_flag::kAck);
  CHECK(segments[2][33] == (tcp_flag::kAck | tcp_flag::kFin | kPsh));
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(load16(segments[i], 4) == load16(whole, 4) + i);
    CHECK(load32(segments[i], 24) == load32(whole, 24) + 1000 * i);
    Packet judged = segments[i];
    put_checksums(judged, kIpv4HeaderSize, true);
    CHECK(judged == segments[i]);
  }
}

TEST_CASE("a header that does not fit its packet is refused") {
  SeededRandom random(7);
  Stream stream;
  Packet packet = next(stream, random_bytes(random, 100));
  VirtioHeader header;
  header.gso_type = VirtioHeader::kTcp6;
  header.gso_size = 50;
  CHECK_FALSE(Segmenter::of(header, packet));
  header.gso_type = VirtioHeader::kTcp4;
  CHECK(Segmenter::of(header, packet));
  header.gso_size = 0;
  CHECK_FALSE(Segmenter::of(header, packet));
  header = {};
  header.flags = VirtioHeader::kNeedsChecksum;
  header.checksum_start = 130;
  header.checksum_offset = 16;
  CHECK_FALSE(complete_checksum(header, packet));
}

TEST_CASE("a sum is that of 16-bit words one by one, at every length and alignment") {
  SeededRandom random(8);
  const Packet bytes = random_bytes(random, 1600);
  for (std::size_t begin = 0; begin < 9; ++begin)
    for (std::size_t size = 0; size + begin <= bytes.size(); size += size < 300 ? 1 : 61) {
      const Bytes part = Bytes(bytes).subspan(begin, size);
      std::uint64_t expected = 0;
      for (std::size_t i = 0; i < size; ++i) expected += i % 2 ? part[i] : part[i] << 8;
      REQUIRE(fold(sum_of(part)) == fold(expected));
      REQUIRE(fold(sum_of(part, 0x1234567)) == fold(expected + 0x1234567));
    }
  // As great as a sum can be.
  const Packet ones(65535, 0xff);
  CHECK(fold(sum_of(ones)) == fold(std::uint64_t{32767} * 0xffff + 0xff00));
}
