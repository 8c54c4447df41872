// The stream of a tunnel: cut in two at a place of the input's choice, frames are those of the
// whole, and each is written back as it was.
#include "overlay/tunnel/frame_stream.hh"
#include "tests/fuzz/wire/round_trip.hh"

namespace {

using namespace i3;
using Frames = std::vector<std::vector<std::uint8_t>>;

bool take(FrameStream& stream, Bytes bytes, Frames& frames) {
  return stream.feed(bytes, [&](Bytes frame) {
    frames.emplace_back(frame.begin(), frame.end());
    return true;
  });
}

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes input = Bytes(data, size).subspan(1);
  const std::size_t cut = data[0] * input.size() / 256;
  FrameStream whole, parts;
  Frames once, twice;
  const bool fine = take(whole, input, once);
  const bool same = take(parts, input.first(cut), twice) && take(parts, input.subspan(cut), twice);
  check(fine == same && once == twice, "a stream in two pieces is another one");
  for (const auto& bytes : once) {
    const auto frame = wire::parse_frame(bytes);
    if (!frame) continue;
    std::array<std::uint8_t, wire::kFrameHead + wire::kMaxFrame> buffer;
    Writer writer(buffer);
    wire::write_frame(writer, *frame);
    const Bytes written = writer.written().subspan(wire::kFrameHead);
    check(writer.ok() && std::equal(bytes.begin(), bytes.end(), written.begin(), written.end()),
          "a frame was accepted that its writer writes otherwise");
  }
  return 0;
}
