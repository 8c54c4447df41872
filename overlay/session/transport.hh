// Owns the transport keys of one direction: sealing with a counter that only goes up, opening
// behind a replay window.
#pragma once

#include <memory>
#include <optional>
#include <sodium.h>

#include "overlay/base/bytes.hh"
#include "overlay/base/prefetch.hh"
#include "overlay/session/aes_gcm.hh"
#include "overlay/session/noise.hh"
#include "overlay/session/replay_window.hh"

namespace i3 {

inline constexpr std::size_t kTransportTag = 16;

enum class Cipher : std::uint8_t { chacha20_poly1305, aes256_gcm };
std::string_view name_of(Cipher cipher);

// Hands out each number once: neither copied nor moved nor set back, so no nonce is used twice.
class SendCounter {
 public:
  explicit SendCounter(std::uint64_t first = 0) : next_(first) {}
  SendCounter(const SendCounter&) = delete;
  SendCounter& operator=(const SendCounter&) = delete;

  // Nothing once the last number is spent.
  std::optional<std::uint64_t> take() {
    if (next_ == ~std::uint64_t{0}) return std::nullopt;
    return next_++;
  }
  std::uint64_t next() const { return next_; }

 private:
  std::uint64_t next_;
};

// A 32-byte key ready for either cipher. ChaCha20-Poly1305 is libsodium's, AES-256-GCM that of the
// fastest library at hand (aes_gcm.hh). Wiped on destruction.
class TransportKey {
 public:
  // aes256_gcm needs crypto_aead_aes256gcm_is_available().
  TransportKey(const SymmetricKey& key, Cipher cipher);
  ~TransportKey();
  TransportKey(const TransportKey&) = delete;
  TransportKey& operator=(const TransportKey&) = delete;

  Cipher cipher() const { return aes_ ? Cipher::aes256_gcm : Cipher::chacha20_poly1305; }
  // `text` becomes ciphertext and is followed by its tag: text.size() >= kTransportTag.
  void encrypt(std::uint64_t counter, MutBytes text) const;
  // The other way; on false `text` is undefined.
  bool decrypt(std::uint64_t counter, MutBytes text) const;
  // Starts fetching what encrypt() and decrypt() read.
  void prefetch() const {
    if (aes_) i3::prefetch(aes_.get(), kAesFetched);
  }

 private:
  // A library's table for one key: round keys and up to 48 powers of the hash key.
  static constexpr std::size_t kAesFetched = 1088;

  SymmetricKey key_{};
  std::unique_ptr<AesGcm> aes_;
};

class SealingKey {
 public:
  SealingKey(const SymmetricKey& key, Cipher cipher, std::uint64_t first = 0)
      : key_(key, cipher), counter_(first) {}

  // Encrypts in place as TransportKey::encrypt and tells the counter used; nothing when spent.
  std::optional<std::uint64_t> seal(MutBytes text);
  std::uint64_t sealed() const { return counter_.next(); }
  Cipher cipher() const { return key_.cipher(); }
  void prefetch() const { key_.prefetch(); }

 private:
  TransportKey key_;
  SendCounter counter_;
};

class OpeningKey {
 public:
  enum class Result { opened, not_authentic, replayed };

  OpeningKey(const SymmetricKey& key, Cipher cipher) : key_(key, cipher) {}

  // Opens `text` (ciphertext and tag, at least kTransportTag bytes) in place.
  Result open(std::uint32_t counter_low, MutBytes text);
  void prefetch() const {
    key_.prefetch();
    window_.prefetch();
  }

 private:
  TransportKey key_;
  ReplayWindow window_;
};

}  // namespace i3
