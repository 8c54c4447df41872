// Owns what must hold of a ring at every moment (Zave 2017, section 3), checked on snapshots of
// what all members believe. Knows nothing of nodes or networks, so a test can hand it a bad ring.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "overlay/base/id.hh"
#include "overlay/base/time.hh"

namespace i3::sim {

// One member's beliefs.
struct MemberView {
  RingId id;
  unsigned side = 0;  // members of different sides cannot talk now
  std::optional<RingId> predecessor;
  std::vector<RingId> successors;  // nearest first; none: it takes itself for its successor
  std::vector<RingId> others;      // fingers and predecessors further back
};

// All members that live, in any order.
struct RingSnapshot {
  TimePoint at;
  std::vector<MemberView> members;
};

// For how long after its death somebody may still believe in a member.
struct BeliefBounds {
  // As its successor or predecessor: after its death, or after it became that if that was later.
  // Who died while it stood further back moves up when those before it are given up.
  Duration neighbour = std::chrono::seconds(20);
  Duration list = std::chrono::seconds(60);     // further back in its successor list
  Duration finger = std::chrono::seconds(240);  // anywhere
};

// One sentence about the first member that is wrong, per rule that is broken:
//  - every member has a live entry in its successor list, or an empty one (then it is its own
//    successor, and a ring by itself), unless nobody else lives;
//  - every list goes once round the ring at most, in order;
//  - there is one ring (a cycle along first live successors), not none and not several;
//  - it goes round the identifier circle once;
//  - every other member leads into it.
// With several sides each is judged by itself. `one_ring` false: rings that are about to merge are
// allowed, the first two rules are not given up.
std::vector<std::string> ring_faults(const RingSnapshot& snapshot, bool one_ring = true);

// Remembers deaths to see who goes on believing in the dead.
class BeliefChecker {
 public:
  explicit BeliefChecker(const BeliefBounds& bounds) : bounds_(bounds) {}

  void died(RingId id, TimePoint now) { dead_[id] = now; }
  void alive(RingId id) { dead_.erase(id); }
  // At most one sentence for each bound.
  std::vector<std::string> faults(const RingSnapshot& snapshot);
  // The longest that a belief of each kind was seen to last.
  const BeliefBounds& longest() const { return longest_; }

 private:
  BeliefBounds bounds_;
  BeliefBounds longest_{Duration(0), Duration(0), Duration(0)};
  // A member's successor or predecessor, and the last snapshot in which it was not that yet.
  struct Neighbour {
    std::optional<RingId> id;
    TimePoint since{};
  };
  TimePoint since(Neighbour& known, RingId id) const;

  std::unordered_map<RingId, TimePoint> dead_;
  std::unordered_map<RingId, std::array<Neighbour, 2>> neighbours_;
  TimePoint before_{};  // the last snapshot
};

}  // namespace i3::sim
