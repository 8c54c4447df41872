// Owns AES-256-GCM of the bulk of the traffic, as the fastest library at hand computes it.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "overlay/base/bytes.hh"

namespace i3 {

// One expanded key, wiped on destruction. Not for two threads at once. The processor has AES
// instructions: crypto_aead_aes256gcm_is_available() of libsodium says so.
class AesGcm {
 public:
  static constexpr std::size_t kTag = 16;
  using Key = std::array<std::uint8_t, 32>;
  using Nonce = std::array<std::uint8_t, 12>;

  virtual ~AesGcm() = default;
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  // In place: `text` is plaintext and room for the tag, then ciphertext and tag.
  virtual void encrypt(const Nonce& nonce, MutBytes text) const = 0;
  // The other way; on false `text` is undefined.
  virtual bool decrypt(const Nonce& nonce, MutBytes text) const = 0;

 protected:
  AesGcm() = default;
};

// One library that computes it. All give the same bytes.
struct AesGcmMaker {
  std::string_view library;
  std::unique_ptr<AesGcm> (*make)(const AesGcm::Key& key);
};
// Those that were built in and that this processor can run, the fastest first.
const std::vector<AesGcmMaker>& aes_gcm_makers();
// By the first of them; throws std::runtime_error where it fails for want of memory.
std::unique_ptr<AesGcm> make_aes_gcm(const AesGcm::Key& key);

}  // namespace i3
