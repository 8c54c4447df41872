// Owns identities: Ed25519 keys, their text form, signatures, and the hashes that make overlay IDs
// of keys. Everything that libsodium does for more than one layer is wrapped here.
#pragma once

#include <compare>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "overlay/base/id.hh"
#include "overlay/base/random.hh"

namespace i3 {

using Signature = std::array<std::uint8_t, 64>;
using X25519Key = std::array<std::uint8_t, 32>;

// An Ed25519 public key (RFC 8032): the meaning of a name.
struct PublicKey {
  static constexpr std::size_t kSize = 32;
  static constexpr std::size_t kTextSize = 52;

  std::array<std::uint8_t, kSize> bytes{};

  // Points that are not canonical, of small order or off the curve never verify anything, but a
  // reader of a message keeps them as they came; from_text refuses them.
  static PublicKey read(Reader& reader) { return PublicKey{reader.array<kSize>()}; }
  void write(Writer& writer) const { writer.bytes(bytes); }

  // 52 characters of RFC 4648 base32, lower case, no padding, the four spare bits zero.
  static std::optional<PublicKey> from_text(std::string_view text);
  std::string text() const;
  bool valid_point() const;
  // The same key for Diffie-Hellman (RFC 7748); nothing for an invalid point.
  std::optional<X25519Key> x25519() const;
  bool verify(Bytes message, const Signature& signature) const;

  auto operator<=>(const PublicKey&) const = default;
};

// A key pair. Neither copied nor moved; wiped on destruction.
class Identity {
 public:
  static constexpr std::size_t kSeedSize = 32;

  explicit Identity(const std::array<std::uint8_t, kSeedSize>& seed);
  static std::unique_ptr<Identity> generate(Random& random);
  ~Identity();
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  const PublicKey& key() const { return public_; }
  Signature sign(Bytes message) const;
  const X25519Key& x25519_secret() const { return x25519_secret_; }
  const X25519Key& x25519_public() const { return x25519_public_; }
  std::array<std::uint8_t, kSeedSize> seed() const;

 private:
  PublicKey public_;
  std::array<std::uint8_t, 64> secret_;
  X25519Key x25519_secret_;
  X25519Key x25519_public_;
};

// BLAKE2b of `size` bytes over domain || 0 || parts; `key` (0 to 64 bytes) makes it a MAC. The
// domain keeps hashes of different purposes apart.
void blake2b(MutBytes out, std::string_view domain, std::initializer_list<Bytes> parts,
             Bytes key = {});
template <std::size_t N>
std::array<std::uint8_t, N> blake2b(std::string_view domain, std::initializer_list<Bytes> parts,
                                    Bytes key = {}) {
  std::array<std::uint8_t, N> out;
  blake2b(MutBytes(out), domain, parts, key);
  return out;
}
bool equal_constant_time(Bytes a, Bytes b);

// The first 128 bits of every ID that `owner` may use: BLAKE2b-128("i3 id prefix", owner, salt)
// (docs/DESIGN.md, decision 2). The other 128 bits are zero.
Id owner_prefix(const PublicKey& owner, std::uint32_t salt);
// The two public IDs of a key are owner_prefix with these salts.
inline constexpr std::uint32_t kPublicSalts[] = {0, 1};
// Under this one a box takes packets to be passed on (wire/pass.hh).
inline constexpr std::uint32_t kPassSalt = 2;
// And under this one lies the end of a stack that a host's public IDs lead to.
inline constexpr std::uint32_t kLeadSalt = 3;
// No private prefix has one of these.
inline constexpr std::uint32_t kKnownSalts[] = {0, 1, kPassSalt, kLeadSalt};
inline Id public_id(const PublicKey& owner, std::size_t which = 0) {
  return owner_prefix(owner, kPublicSalts[which]);
}

// RFC 4648 base32, lower case, no padding.
std::string base32(Bytes bytes);
// Nothing for characters outside the alphabet, a wrong length or non-zero spare bits.
std::optional<std::vector<std::uint8_t>> from_base32(std::string_view text);

}  // namespace i3

template <>
struct std::hash<i3::PublicKey> {
  std::size_t operator()(const i3::PublicKey& key) const noexcept {
    std::uint64_t value;
    std::memcpy(&value, key.bytes.data(), 8);
    return value * 0x9e3779b97f4a7c15ull;
  }
};
