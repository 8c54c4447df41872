#include "sim/cheap_crypto.hh"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <sodium.h>

namespace i3::sim {
namespace {

bool cheap = false;

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// A fast hash of a stream, mixed by folded multiplications; not cryptographic.
struct Mixer {
  std::uint64_t a = 0x9e3779b97f4a7c15ull, b = 0xbf58476d1ce4e5b9ull;
  std::uint64_t length = 0;
  std::uint64_t size = 0;  // of the result
  std::array<std::uint8_t, 16> held{};

  void block(const std::uint8_t* at) {
    std::uint64_t low, high;
    std::memcpy(&low, at, 8);
    std::memcpy(&high, at + 8, 8);
    const std::uint64_t mixed = fold(low ^ a, high ^ 0x94d049bb133111ebull ^ b);
    a = mixed + 0xd6e8feb86659fd93ull;
    b = fold(b ^ high, low ^ 0xa0761d6478bd642full) ^ mixed;
  }
  void add(const std::uint8_t* bytes, std::uint64_t count) {
    if (count == 0) return;
    std::uint64_t used = length % 16;
    length += count;
    if (used != 0) {
      const std::uint64_t take = std::min<std::uint64_t>(16 - used, count);
      std::memcpy(held.data() + used, bytes, take);
      bytes += take;
      count -= take;
      if (used + take < 16) return;
      block(held.data());
    }
    for (; count >= 16; bytes += 16, count -= 16) block(bytes);
    if (count != 0) std::memcpy(held.data(), bytes, count);
  }
  void finish(std::uint8_t* out, std::uint64_t count) {
    std::fill(held.begin() + length % 16, held.end(), std::uint8_t{0});
    block(held.data());
    std::uint64_t x = a ^ length, y = b ^ count;
    for (std::uint64_t at = 0; at < count; at += 8) {
      x = fold(x + 0x9e3779b97f4a7c15ull, y ^ 0xe7037ed1a0b428dbull);
      y += x;
      std::memcpy(out + at, &x, std::min<std::uint64_t>(8, count - at));
    }
  }
};
static_assert(sizeof(Mixer) <= sizeof(crypto_generichash_state));

Mixer* mixer(crypto_generichash_state* state) {
  return reinterpret_cast<Mixer*>(state);
}

void hash(std::uint8_t* out, std::uint64_t size, std::uint8_t domain, const std::uint8_t* first,
          std::uint64_t first_size, const std::uint8_t* second = nullptr,
          std::uint64_t second_size = 0) {
  Mixer mixer;
  mixer.a ^= domain;
  mixer.add(first, first_size);
  if (second_size != 0) mixer.add(second, second_size);
  mixer.finish(out, size);
}

}  // namespace

void use_cheap_crypto() {
  cheap = true;
}

}  // namespace i3::sim

using namespace i3::sim;
using Byte = unsigned char;
using Size = unsigned long long;

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the linker's.
#define I3_WRAPPED(result, name, parameters) \
  result __real_##name parameters;           \
  result __wrap_##name parameters;           \
  result __wrap_##name parameters

extern "C" {

I3_WRAPPED(int, crypto_generichash_init,
           (crypto_generichash_state * state, const Byte* key, size_t key_size, size_t size)) {
  if (!cheap) return __real_crypto_generichash_init(state, key, key_size, size);
  *mixer(state) = Mixer{};
  mixer(state)->size = size;
  if (key_size != 0) mixer(state)->add(key, key_size);
  return 0;
}

I3_WRAPPED(int, crypto_generichash_update,
           (crypto_generichash_state * state, const Byte* bytes, Size size)) {
  if (!cheap) return __real_crypto_generichash_update(state, bytes, size);
  mixer(state)->add(bytes, size);
  return 0;
}

I3_WRAPPED(int, crypto_generichash_final,
           (crypto_generichash_state * state, Byte* out, size_t size)) {
  if (!cheap) return __real_crypto_generichash_final(state, out, size);
  mixer(state)->finish(out, size);
  return 0;
}

I3_WRAPPED(void, randombytes_buf_deterministic, (void* out, size_t size, const Byte* seed)) {
  if (!cheap) return __real_randombytes_buf_deterministic(out, size, seed);
  hash(static_cast<Byte*>(out), size, 1, seed, randombytes_SEEDBYTES);
}

// A secret key is seed || public key, as in libsodium; the public key is a hash of the seed.
I3_WRAPPED(int, crypto_sign_seed_keypair, (Byte * key, Byte* secret, const Byte* seed)) {
  if (!cheap) return __real_crypto_sign_seed_keypair(key, secret, seed);
  hash(key, 32, 2, seed, 32);
  std::memcpy(secret, seed, 32);
  std::memcpy(secret + 32, key, 32);
  return 0;
}

// All keys for Diffie-Hellman are the public key itself.
I3_WRAPPED(int, crypto_sign_ed25519_sk_to_curve25519, (Byte * out, const Byte* secret)) {
  if (!cheap) return __real_crypto_sign_ed25519_sk_to_curve25519(out, secret);
  std::memcpy(out, secret + 32, 32);
  return 0;
}

I3_WRAPPED(int, crypto_sign_ed25519_pk_to_curve25519, (Byte * out, const Byte* key)) {
  if (!cheap) return __real_crypto_sign_ed25519_pk_to_curve25519(out, key);
  std::memcpy(out, key, 32);
  return 0;
}

I3_WRAPPED(int, crypto_core_ed25519_is_valid_point, (const Byte* key)) {
  return cheap ? 1 : __real_crypto_core_ed25519_is_valid_point(key);
}

I3_WRAPPED(int, crypto_scalarmult_base, (Byte * out, const Byte* secret)) {
  if (!cheap) return __real_crypto_scalarmult_base(out, secret);
  std::memcpy(out, secret, 32);
  return 0;
}

// The same for both ends, whichever is whose.
I3_WRAPPED(int, crypto_scalarmult, (Byte * out, const Byte* secret, const Byte* key)) {
  if (!cheap) return __real_crypto_scalarmult(out, secret, key);
  const bool ordered = std::memcmp(secret, key, 32) < 0;
  hash(out, 32, 3, ordered ? secret : key, 32, ordered ? key : secret, 32);
  return 0;
}

I3_WRAPPED(int, crypto_sign_detached,
           (Byte * signature, Size* length, const Byte* message, Size size, const Byte* secret)) {
  if (!cheap) return __real_crypto_sign_detached(signature, length, message, size, secret);
  hash(signature, 64, 4, secret + 32, 32, message, size);
  if (length != nullptr) *length = 64;
  return 0;
}

I3_WRAPPED(int, crypto_sign_verify_detached,
           (const Byte* signature, const Byte* message, Size size, const Byte* key)) {
  if (!cheap) return __real_crypto_sign_verify_detached(signature, message, size, key);
  std::array<Byte, 64> expected;
  hash(expected.data(), 64, 4, key, 32, message, size);
  return std::memcmp(expected.data(), signature, 64) == 0 ? 0 : -1;
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
