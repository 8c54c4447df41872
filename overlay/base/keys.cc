#include "overlay/base/keys.hh"

#include <sodium.h>
#include <stdexcept>

namespace i3 {
namespace {
constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";

void require_sodium() {
  if (sodium_init() < 0) throw std::runtime_error("libsodium cannot start");
}
}  // namespace

std::string base32(Bytes bytes) {
  std::string text;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (std::uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    count += 8;
    while (count >= 5) text += kAlphabet[bits >> (count -= 5) & 31];
  }
  if (count > 0) text += kAlphabet[bits << (5 - count) & 31];
  return text;
}

std::optional<std::vector<std::uint8_t>> from_base32(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 5 | static_cast<std::uint32_t>(digit);
    count += 5;
    if (count >= 8) bytes.push_back(static_cast<std::uint8_t>(bits >> (count -= 8)));
  }
  if (count >= 5 || (bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

std::optional<PublicKey> PublicKey::from_text(std::string_view text) {
  if (text.size() != kTextSize) return std::nullopt;
  auto bytes = from_base32(text);
  if (!bytes || bytes->size() != kSize) return std::nullopt;
  PublicKey key;
  std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
  if (!key.valid_point()) return std::nullopt;
  return key;
}

std::string PublicKey::text() const {
  return base32(bytes);
}

bool PublicKey::valid_point() const {
  return crypto_core_ed25519_is_valid_point(bytes.data()) == 1;
}

std::optional<X25519Key> PublicKey::x25519() const {
  X25519Key result;
  if (!valid_point() || crypto_sign_ed25519_pk_to_curve25519(result.data(), bytes.data()) != 0)
    return std::nullopt;
  return result;
}

bool PublicKey::verify(Bytes message, const Signature& signature) const {
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                     bytes.data()) == 0;
}

Identity::Identity(const std::array<std::uint8_t, kSeedSize>& seed) {
  require_sodium();
  crypto_sign_seed_keypair(public_.bytes.data(), secret_.data(), seed.data());
  crypto_sign_ed25519_sk_to_curve25519(x25519_secret_.data(), secret_.data());
  crypto_scalarmult_base(x25519_public_.data(), x25519_secret_.data());
}

std::unique_ptr<Identity> Identity::generate(Random& random) {
  auto seed = random.array<kSeedSize>();
  auto identity = std::make_unique<Identity>(seed);
  sodium_memzero(seed.data(), seed.size());
  return identity;
}

Identity::~Identity() {
  sodium_memzero(secret_.data(), secret_.size());
  sodium_memzero(x25519_secret_.data(), x25519_secret_.size());
}

Signature Identity::sign(Bytes message) const {
  Signature signature;
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret_.data());
  return signature;
}

std::array<std::uint8_t, Identity::kSeedSize> Identity::seed() const {
  std::array<std::uint8_t, kSeedSize> seed;
  crypto_sign_ed25519_sk_to_seed(seed.data(), secret_.data());
  return seed;
}

void blake2b(MutBytes out, std::string_view domain, std::initializer_list<Bytes> parts, Bytes key) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, key.empty() ? nullptr : key.data(), key.size(), out.size());
  crypto_generichash_update(&state, as_bytes(domain).data(), domain.size());
  const std::uint8_t zero = 0;
  crypto_generichash_update(&state, &zero, 1);
  for (Bytes part : parts) crypto_generichash_update(&state, part.data(), part.size());
  crypto_generichash_final(&state, out.data(), out.size());
}

bool equal_constant_time(Bytes a, Bytes b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

Id owner_prefix(const PublicKey& owner, std::uint32_t salt) {
  std::array<std::uint8_t, 4> salt_bytes;
  Writer(salt_bytes).u32(salt);
  Id id;
  blake2b(MutBytes(id.bytes).first(16), "i3 id prefix", {owner.bytes, salt_bytes});
  return id;
}

}  // namespace i3
