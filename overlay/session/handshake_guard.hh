// Owns what keeps handshakes cheap to refuse: mac1, cookies (mac2) under load, and limits by
// source. The construction is WireGuard's (section 5.3 and 5.4.7 of its paper).
#pragma once

#include <array>

#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"

namespace i3 {

using Mac = std::array<std::uint8_t, 16>;
using Cookie = std::array<std::uint8_t, 16>;

// The keys under which messages *to* `receiver` carry mac1 and cookie replies *from* it are sealed.
struct GuardKeys {
  std::array<std::uint8_t, 32> mac1;
  std::array<std::uint8_t, 32> cookie;

  explicit GuardKeys(const PublicKey& receiver);
};

class HandshakeGuard {
 public:
  static constexpr std::size_t kMacs = 32;  // mac1 and mac2 at the end of first and second
  static constexpr std::size_t kCookieReplySize = 4 + 24 + 32;
  static constexpr Duration kCookieLifetime = std::chrono::seconds(120);
  enum class Verdict { pass, bad_mac, cookie_needed, over_limit };

  HandshakeGuard(const PublicKey& self, Random& random, std::uint32_t handshakes_per_second);

  // Judges a first or second message that arrived. Every message for us costs a token; without
  // tokens left we are under load for a second and demand a cookie and a moderate rate of each
  // source.
  Verdict check(Bytes message, Bytes source, TimePoint now);
  // The reply to a message that check() answered with cookie_needed.
  std::array<std::uint8_t, kCookieReplySize> cookie_reply(std::uint32_t receiver_index,
                                                          Bytes message, Bytes source,
                                                          TimePoint now);
  bool under_load(TimePoint now) const { return now < load_until_; }

 private:
  Cookie cookie_for(Bytes source, TimePoint now);
  bool take_token(TimePoint now);
  bool source_allowed(Bytes source, TimePoint now);

  static constexpr std::size_t kBuckets = 1024;
  GuardKeys keys_;
  Random& random_;
  std::uint32_t rate_;
  std::array<std::uint8_t, 32> secret_{};
  TimePoint secret_until_ = TimePoint::min();
  TimePoint load_until_ = TimePoint::min();
  TimePoint full_at_ = TimePoint::min();
  // Sources share a bucket only if their keyed hashes meet, so no memory grows with sources.
  std::array<std::uint8_t, 32> bucket_key_;
  std::array<TimePoint, kBuckets> bucket_full_at_;
};

// Our side towards one peer: writes mac1 and mac2, keeps the cookie that the peer gave us.
class OutgoingMacs {
 public:
  explicit OutgoingMacs(const PublicKey& receiver) : keys_(receiver) {}

  // Fills the last HandshakeGuard::kMacs bytes.
  void write(MutBytes message, TimePoint now);
  // Takes a reply (nonce and sealed cookie, without index); false if no message of ours caused it.
  bool take_cookie(Bytes nonce, Bytes sealed, TimePoint now);

 private:
  GuardKeys keys_;
  Mac last_mac1_{};
  bool waiting_ = false;  // one cookie per message sent
  Cookie cookie_{};
  TimePoint cookie_until_ = TimePoint::min();
};

}  // namespace i3
