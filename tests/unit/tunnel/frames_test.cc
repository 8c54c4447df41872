// Frames, the stream that they are cut from, and what waits to be sent.
#include <doctest/doctest.h>

#include "overlay/tunnel/frame_stream.hh"
#include "overlay/tunnel/send_queue.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

std::vector<std::uint8_t> written(const wire::Frame& frame) {
  std::array<std::uint8_t, wire::kFrameHead + wire::kMaxFrame> bytes;
  Writer writer(bytes);
  wire::write_frame(writer, frame);
  REQUIRE(writer.ok());
  return {writer.written().begin(), writer.written().end()};
}
std::optional<wire::Frame> read_back(const wire::Frame& frame) {
  return wire::parse_frame(Bytes(written(frame)).subspan(wire::kFrameHead));
}

const Endpoint kNode = *Endpoint::parse("203.0.113.7:5100");

wire::NodeContact contact() {
  wire::NodeContact node;
  node.v4 = kNode;
  node.tls_port = 443;
  return node;
}

}  // namespace

TEST_CASE("every frame reads back as it was written") {
  CHECK(std::get<wire::TunnelHello>(*read_back(wire::TunnelHello{})) == wire::TunnelHello{});
  const wire::TunnelWelcome welcome{true, false, *Endpoint::parse("[2001:db8::9]:40000"),
                                    contact()};
  CHECK(std::get<wire::TunnelWelcome>(*read_back(welcome)) == welcome);
  CHECK(std::get<wire::TunnelPing>(*read_back(wire::TunnelPing{true, 7})) ==
        wire::TunnelPing{true, 7});
  const std::vector<std::uint8_t> message(wire::kMaxMessage, 0x5a);
  const auto bytes = written(wire::TunnelDatagram{kNode, message});
  const auto frame = wire::parse_frame(Bytes(bytes).subspan(wire::kFrameHead));
  REQUIRE(frame);
  const auto& datagram = std::get<wire::TunnelDatagram>(*frame);
  CHECK(datagram.node == kNode);
  CHECK(
      std::equal(message.begin(), message.end(), datagram.message.begin(), datagram.message.end()));
}

TEST_CASE("a frame that is short, long, empty or of no kind is none") {
  for (const wire::Frame& frame :
       {wire::Frame(wire::TunnelHello{}), wire::Frame(wire::TunnelPing{false, 1}),
        wire::Frame(wire::TunnelWelcome{true, true, kNode, contact()})}) {
    auto bytes = written(frame);
    const Bytes whole = Bytes(bytes).subspan(wire::kFrameHead);
    for (std::size_t size = 0; size < whole.size(); ++size)
      CHECK_FALSE(wire::parse_frame(whole.first(size)));
    bytes.push_back(0);
    CHECK_FALSE(wire::parse_frame(Bytes(bytes).subspan(wire::kFrameHead)));
  }
  CHECK_FALSE(wire::parse_frame(std::vector<std::uint8_t>{9, 1, 2}));
  CHECK_FALSE(wire::parse_frame(std::vector<std::uint8_t>{0}));
  // A datagram without a message, and one for nobody.
  auto bytes = written(wire::TunnelDatagram{kNode, std::vector<std::uint8_t>{1}});
  CHECK_FALSE(wire::parse_frame(Bytes(bytes).subspan(wire::kFrameHead, 1 + 18)));
  std::fill(bytes.begin() + 3, bytes.begin() + 3 + 18, std::uint8_t{0});
  CHECK_FALSE(wire::parse_frame(Bytes(bytes).subspan(wire::kFrameHead)));
}

TEST_CASE("a stream cut anywhere yields the same frames") {
  std::vector<std::uint8_t> stream;
  for (std::uint64_t nonce = 1; nonce <= 5; ++nonce) {
    const auto bytes = written(wire::TunnelPing{false, nonce});
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    FrameStream frames;
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      const Bytes part = Bytes(stream).subspan(at, std::min(piece, stream.size() - at));
      CHECK(frames.feed(part, [&](Bytes frame) {
        CHECK(std::get<wire::TunnelPing>(*wire::parse_frame(frame)).nonce == ++seen);
        return true;
      }));
    }
    CHECK(seen == 5);
  }
}

TEST_CASE("a stream that announces too long a frame, or an empty one, ends at once") {
  const auto never = [](Bytes) {
    FAIL("a frame");
    return true;
  };
  const std::vector<std::uint8_t> http{'G', 'E', 'T', ' '};
  CHECK_FALSE(FrameStream().feed(http, never));
  CHECK_FALSE(FrameStream().feed(std::vector<std::uint8_t>{0, 0}, never));
  const auto too_long = static_cast<std::uint16_t>(wire::kMaxFrame + 1);
  CHECK_FALSE(FrameStream().feed(std::vector<std::uint8_t>{static_cast<std::uint8_t>(too_long >> 8),
                                                           static_cast<std::uint8_t>(too_long)},
                                 never));
  FrameStream stops;
  int frames = 0;
  auto two = written(wire::TunnelPing{false, 1});
  const auto again = two;
  two.insert(two.end(), again.begin(), again.end());
  CHECK_FALSE(stops.feed(two, [&](Bytes) { return ++frames > 1; }));
  CHECK(frames == 1);
}

TEST_CASE("what waits is bounded, the oldest goes, and what is too old is not sent") {
  SendQueue queue;
  const TimePoint start{1s};
  std::vector<std::uint8_t> message(1000);
  for (unsigned i = 0; i < 1000; ++i) {
    message[0] = static_cast<std::uint8_t>(i >> 8);
    message[1] = static_cast<std::uint8_t>(i);
    queue.push(wire::TunnelDatagram{kNode, message}, start);
    CHECK(queue.bytes() <= SendQueue::kMaxBytes);
  }
  CHECK(queue.dropped() > 800);
  std::vector<std::uint8_t> out;
  queue.take(out, 16 << 10, start);
  CHECK(out.size() <= 16 << 10);
  CHECK(out.size() > 14 << 10);
  // The first that is left is not the first that was pushed.
  CHECK((out[21] << 8 | out[22]) == static_cast<int>(queue.dropped()));
  const auto dropped = queue.dropped();
  queue.push(wire::TunnelPing{false, 1}, start + SendQueue::kMaxAge);
  out.clear();
  queue.take(out, 1 << 20, start + SendQueue::kMaxAge + 1ns);
  CHECK(out == written(wire::TunnelPing{false, 1}));
  CHECK(queue.dropped() > dropped);
  CHECK(queue.empty());
  CHECK(queue.bytes() == 0);
}
