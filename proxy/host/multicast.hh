// Owns a host's multicast groups: packets of local programs to a group's address, sealed once and
// copied by the overlay, and those of other members, for the programs that joined.
#pragma once

#include "overlay/session/group_seal.hh"
#include "proxy/host/host.hh"

namespace i3 {

struct MulticastName {
  std::string name;  // without suffix, lower case
  PublicKey key;     // as books have it
  std::optional<GroupSecret> secret;
  IpAddress address;  // that local programs join and send to
  bool operator==(const MulticastName&) const = default;
};

struct MulticastCounters {
  std::uint64_t sent = 0;      // packets of local programs
  std::uint64_t copies = 0;    // ID packets that they became
  std::uint64_t received = 0;  // given to local programs
  std::uint64_t own = 0;       // our own, come back
  std::uint64_t replayed = 0, older_start = 0, not_authentic = 0, malformed = 0;
  std::uint64_t not_joined = 0;   // for a group that no local program is in
  std::uint64_t no_members = 0;   // not sent: nobody was there a moment ago
  std::uint64_t not_carried = 0;  // neither UDP nor of the group's family
  std::uint64_t too_big = 0;      // no room in a message
  std::uint64_t no_sender = 0;    // its sender got no virtual address here
};

// A packet reaches at most kDefaultCopies members. Larger groups are cut into 2^level parts, by a
// hash of the member's key; members sit in the whole group and in the part of the level that its
// size asks for, and the levels beside that one, and senders send to each part.
inline constexpr unsigned kMostParts = 5;  // levels
unsigned multicast_level(std::size_t members);
Id multicast_place(const PublicKey& owner, unsigned level, std::size_t part);
std::size_t multicast_part(const PublicKey& member, unsigned level);

// Sans-I/O, one thread, beside one Host that is not anonymous.
class Multicast {
 public:
  static constexpr std::size_t kMaxGroups = 16;
  // What fits an ID packet on an underlay of 1500 bytes; longer ones are fragmented by the kernel,
  // whose route says so.
  static constexpr std::size_t kMtu = 1320;
  static constexpr Duration kAskEvery = std::chrono::seconds(1);  // that a node answers for
  static constexpr Duration kAbsentFor = std::chrono::milliseconds(500);
  static constexpr Duration kCountEvery = std::chrono::seconds(20);
  static constexpr Duration kBothLevels = std::chrono::seconds(45);  // after a change
  static constexpr Duration kDelegated = std::chrono::hours(24);

  Multicast(Host& host, Clock& clock, Random& random, Log& log,
            std::function<void(Bytes)> write_to_program);

  void set_names(std::vector<MulticastName> names);
  // The addresses that local programs have joined, of whatever group.
  void set_joined(const std::vector<IpAddress>& addresses);
  bool empty() const { return groups_.empty(); }
  std::optional<IpAddress> address_of(std::string_view name) const;
  std::optional<std::string> name_at(const IpAddress& address) const;

  // A packet that a local program sent; false, and untouched, if it is for none of these groups.
  bool on_tun(Frame frame);
  void on_packet(const wire::IdPacket& packet, TimePoint now);
  void on_forwarded(std::uint64_t nonce, const wire::Forwarded& forwarded, TimePoint now);
  void on_not_present(std::uint64_t nonce, TimePoint now);
  TimePoint next_deadline() const;
  void on_timer();

  struct Status {
    std::string name;
    PublicKey key;
    PublicKey owner;  // of its triggers
    IpAddress address;
    bool joined = false;
    std::size_t members = 0;  // as far as known, 255 at most
    unsigned level = 0;
    std::size_t senders = 0;  // heard of
    std::uint64_t sent = 0, received = 0;
  };
  std::vector<Status> status() const;
  const MulticastCounters& counters() const { return counters_; }

 private:
  struct Group {
    MulticastName what;
    std::unique_ptr<Identity> owner;
    std::unique_ptr<GroupSealer> sealer;
    std::unique_ptr<GroupOpener> opener;
    bool joined = false;
    std::vector<Id> held;      // our places, while joined
    TimePoint renew = kNever;  // our delegation
    std::uint64_t asked = 0;   // the packet that a node was to answer for
    TimePoint next_ask{};
    TimePoint absent_until{};
    std::size_t members = 0;
    unsigned level = 0;
    TimePoint both_until{};  // the whole group is sent to as well
    TimePoint next_count = kNever;
    TimePoint counted_for{};  // when somebody last needed the count
    std::uint64_t sent = 0, received = 0;
  };

  Group* with_address(const IpAddress& address) const;
  void send(Group& group, const IpView& packet, TimePoint now);
  void place(Group& group, TimePoint now);
  void leave(Group& group, TimePoint now);
  void count(Group& group, TimePoint now);
  void counted(const PublicKey& owner, std::size_t members);
  void deliver(Group& group, const PublicKey& sender, MutBytes packet, TimePoint now);

  Host& host_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  std::function<void(Bytes)> write_;
  std::vector<std::unique_ptr<Group>> groups_;
  std::vector<IpAddress> joined_;
  MulticastCounters counters_;
};

}  // namespace i3
