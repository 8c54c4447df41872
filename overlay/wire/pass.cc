#include "overlay/wire/pass.hh"

#include <sodium.h>

#include "overlay/wire/middlebox.hh"

namespace i3::wire {
namespace {

constexpr std::size_t kCode = 12;
constexpr std::size_t kPrefix = 16;
constexpr std::size_t kPlain = 4 + 16;  // salt and the last 128 bits

void write_hour(Writer& writer, std::uint32_t hour) {
  writer.u8(static_cast<std::uint8_t>(hour >> 16));
  writer.u16(static_cast<std::uint16_t>(hour));
}

std::array<std::uint8_t, kCode> inward_tag(std::uint32_t hour, Bytes plain, const PassKey& key) {
  std::array<std::uint8_t, 3 + kPlain> bytes;
  Writer writer(bytes);
  write_hour(writer, hour);
  writer.bytes(plain);
  return blake2b<kCode>("i3 inward", {bytes}, key);
}

void xor_stream(MutBytes plain, Bytes tag, const PassKey& key) {
  const auto stream = blake2b<kPlain>("i3 inward stream", {tag}, key);
  for (std::size_t i = 0; i < plain.size(); ++i) plain[i] ^= stream[i];
}

}  // namespace

std::optional<PassKey> pass_key(const Identity& mine, const PublicKey& other) {
  const auto remote = other.x25519();
  X25519Key shared;
  if (!remote || crypto_scalarmult(shared.data(), mine.x25519_secret().data(), remote->data()) != 0)
    return std::nullopt;
  const auto [lower, higher] = std::minmax(mine.key(), other);
  const PassKey key = blake2b<32>("i3 pass key", {shared, lower.bytes, higher.bytes});
  sodium_memzero(shared.data(), shared.size());
  return key;
}

Pass Pass::issue(Use use, std::uint32_t hour, const PassKey& key) {
  std::array<std::uint8_t, 4> front;
  Writer writer(front);
  writer.u8(static_cast<std::uint8_t>(use));
  write_hour(writer, hour);
  return {use, hour, blake2b<kCode>("i3 pass", {front}, key)};
}

std::optional<Pass> Pass::parse(const Id& id) {
  Reader reader(Bytes(id.bytes).subspan(kPrefix));
  Pass pass;
  const std::uint8_t use = reader.u8();
  pass.hour = static_cast<std::uint32_t>(reader.u8()) << 16;
  pass.hour |= reader.u16();
  pass.code = reader.array<kCode>();
  if (!reader.complete() || use > static_cast<std::uint8_t>(Use::in)) return std::nullopt;
  pass.use = static_cast<Use>(use);
  return pass;
}

Id Pass::under(const PublicKey& box) const {
  Id id = owner_prefix(box, kPassSalt);
  Writer writer(MutBytes(id.bytes).subspan(kPrefix));
  writer.u8(static_cast<std::uint8_t>(use));
  write_hour(writer, hour);
  writer.bytes(code);
  return id;
}

std::uint32_t pass_hour(WallTime wall) {
  return static_cast<std::uint32_t>(expiry_after(wall, kPassHours) / kHourNs);
}

bool pass_is_timely(std::uint32_t hour, WallTime wall) {
  // An hour of grace, for the client's clock may be ahead.
  const std::uint64_t now = wall / kHourNs;
  return now < hour && hour <= now + kPassHours + 2;
}

Id Inward::seal(const Id& own, std::uint32_t salt, std::uint32_t hour, const PassKey& key) {
  Id sealed;
  Writer writer(sealed.bytes);
  writer.u32(salt);
  writer.bytes(Bytes(own.bytes).subspan(kPrefix));
  const auto tag = inward_tag(hour, Bytes(sealed.bytes).first(kPlain), key);
  writer.bytes(tag);
  xor_stream(MutBytes(sealed.bytes).first(kPlain), tag, key);
  return sealed;
}

std::optional<Id> Inward::open(const Id& sealed, const PublicKey& client, std::uint32_t hour,
                               const PassKey& key) {
  std::array<std::uint8_t, Id::kSize> bytes = sealed.bytes;
  const Bytes tag = Bytes(bytes).subspan(kPlain);
  const MutBytes plain = MutBytes(bytes).first(kPlain);
  xor_stream(plain, tag, key);
  if (!equal_constant_time(inward_tag(hour, plain, key), tag)) return std::nullopt;
  Reader reader(plain);
  Id id = owner_prefix(client, reader.u32());
  std::copy(plain.begin() + 4, plain.end(), id.bytes.begin() + kPrefix);
  return id;
}

std::optional<ConsentAsk> ConsentAsk::parse(Bytes payload) {
  Reader reader(payload);
  ConsentAsk ask;
  ask.nonce = reader.u64();
  ask.salt = reader.u32();
  const auto zeros = reader.array<kSize - 12>();
  if (!reader.complete() || ask.salt > 1 || zeros != decltype(zeros){}) return std::nullopt;
  return ask;
}

void ConsentAsk::write(Writer& writer) const {
  writer.u64(nonce);
  writer.u32(salt);
  writer.bytes(std::array<std::uint8_t, kSize - 12>{});
}

std::optional<ConsentAnswer> ConsentAnswer::parse(Bytes payload) {
  Reader reader(payload);
  ConsentAnswer answer;
  answer.nonce = reader.u64();
  answer.consent = Consent::read(reader);
  if (!reader.complete()) return std::nullopt;
  return answer;
}

void ConsentAnswer::write(Writer& writer) const {
  writer.u64(nonce);
  consent.write(writer);
}

}  // namespace i3::wire
