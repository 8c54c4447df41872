// Owns one simulated world: network, ring, look-ups and churn, with every invariant checked as time
// goes on.
#pragma once

#include "sim/churn.hh"
#include "sim/traffic.hh"

namespace i3::sim {

struct WorldPlan {
  std::uint64_t seed = 1;
  std::size_t successors = 0;  // 0: as a daemon has it by default
  double loss = 0;
  bool odd_site = false;  // see LatencyMatrix
  Duration check_every = std::chrono::seconds(1);
  BeliefBounds bounds;
};

class World {
 public:
  explicit World(const WorldPlan& plan);

  // Joins until there are `nodes`, a tenth more a second; then waits until the ring is ideal and
  // fingers were looked up. False if it is not ideal after two minutes.
  bool grow(std::size_t nodes);
  bool settle(Duration limit);
  // Advances, and checks the invariants at every step.
  void run_for(Duration duration);
  bool run_until(const std::function<bool()>& condition, Duration limit,
                 Duration step = std::chrono::milliseconds(100));
  // Sides that cannot talk to each other, until the next call; empty: all can.
  void partition(std::function<unsigned(SimNetwork::Host)> side);
  // After a partition: several rings are allowed so long from now.
  void allow_several_rings(Duration duration) { several_until_ = network.now() + duration; }
  SimNode::Change change() const;
  double seconds() const;

  // What was broken: time, then the rule. Only the first of many are kept.
  const std::vector<std::string>& violations() const { return violations_; }
  std::uint64_t violation_count() const { return violation_count_; }
  std::uint64_t snapshots() const { return snapshots_; }
  const BeliefBounds& longest_beliefs() const { return beliefs_.longest(); }

  WorldPlan plan;
  SimNetwork network;
  SimRing ring;
  Sites sites;
  Lookups lookups;
  Churn churn;
  Traffic traffic;

 private:
  void check();

  BeliefChecker beliefs_;
  std::function<unsigned(SimNetwork::Host)> side_;
  TimePoint several_until_{};
  TimePoint next_check_;
  std::vector<std::string> violations_;
  std::uint64_t violation_count_ = 0, snapshots_ = 0;
};

}  // namespace i3::sim
