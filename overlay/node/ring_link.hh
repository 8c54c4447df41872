// Owns the authenticated envelope of ring messages: pair keys, membership, both directions.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <unordered_map>

#include "overlay/base/time.hh"
#include "overlay/wire/ring_messages.hh"

namespace i3 {

class RingLink {
 public:
  static constexpr std::size_t kMostKeys = 4096;

  // `identity` must outlive this. With an operator's key, only its members are listened to.
  RingLink(const Identity& identity, const std::optional<PublicKey>& operator_key,
           const std::optional<wire::Membership>& membership)
      : identity_(identity), operator_key_(operator_key), membership_(membership) {}

  // Writes the whole message; false if `to` has no valid key or it does not fit.
  bool seal(Writer& writer, const wire::NodeContact& self, const wire::NodeContact& to,
            wire::RingKind kind, Bytes body);

  enum class Fault { none, malformed, own_key, no_membership, refused, bad_mac };
  struct Opened {
    Fault fault{};
    wire::RingMessage message;  // body borrowed from the datagram
  };
  // `may_compute` is asked before each public-key operation that a stranger causes.
  Opened open(Bytes datagram, WallTime wall, const std::function<bool()>& may_compute);

  const std::optional<wire::Membership>& membership() const { return membership_; }
  bool admits(const PublicKey& key, const std::optional<wire::Membership>& membership,
              WallTime wall) const {
    return !operator_key_ || (membership && membership->valid(*operator_key_, key, wall));
  }

 private:
  struct Known {
    wire::PairKey pair;
    std::uint64_t member_until = 0;
    std::list<PublicKey>::iterator place;
  };
  Known* find(const PublicKey& key);
  Known& remember(const PublicKey& key, const wire::PairKey& pair, std::uint64_t member_until);

  const Identity& identity_;
  std::optional<PublicKey> operator_key_;
  std::optional<wire::Membership> membership_;
  std::unordered_map<PublicKey, Known> known_;
  std::list<PublicKey> recent_;  // most recently used first
};

}  // namespace i3
