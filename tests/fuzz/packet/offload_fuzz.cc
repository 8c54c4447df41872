// Any bytes as a virtio header and packet into the segmenter, and as packets into the coalescer:
// what comes out of joining and cutting again is what went in.
#include <vector>

#include "checked.hh"
#include "proxy/packet/coalescer.hh"
#include "proxy/packet/segmenter.hh"

using namespace i3;

namespace {

using Packet = std::vector<std::uint8_t>;

void cut(const VirtioHeader& header, Bytes packet) {
  const auto segments = Segmenter::of(header, packet);
  if (!segments) return;
  std::size_t all = 0;
  for (std::size_t i = 0; i < segments->count(); ++i) {
    Packet out(segments->size(i));
    segments->write(i, out);
    require(out.size() <= segments->largest());
    require(IpView::parse(out).has_value());
    all += out.size();
  }
  require(all >= packet.size());
}

}  // namespace

// The first byte chooses; packets for the coalescer are cut off by a length byte each, and follow a
// template so that flows meet.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 + VirtioHeader::kSize) return 0;
  const Bytes input(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    Packet packet(input.begin() + VirtioHeader::kSize, input.end());
    const VirtioHeader header = VirtioHeader::read(input);
    cut(header, packet);
    complete_checksum(header, packet);
    return 0;
  }
  std::vector<Packet> packets;
  for (std::size_t at = 0; at < input.size() && packets.size() < 200;) {
    const std::size_t length = std::min<std::size_t>(input[at], input.size() - at - 1);
    packets.emplace_back(input.begin() + static_cast<std::ptrdiff_t>(at + 1),
                         input.begin() + static_cast<std::ptrdiff_t>(at + 1 + length));
    at += 1 + length;
  }
  Coalescer coalescer;
  for (const Packet& packet : packets) coalescer.add(packet);
  std::size_t count = 0;
  coalescer.each([&](const VirtioHeader& header, Bytes first, const std::vector<Bytes>& parts) {
    if (!header.is_super()) {
      ++count;
      return;
    }
    Packet whole(first.begin(), first.end());
    for (Bytes part : parts) whole.insert(whole.end(), part.begin(), part.end());
    const auto segments = Segmenter::of(header, whole);
    require(segments.has_value());
    for (std::size_t i = 0; i < segments->count(); ++i, ++count) {
      Packet out(segments->size(i));
      segments->write(i, out);
      require(std::find(packets.begin(), packets.end(), out) != packets.end());
    }
  });
  require(count == packets.size());
  return 0;
}
