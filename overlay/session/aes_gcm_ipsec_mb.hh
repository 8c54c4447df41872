// Owns AES-256-GCM by Intel's library, which uses VAES and AVX-512 where the processor has them:
// at the size of a packet four times as fast as libcrypto 3.0 (docs/DEPENDENCIES.md). x86-64 only.
#pragma once

#include "overlay/session/aes_gcm.hh"

namespace i3 {

// Whether this processor has what the library needs at the least.
bool ipsec_mb_usable();
std::unique_ptr<AesGcm> make_ipsec_mb_aes_gcm(const AesGcm::Key& key);

}  // namespace i3
