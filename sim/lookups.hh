// Owns look-ups as a load on a simulated ring: who asks, which answers are right, how far they
// went.
#pragma once

#include <array>

#include "sim/latency.hh"
#include "sim/sim_ring.hh"

namespace i3::sim {

// What became of the look-ups of some stretch of time.
struct LookupTally {
  std::uint64_t right = 0;
  std::uint64_t wrong = 0;  // named a node that owned the position at no moment since the question
  std::uint64_t unknown = 0;   // the node said that it found nobody, or nothing in 10 s
  std::uint64_t departed = 0;  // the asking node died first; not counted in total()
  std::uint64_t hops = 0;      // of the right ones: messages from the asking node to the owner
  std::uint64_t most_hops = 0;
  // Of the right ones with another owner than the asking node itself.
  std::uint64_t measured = 0;
  double took = 0;                     // seconds, from the question until the answer was back
  double reached = 0;                  // until the owner had the question
  double direct = 0;                   // one way between the asking node and the owner
  std::vector<float> stretch;          // took / round trip, each
  std::vector<float> one_way_stretch;  // reached / one way, each

  std::uint64_t total() const { return right + wrong + unknown; }
  double mean_hops() const { return right ? double(hops) / double(right) : 0; }
  double failures_per_10000() const {
    return total() ? 1e4 * double(wrong + unknown) / double(total()) : 0;
  }
  // Of the means, so that near pairs do not count more than far ones.
  double mean_stretch() const { return direct > 0 ? took / (2 * direct) : 0; }
  double mean_one_way_stretch() const { return direct > 0 ? reached / direct : 0; }
  void add(const LookupTally& other);
};

// The `share`th value in order, 0 to 1; 0 of nothing.
float percentile(std::vector<float> values, double share);

class Lookups {
 public:
  Lookups(SimNetwork& network, SimRing& ring, Sites& sites)
      : network_(network), ring_(ring), sites_(sites), machine_(network.add_host()) {}

  // A random member asks for a random position.
  void ask();
  // So often, at random times, until the rate is set to 0.
  void set_rate(double per_second);

  // To be told of everything that is sent, and of each change of membership.
  void on_sent(Bytes message);
  void on_members();

  // What is finished since the last call; questions still open stay for the next one.
  LookupTally take();
  std::size_t open() const { return open_.size(); }

 private:
  struct Open {
    RingId position;
    TimePoint asked;
    SimNetwork::Host asker;
    std::vector<RingId> owners;  // since it was asked
    unsigned hops = 0;
    TimePoint reached;
  };

  void finish(std::uint64_t number, const std::vector<wire::NodeContact>& contacts);
  void give_up();
  void arm();

  SimNetwork& network_;
  SimRing& ring_;
  Sites& sites_;
  SimNetwork::Host machine_;
  SimNetwork::Timer timer_ = 0;
  double rate_ = 0;
  std::uint64_t number_ = 0;
  std::map<std::uint64_t, Open> open_;
  std::unordered_map<RingId, std::uint64_t> by_position_;
  LookupTally tally_;
};

// A random span of an event that happens so often a second.
Duration poisson_wait(Random& random, double per_second);

}  // namespace i3::sim
