// What hosts say of middle-boxes in a handshake: bytes, and whose signature means what.
#include <doctest/doctest.h>

#include "overlay/wire/hello.hh"

using namespace i3;

namespace {

Identity identity(std::uint64_t number) {
  return Identity(SeededRandom(number).array<32>());
}

std::vector<std::uint8_t> written(const wire::Hello& hello) {
  std::array<std::uint8_t, 2048> storage;
  Writer writer(storage);
  hello.write(writer);
  return {writer.written().begin(), writer.written().end()};
}

constexpr std::uint64_t kNow = 5 * wire::kHourNs;

}  // namespace

TEST_CASE("a leave counts for its end, its box, its other end and its time alone") {
  const Identity end = identity(1), box = identity(2), other = identity(3), thief = identity(4);
  const auto leave = wire::Spokesman::issue(end, box.key(), other.key(), kNow + 1);
  CHECK(leave.valid(end.key(), box.key(), other.key(), kNow));
  CHECK_FALSE(leave.valid(end.key(), box.key(), other.key(), kNow + 1));
  CHECK_FALSE(leave.valid(thief.key(), box.key(), other.key(), kNow));
  CHECK_FALSE(leave.valid(end.key(), thief.key(), other.key(), kNow));
  CHECK_FALSE(leave.valid(end.key(), box.key(), thief.key(), kNow));
  wire::Spokesman longer = leave;
  longer.expiry += wire::kHourNs;
  CHECK_FALSE(longer.valid(end.key(), box.key(), other.key(), kNow));
  CHECK_FALSE(wire::Spokesman{}.valid(end.key(), box.key(), other.key(), 0));
}

TEST_CASE("a redirect counts for who asked, and is no leave") {
  const Identity server = identity(1), box = identity(2), client = identity(3);
  const auto redirect = wire::Redirect::issue(server, client.key(), box.key(), kNow + 1);
  CHECK(redirect.valid(server.key(), client.key(), kNow));
  CHECK_FALSE(redirect.valid(server.key(), client.key(), kNow + 1));
  CHECK_FALSE(redirect.valid(server.key(), box.key(), kNow));
  CHECK_FALSE(redirect.valid(client.key(), client.key(), kNow));
  wire::Redirect other = redirect;
  other.box = client.key();
  CHECK_FALSE(other.valid(server.key(), client.key(), kNow));
  // The same fields in the same places, but another domain.
  const wire::Spokesman leave{redirect.expiry, redirect.signature};
  CHECK_FALSE(leave.valid(server.key(), client.key(), box.key(), kNow));
}

TEST_CASE("a hello keeps what it says of a middle-box, and the early packet behind it") {
  const Identity end = identity(1), box = identity(2), other = identity(3);
  const std::uint8_t early[] = {0x45, 1, 2};
  for (const auto way : {wire::Through::Way::to_box, wire::Through::Way::from_box}) {
    wire::Hello hello;
    hello.through = {way, other.key(), wire::Spokesman::issue(end, box.key(), other.key(), 7)};
    hello.redirect = wire::Redirect::issue(other, end.key(), box.key(), 8);
    hello.early = early;
    const auto bytes = written(hello);
    const auto read = wire::Hello::parse(bytes);
    REQUIRE(read);
    CHECK(read->through == hello.through);
    CHECK(read->redirect == hello.redirect);
    CHECK(std::equal(read->early.begin(), read->early.end(), std::begin(early), std::end(early)));
    // Cut anywhere before the early packet it is no hello.
    for (std::size_t size = 0; size + std::size(early) < bytes.size(); ++size)
      CHECK_FALSE(wire::Hello::parse(Bytes(bytes).first(size)));
  }
}

TEST_CASE("a hello that goes to a box and comes from one is malformed, and so is an unknown flag") {
  auto bytes = written({});
  for (const int flags : {2 | 4, 32, 64, 128}) {
    bytes[0] = static_cast<std::uint8_t>(flags);
    bytes.resize(512);
    CHECK_FALSE(wire::Hello::parse(bytes));
  }
}

TEST_CASE("paths within a session say nothing of middle-boxes") {
  wire::Paths paths{1, {}};
  paths.hello.through = {wire::Through::Way::to_box, identity(1).key(), {}};
  std::array<std::uint8_t, 1024> storage;
  Writer writer(storage);
  paths.write(writer);
  CHECK_FALSE(wire::Paths::parse(writer.written()));
}

TEST_CASE("the end of a leave is a whole hour, so it does not tell how a clock is wrong") {
  CHECK(wire::expiry_after(kNow, 2) == 8 * wire::kHourNs);
  CHECK(wire::expiry_after(kNow + 1, 2) == 8 * wire::kHourNs);
  CHECK(wire::expiry_after(kNow + wire::kHourNs - 1, 2) == 8 * wire::kHourNs);
}
