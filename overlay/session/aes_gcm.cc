#include "overlay/session/aes_gcm.hh"

#include <openssl/evp.h>
#include <stdexcept>

#include "overlay/session/aes_gcm_ipsec_mb.hh"

namespace i3 {
namespace {

class LibcryptoAesGcm : public AesGcm {
 public:
  explicit LibcryptoAesGcm(const Key& key) : context_(EVP_CIPHER_CTX_new()) {
    // Fails for want of memory only.
    if (!context_ ||
        EVP_EncryptInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) != 1)
      throw std::runtime_error("libcrypto gives no AES-256-GCM");
  }

  void encrypt(const Nonce& nonce, MutBytes text) const override {
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

  bool decrypt(const Nonce& nonce, MutBytes text) const override {
    assert(text.size() >= kTag);
    const auto size = static_cast<int>(text.size() - kTag);
    int written = 0, rest = 0;
    return EVP_DecryptInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data()) == 1 &&
           EVP_DecryptUpdate(context_.get(), text.data(), &written, text.data(), size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kTag),
                               text.data() + size) == 1 &&
           EVP_DecryptFinal_ex(context_.get(), text.data() + size, &rest) == 1 && written == size;
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  // Its state goes from message to message; nothing of one is left in the next.
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
};

std::vector<AesGcmMaker> makers_here() {
  std::vector<AesGcmMaker> makers;
#ifdef I3_IPSEC_MB
  if (ipsec_mb_usable()) makers.push_back({"Intel IPSec MB", make_ipsec_mb_aes_gcm});
#endif
  makers.push_back({"libcrypto", [](const AesGcm::Key& key) -> std::unique_ptr<AesGcm> {
                      return std::make_unique<LibcryptoAesGcm>(key);
                    }});
  return makers;
}

}  // namespace

const std::vector<AesGcmMaker>& aes_gcm_makers() {
  static const std::vector<AesGcmMaker> makers = makers_here();
  return makers;
}

std::unique_ptr<AesGcm> make_aes_gcm(const AesGcm::Key& key) {
  return aes_gcm_makers().front().make(key);
}

}  // namespace i3
