#include "sim/world.hh"

#include <cstdio>

namespace i3::sim {
namespace {
constexpr std::size_t kMostViolations = 20;
constexpr Duration kJoinStep = std::chrono::milliseconds(100);
// A node looks its fingers up in its first seconds.
constexpr Duration kFingers = std::chrono::seconds(10);
}  // namespace

World::World(const WorldPlan& the_plan)
    : plan(the_plan),
      network(plan.seed),
      ring(network),
      sites(network, plan.seed, plan.odd_site),
      lookups(network, ring, sites),
      churn(network, ring),
      beliefs_(plan.bounds),
      next_check_(network.now()) {
  network.set_loss(plan.loss);
  network.set_tap([this](const Endpoint&, const Endpoint&, Bytes message) {
    traffic.on_sent(message);
    lookups.on_sent(message);
    return false;
  });
  ring.watch([this] { lookups.on_members(); });
  ring.watch_deaths([this](RingId id) { beliefs_.died(id, network.now()); });
}

SimNode::Change World::change() const {
  if (plan.successors == 0) return {};
  return [this](NodeCoreSettings& settings) { settings.chord.successors = plan.successors; };
}

double World::seconds() const {
  return std::chrono::duration<double>(network.now().time_since_epoch() - std::chrono::hours(1))
      .count();
}

bool World::grow(std::size_t nodes) {
  while (ring.size() < nodes) {
    const std::size_t more = std::min(nodes - ring.size(), 1 + ring.size() / 100);
    for (std::size_t i = 0; i < more; ++i) ring.add_through_members(2, change());
    run_for(kJoinStep);
  }
  const bool ideal = settle(std::chrono::minutes(2));
  run_for(kFingers);
  return ideal;
}

bool World::settle(Duration limit) {
  return run_until([this] { return ring.ideal(); }, limit, std::chrono::milliseconds(500));
}

void World::run_for(Duration duration) {
  const TimePoint end = network.now() + duration;
  while (network.now() < end) {
    network.run_until(std::min(end, next_check_));
    if (network.now() >= next_check_) check();
  }
}

bool World::run_until(const std::function<bool()>& condition, Duration limit, Duration step) {
  const TimePoint end = network.now() + limit;
  while (!condition()) {
    if (network.now() >= end) return false;
    run_for(std::min(step, end - network.now()));
  }
  return true;
}

void World::partition(std::function<unsigned(SimNetwork::Host)> side) {
  side_ = std::move(side);
  if (!side_) return network.set_blocked({});
  network.set_blocked([this](auto a, auto b) { return side_(a) != side_(b); });
}

void World::check() {
  next_check_ = network.now() + plan.check_every;
  ++snapshots_;
  const RingSnapshot snapshot = ring.snapshot(side_);
  auto faults = ring_faults(snapshot, network.now() >= several_until_);
  for (auto& fault : beliefs_.faults(snapshot)) faults.push_back(std::move(fault));
  for (const std::string& fault : faults) {
    ++violation_count_;
    if (violations_.size() >= kMostViolations) continue;
    char when[48];
    std::snprintf(when, sizeof when,
                  "seed %llu, %.1f s: ", static_cast<unsigned long long>(plan.seed), seconds());
    violations_.push_back(when + fault);
  }
}

}  // namespace i3::sim
