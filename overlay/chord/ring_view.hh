// Owns what one member knows of its ring: successor list, predecessors, fingers. Pure tables.
#pragma once

#include <optional>
#include <vector>

#include "overlay/base/time.hh"
#include "overlay/wire/contact.hh"

namespace i3 {

// A node with its place, which takes a hash to compute.
struct RingPeer {
  wire::NodeContact contact;
  RingId id;

  RingPeer() = default;
  explicit RingPeer(const wire::NodeContact& node) : contact(node), id(node.ring_id()) {}
  bool operator==(const RingPeer& other) const { return contact == other.contact; }
};

// A member to route by, chosen among those of its part of the ring for its nearness. The ring
// beyond the successor list is divided by distance: into [2^bit, 2^(bit + 1)), and each of these
// into kFingerParts equal parts, of which each keeps the kFingersPerPart with the smallest round
// trip. Fingers only make look-ups faster; nothing is wrong without them (Zave 2017).
struct Finger {
  unsigned bit = 0;
  unsigned part = 0;
  RingPeer peer;
  Duration rtt{};  // measured
  TimePoint answered;
  unsigned asked = 0;  // for whom it routes by, so often
};

// No list ever holds `self` or one member twice.
class RingView {
 public:
  static constexpr unsigned kFingerParts = 4, kFingersPerPart = 2;

  RingView(RingId self, std::size_t max_successors, std::size_t max_predecessors)
      : self_(self), max_successors_(max_successors), max_predecessors_(max_predecessors) {}

  RingId self() const { return self_; }
  const std::vector<RingPeer>& successors() const { return successors_; }      // nearest first
  const std::vector<RingPeer>& predecessors() const { return predecessors_; }  // nearest first
  const std::vector<Finger>& fingers() const { return fingers_; }              // by bit, part
  std::vector<Finger>& fingers() { return fingers_; }
  const RingPeer* successor() const { return successors_.empty() ? nullptr : &successors_.front(); }
  const RingPeer* predecessor() const {
    return predecessors_.empty() ? nullptr : &predecessors_.front();
  }
  bool alone() const { return successors_.empty() && predecessors_.empty(); }

  // Takes `list` in the order given up to where it passes `self` or falls back, and up to the
  // maximum. True if this changed anything.
  bool set_successors(const std::vector<RingPeer>& list);
  // A new nearest predecessor. What was known before stays behind it where it still fits.
  bool set_predecessor(const RingPeer& peer);
  // The predecessor of predecessors()[index]; ignored if it is out of order.
  bool set_predecessor_behind(std::size_t index, const RingPeer& peer);
  // A member that has just answered. True if it was taken, or was a finger already.
  bool offer_finger(const RingPeer& peer, Duration rtt, TimePoint now);
  // True if one of that distance and round trip would be taken.
  bool wants_finger(RingId id, Duration rtt) const;
  // By how much it would be nearer than the one whose place it takes; where there is room, a second
  // less its round trip. Zero if it would not be taken, or is a finger.
  Duration finger_gain(RingId id, Duration rtt) const;
  // How many fingers were taken so far that were none before.
  std::uint64_t fingers_taken() const { return fingers_taken_; }
  // Fingers that the successor list has grown over serve nothing.
  void drop_useless_fingers();
  bool remove_finger(RingId id);
  // Forgets a member everywhere. True if it stood anywhere.
  bool remove(RingId id);
  // The same place, answered from elsewhere: takes the newer contact.
  void update(const RingPeer& peer);

  bool knows(RingId id) const;
  // Successor or predecessor.
  bool neighbour(RingId id) const;
  // position in (predecessor, self]; a member without any other member owns everything, one that
  // lacks only its predecessor nothing for certain.
  bool owns(RingId position) const;
  // position in (the predecessor before the `replicas` ones, self]; everything while the ring is
  // known not to have so many members.
  bool replicates(RingId position, std::size_t replicas) const;
  // True if the successor list goes all the way round.
  bool whole_ring_known() const { return successors_.size() < max_successors_; }
  // The lowest bit of which a part lies beyond the successor list; 128 if there is none.
  unsigned first_useful_bit() const;
  // The average distance between members, as the successor list shows it; zero if it is empty.
  RingId spacing() const;

 private:
  // The fingers of the part that a distance lies in.
  std::pair<std::size_t, std::size_t> same_part(RingId distance) const;

  RingId self_;
  std::size_t max_successors_;
  std::size_t max_predecessors_;
  std::vector<RingPeer> successors_;
  std::vector<RingPeer> predecessors_;
  std::vector<Finger> fingers_;  // by bit and part
  std::uint64_t fingers_taken_ = 0;
};

}  // namespace i3
