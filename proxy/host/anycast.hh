// Owns which member stands for a group now: who answered, who is best, who fell silent
// (docs/DESIGN.md, decision 6). It knows keys only, so names, gateways and middle-boxes use the
// same.
#pragma once

#include <functional>
#include <vector>

#include "overlay/base/log.hh"
#include "overlay/client/client.hh"
#include "overlay/wire/group.hh"

namespace i3 {

// A group as its users know it. The first `prefer_bits` of `prefer` are the suffix that they want
// their member to share as much of as possible; none: the nearest by round trip.
struct AnycastGroup {
  PublicKey key;
  wire::Suffix prefer{};
  std::uint8_t prefer_bits = 0;
  auto operator<=>(const AnycastGroup&) const = default;
};

struct AnycastMember {
  PublicKey key;
  std::uint8_t common = 0;  // leading bits of the preferred suffix that it shares
  Duration rtt{};           // of its last answer
  TimePoint answered{};
  TimePoint doubted{};       // when it was found silent; an answer to a later question clears it
  TimePoint lost_until{};    // could not be reached: another one is taken, if there is one
  std::uint64_t expiry = 0;  // of its delegation, wall
};

struct AnycastCounters {
  std::uint64_t asked = 0, answers = 0, changes = 0;
  std::uint64_t unexpected = 0;  // an answer to nothing that was asked
  std::uint64_t forged = 0;      // no delegation of the group
};

// Sans-I/O. Groups are made by use(); unknown to everybody else and bounded by who configures them.
class Anycast {
 public:
  static constexpr std::size_t kMaxMembers = 16;
  static constexpr Duration kAskEvery = std::chrono::seconds(30);  // while in use
  static constexpr Duration kRetry = std::chrono::milliseconds(200);
  static constexpr unsigned kTries = 10;
  static constexpr Duration kRound = std::chrono::seconds(1);
  static constexpr Duration kLostFor = std::chrono::seconds(5);
  static constexpr Duration kDoubtFor = std::chrono::milliseconds(500);
  static constexpr Duration kInUse = std::chrono::seconds(60);

  struct Ways {
    std::function<std::uint64_t(const SendById&, TimePoint)> send;
    std::function<WallTime()> wall;
    // Another member, or none: whoever waited for one need not any longer. May call back.
    std::function<void(const PublicKey& group, TimePoint)> changed;
    PublicKey own;  // never chosen: this host
  };
  Anycast(Random& random, Log& log, Ways ways);

  // Whom to go to; nothing while nobody is known, and then it is being asked. Keeps the group's
  // members fresh as long as it is called.
  std::optional<PublicKey> use(const AnycastGroup& group, TimePoint now);
  std::optional<PublicKey> member(const PublicKey& group) const;
  // Nobody is known, and the last questions were answered by nobody or by "not present".
  bool absent(const PublicKey& group) const;
  // A member that showed its delegation and may go on as one: it was not lost, nor doubted for
  // longer than an answer takes.
  bool stands(const PublicKey& group, const PublicKey& member, TimePoint now) const;
  bool asking(const PublicKey& group) const;
  // The member left something unanswered: others are asked, and the first that answers is taken.
  void doubt(const PublicKey& group, const PublicKey& member, TimePoint now);
  // The member cannot be reached, in whatever group it is.
  void lost(const PublicKey& member, TimePoint now);
  void forget(const PublicKey& group);

  // False for what is no answer to a question of these.
  bool on_answer(Bytes payload, TimePoint now);
  void on_not_present(std::uint64_t nonce, TimePoint now);
  TimePoint next_deadline() const;
  void on_timer(TimePoint now);

  const std::vector<AnycastMember>* members(const PublicKey& group) const;
  const AnycastCounters& counters() const { return counters_; }

 private:
  struct Question {
    std::uint64_t nonce = 0;   // of its answers
    std::uint64_t packet = 0;  // of the packet that carried it
    TimePoint sent;
    unsigned answers = 0;
  };
  struct Group {
    AnycastGroup what;
    std::vector<AnycastMember> members;  // at most kMaxMembers
    std::optional<PublicKey> current;
    std::vector<Question> questions;  // of this round, at most kTries
    TimePoint round{};                // when it began
    TimePoint next_try = kNever;
    TimePoint decide = kNever;
    TimePoint used{};
    bool asking = false;
    bool absent = false;
  };

  Group* find(const PublicKey& key);
  const Group* find(const PublicKey& key) const;
  void begin(Group& group, TimePoint now);
  void ask(Group& group, TimePoint now);
  void note(Group& group, const wire::Delegation& delegation, TimePoint sent, TimePoint now);
  void decide(Group& group, TimePoint now);
  void take(Group& group, const std::optional<PublicKey>& member, TimePoint now);
  void nobody(Group& group, TimePoint now);
  const AnycastMember* best(const Group& group, TimePoint now, bool even_lost) const;
  bool current_fails(const Group& group, TimePoint now) const;

  Random& random_;
  Log& log_;
  Ways ways_;
  std::vector<Group> groups_;  // few: searched one by one
  AnycastCounters counters_;
};

// The ID that a question for the group goes to: its prefix, what is preferred, and a random rest,
// so that large groups share the work.
Id anycast_target(const AnycastGroup& group, Random& random);
// Where a member sits: what its delegation says, and a hash of its key behind that.
Id anycast_place(const PublicKey& group, const wire::Delegation& delegation);

}  // namespace i3
