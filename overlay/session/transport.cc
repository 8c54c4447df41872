#include "overlay/session/transport.hh"

namespace i3 {
namespace {
// Noise's nonces: four zero bytes, then the counter, little-endian for ChaChaPoly and big-endian
// for AESGCM.
std::array<std::uint8_t, 12> little_endian_nonce(std::uint64_t counter) {
  std::array<std::uint8_t, 12> nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
  return nonce;
}
std::array<std::uint8_t, 12> big_endian_nonce(std::uint64_t counter) {
  std::array<std::uint8_t, 12> nonce{};
  Writer(MutBytes(nonce).subspan(4)).u64(counter);
  return nonce;
}
}  // namespace

std::string_view name_of(Cipher cipher) {
  return cipher == Cipher::aes256_gcm ? "AES-256-GCM" : "ChaCha20-Poly1305";
}

TransportKey::TransportKey(const SymmetricKey& key, Cipher cipher) {
  if (cipher == Cipher::chacha20_poly1305) {
    key_ = key;
    return;
  }
  aes_ = make_aes_gcm(key);
}

TransportKey::~TransportKey() {
  sodium_memzero(key_.data(), key_.size());
}

void TransportKey::encrypt(std::uint64_t counter, MutBytes text) const {
  assert(text.size() >= kTransportTag);
  const std::size_t size = text.size() - kTransportTag;
  std::uint8_t* tag = text.data() + size;
  if (aes_) {
    aes_->encrypt(big_endian_nonce(counter), text);
  } else {
    const auto nonce = little_endian_nonce(counter);
    crypto_aead_chacha20poly1305_ietf_encrypt_detached(text.data(), tag, nullptr, text.data(), size,
                                                       nullptr, 0, nullptr, nonce.data(),
                                                       key_.data());
  }
}

bool TransportKey::decrypt(std::uint64_t counter, MutBytes text) const {
  assert(text.size() >= kTransportTag);
  const std::size_t size = text.size() - kTransportTag;
  const std::uint8_t* tag = text.data() + size;
  if (aes_) return aes_->decrypt(big_endian_nonce(counter), text);
  const auto nonce = little_endian_nonce(counter);
  return crypto_aead_chacha20poly1305_ietf_decrypt_detached(text.data(), nullptr, text.data(), size,
                                                            tag, nullptr, 0, nonce.data(),
                                                            key_.data()) == 0;
}

std::optional<std::uint64_t> SealingKey::seal(MutBytes text) {
  const auto counter = counter_.take();
  if (counter) key_.encrypt(*counter, text);
  return counter;
}

OpeningKey::Result OpeningKey::open(std::uint32_t counter_low, MutBytes text) {
  const std::uint64_t counter = window_.widen(counter_low);
  // A replay is refused before its tag is computed.
  if (!window_.acceptable(counter)) return Result::replayed;
  if (!key_.decrypt(counter, text)) return Result::not_authentic;
  window_.accept(counter);
  return Result::opened;
}

}  // namespace i3
