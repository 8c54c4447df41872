// Passes for boxes that handle sealed packets, and addresses that only those boxes read.
#include "overlay/wire/pass.hh"

#include <doctest/doctest.h>

#include "overlay/wire/hello.hh"
#include "overlay/wire/middlebox.hh"

using namespace i3;
using wire::Inward;
using wire::Pass;

namespace {

Identity identity(std::uint64_t number) {
  return Identity(SeededRandom(number).array<32>());
}
const Identity kBox = identity(1), kClient = identity(2), kThief = identity(3);

}  // namespace

TEST_CASE("box and client come to the same key, and nobody else does") {
  const auto key = wire::pass_key(kBox, kClient.key());
  REQUIRE(key);
  CHECK(wire::pass_key(kClient, kBox.key()) == key);
  CHECK(wire::pass_key(kThief, kBox.key()) != key);
  CHECK(wire::pass_key(kThief, kClient.key()) != key);
  CHECK_FALSE(wire::pass_key(kBox, PublicKey{}));
}

TEST_CASE("a pass is read back from its ID, which lies under the box's prefix for passes") {
  const auto key = *wire::pass_key(kBox, kClient.key());
  for (const auto use : {Pass::Use::out, Pass::Use::in}) {
    const Pass pass = Pass::issue(use, 0x123456, key);
    const Id id = pass.under(kBox.key());
    CHECK(id.ring() == owner_prefix(kBox.key(), kPassSalt).ring());
    CHECK(Pass::parse(id) == pass);
    CHECK(id.bytes[16] == static_cast<std::uint8_t>(use));
    CHECK(id.bytes[17] == 0x12);
    CHECK(id.bytes[18] == 0x34);
    CHECK(id.bytes[19] == 0x56);
  }
}

TEST_CASE("the code of a pass depends on its use, its end and its client") {
  const auto key = *wire::pass_key(kBox, kClient.key());
  const auto code = Pass::issue(Pass::Use::out, 7, key).code;
  CHECK(Pass::issue(Pass::Use::in, 7, key).code != code);
  CHECK(Pass::issue(Pass::Use::out, 8, key).code != code);
  CHECK(Pass::issue(Pass::Use::out, 7, *wire::pass_key(kBox, kThief.key())).code != code);
}

TEST_CASE("an ID with an unknown use is no pass") {
  Id id = Pass::issue(Pass::Use::in, 7, *wire::pass_key(kBox, kClient.key())).under(kBox.key());
  id.bytes[16] = 2;
  CHECK_FALSE(Pass::parse(id));
}

TEST_CASE("a pass made now lasts between 24 and 25 hours, and a longer one is none") {
  const WallTime wall = 1000 * wire::kHourNs + 5;
  const std::uint32_t hour = wire::pass_hour(wall);
  CHECK(hour == 1025);
  CHECK(wire::pass_is_timely(hour, wall));
  CHECK(wire::pass_is_timely(hour, wall - wire::kHourNs));  // the client's clock is ahead
  CHECK_FALSE(wire::pass_is_timely(hour, 1025 * wire::kHourNs));
  CHECK(wire::pass_is_timely(hour, 1025 * wire::kHourNs - 1));
  CHECK_FALSE(wire::pass_is_timely(hour + 2, wall));
}

TEST_CASE("an inward address is the client's own ID again at the box, whatever its salt") {
  const auto key = *wire::pass_key(kBox, kClient.key());
  for (const std::uint32_t salt : {0u, 7u, 0xfedcba98u}) {
    Id own = owner_prefix(kClient.key(), salt);
    SeededRandom random(salt);
    random.fill(MutBytes(own.bytes).subspan(16));
    const Id sealed = Inward::seal(own, salt, 9, key);
    CHECK(Inward::open(sealed, kClient.key(), 9, key) == own);
    CHECK(sealed.common_prefix(own) < 32);
  }
}

TEST_CASE("an inward address that is changed, of another hour or of another client is none") {
  const auto key = *wire::pass_key(kBox, kClient.key());
  const Id own = owner_prefix(kClient.key(), 7);
  const Id sealed = Inward::seal(own, 7, 9, key);
  for (std::size_t i = 0; i < Id::kSize; ++i) {
    Id changed = sealed;
    changed.bytes[i] ^= 1;
    CHECK_FALSE(Inward::open(changed, kClient.key(), 9, key));
  }
  CHECK_FALSE(Inward::open(sealed, kClient.key(), 10, key));
  CHECK_FALSE(Inward::open(sealed, kClient.key(), 9, *wire::pass_key(kBox, kThief.key())));
}

TEST_CASE("a hello by a box keeps its ID, and tells neither nodes nor addresses") {
  const std::uint8_t early[] = {0x45, 1, 2};
  wire::Hello hello;
  hello.path.id = public_id(kClient.key());
  hello.stop = public_id(kBox.key());
  hello.early = early;
  std::array<std::uint8_t, 512> storage;
  Writer writer(storage);
  hello.write(writer);
  const auto read = wire::Hello::parse(writer.written());
  REQUIRE(read);
  CHECK(read->stop == hello.stop);
  CHECK(std::equal(read->early.begin(), read->early.end(), std::begin(early), std::end(early)));
  for (std::size_t size = 0; size + 3 < writer.size(); ++size)
    CHECK_FALSE(wire::Hello::parse(writer.written().first(size)));
  const auto refused = [](const wire::Hello& wrong) {
    std::array<std::uint8_t, 512> bytes;
    Writer out(bytes);
    wrong.write(out);
    return !wire::Hello::parse(out.written());
  };
  wire::Hello wrong = hello;
  wrong.shortcuts = true;
  CHECK(refused(wrong));
  wrong = hello;
  wrong.candidates = {*Endpoint::parse("192.0.2.1:1")};
  CHECK(refused(wrong));
  wrong = hello;
  wire::NodeContact node;
  node.key = kBox.key();
  node.v4 = *Endpoint::parse("192.0.2.1:1");
  wrong.path.nodes = {{node, {1, 2}}};
  CHECK(refused(wrong));
}

TEST_CASE("a question for consent and its answer are exact, and the answer is the shorter one") {
  std::array<std::uint8_t, 512> storage;
  Writer ask(storage);
  wire::ConsentAsk{7, 1}.write(ask);
  CHECK(ask.size() == wire::ConsentAsk::kSize);
  const auto read = wire::ConsentAsk::parse(ask.written());
  REQUIRE(read);
  CHECK(read->nonce == 7);
  CHECK(read->salt == 1);
  for (std::size_t size = 0; size < ask.size(); ++size)
    CHECK_FALSE(wire::ConsentAsk::parse(ask.written().first(size)));
  CHECK_FALSE(wire::ConsentAsk::parse(Bytes(storage).first(ask.size() + 1)));
  storage[100] = 1;
  CHECK_FALSE(wire::ConsentAsk::parse(ask.written()));
  storage[100] = 0;
  storage[11] = 2;  // the salt
  CHECK_FALSE(wire::ConsentAsk::parse(ask.written()));

  std::array<std::uint8_t, 512> other;
  Writer answer(other);
  const Id source = public_id(kClient.key());
  wire::ConsentAnswer{
      7, wire::Consent::issue(kBox, owner_prefix(kBox.key(), kPassSalt), kPassSalt, source, 9)}
      .write(answer);
  CHECK(answer.size() == wire::ConsentAnswer::kSize);
  CHECK(answer.size() < ask.size());
  CHECK(wire::ConsentAnswer::parse(answer.written())->consent.valid(source, 8));
  CHECK_FALSE(wire::ConsentAnswer::parse(answer.written().first(answer.size() - 1)));
  CHECK_FALSE(wire::ConsentAnswer::parse(Bytes(other).first(answer.size() + 1)));
}
