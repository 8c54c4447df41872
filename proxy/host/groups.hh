// Owns a host's groups: the anycast names that it uses, the groups that it is a member of, and its
// multicast groups.
#pragma once

#include "overlay/base/token_bucket.hh"
#include "proxy/host/anycast_names.hh"
#include "proxy/host/group_events.hh"
#include "proxy/host/multicast.hh"

namespace i3 {

// This host may stand for the group: its trigger lies under the group's prefix.
struct Membership {
  std::string name;  // of the group, for people
  PublicKey group;
  wire::Delegation delegation;  // for this host's key
  bool operator==(const Membership&) const = default;
};

struct GroupCounters {
  std::uint64_t asked = 0;      // questions answered
  std::uint64_t over_rate = 0;  // and not answered
  std::uint64_t malformed = 0;
  std::uint64_t no_member = 0;  // for a group that this host is no member of
};

class Groups final : public GroupEvents {
 public:
  // The references outlive it; `write_to_program` gets whole packets. `host` is told of it, and
  // forgets it when it goes.
  Groups(Host& host, Clock& clock, Random& random, Log& log,
         std::function<void(Bytes)> write_to_program);
  ~Groups() override;

  // Those that do not stay are let go.
  void set_memberships(std::vector<Membership> memberships);
  const std::vector<Membership>& memberships() const { return memberships_; }
  Anycast& anycast() { return anycast_; }
  AnycastNames& names() { return names_; }
  const AnycastNames& names() const { return names_; }
  const Anycast& anycast() const { return anycast_; }
  Multicast& multicast() { return multicast_; }

  // A packet that a local program sent, changed in place; false, and untouched, if it is for no
  // group.
  bool on_tun(Frame frame) { return names_.on_tun(frame) || multicast_.on_tun(frame); }
  TimePoint next_deadline() const;
  void on_timer();
  const GroupCounters& counters() const { return counters_; }

 private:
  // GroupEvents
  bool to_program(MutBytes packet) override { return names_.to_program(packet); }
  void on_packet(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) override;
  void on_answer(Bytes payload, TimePoint now) override { anycast_.on_answer(payload, now); }
  void on_forwarded(std::uint64_t nonce, const wire::Forwarded& forwarded, TimePoint now) override {
    multicast_.on_forwarded(nonce, forwarded, now);
  }
  void on_not_present(std::uint64_t nonce, TimePoint now) override {
    anycast_.on_not_present(nonce, now);
    multicast_.on_not_present(nonce, now);
  }
  void on_absent(Peer& peer, TimePoint) override { names_.on_absent(peer); }
  bool is_group(const PublicKey& key) const override { return names_.is_group(key); }
  std::optional<PublicKey> stand_in(const PublicKey& group, TimePoint now) override {
    return names_.stand_in(group, now);
  }
  bool stands(const PublicKey& group, const PublicKey& member, TimePoint now) const override {
    return anycast_.stands(group, member, now);
  }
  bool asking(const PublicKey& group) const override { return anycast_.asking(group); }
  void doubt(const PublicKey& group, const PublicKey& member, TimePoint now) override {
    anycast_.doubt(group, member, now);
  }
  void lost(const PublicKey& member, TimePoint now) override { anycast_.lost(member, now); }

  void answer(const wire::IdPacket& packet, const Endpoint& node, TimePoint now);

  Host& host_;
  Clock& clock_;
  Anycast anycast_;
  AnycastNames names_;
  Multicast multicast_;
  std::vector<Membership> memberships_;  // at most kMaxMemberships
  TokenBucket answers_;
  GroupCounters counters_;
};

inline constexpr std::size_t kMaxMemberships = 16;
// What the nodes let through to a member's place in a group.
inline constexpr std::uint32_t kMemberRate = 500;

}  // namespace i3
