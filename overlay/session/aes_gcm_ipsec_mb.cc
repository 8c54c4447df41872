#include "overlay/session/aes_gcm_ipsec_mb.hh"

#include <intel-ipsec-mb.h>
#include <sodium.h>

namespace i3 {
namespace {

// The library's routines for this processor.
struct Routines {
  aes_gcm_pre_t expand = nullptr;
  aes_gcm_enc_dec_t encrypt = nullptr;
  aes_gcm_enc_dec_t decrypt = nullptr;
};

// The manager's other parts are queues that nobody here needs: it goes again at once.
Routines find_routines() {
  Routines found;
  IMB_MGR* manager = alloc_mb_mgr(0);
  if (manager == nullptr) return found;
  constexpr std::uint64_t kNeeded = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
  if ((manager->features & kNeeded) == kNeeded) {
    init_mb_mgr_auto(manager, nullptr);
    if (imb_get_errno(manager) == 0)
      found = {manager->gcm256_pre, manager->gcm256_enc, manager->gcm256_dec};
  }
  free_mb_mgr(manager);
  return found;
}

const Routines& routines() {
  static const Routines found = find_routines();
  return found;
}

class IpsecMbAesGcm : public AesGcm {
 public:
  explicit IpsecMbAesGcm(const Key& key) : routines_(routines()) {
    assert(routines_.expand != nullptr);  // ipsec_mb_usable() said so
    routines_.expand(key.data(), &key_);
  }
  ~IpsecMbAesGcm() override { sodium_memzero(&key_, sizeof key_); }

  void encrypt(const Nonce& nonce, MutBytes text) const override {
    assert(text.size() >= kTag);
    const std::size_t size = text.size() - kTag;
    gcm_context_data context;
    routines_.encrypt(&key_, &context, text.data(), text.data(), size, nonce.data(), nullptr, 0,
                      text.data() + size, kTag);
  }

  bool decrypt(const Nonce& nonce, MutBytes text) const override {
    assert(text.size() >= kTag);
    const std::size_t size = text.size() - kTag;
    gcm_context_data context;
    std::array<std::uint8_t, kTag> tag;
    routines_.decrypt(&key_, &context, text.data(), text.data(), size, nonce.data(), nullptr, 0,
                      tag.data(), kTag);
    static_assert(kTag == crypto_verify_16_BYTES);
    return crypto_verify_16(tag.data(), text.data() + size) == 0;
  }

 private:
  const Routines& routines_;
  gcm_key_data key_;
};

}  // namespace

bool ipsec_mb_usable() {
  return routines().expand != nullptr;
}

std::unique_ptr<AesGcm> make_ipsec_mb_aes_gcm(const AesGcm::Key& key) {
  return std::make_unique<IpsecMbAesGcm>(key);
}

}  // namespace i3
