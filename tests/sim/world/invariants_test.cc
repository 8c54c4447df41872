// The checker of invariants itself: rings that are right pass, each kind of broken one is named.
#include "sim/invariants.hh"

#include <doctest/doctest.h>

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

RingId place(std::uint64_t number) {
  return RingId{number << 32, 0};
}

// Members at 1 to `count`, each with the three that follow it.
RingSnapshot good_ring(std::uint64_t count) {
  RingSnapshot snapshot;
  for (std::uint64_t i = 1; i <= count; ++i) {
    MemberView member;
    member.id = place(i);
    member.predecessor = place(i == 1 ? count : i - 1);
    for (std::uint64_t s = 1; s <= std::min<std::uint64_t>(3, count - 1); ++s)
      member.successors.push_back(place((i - 1 + s) % count + 1));
    snapshot.members.push_back(member);
  }
  return snapshot;
}

bool mentions(const std::vector<std::string>& faults, const std::string& text) {
  for (const std::string& fault : faults)
    if (fault.find(text) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("good rings of one to ten members have no fault") {
  for (std::uint64_t count = 1; count <= 10; ++count) CHECK(ring_faults(good_ring(count)).empty());
}

TEST_CASE("a member that hangs beside the ring but leads into it is no fault") {
  auto ring = good_ring(6);
  MemberView beside;
  beside.id = RingId{place(3).high + 5, 0};
  beside.successors = {place(4), place(5)};
  ring.members.push_back(beside);
  CHECK(ring_faults(ring).empty());
}

TEST_CASE("a dead first successor is passed over; a list of dead ones is a fault") {
  auto ring = good_ring(6);
  ring.members.erase(ring.members.begin() + 3);
  CHECK(ring_faults(ring).empty());
  ring.members.erase(ring.members.begin() + 3, ring.members.end());
  // Of 1, 2 and 3, member 3 knew 4, 5 and 6.
  CHECK(mentions(ring_faults(ring), "has no live successor among 3"));
}

TEST_CASE("the last member of all may still name the dead") {
  auto ring = good_ring(2);
  ring.members.pop_back();
  CHECK(ring_faults(ring).empty());
}

TEST_CASE("a list out of order, or with one member twice, is a fault") {
  auto ring = good_ring(6);
  std::swap(ring.members[2].successors[1], ring.members[2].successors[2]);
  CHECK(mentions(ring_faults(ring), "out of order"));
  ring = good_ring(6);
  ring.members[2].successors[1] = ring.members[2].successors[0];
  CHECK(mentions(ring_faults(ring), "out of order"));
}

TEST_CASE("two rings are a fault, unless they are on two sides or about to merge") {
  auto ring = good_ring(8);
  for (MemberView& member : ring.members) {
    const std::uint64_t at = member.id.high >> 32;
    member.side = at % 2;
    member.successors = {place((at + 1) % 8 + 1), place((at + 3) % 8 + 1)};
  }
  CHECK(ring_faults(ring).empty());
  for (MemberView& member : ring.members) member.side = 0;
  CHECK(mentions(ring_faults(ring), "two rings"));
  CHECK(ring_faults(ring, false).empty());
}

TEST_CASE("a member that takes itself for the whole ring is a second ring") {
  auto ring = good_ring(5);
  ring.members[2].successors.clear();
  ring.members[1].successors = {place(4), place(5)};
  CHECK(mentions(ring_faults(ring), "two rings"));
}

TEST_CASE("a ring that goes round twice is a fault") {
  auto ring = good_ring(5);
  for (MemberView& member : ring.members) {
    const std::uint64_t at = member.id.high >> 32;
    member.successors = {place((at + 1) % 5 + 1)};
  }
  CHECK(mentions(ring_faults(ring), "goes round 2 times"));
}

TEST_CASE("believing in the dead is a fault after each bound, not before it") {
  auto ring = good_ring(6);
  ring.members.erase(ring.members.begin() + 3);  // member 4; 3 and 5 are its neighbours
  const TimePoint death{100s};
  BeliefChecker beliefs({12s, 60s, 240s});
  beliefs.died(place(4), death);
  ring.at = death + 11s;
  CHECK(beliefs.faults(ring).empty());
  ring.at = death + 13s;
  CHECK(mentions(beliefs.faults(ring), "as its"));
  ring.members[2].successors.erase(ring.members[2].successors.begin());
  ring.members[3].predecessor = place(3);
  CHECK(beliefs.faults(ring).empty());  // only later successors are left
  ring.at = death + 61s;
  CHECK(mentions(beliefs.faults(ring), "as a later successor"));
  CHECK(beliefs.longest().list == 61s);
  for (MemberView& member : ring.members) std::erase(member.successors, place(4));
  CHECK(beliefs.faults(ring).empty());
  ring.members[0].others.push_back(place(4));
  CHECK(beliefs.faults(ring).empty());
  ring.at = death + 241s;
  CHECK(mentions(beliefs.faults(ring), "as a finger"));
}

TEST_CASE("who died further back and moves up is believed in from then on") {
  auto ring = good_ring(6);
  ring.members.erase(ring.members.begin() + 3);  // member 4; 5 has it as its predecessor
  MemberView& heir = ring.members[3];
  BeliefChecker beliefs({12s, 600s, 600s});
  heir.predecessor = place(3);
  for (MemberView& member : ring.members) std::erase(member.successors, place(4));
  beliefs.died(place(4), TimePoint{100s});
  ring.at = TimePoint{120s};
  CHECK(beliefs.faults(ring).empty());
  heir.predecessor = place(4);
  ring.at = TimePoint{121s};
  CHECK(beliefs.faults(ring).empty());
  ring.at = TimePoint{132s};
  CHECK(beliefs.faults(ring).empty());
  ring.at = TimePoint{133s};
  CHECK(mentions(beliefs.faults(ring), "as its predecessor"));
}
