// Any byte stream, cut anywhere: the same messages as reading it in one piece. The first octet of
// the input says how large the cuts are.
#include "dnsintercept/dns_message.hh"
#include "dnsintercept/dns_stream.hh"
#include "fuzz_world.hh"

using namespace i3;

namespace {

struct Result {
  std::vector<std::vector<std::uint8_t>> messages;
  bool broken = false;
  bool operator==(const Result&) const = default;
};

Result feed(Bytes bytes, std::size_t step) {
  DnsStream stream;
  Result result;
  while (!bytes.empty() && !stream.broken()) {
    const MutBytes space = stream.space();
    fuzz::must(!space.empty(), "there is always room to read into");
    fuzz::must(space.size() <= 70000, "a stream's memory is bounded");
    const std::size_t size = std::min({bytes.size(), space.size(), step});
    std::copy_n(bytes.begin(), size, space.begin());
    stream.received(size);
    bytes = bytes.subspan(size);
    for (MutBytes next = stream.next(); !next.empty(); next = stream.next()) {
      fuzz::must(next.size() >= kDnsHeaderSize, "a message has a header");
      result.messages.emplace_back(next.begin(), next.end());
    }
  }
  result.broken = stream.broken();
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes(data + 1, size - 1);
  fuzz::must(feed(bytes, data[0] + 1u) == feed(bytes, bytes.size() + 1), "cuts change nothing");
  return 0;
}
