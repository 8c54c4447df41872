// Owns when simulated nodes join, leave and die.
#pragma once

#include "sim/lookups.hh"

namespace i3::sim {

struct ChurnPlan {
  double joins_per_second = 0;
  double departures_per_second = 0;
  // Of the departures, those that say nothing to anybody.
  double crash_share = 1;
  // A departure is followed at once by the arrival of a new node, so that their number stays; then
  // joins_per_second is not used.
  bool replace = false;
  SimNode::Change change;
};

// Sessions of exponential length with this median, in a ring of so many nodes that stays that large
// (as in Rhea et al. 2004, "Handling churn in a DHT").
ChurnPlan sessions_of(double median_seconds, std::size_t nodes);

class Churn {
 public:
  Churn(SimNetwork& network, SimRing& ring)
      : network_(network), ring_(ring), machine_(network.add_host()) {}

  void start(const ChurnPlan& plan);
  void stop();
  std::uint64_t joins() const { return joins_; }
  std::uint64_t departures() const { return departures_; }

 private:
  void arm_join();
  void arm_departure();
  void join();
  void depart();

  SimNetwork& network_;
  SimRing& ring_;
  SimNetwork::Host machine_;
  ChurnPlan plan_;
  SimNetwork::Timer join_timer_ = 0, departure_timer_ = 0;
  std::uint64_t joins_ = 0, departures_ = 0;
};

}  // namespace i3::sim
