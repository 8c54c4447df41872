#include "overlay/session/group_seal.hh"

#include <sodium.h>

namespace i3 {
namespace {

GroupSecret sender_key(const GroupSecret& secret, const PublicKey& sender, std::uint64_t start,
                       std::uint64_t salt) {
  std::array<std::uint8_t, 16> numbers;
  Writer writer(numbers);
  writer.u64(start);
  writer.u64(salt);
  return blake2b<32>("i3 group sender", {sender.bytes, numbers}, secret);
}

// As sessions have it: four zero bytes, then the counter, little-endian.
std::array<std::uint8_t, 12> nonce_of(std::uint64_t counter) {
  std::array<std::uint8_t, 12> nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
  return nonce;
}

}  // namespace

GroupSecret group_secret(const PublicKey& key, const std::optional<GroupSecret>& further) {
  return blake2b<32>("i3 group secret", {key.bytes, further ? Bytes(*further) : Bytes{}});
}

std::unique_ptr<Identity> group_owner(const GroupSecret& secret) {
  auto seed = blake2b<32>("i3 group owner", {}, secret);
  auto owner = std::make_unique<Identity>(seed);
  sodium_memzero(seed.data(), seed.size());
  return owner;
}

GroupSealer::GroupSealer(const GroupSecret& secret, const PublicKey& sender, std::uint64_t start,
                         std::uint64_t salt)
    : key_(sender_key(secret, sender, start, salt)), front_{sender, start, salt, 0, {}} {}

GroupSealer::~GroupSealer() {
  sodium_memzero(key_.data(), key_.size());
}

bool GroupSealer::seal(MutBytes message) {
  assert(message.size() >= kOverhead);
  if (front_.counter == ~std::uint64_t{0}) return false;
  const MutBytes front = message.first(wire::GroupData::kFront);
  Writer writer(front);
  front_.write_front(writer);
  const MutBytes text =
      message.subspan(front.size(), message.size() - front.size() - wire::GroupData::kTag);
  const auto nonce = nonce_of(front_.counter++);
  crypto_aead_chacha20poly1305_ietf_encrypt_detached(
      text.data(), message.last(wire::GroupData::kTag).data(), nullptr, text.data(), text.size(),
      front.data(), front.size(), nullptr, nonce.data(), key_.data());
  return true;
}

GroupOpener::~GroupOpener() {
  sodium_memzero(secret_.data(), secret_.size());
  for (auto& [key, sender] : senders_) sodium_memzero(sender.key.data(), sender.key.size());
}

// 1 the sender's state, or what would be a new one  2 replay  3 tag  4 only then the state changes
GroupOpener::Opened GroupOpener::open(MutBytes message, TimePoint now) {
  const auto data = wire::GroupData::parse(message);
  if (!data) return {Result::malformed, {}, {}};
  const auto known = senders_.find(data->sender);
  const bool remembered = known != senders_.end() && now < known->second.heard + kForgetAfter;
  const bool same =
      remembered && known->second.start == data->start && known->second.salt == data->salt;
  if (remembered && !same && data->start <= known->second.start)
    return {Result::older_start, data->sender, {}};
  if (same && !known->second.window.acceptable(data->counter))
    return {Result::replayed, data->sender, {}};
  const GroupSecret key =
      same ? known->second.key : sender_key(secret_, data->sender, data->start, data->salt);
  const MutBytes front = message.first(wire::GroupData::kFront);
  const MutBytes text =
      message.subspan(front.size(), message.size() - front.size() - wire::GroupData::kTag);
  const auto nonce = nonce_of(data->counter);
  if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(
          text.data(), nullptr, text.data(), text.size(),
          message.last(wire::GroupData::kTag).data(), front.data(), front.size(), nonce.data(),
          key.data()) != 0)
    return {Result::not_authentic, data->sender, {}};
  if (!same) {
    if (known == senders_.end()) make_room(now);
    Sender& sender = senders_[data->sender];
    sender.key = key;
    sender.start = data->start;
    sender.salt = data->salt;
    sender.window = {};
  }
  Sender& sender = senders_[data->sender];
  sender.window.accept(data->counter);
  sender.heard = now;
  return {Result::opened, data->sender, text};
}

// Whoever was silent for longest gives way.
void GroupOpener::make_room(TimePoint now) {
  std::erase_if(senders_, [&](const auto& one) { return now >= one.second.heard + kForgetAfter; });
  if (senders_.size() < kMaxSenders) return;
  senders_.erase(std::min_element(
      senders_.begin(), senders_.end(),
      [](const auto& a, const auto& b) { return a.second.heard < b.second.heard; }));
}

}  // namespace i3
