// What a member knows of its ring, as pure tables.
#include "overlay/chord/ring_view.hh"

#include <doctest/doctest.h>

using namespace i3;
using namespace std::chrono_literals;

namespace {

RingPeer peer(std::uint64_t place) {
  RingPeer result;
  result.contact.key.bytes[0] = static_cast<std::uint8_t>(place);
  result.contact.v4 = Endpoint{IpAddress::v4(static_cast<std::uint32_t>(place)), 1};
  result.id = RingId{place, 0};
  return result;
}

RingId at(std::uint64_t place) {
  return {place, 0};
}

}  // namespace

TEST_CASE("a successor list ends where it comes round to ourselves") {
  RingView view(at(50), 8, 3);
  view.set_successors({peer(60), peer(80), peer(10), peer(50), peer(60)});
  CHECK(view.successors().size() == 3);
  CHECK(view.whole_ring_known());
}

TEST_CASE("a successor list ends where it laps us without naming us") {
  RingView view(at(50), 8, 3);
  view.set_successors({peer(60), peer(80), peer(10), peer(55)});
  CHECK(view.successors().size() == 3);
}

TEST_CASE("a successor list never holds more than its maximum") {
  RingView view(at(0), 2, 3);
  view.set_successors({peer(1), peer(2), peer(3)});
  CHECK(view.successors().size() == 2);
  CHECK(!view.whole_ring_known());
}

TEST_CASE("a node alone owns everything, one without its predecessor nothing for certain") {
  RingView view(at(50), 8, 3);
  CHECK(view.owns(at(7)));
  view.set_successors({peer(60)});
  CHECK(!view.owns(at(45)));
  view.set_predecessor(peer(40));
  CHECK(view.owns(at(45)));
  CHECK(view.owns(at(50)));
  CHECK(!view.owns(at(40)));
  CHECK(!view.owns(at(55)));
}

TEST_CASE("ownership goes over zero") {
  RingView view(at(5), 8, 3);
  view.set_predecessor(peer(~std::uint64_t{0} - 5));
  CHECK(view.owns(at(~std::uint64_t{0})));
  CHECK(view.owns(at(0)));
  CHECK(!view.owns(at(6)));
}

TEST_CASE("a closer predecessor pushes the old one back, a further one replaces it") {
  RingView view(at(50), 8, 3);
  view.set_predecessor(peer(30));
  view.set_predecessor(peer(40));
  REQUIRE(view.predecessors().size() == 2);
  CHECK(view.predecessors()[1].id == at(30));
  view.set_predecessor(peer(20));
  CHECK(view.predecessors().size() == 1);
}

TEST_CASE("a node holds copies for the ranges of as many predecessors as there are replicas") {
  RingView view(at(50), 2, 3);
  view.set_successors({peer(60), peer(70)});
  view.set_predecessor(peer(40));
  view.set_predecessor_behind(0, peer(30));
  view.set_predecessor_behind(1, peer(20));
  CHECK(view.replicates(at(45), 0));
  CHECK(!view.replicates(at(35), 0));
  CHECK(view.replicates(at(35), 1));
  CHECK(!view.replicates(at(25), 1));
  CHECK(view.replicates(at(25), 2));
  CHECK(!view.replicates(at(15), 2));
}

TEST_CASE("what is removed is gone from every list") {
  RingView view(at(0), 2, 3);
  view.set_successors({peer(1), peer(2)});
  view.set_predecessor(peer(1));
  CHECK(view.remove(at(1)));
  CHECK(!view.knows(at(1)));
  CHECK(!view.remove(at(1)));
}

TEST_CASE("a part of the ring keeps the two nearest members, and forgets them when they are gone") {
  RingView view(at(0), 1, 3);
  view.set_successors({peer(1)});
  const TimePoint now;
  CHECK(!view.offer_finger(peer(1), 5ms, now));  // the list has it
  CHECK(view.offer_finger(peer(1024), 50ms, now));
  CHECK(view.offer_finger(peer(1025), 40ms, now));
  CHECK(!view.offer_finger(peer(1026), 60ms, now));
  CHECK(!view.offer_finger(peer(1026), 48ms, now));  // too little to change for
  CHECK(view.offer_finger(peer(1026), 20ms, now));
  REQUIRE(view.fingers().size() == 2);
  CHECK(!view.knows(at(1024)));
  CHECK(view.offer_finger(peer(1280), 90ms, now));  // the next quarter
  CHECK(view.fingers().size() == 3);
  CHECK(view.fingers().back().part == 1);
  CHECK(view.remove(at(1026)));
  CHECK(view.offer_finger(peer(1024), 50ms, now));
}

TEST_CASE("a member is worth what it is nearer than the one whose place it would take") {
  RingView view(at(0), 1, 3);
  view.set_successors({peer(1)});
  CHECK(view.finger_gain(at(1), 5ms) == Duration{});  // the list has it
  const Duration room = view.finger_gain(at(1024), 30ms);
  CHECK(room > view.finger_gain(at(1024), 50ms));
  view.offer_finger(peer(1024), 50ms, {});
  CHECK(view.finger_gain(at(1024), 5ms) == Duration{});  // it is there
  CHECK(view.finger_gain(at(1025), 30ms) == room);
  view.offer_finger(peer(1025), 40ms, {});
  CHECK(view.finger_gain(at(1026), 30ms) == 20ms);
  CHECK(view.finger_gain(at(1026), 48ms) == Duration{});
  CHECK(view.finger_gain(at(1280), 30ms) == room);  // the next quarter is empty
  CHECK(view.fingers_taken() == 2);
  view.offer_finger(peer(1026), 30ms, {});
  view.offer_finger(peer(1026), 31ms, {});
  CHECK(view.fingers_taken() == 3);
}

TEST_CASE("a measured finger that is offered again is brought up to date") {
  RingView view(at(0), 1, 3);
  view.set_successors({peer(1)});
  const TimePoint now;
  view.offer_finger(peer(1024), 50ms, now);
  view.offer_finger(peer(1024), 70ms, now + 1s);
  REQUIRE(view.fingers().size() == 1);
  CHECK(view.fingers()[0].rtt == 70ms);
  CHECK(view.fingers()[0].answered == now + 1s);
}

TEST_CASE("where the successor list grows over a finger, that one goes") {
  RingView view(at(0), 2, 3);
  view.set_successors({peer(1), peer(2)});
  view.offer_finger(peer(5), 5ms, {});
  view.offer_finger(peer(500), 5ms, {});
  view.set_successors({peer(2), peer(7)});
  view.drop_useless_fingers();
  REQUIRE(view.fingers().size() == 1);
  CHECK(view.fingers()[0].peer.id == at(500));
  view.set_successors({peer(2)});  // all there are
  view.drop_useless_fingers();
  CHECK(view.fingers().empty());
}
