#include "overlay/session/transport.hh"

#include <doctest/doctest.h>
#include <type_traits>

#include "overlay/session/cipher_choice.hh"

using namespace i3;

namespace {
using Buffer = std::vector<std::uint8_t>;
constexpr std::uint64_t k2to32 = std::uint64_t{1} << 32;

std::vector<Cipher> ciphers() {
  std::vector<Cipher> all{Cipher::chacha20_poly1305};
  if (sodium_init() >= 0 && crypto_aead_aes256gcm_is_available()) all.push_back(Cipher::aes256_gcm);
  return all;
}
struct Sealed {
  std::uint32_t low;
  Buffer text;
};
Sealed seal(SealingKey& key, std::string_view text) {
  Buffer buffer(text.begin(), text.end());
  buffer.resize(text.size() + kTransportTag);
  const auto counter = key.seal(buffer);
  REQUIRE(counter);
  return {static_cast<std::uint32_t>(*counter), buffer};
}
OpeningKey::Result open(OpeningKey& key, Sealed message) {
  return key.open(message.low, message.text);
}
using Result = OpeningKey::Result;
}  // namespace

TEST_CASE("a counter gives each number once, can be neither copied nor moved, and ends") {
  static_assert(!std::is_copy_constructible_v<SendCounter>);
  static_assert(!std::is_move_constructible_v<SendCounter>);
  static_assert(!std::is_copy_assignable_v<SendCounter>);
  static_assert(!std::is_copy_constructible_v<SealingKey>);
  SendCounter counter(~std::uint64_t{0} - 2);
  CHECK(counter.take() == ~std::uint64_t{0} - 2);
  CHECK(counter.take() == ~std::uint64_t{0} - 1);
  CHECK_FALSE(counter.take());
  CHECK_FALSE(counter.take());
  SealingKey spent(SymmetricKey{1}, Cipher::chacha20_poly1305, ~std::uint64_t{0});
  Buffer text(20, 3);
  CHECK_FALSE(spent.seal(text));
  CHECK(text == Buffer(20, 3));
}

TEST_CASE("each library's AES-256-GCM gives libsodium's bytes at every length and opens no other") {
  if (sodium_init() < 0 || !crypto_aead_aes256gcm_is_available()) return;
  SeededRandom random(5);
  REQUIRE_FALSE(aes_gcm_makers().empty());
  for (const AesGcmMaker& maker : aes_gcm_makers()) {
    CAPTURE(maker.library);
    AesGcm::Key key;
    random.fill(key);
    const auto cipher = maker.make(key);
    for (std::size_t size = 0; size < 1600; size += size < 300 ? 1 : 37) {
      AesGcm::Nonce nonce;
      random.fill(nonce);
      Buffer plain(size);
      random.fill(plain);
      Buffer expected(size + AesGcm::kTag), text(plain);
      unsigned long long written = 0;
      REQUIRE(crypto_aead_aes256gcm_encrypt(expected.data(), &written, plain.data(), size, nullptr,
                                            0, nullptr, nonce.data(), key.data()) == 0);
      text.resize(size + AesGcm::kTag);
      cipher->encrypt(nonce, text);
      REQUIRE(text == expected);
      Buffer wrong(text);
      wrong[random.below(static_cast<std::uint32_t>(wrong.size()))] ^=
          static_cast<std::uint8_t>(1 << random.below(8));
      REQUIRE_FALSE(cipher->decrypt(nonce, wrong));
      REQUIRE(cipher->decrypt(nonce, text));
      text.resize(size);
      REQUIRE(text == plain);
    }
  }
}

TEST_CASE("a window accepts each counter once, in any order, and nothing 8000 behind") {
  ReplayWindow window;
  CHECK(window.accept(0));
  CHECK_FALSE(window.accept(0));
  CHECK(window.accept(2));
  CHECK(window.accept(1));
  CHECK_FALSE(window.accept(1));
  CHECK(window.accept(8000));
  CHECK_FALSE(window.acceptable(0));
  CHECK(window.accept(3));
  CHECK_FALSE(window.accept(2));
  CHECK(window.accept(8002));
  CHECK_FALSE(window.accept(2));  // the last one too old
  CHECK_FALSE(window.accept(3));  // the first one young enough, but seen
  CHECK(window.accept(4));
  CHECK(window.greatest() == 8002);
}

TEST_CASE("a window remembers and forgets exactly what a plain set of counters says") {
  SeededRandom random(11);
  for (int round = 0; round < 20; ++round) {
    ReplayWindow window;
    std::vector<bool> seen(60'000);
    std::uint64_t greatest = 0;
    bool any = false;
    std::uint64_t base = 0;
    for (int i = 0; i < 4000; ++i) {
      base += random.below(20) == 0 ? random.below(200) : 1;
      const std::uint64_t back = random.below(3) == 0 ? random.below(9000) : random.below(100);
      const std::uint64_t counter = base > back ? base - back : 0;
      const bool expected =
          !any || counter > greatest || (greatest - counter < 8000 && !seen[counter]);
      REQUIRE(window.accept(counter) == expected);
      if (!expected) continue;
      seen[counter] = true;
      greatest = any ? std::max(greatest, counter) : counter;
      any = true;
    }
  }
}

TEST_CASE("a jump by more than the whole bitmap leaves no old mark behind") {
  for (std::uint64_t jump : {8191u, 8192u, 8193u, 16384u, 1'000'000u}) {
    ReplayWindow window;
    for (std::uint64_t i = 0; i < 100; ++i) REQUIRE(window.accept(i));
    REQUIRE(window.accept(99 + jump));
    for (std::uint64_t i = 1; i < 8000; ++i) REQUIRE(window.accept(99 + jump - i));
    REQUIRE_FALSE(window.accept(99 + jump - 8000));
  }
}

TEST_CASE("64 bits of a counter are found again from its low 32") {
  ReplayWindow window;
  CHECK(window.widen(0) == 0);
  CHECK(window.widen(5) == 5);
  CHECK(window.widen(0xffffffff) == 0xffffffff);  // nothing lies below zero
  REQUIRE(window.accept(k2to32 - 3));
  CHECK(window.widen(0xfffffffe) == k2to32 - 2);
  CHECK(window.widen(0) == k2to32);
  CHECK(window.widen(1000) == k2to32 + 1000);
  REQUIRE(window.accept(k2to32 + 2));
  CHECK(window.widen(0xfffffffe) == k2to32 - 2);
  REQUIRE(window.accept(7 * k2to32 + 10));
  CHECK(window.widen(0xffffffff) == 7 * k2to32 - 1);
  CHECK(window.widen(11) == 7 * k2to32 + 11);
  REQUIRE(window.accept(~std::uint64_t{0} - 5));
  CHECK(window.widen(0xffffffff) == ~std::uint64_t{0});
  CHECK(window.widen(3) == ~std::uint64_t{0} - 0xffffffff + 3);  // not past the end
}

TEST_CASE("with either cipher messages pass in any order, once, and not when changed") {
  for (const Cipher cipher : ciphers()) {
    CAPTURE(name_of(cipher));
    const SymmetricKey key{1, 2, 3};
    SealingKey sealing(key, cipher);
    OpeningKey opening(key, cipher);
    const Sealed one = seal(sealing, "one"), two = seal(sealing, "two"), empty = seal(sealing, "");
    CHECK(one.text != two.text);
    for (std::size_t at = 0; at < two.text.size(); ++at) {
      Sealed changed = two;
      changed.text[at] ^= 1;
      REQUIRE(open(opening, changed) == Result::not_authentic);
    }
    Sealed moved = two;
    moved.low = 9;
    CHECK(open(opening, moved) == Result::not_authentic);
    CHECK(open(opening, two) == Result::opened);
    CHECK(open(opening, two) == Result::replayed);
    CHECK(open(opening, one) == Result::opened);
    CHECK(open(opening, empty) == Result::opened);
    CHECK(open(opening, one) == Result::replayed);
  }
}

TEST_CASE("the low half of the counter wraps without a message lost or repeated") {
  for (const Cipher cipher : ciphers()) {
    const SymmetricKey key{4};
    SealingKey sealing(key, cipher, k2to32 - 3);
    OpeningKey opening(key, cipher);
    std::vector<Sealed> messages;
    for (int i = 0; i < 6; ++i) messages.push_back(seal(sealing, "text"));
    CHECK(messages[2].low == 0xffffffff);
    CHECK(messages[3].low == 0);
    // Backwards over the wrap for the second half.
    for (std::size_t i : {0u, 5u, 4u, 3u, 2u, 1u})
      REQUIRE(open(opening, messages[i]) == Result::opened);
    for (const Sealed& message : messages) REQUIRE(open(opening, message) == Result::replayed);
  }
}

TEST_CASE("AES-256-GCM takes its counter big-endian, ChaCha20-Poly1305 little-endian") {
  for (const Cipher cipher : ciphers()) {
    SymmetricKey raw{9};
    const TransportKey key(raw, cipher);
    Buffer text(3 + kTransportTag, 5), expected(text.size());
    key.encrypt(0x0102030405060708, text);
    const Buffer plain(3, 5);
    if (cipher == Cipher::aes256_gcm) {
      const std::uint8_t nonce[12] = {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
      crypto_aead_aes256gcm_encrypt(expected.data(), nullptr, plain.data(), plain.size(), nullptr,
                                    0, nullptr, nonce, raw.data());
    } else {
      const std::uint8_t nonce[12] = {0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1};
      crypto_aead_chacha20poly1305_ietf_encrypt(expected.data(), nullptr, plain.data(),
                                                plain.size(), nullptr, 0, nullptr, nonce,
                                                raw.data());
    }
    CHECK(text == expected);
  }
}

TEST_CASE("AES is never called faster where the processor lacks it") {
  const bool faster = aes_is_faster();
  if (!crypto_aead_aes256gcm_is_available()) CHECK_FALSE(faster);
  MESSAGE("AES-256-GCM is the faster cipher here: " << faster);
}
