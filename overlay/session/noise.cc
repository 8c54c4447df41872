#include "overlay/session/noise.hh"

#include <sodium.h>

namespace i3 {
namespace {
constexpr std::size_t kBlockSize = 128;  // BLAKE2b's, for HMAC
using Hash = NoiseState::Hash;

void hash(MutBytes out, std::initializer_list<Bytes> parts) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, NoiseState::kHashSize);
  for (Bytes part : parts) crypto_generichash_update(&state, part.data(), part.size());
  crypto_generichash_final(&state, out.data(), NoiseState::kHashSize);
}

// HMAC (RFC 2104); keys here are never longer than a block.
Hash hmac(Bytes key, std::initializer_list<Bytes> parts) {
  std::array<std::uint8_t, kBlockSize> pad{};
  std::copy(key.begin(), key.end(), pad.begin());
  for (auto& byte : pad) byte ^= 0x36;
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, NoiseState::kHashSize);
  crypto_generichash_update(&state, pad.data(), pad.size());
  for (Bytes part : parts) crypto_generichash_update(&state, part.data(), part.size());
  Hash inner;
  crypto_generichash_final(&state, inner.data(), inner.size());
  for (auto& byte : pad) byte ^= 0x36 ^ 0x5c;
  Hash outer;
  hash(outer, {pad, inner});
  sodium_memzero(pad.data(), pad.size());
  return outer;
}

// The first N outputs of Noise's HKDF.
template <std::size_t N>
std::array<Hash, N> hkdf(const Hash& chaining, Bytes input) {
  std::array<Hash, N> out;
  Hash secret = hmac(chaining, {input});
  for (std::size_t i = 0; i < N; ++i) {
    const std::array<std::uint8_t, 1> number{static_cast<std::uint8_t>(i + 1)};
    out[i] = i == 0 ? hmac(secret, {number}) : hmac(secret, {out[i - 1], number});
  }
  sodium_memzero(secret.data(), secret.size());
  return out;
}

SymmetricKey head(const Hash& hash) {
  SymmetricKey key;
  std::copy_n(hash.begin(), key.size(), key.begin());
  return key;
}

std::array<std::uint8_t, 12> nonce_bytes(std::uint64_t nonce) {
  std::array<std::uint8_t, 12> bytes{};
  for (std::size_t i = 0; i < 8; ++i) bytes[4 + i] = static_cast<std::uint8_t>(nonce >> (8 * i));
  return bytes;
}
}  // namespace

NoiseState::NoiseState(std::string_view protocol_name) {
  if (protocol_name.size() <= kHashSize)
    std::copy(protocol_name.begin(), protocol_name.end(), hash_.begin());
  else
    i3::hash(hash_, {as_bytes(protocol_name)});
  chaining_ = hash_;
}

NoiseState::~NoiseState() {
  sodium_memzero(chaining_.data(), chaining_.size());
  sodium_memzero(key_.data(), key_.size());
}

void NoiseState::mix_hash(Bytes data) {
  const Hash before = hash_;
  i3::hash(hash_, {before, data});
}

void NoiseState::mix_key(Bytes input) {
  auto out = hkdf<2>(chaining_, input);
  chaining_ = out[0];
  key_ = head(out[1]);
  nonce_ = 0;
  sodium_memzero(out.data(), sizeof out);
}

void NoiseState::mix_key_and_hash(Bytes input) {
  auto out = hkdf<3>(chaining_, input);
  chaining_ = out[0];
  mix_hash(out[1]);
  key_ = head(out[2]);
  nonce_ = 0;
  sodium_memzero(out.data(), sizeof out);
}

void NoiseState::encrypt_and_hash(Bytes plaintext, MutBytes out) {
  assert(out.size() == plaintext.size() + kTagSize);
  const auto nonce = nonce_bytes(nonce_++);
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, plaintext.data(), plaintext.size(),
                                            hash_.data(), hash_.size(), nullptr, nonce.data(),
                                            key_.data());
  mix_hash(out);
}

bool NoiseState::decrypt_and_hash(Bytes ciphertext, MutBytes out) {
  assert(ciphertext.size() == out.size() + kTagSize);
  // The hash goes over the ciphertext, which opening in place destroys.
  Hash mixed;
  i3::hash(mixed, {hash_, ciphertext});
  const auto nonce = nonce_bytes(nonce_++);
  const bool authentic = crypto_aead_chacha20poly1305_ietf_decrypt(
                             out.data(), nullptr, nullptr, ciphertext.data(), ciphertext.size(),
                             hash_.data(), hash_.size(), nonce.data(), key_.data()) == 0;
  hash_ = mixed;
  return authentic;
}

NoiseState::Pair NoiseState::split() const {
  auto out = hkdf<2>(chaining_, {});
  Pair pair{head(out[0]), head(out[1])};
  sodium_memzero(out.data(), sizeof out);
  return pair;
}

NoiseIk::NoiseIk(NoisePattern pattern, Bytes prologue, const X25519Key& secret,
                 const X25519Key& own)
    : pattern_(pattern),
      state_(pattern == NoisePattern::ik ? "Noise_IK_25519_ChaChaPoly_BLAKE2b"
                                         : "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"),
      secret_(secret),
      own_(own) {
  state_.mix_hash(prologue);
}

NoiseIk::~NoiseIk() {
  sodium_memzero(secret_.data(), secret_.size());
  sodium_memzero(ephemeral_secret_.data(), ephemeral_secret_.size());
}

NoiseIk NoiseIk::initiator(NoisePattern pattern, Bytes prologue, const X25519Key& secret,
                           const X25519Key& own, const X25519Key& responder) {
  NoiseIk side(pattern, prologue, secret, own);
  side.remote_static_ = responder;
  side.state_.mix_hash(responder);
  return side;
}

NoiseIk NoiseIk::responder(NoisePattern pattern, Bytes prologue, const X25519Key& secret,
                           const X25519Key& own) {
  NoiseIk side(pattern, prologue, secret, own);
  side.state_.mix_hash(own);
  return side;
}

bool NoiseIk::mix_dh(const X25519Key& secret, const X25519Key& point) {
  X25519Key shared;
  // Fails for points of small order, whose result an onlooker knows.
  if (crypto_scalarmult(shared.data(), secret.data(), point.data()) != 0) return false;
  state_.mix_key(shared);
  sodium_memzero(shared.data(), shared.size());
  return true;
}

// The token "e"; with a psk in the pattern the point also enters the key (specification, 9.2).
void NoiseIk::mix_ephemeral(Bytes point) {
  state_.mix_hash(point);
  if (pattern_ == NoisePattern::ikpsk2) state_.mix_key(point);
}

bool NoiseIk::write_first(const X25519Key& ephemeral_secret, Bytes payload, MutBytes out) {
  assert(out.size() == payload.size() + kFirstOverhead);
  ephemeral_secret_ = ephemeral_secret;
  crypto_scalarmult_base(out.data(), ephemeral_secret.data());
  mix_ephemeral(out.first(32));
  if (!mix_dh(ephemeral_secret_, remote_static_)) return false;
  state_.encrypt_and_hash(own_, out.subspan(32, 48));
  if (!mix_dh(secret_, remote_static_)) return false;
  state_.encrypt_and_hash(payload, out.subspan(80));
  return true;
}

bool NoiseIk::read_first(Bytes message, MutBytes payload) {
  assert(message.size() == payload.size() + kFirstOverhead);
  Reader reader(message);
  remote_ephemeral_ = reader.array<32>();
  mix_ephemeral(remote_ephemeral_);
  if (!mix_dh(secret_, remote_ephemeral_)) return false;
  if (!state_.decrypt_and_hash(reader.bytes(48), remote_static_)) return false;
  if (!mix_dh(secret_, remote_static_)) return false;
  return state_.decrypt_and_hash(reader.rest(), payload);
}

bool NoiseIk::write_second(const X25519Key& ephemeral_secret, const Psk& psk, Bytes payload,
                           MutBytes out) {
  assert(out.size() == payload.size() + kSecondOverhead);
  ephemeral_secret_ = ephemeral_secret;
  crypto_scalarmult_base(out.data(), ephemeral_secret.data());
  mix_ephemeral(out.first(32));
  if (!mix_dh(ephemeral_secret_, remote_ephemeral_)) return false;
  if (!mix_dh(ephemeral_secret_, remote_static_)) return false;
  if (pattern_ == NoisePattern::ikpsk2) state_.mix_key_and_hash(psk);
  state_.encrypt_and_hash(payload, out.subspan(32));
  return true;
}

bool NoiseIk::read_second(Bytes message, const Psk& psk, MutBytes payload) {
  assert(message.size() == payload.size() + kSecondOverhead);
  Reader reader(message);
  remote_ephemeral_ = reader.array<32>();
  mix_ephemeral(remote_ephemeral_);
  if (!mix_dh(ephemeral_secret_, remote_ephemeral_)) return false;
  if (!mix_dh(secret_, remote_ephemeral_)) return false;
  if (pattern_ == NoisePattern::ikpsk2) state_.mix_key_and_hash(psk);
  return state_.decrypt_and_hash(reader.rest(), payload);
}

}  // namespace i3
