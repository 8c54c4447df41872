// Owns who may insert, remove and refresh triggers at a node: cookies, proofs and refresh tokens.
#pragma once

#include <functional>
#include <variant>

#include "overlay/triggers/trigger_table.hh"
#include "overlay/wire/insert.hh"

namespace i3 {

// 1 cookie  2 the ID lies under the owner's key  3 expiries  4 sequence, quotas  5 signatures
// Each step costs more than the one before; nothing is stored, and no signature looked at, before
// the source address has proven itself with a cookie.
class Admission {
 public:
  static constexpr Duration kCookieEpoch = std::chrono::seconds(60);
  static constexpr Duration kTokenStep = std::chrono::milliseconds(250);

  // `table` must outlive this. `random` is used only here.
  Admission(TriggerTable& table, Random& random);

  struct Challenge {
    wire::Cookie cookie;
  };
  struct Inserted {
    wire::Label label;
    Duration lifetime{};
    std::array<std::uint8_t, 16> token{};
  };
  struct Refused {
    wire::Refusal reason;
  };
  struct Silence {};  // may_verify said no
  using Answer = std::variant<Challenge, Inserted, Refused, Silence>;

  // `message` is the insertion's bytes as received from `from`; `node` this node's ring ID;
  // `as_owner` whether it owns the ID.
  // `may_verify` is asked once, before the first signature; false means: not now.
  Answer insert(const wire::Insert& insert, Bytes message, const Endpoint& from, RingId node,
                bool as_owner, TimePoint now, WallTime wall,
                const std::function<bool()>& may_verify);

  // When the token was given, if it is one of ours for this endpoint and these keys.
  std::optional<TimePoint> granted(const wire::Refresh& refresh, const Endpoint& from,
                                   TimePoint now) const;
  // A refresh token: when it was given, and a MAC of that. Each refresh gives the next one, and
  // the table takes no old one for more than two lifetimes, so that a recorded one is soon worth
  // nothing.
  std::array<std::uint8_t, 16> token(const Endpoint& from, const PublicKey& owner,
                                     const PublicKey& member, TimePoint now) const;
  wire::Cookie cookie(const Endpoint& from, const Id& id, TimePoint now) const;
  bool valid_cookie(const wire::Cookie& cookie, const Id& id, const Endpoint& from,
                    TimePoint now) const;

 private:
  wire::Cookie cookie_of(const Endpoint& from, const Id& id, std::uint64_t epoch) const;
  std::array<std::uint8_t, 16> token_of(const Endpoint& from, const PublicKey& owner,
                                        const PublicKey& member, std::uint32_t step) const;

  TriggerTable& table_;
  std::array<std::uint8_t, 32> cookie_secret_;
  std::array<std::uint8_t, 32> token_secret_;
};

}  // namespace i3
