#include "sim/invariants.hh"

#include <cstdio>

namespace i3::sim {
namespace {

constexpr std::size_t kNone = ~std::size_t{0};

std::string name(const MemberView& member) {
  return "member " + member.id.hex().substr(0, 12);
}

bool in_order(const MemberView& member) {
  RingId last{};
  for (const RingId id : member.successors) {
    const RingId distance = id.minus(member.id);
    if (distance <= last) return false;
    last = distance;
  }
  return true;
}

using Places = std::unordered_map<RingId, std::size_t>;

// The first successor that lives; oneself where there is no successor.
std::size_t next_of(const RingSnapshot& snapshot, const Places& places, std::size_t at) {
  const MemberView& member = snapshot.members[at];
  if (member.successors.empty()) return at;
  for (const RingId id : member.successors) {
    auto found = places.find(id);
    if (found != places.end() && snapshot.members[found->second].side == member.side)
      return found->second;
  }
  return kNone;
}

struct Cycle {
  std::size_t entry;
  std::size_t size = 0;
  std::size_t laps = 0;
};

// Every cycle of the graph in which each member points at one other.
std::vector<Cycle> cycles_of(const RingSnapshot& snapshot, const std::vector<std::size_t>& next) {
  std::vector<std::size_t> walked_from(next.size(), kNone);
  std::vector<Cycle> cycles;
  for (std::size_t start = 0; start < next.size(); ++start) {
    std::size_t at = start;
    while (at != kNone && walked_from[at] == kNone) {
      walked_from[at] = start;
      at = next[at];
    }
    if (at == kNone || walked_from[at] != start) continue;  // a dead end, or an earlier walk
    Cycle cycle{at};
    std::size_t i = at;
    do {
      ++cycle.size;
      if (snapshot.members[next[i]].id <= snapshot.members[i].id) ++cycle.laps;
      i = next[i];
    } while (i != at);
    cycles.push_back(cycle);
  }
  return cycles;
}

std::string seconds(Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(duration).count());
  return text;
}

}  // namespace

std::vector<std::string> ring_faults(const RingSnapshot& snapshot, bool one_ring) {
  std::vector<std::string> faults;
  Places places;
  for (std::size_t i = 0; i < snapshot.members.size(); ++i) places[snapshot.members[i].id] = i;

  std::unordered_map<unsigned, std::size_t> members;  // by side
  for (const MemberView& member : snapshot.members) ++members[member.side];
  std::vector<std::size_t> next(snapshot.members.size());
  bool dead_end = false, disorder = false;
  for (std::size_t i = 0; i < next.size(); ++i) {
    const MemberView& member = snapshot.members[i];
    next[i] = next_of(snapshot, places, i);
    // The last one of all has nobody to name. How soon it notices is for BeliefChecker.
    if (next[i] == kNone && members[member.side] == 1) next[i] = i;
    if (next[i] == kNone && !dead_end) {
      dead_end = true;
      faults.push_back(name(member) + " has no live successor among " +
                       std::to_string(member.successors.size()));
    }
    if (!disorder && !in_order(member)) {
      disorder = true;
      faults.push_back(name(member) + " has a successor list out of order");
    }
  }
  if (!one_ring) return faults;

  std::unordered_map<unsigned, std::size_t> rings;  // by side
  for (const MemberView& member : snapshot.members) rings.emplace(member.side, 0);
  for (const Cycle& cycle : cycles_of(snapshot, next)) {
    const MemberView& member = snapshot.members[cycle.entry];
    if (++rings[member.side] == 2)
      faults.push_back("two rings: " + name(member) + " belongs to another one of " +
                       std::to_string(cycle.size));
    if (cycle.laps != 1)
      faults.push_back("the ring of " + name(member) + " goes round " + std::to_string(cycle.laps) +
                       " times");
  }
  for (const auto& [side, count] : rings)
    if (count == 0) faults.push_back("no ring on side " + std::to_string(side));
  return faults;
}

TimePoint BeliefChecker::since(Neighbour& known, RingId id) const {
  if (known.id != id) known = {id, before_};
  return known.since;
}

std::vector<std::string> BeliefChecker::faults(const RingSnapshot& snapshot) {
  std::vector<std::string> faults;
  bool said_neighbour = false, said_list = false, said_finger = false;
  auto judge = [&](const MemberView& member, RingId id, TimePoint from, Duration bound,
                   Duration& longest, bool& said, const char* place) {
    auto dead = dead_.find(id);
    if (dead == dead_.end()) return;
    const Duration since = snapshot.at - std::max(dead->second, from);
    longest = std::max(longest, since);
    if (since <= bound || said) return;
    said = true;
    faults.push_back(name(member) + " has " + id.hex().substr(0, 12) + ", dead for " +
                     seconds(snapshot.at - dead->second) + ", as " + place);
  };
  for (const MemberView& member : snapshot.members) {
    auto& [before, after] = neighbours_[member.id];
    if (member.predecessor)
      judge(member, *member.predecessor, since(before, *member.predecessor), bounds_.neighbour,
            longest_.neighbour, said_neighbour, "its predecessor");
    for (std::size_t i = 0; i < member.successors.size(); ++i)
      if (i == 0)
        judge(member, member.successors[0], since(after, member.successors[0]), bounds_.neighbour,
              longest_.neighbour, said_neighbour, "its successor");
      else
        judge(member, member.successors[i], {}, bounds_.list, longest_.list, said_list,
              "a later successor");
    for (const RingId id : member.others)
      judge(member, id, {}, bounds_.finger, longest_.finger, said_finger,
            "a finger or predecessor further back");
  }
  before_ = snapshot.at;
  return faults;
}

}  // namespace i3::sim
