#include "dnsintercept/dns_stream.hh"

#include <doctest/doctest.h>

#include "questions.hh"

using namespace i3;
using namespace i3::test;

namespace {

Message framed(Bytes message) {
  Message frame(2 + message.size());
  Writer writer(frame);
  writer.u16(static_cast<std::uint16_t>(message.size()));
  writer.bytes(message);
  return frame;
}

// Gives `bytes` to the stream at most `step` at a time and collects what comes out.
std::vector<Message> feed(DnsStream& stream, Bytes bytes, std::size_t step) {
  std::vector<Message> messages;
  while (!bytes.empty()) {
    const MutBytes space = stream.space();
    const std::size_t size = std::min({bytes.size(), space.size(), step});
    REQUIRE(size > 0);
    std::copy_n(bytes.begin(), size, space.begin());
    stream.received(size);
    bytes = bytes.subspan(size);
    for (MutBytes next = stream.next(); !next.empty(); next = stream.next())
      messages.emplace_back(next.begin(), next.end());
  }
  return messages;
}

}  // namespace

TEST_CASE("messages come out whole and in order however the stream is cut") {
  Message large(65535, 0x5a);
  const std::vector<Message> sent{question("a.example", 1), question("b.example", 28), large,
                                  question("c.example", 1)};
  Message bytes;
  for (const Message& message : sent) {
    const Message frame = framed(message);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  for (std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1460}, bytes.size()}) {
    DnsStream stream;
    CHECK(feed(stream, bytes, step) == sent);
    CHECK_FALSE(stream.broken());
  }
}

TEST_CASE("a length below a header's breaks the stream for good") {
  for (unsigned length : {0u, 1u, 11u}) {
    DnsStream stream;
    const Message bytes{
        0, static_cast<std::uint8_t>(length), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    CHECK(feed(stream, bytes, bytes.size()).empty());
    CHECK(stream.broken());
    CHECK(stream.next().empty());
  }
}
