// What a member knows of its ring, as pure tables.
#include "overlay/chord/ring_view.hh"

#include <doctest/doctest.h>

using namespace i3;

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
  view.set_finger(127, peer(1));
  CHECK(view.remove(at(1)));
  CHECK(!view.knows(at(1)));
  CHECK(!view.remove(at(1)));
}

TEST_CASE("only distinct fingers are kept, the nearest to a position comes first") {
  RingView view(at(0), 1, 3);
  view.set_successors({peer(1)});
  view.set_finger(68, peer(20));
  view.set_finger(69, peer(20));
  view.set_finger(72, peer(300));
  CHECK(view.fingers().size() == 2);
  const auto before = view.preceding(at(250));
  REQUIRE(before.size() == 2);
  CHECK(before[0]->id == at(20));
  CHECK(before[1]->id == at(1));
}

TEST_CASE("the bit beyond a member is the lowest whose power passes its distance") {
  RingView view(at(0), 1, 3);
  CHECK(view.bit_beyond(peer(1)) == 65);
  CHECK(view.bit_beyond(peer(std::uint64_t{1} << 63)) == 128);
}
