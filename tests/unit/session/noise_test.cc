#include "overlay/session/noise.hh"

#include <doctest/doctest.h>
#include <sodium.h>

#include "noise_vectors.hh"
#include "overlay/session/transport.hh"

using namespace i3;

namespace {
using Buffer = std::vector<std::uint8_t>;

Buffer unhex(std::string_view text) {
  Buffer bytes(text.size() / 2);
  REQUIRE(sodium_hex2bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, nullptr,
                         nullptr) == 0);
  return bytes;
}
X25519Key key_of(std::string_view text) {
  const Buffer bytes = unhex(text);
  return Reader(bytes).array<32>();
}
X25519Key public_of(const X25519Key& secret) {
  X25519Key result;
  crypto_scalarmult_base(result.data(), secret.data());
  return result;
}
}  // namespace

TEST_CASE("the handshake and its keys agree with every published vector") {
  REQUIRE(noise_vectors::all().size() == 3);
  for (const auto& vector : noise_vectors::all()) {
    CAPTURE(vector.source);
    CAPTURE(vector.psk_pattern);
    const auto pattern = vector.psk_pattern ? NoisePattern::ikpsk2 : NoisePattern::ik;
    const Psk psk = vector.psk_pattern ? key_of(vector.psk) : kNoPsk;
    const Buffer prologue = unhex(vector.prologue);
    const X25519Key initiator_secret = key_of(vector.initiator_static);
    const X25519Key responder_secret = key_of(vector.responder_static);
    const X25519Key responder_public = key_of(vector.responder_static_public);
    REQUIRE(public_of(responder_secret) == responder_public);
    auto initiator = NoiseIk::initiator(pattern, prologue, initiator_secret,
                                        public_of(initiator_secret), responder_public);
    auto responder = NoiseIk::responder(pattern, prologue, responder_secret, responder_public);

    const Buffer hello = unhex(vector.messages[0].payload);
    Buffer first(hello.size() + NoiseIk::kFirstOverhead);
    REQUIRE(initiator.write_first(key_of(vector.initiator_ephemeral), hello, first));
    CHECK(hex(first) == vector.messages[0].ciphertext);
    Buffer heard(hello.size());
    REQUIRE(responder.read_first(first, heard));
    CHECK(heard == hello);
    CHECK(responder.remote_static() == public_of(initiator_secret));

    const Buffer welcome = unhex(vector.messages[1].payload);
    Buffer second(welcome.size() + NoiseIk::kSecondOverhead);
    REQUIRE(responder.write_second(key_of(vector.responder_ephemeral), psk, welcome, second));
    CHECK(hex(second) == vector.messages[1].ciphertext);
    heard.resize(welcome.size());
    REQUIRE(initiator.read_second(second, psk, heard));
    CHECK(heard == welcome);

    CHECK(initiator.hash() == responder.hash());
    if (!vector.handshake_hash.empty()) CHECK(hex(initiator.hash()) == vector.handshake_hash);
    const auto keys = initiator.split();
    CHECK(responder.split().first == keys.first);
    CHECK(responder.split().second == keys.second);

    SealingKey from_initiator(keys.first, Cipher::chacha20_poly1305);
    SealingKey from_responder(keys.second, Cipher::chacha20_poly1305);
    for (std::size_t i = 2; i < vector.messages.size(); ++i) {
      Buffer text = unhex(vector.messages[i].payload);
      text.resize(text.size() + kTransportTag);
      REQUIRE((i % 2 == 0 ? from_initiator : from_responder).seal(text));
      CHECK(hex(text) == vector.messages[i].ciphertext);
    }
  }
}

TEST_CASE("messages may be opened and sealed in the place where they lie") {
  SeededRandom random(5);
  auto one = Identity::generate(random), two = Identity::generate(random);
  auto make = [&] {
    return NoiseIk::initiator(NoisePattern::ikpsk2, as_bytes("p"), one->x25519_secret(),
                              one->x25519_public(), two->x25519_public());
  };
  const X25519Key ephemeral = random.array<32>();
  const Buffer text(40, 7);
  Buffer apart(text.size() + NoiseIk::kFirstOverhead), inside(apart.size());
  auto initiator = make();
  REQUIRE(initiator.write_first(ephemeral, text, apart));
  std::copy(text.begin(), text.end(), inside.begin() + 80);
  auto again = make();
  REQUIRE(again.write_first(ephemeral, Bytes(inside).subspan(80, text.size()), inside));
  CHECK(inside == apart);
  auto responder = NoiseIk::responder(NoisePattern::ikpsk2, as_bytes("p"), two->x25519_secret(),
                                      two->x25519_public());
  REQUIRE(responder.read_first(inside, MutBytes(inside).subspan(80, text.size())));
  CHECK(std::equal(text.begin(), text.end(), inside.begin() + 80));
  CHECK(responder.hash() == initiator.hash());
}

TEST_CASE("another prologue, another key or a point of small order is refused") {
  SeededRandom random(6);
  auto one = Identity::generate(random), two = Identity::generate(random);
  auto initiator = NoiseIk::initiator(NoisePattern::ikpsk2, as_bytes("p"), one->x25519_secret(),
                                      one->x25519_public(), two->x25519_public());
  Buffer first(NoiseIk::kFirstOverhead);
  REQUIRE(initiator.write_first(random.array<32>(), {}, first));
  auto reads = [&](std::string_view prologue, const Identity& as, const Buffer& message) {
    auto responder = NoiseIk::responder(NoisePattern::ikpsk2, as_bytes(prologue),
                                        as.x25519_secret(), as.x25519_public());
    return responder.read_first(message, {});
  };
  CHECK(reads("p", *two, first));
  CHECK_FALSE(reads("q", *two, first));
  CHECK_FALSE(reads("p", *one, first));
  Buffer small_order = first;
  std::fill_n(small_order.begin(), 32, std::uint8_t{0});
  CHECK_FALSE(reads("p", *two, small_order));
  auto to_nobody = NoiseIk::initiator(NoisePattern::ikpsk2, as_bytes("p"), one->x25519_secret(),
                                      one->x25519_public(), X25519Key{});
  CHECK_FALSE(to_nobody.write_first(random.array<32>(), {}, first));
}
