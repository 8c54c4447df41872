// Owns AES-256-GCM of the bulk of the traffic, as libcrypto computes it.
#pragma once

#include <array>
#include <memory>

#include "overlay/base/bytes.hh"

struct evp_cipher_ctx_st;

namespace i3 {

// One expanded key; libcrypto wipes it on destruction. Not for two threads at once. The hardware
// has AES instructions: crypto_aead_aes256gcm_is_available() of libsodium says so.
class AesGcm {
 public:
  static constexpr std::size_t kTag = 16;
  using Nonce = std::array<std::uint8_t, 12>;

  explicit AesGcm(const std::array<std::uint8_t, 32>& key);

  // In place: `text` is plaintext and room for the tag, then ciphertext and tag.
  void encrypt(const Nonce& nonce, MutBytes text) const;
  // The other way; on false `text` is undefined.
  bool decrypt(const Nonce& nonce, MutBytes text) const;

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  // Its state goes from message to message; nothing of one is left in the next.
  std::unique_ptr<evp_cipher_ctx_st, Free> context_;
};

}  // namespace i3
