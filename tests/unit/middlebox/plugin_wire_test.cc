#include "gateways/middlebox/plugin_wire.hh"

#include <doctest/doctest.h>

using namespace i3;

namespace {

std::optional<PluginMessage> read_back(const std::vector<std::uint8_t>& bytes) {
  PluginStream stream;
  stream.add(bytes);
  return stream.next();
}

}  // namespace

TEST_CASE("messages of plug-ins come back as they were written") {
  CHECK(std::get<PluginHello>(*read_back(written(PluginHello{true, "filter"}))) ==
        PluginHello{true, "filter"});
  CHECK(std::get<PluginVerdict>(*read_back(written(PluginVerdict{7, true}))) ==
        PluginVerdict{7, true});
  CHECK(std::get<PluginText>(*read_back(written(PluginText{true, "x"}))) == PluginText{true, "x"});
  const std::uint8_t packet[] = {0x45, 1};
  PluginStream stream;
  stream.add(written(PluginPacket{9, 10, "alice", "files", packet}));
  const auto message = stream.next();
  const auto& read = std::get<PluginPacket>(*message);
  CHECK(read.number == 9);
  CHECK(read.wall == 10);
  CHECK(read.from == "alice");
  CHECK(read.to == "files");
  CHECK(read.packet.size() == 2);
}

TEST_CASE("the bytes of a verdict are those of the manual") {
  CHECK(written(PluginVerdict{0x0102, true}) ==
        std::vector<std::uint8_t>{0, 10, 3, 0, 0, 0, 0, 0, 0, 1, 2, 1});
  CHECK(written(PluginHello{false, "ab"}) == std::vector<std::uint8_t>{0, 5, 1, 1, 0, 'a', 'b'});
}

TEST_CASE("what is no message breaks the stream for good") {
  const std::vector<std::vector<std::uint8_t>> wrong = {
      {0, 0},                                    // empty
      {0, 1, 9},                                 // unknown type
      {0, 3, 1, 1, 0},                           // no name
      {0, 4, 1, 2, 0, 'a'},                      // another version
      {0, 4, 1, 1, 2, 'a'},                      // judges 2
      {0, 4, 1, 1, 0, '/'},                      // a name that is none
      {0, 10, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2},     // verdict 2
      {0, 11, 3, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0},  // a byte too many
      {0, 2, 4, 0},                              // no text
      {0xff, 0xff},                              // too long
  };
  for (const auto& bytes : wrong) {
    CAPTURE(bytes.size());
    PluginStream stream;
    stream.add(bytes);
    CHECK_FALSE(stream.next());
    CHECK(stream.broken());
    CHECK_FALSE(stream.add(written(PluginVerdict{1, false})));
    CHECK_FALSE(stream.next());
  }
}

TEST_CASE("a stream may be cut anywhere") {
  std::vector<std::uint8_t> bytes;
  for (std::uint64_t i = 0; i < 5; ++i)
    for (const std::uint8_t byte : written(PluginVerdict{i, false})) bytes.push_back(byte);
  PluginStream stream;
  std::uint64_t read = 0;
  for (const std::uint8_t byte : bytes) {
    stream.add(Bytes(&byte, 1));
    while (const auto message = stream.next())
      CHECK(std::get<PluginVerdict>(*message).number == read++);
  }
  CHECK(read == 5);
}
