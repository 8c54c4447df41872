// Owns the names of anycast groups, and of what is behind groups of gateways: a virtual address
// each that stays the same, conversations that stay with a member, and the way to the next member
// when one falls silent.
#pragma once

#include <memory>

#include "proxy/host/anycast.hh"
#include "proxy/host/anycast_behind.hh"
#include "proxy/host/anycast_flows.hh"
#include "proxy/host/early_fragments.hh"
#include "proxy/host/host.hh"

namespace i3 {

struct AnycastName {
  std::string name;  // without suffix, lower case
  AnycastGroup group;
  auto operator<=>(const AnycastName&) const = default;
};

struct AnycastNameCounters {
  std::uint64_t moved = 0;      // conversations that began anew with another member
  std::uint64_t broken = 0;     // that ended with their member
  std::uint64_t no_member = 0;  // packets whose sender was told that nobody is there
  std::uint64_t park_full = 0;  // packets beyond what waits for a member
  std::uint64_t park_lost = 0;  // packets that waited for a name that went
  std::uint64_t no_room = 0;    // conversations beyond kMaxFlows
  std::uint64_t no_flow = 0;    // fragments and errors of no conversation
  std::uint64_t malformed = 0;  // no IP packet
  std::uint64_t withheld = 0;   // errors that another member makes good
  std::uint64_t held = 0;       // fragments that came before their first one
  std::uint64_t held_full = 0;  // such fragments beyond what is held
};

// Sans-I/O, one thread, beside one Host that is not anonymous.
class AnycastNames {
 public:
  static constexpr std::size_t kMaxNames = 256;
  static constexpr std::size_t kMaxParked = 32;  // packets of a name that wait for a member
  static constexpr std::size_t kMaxFirst =
      2048;  // with more conversations no first packets are kept
  static constexpr Duration kHeardLately = std::chrono::milliseconds(100);
  static constexpr Duration kLeastPatience = std::chrono::milliseconds(250);
  static constexpr Duration kSilence = std::chrono::milliseconds(1200);
  static constexpr Duration kOpening = std::chrono::seconds(1);
  static constexpr Duration kWatchEvery = std::chrono::seconds(5);  // conversations that are idle
  static constexpr Duration kSweepEvery = std::chrono::seconds(30);
  static constexpr Duration kCheckEvery = std::chrono::milliseconds(50);

  AnycastNames(Host& host, Anycast& anycast, Clock& clock,
               std::function<void(Bytes)> write_to_program);

  void set_names(std::vector<AnycastName> names);
  bool has(std::string_view name) const { return find(name) != nullptr; }
  struct Addresses {
    PublicKey key;  // the group's
    VirtualIp ipv4, ipv6;
  };
  // What a DNS answer says; a member is looked for at once. Nothing for other names, and when no
  // address is free.
  std::optional<Addresses> meet(std::string_view name);
  // The same by the group's key.
  std::optional<std::string> name_of(const PublicKey& key) const;
  std::optional<std::string> name_at(const IpAddress& virtual_address) const;
  // Calls back with the member that stands for the name, or with nothing when nobody answers.
  void when_known(std::string_view name, std::function<void(std::optional<PublicKey>)> done);

  // Names behind groups of gateways.
  AnycastBehind& behind() { return behind_; }
  const AnycastBehind& behind() const { return behind_; }
  bool is_group(const PublicKey& key) const { return find(key) != nullptr; }
  // Who stands for that group now, as Anycast::use().
  std::optional<PublicKey> stand_in(const PublicKey& group, TimePoint now);
  std::optional<PublicKey> key_of(std::string_view name) const;
  void restore(std::string_view state);

  // As in GroupEvents and Visits::on_tun.
  bool on_tun(Frame frame);
  bool to_program(MutBytes packet);
  // The rest of it is done by the next on_timer: the host is in the midst of its peers.
  void on_absent(const Peer& peer);
  void changed(const PublicKey& group, TimePoint now);
  TimePoint next_deadline() const;
  void on_timer();

  struct Status {
    std::string name;
    PublicKey key;
    VirtualIp ipv4, ipv6;
    std::optional<PublicKey> member;
    std::size_t flows = 0;
    std::vector<AnycastMember> members;
  };
  std::vector<Status> status() const;
  const AnycastNameCounters& counters() const { return counters_; }

 private:
  struct Name {
    AnycastName what;
    VirtualIp ipv4, ipv6;
    std::vector<std::vector<std::uint8_t>> parked;
    std::vector<std::function<void(std::optional<PublicKey>)>> waiting;
    // The member was asked for a sign of life, and how long that may take.
    TimePoint nudged = kNever;
    Duration patience{};
    TimePoint next_watch = kNever;
  };

  // What an address stands for: a group, or what is behind it.
  struct Place {
    Name* group = nullptr;
    AnycastBehind::Name* behind = nullptr;
  };

  Name* find(std::string_view name) const;
  Name* find(const PublicKey& group) const;
  Place place_of(const IpAddress& address) const;
  void forget(Name& name);
  // 1 its conversation  2 else the member that stands for the name  3 that one's address
  void out(const Place& place, IpPacket packet, Frame frame, TimePoint now);
  void out(Bytes packet, TimePoint now);
  AnycastFlow* open(const Place& place, const FlowKey& key, const PublicKey& member,
                    const IpPacket& packet, TimePoint now);
  void note(Name& name, AnycastFlow& flow, const IpView& packet, TimePoint now);
  void hold_out(const IpPacket& packet, TimePoint now);
  void followed_in(const IpView& first, const std::optional<FlowKey>& key);
  void release_early(TimePoint now);
  void park(Name& name, Bytes packet);
  void answer_nobody(Bytes packet);
  void nudge(Name& name, Peer& peer, Duration patience, TimePoint now);
  void ask_for_life(Name& name, Peer& peer, TimePoint now);
  void check(Name& name, TimePoint now);
  void lost(const PublicKey& member, TimePoint now);
  void watch(Name& name, TimePoint now);
  // The member fails: conversations that no program heard from begin anew with another one, the
  // others end. `to`: nothing where there is none yet.
  void leave(Name& name, const PublicKey& member, const std::optional<PublicKey>& to, bool gone,
             TimePoint now);
  void reset(const FlowKey& key, const AnycastFlow& flow);

  Host& host_;
  Anycast& anycast_;
  Clock& clock_;
  std::function<void(Bytes)> write_;
  std::vector<std::unique_ptr<Name>> names_;
  std::unordered_map<IpAddress, Name*> by_address_;
  AnycastFlows flows_;
  EarlyFragments early_;
  AnycastBehind behind_;
  std::vector<PublicKey> absent_;  // found so since the last on_timer; bounded by the peers
  TimePoint next_sweep_ = kNever;
  AnycastNameCounters counters_;
};

}  // namespace i3
