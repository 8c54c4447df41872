#include "overlay/session/aes_gcm.hh"

#include <openssl/evp.h>
#include <stdexcept>

namespace i3 {

void AesGcm::Free::operator()(evp_cipher_ctx_st* context) const {
  EVP_CIPHER_CTX_free(context);
}

AesGcm::AesGcm(const std::array<std::uint8_t, 32>& key) : context_(EVP_CIPHER_CTX_new()) {
  // Fails for want of memory only.
  if (!context_ ||
      EVP_EncryptInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) != 1)
    throw std::runtime_error("libcrypto gives no AES-256-GCM");
}

void AesGcm::encrypt(const Nonce& nonce, MutBytes text) const {
  assert(text.size() >= kTag);
  const auto size = static_cast<int>(text.size() - kTag);
  int written = 0, rest = 0;
  const bool ok =
      EVP_EncryptInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data()) == 1 &&
      EVP_EncryptUpdate(context_.get(), text.data(), &written, text.data(), size) == 1 &&
      EVP_EncryptFinal_ex(context_.get(), text.data() + size, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kTag),
                          text.data() + size) == 1;
  // Plaintext must not leave because a library failed.
  if (!ok || written != size) throw std::runtime_error("libcrypto's AES-256-GCM failed");
}

bool AesGcm::decrypt(const Nonce& nonce, MutBytes text) const {
  assert(text.size() >= kTag);
  const auto size = static_cast<int>(text.size() - kTag);
  int written = 0, rest = 0;
  return EVP_DecryptInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data()) == 1 &&
         EVP_DecryptUpdate(context_.get(), text.data(), &written, text.data(), size) == 1 &&
         EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kTag),
                             text.data() + size) == 1 &&
         EVP_DecryptFinal_ex(context_.get(), text.data() + size, &rest) == 1 && written == size;
}

}  // namespace i3
