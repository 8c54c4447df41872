// Owns the Noise handshake IK / IKpsk2 over X25519, ChaCha20-Poly1305 and BLAKE2b (Noise
// specification revision 34). Pure: ephemeral secrets come in as arguments, nothing is sent.
#pragma once

#include "overlay/base/keys.hh"

namespace i3 {

using SymmetricKey = std::array<std::uint8_t, 32>;
using Psk = std::array<std::uint8_t, 32>;
// What peers use that share no secret beforehand (docs/DESIGN.md, decision 11).
inline constexpr Psk kNoPsk{};

// A Noise SymmetricState with its CipherState. Wiped on destruction.
class NoiseState {
 public:
  static constexpr std::size_t kHashSize = 64;
  static constexpr std::size_t kTagSize = 16;
  using Hash = std::array<std::uint8_t, kHashSize>;

  explicit NoiseState(std::string_view protocol_name);
  ~NoiseState();
  NoiseState(const NoiseState&) = default;
  NoiseState& operator=(const NoiseState&) = default;

  void mix_hash(Bytes data);
  void mix_key(Bytes input);
  void mix_key_and_hash(Bytes input);
  // out.size() == plaintext.size() + kTagSize; both may begin at the same byte. Needs a key.
  void encrypt_and_hash(Bytes plaintext, MutBytes out);
  // out.size() + kTagSize == ciphertext.size(); both may begin at the same byte. On false the
  // state is spoilt and `out` holds nothing useful.
  bool decrypt_and_hash(Bytes ciphertext, MutBytes out);

  const Hash& hash() const { return hash_; }
  struct Pair {
    SymmetricKey first;   // initiator to responder
    SymmetricKey second;  // responder to initiator
  };
  Pair split() const;

 private:
  Hash hash_{};
  Hash chaining_{};
  SymmetricKey key_{};
  std::uint64_t nonce_ = 0;
};

enum class NoisePattern { ik, ikpsk2 };

// One side of one handshake. Copyable, so that a bad answer can be tried on a copy.
//   -> e, es, s, ss     <- e, ee, se (, psk)
class NoiseIk {
 public:
  static constexpr std::size_t kFirstOverhead = 32 + 48 + 16;
  static constexpr std::size_t kSecondOverhead = 32 + 16;

  static NoiseIk initiator(NoisePattern pattern, Bytes prologue, const X25519Key& secret,
                           const X25519Key& own, const X25519Key& responder);
  static NoiseIk responder(NoisePattern pattern, Bytes prologue, const X25519Key& secret,
                           const X25519Key& own);
  ~NoiseIk();
  NoiseIk(const NoiseIk&) = default;
  NoiseIk& operator=(const NoiseIk&) = default;

  // out.size() == payload.size() + kFirstOverhead. False if the responder's key is of small order.
  bool write_first(const X25519Key& ephemeral_secret, Bytes payload, MutBytes out);
  // payload.size() + kFirstOverhead == message.size(); `payload` may overlap its own ciphertext.
  // False if the message is not authentic.
  bool read_first(Bytes message, MutBytes payload);
  // Only after read_first. The psk is mixed in for ikpsk2 only.
  bool write_second(const X25519Key& ephemeral_secret, const Psk& psk, Bytes payload, MutBytes out);
  // Only after write_first.
  bool read_second(Bytes message, const Psk& psk, MutBytes payload);

  const X25519Key& remote_static() const { return remote_static_; }
  const X25519Key& remote_ephemeral() const { return remote_ephemeral_; }
  const NoiseState::Hash& hash() const { return state_.hash(); }
  NoiseState::Pair split() const { return state_.split(); }

 private:
  NoiseIk(NoisePattern pattern, Bytes prologue, const X25519Key& secret, const X25519Key& own);
  bool mix_dh(const X25519Key& secret, const X25519Key& point);
  void mix_ephemeral(Bytes point);

  NoisePattern pattern_;
  NoiseState state_;
  X25519Key secret_;
  X25519Key own_;
  X25519Key ephemeral_secret_{};
  X25519Key remote_static_{};
  X25519Key remote_ephemeral_{};
};

}  // namespace i3
