#include "overlay/session/handshake_guard.hh"

#include <sodium.h>

namespace i3 {
namespace {
// Under load each source may complete this many handshakes at once and this many a second.
constexpr int kSourceBurst = 5;
constexpr Duration kSourceInterval = std::chrono::milliseconds(50);
// How long one overrun keeps us under load.
constexpr Duration kLoadLasts = std::chrono::seconds(1);
// A cookie given is used for a little less than the giver knows it.
constexpr Duration kCookieMargin = std::chrono::seconds(5);

Mac keyed(Bytes key, std::initializer_list<Bytes> parts) {
  Mac mac;
  crypto_generichash_state state;
  crypto_generichash_init(&state, key.data(), key.size(), mac.size());
  for (Bytes part : parts) crypto_generichash_update(&state, part.data(), part.size());
  crypto_generichash_final(&state, mac.data(), mac.size());
  return mac;
}

struct Split {
  Bytes body;  // what mac1 covers
  Bytes mac1;
  Bytes covered;  // what mac2 covers: body and mac1
  Bytes mac2;
};
Split split(Bytes message) {
  const std::size_t body = message.size() - HandshakeGuard::kMacs;
  return {message.first(body), message.subspan(body, 16), message.first(body + 16),
          message.subspan(body + 16)};
}
}  // namespace

GuardKeys::GuardKeys(const PublicKey& receiver)
    : mac1(blake2b<32>("i3 session mac1", {receiver.bytes})),
      cookie(blake2b<32>("i3 session cookie", {receiver.bytes})) {}

HandshakeGuard::HandshakeGuard(const PublicKey& self, Random& random,
                               std::uint32_t handshakes_per_second)
    : keys_(self),
      random_(random),
      rate_(std::max<std::uint32_t>(handshakes_per_second, 1)),
      bucket_key_(random.array<32>()) {
  bucket_full_at_.fill(TimePoint::min());
}

HandshakeGuard::Verdict HandshakeGuard::check(Bytes message, Bytes source, TimePoint now) {
  if (message.size() < kMacs) return Verdict::bad_mac;
  const Split parts = split(message);
  if (!equal_constant_time(parts.mac1, keyed(keys_.mac1, {parts.body}))) return Verdict::bad_mac;
  if (!take_token(now)) load_until_ = now + kLoadLasts;
  if (!under_load(now)) return Verdict::pass;
  if (!equal_constant_time(parts.mac2, keyed(cookie_for(source, now), {parts.covered})))
    return Verdict::cookie_needed;
  return source_allowed(source, now) ? Verdict::pass : Verdict::over_limit;
}

// A bucket of rate_ tokens, kept as the time at which it will be full again.
bool HandshakeGuard::take_token(TimePoint now) {
  const Duration interval = Duration(std::chrono::seconds(1)) / rate_;
  const TimePoint from = std::max(full_at_, now);
  if (from - now > interval * (rate_ - 1)) return false;
  full_at_ = from + interval;
  return true;
}

bool HandshakeGuard::source_allowed(Bytes source, TimePoint now) {
  const Mac place = keyed(bucket_key_, {source});
  TimePoint& full_at = bucket_full_at_[Reader(place).u64() % kBuckets];
  const TimePoint from = std::max(full_at, now);
  if (from - now > kSourceInterval * (kSourceBurst - 1)) return false;
  full_at = from + kSourceInterval;
  return true;
}

Cookie HandshakeGuard::cookie_for(Bytes source, TimePoint now) {
  if (now >= secret_until_) {
    random_.fill(secret_);
    secret_until_ = now + kCookieLifetime;
  }
  return keyed(secret_, {source});
}

std::array<std::uint8_t, HandshakeGuard::kCookieReplySize> HandshakeGuard::cookie_reply(
    std::uint32_t receiver_index, Bytes message, Bytes source, TimePoint now) {
  std::array<std::uint8_t, kCookieReplySize> reply{};
  const auto nonce = random_.array<24>();
  Writer writer(reply);
  writer.u32(receiver_index);
  writer.bytes(nonce);
  const Cookie cookie = cookie_for(source, now);
  const Bytes mac1 = split(message).mac1;
  crypto_aead_xchacha20poly1305_ietf_encrypt(reply.data() + writer.size(), nullptr, cookie.data(),
                                             cookie.size(), mac1.data(), mac1.size(), nullptr,
                                             nonce.data(), keys_.cookie.data());
  return reply;
}

void OutgoingMacs::write(MutBytes message, TimePoint now) {
  assert(message.size() >= HandshakeGuard::kMacs);
  const Split parts = split(message);
  Writer writer(message.last(HandshakeGuard::kMacs));
  last_mac1_ = keyed(keys_.mac1, {parts.body});
  waiting_ = true;
  writer.bytes(last_mac1_);
  if (now < cookie_until_)
    writer.bytes(keyed(cookie_, {parts.covered}));
  else
    writer.zeros(cookie_.size());
}

bool OutgoingMacs::take_cookie(Bytes nonce, Bytes sealed, TimePoint now) {
  if (!waiting_ || nonce.size() != 24 || sealed.size() != cookie_.size() + 16) return false;
  Cookie cookie;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          cookie.data(), nullptr, nullptr, sealed.data(), sealed.size(), last_mac1_.data(),
          last_mac1_.size(), nonce.data(), keys_.cookie.data()) != 0)
    return false;
  cookie_ = cookie;
  cookie_until_ = now + HandshakeGuard::kCookieLifetime - kCookieMargin;
  waiting_ = false;
  return true;
}

}  // namespace i3
