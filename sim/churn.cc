#include "sim/churn.hh"

#include <cmath>

namespace i3::sim {
namespace {
constexpr std::size_t kEntries = 2, kFewestNodes = 3;
}

ChurnPlan sessions_of(double median_seconds, std::size_t nodes) {
  ChurnPlan plan;
  plan.departures_per_second = static_cast<double>(nodes) * std::log(2.0) / median_seconds;
  plan.replace = true;
  return plan;
}

void Churn::start(const ChurnPlan& plan) {
  stop();
  plan_ = plan;
  arm_join();
  arm_departure();
}

void Churn::stop() {
  network_.cancel(join_timer_);
  network_.cancel(departure_timer_);
  join_timer_ = departure_timer_ = 0;
}

void Churn::arm_join() {
  if (plan_.replace || plan_.joins_per_second <= 0) return;
  const Duration wait = poisson_wait(network_.random(), plan_.joins_per_second);
  join_timer_ = network_.at(machine_, network_.now() + wait, [this] {
    join();
    arm_join();
  });
}

void Churn::arm_departure() {
  if (plan_.departures_per_second <= 0) return;
  const Duration wait = poisson_wait(network_.random(), plan_.departures_per_second);
  departure_timer_ = network_.at(machine_, network_.now() + wait, [this] {
    depart();
    arm_departure();
  });
}

void Churn::join() {
  ring_.add_through_members(kEntries, plan_.change);
  ++joins_;
}

void Churn::depart() {
  if (ring_.size() <= kFewestNodes) return;
  const std::size_t who = network_.random().below(ring_.size());
  const bool crash = static_cast<double>(network_.random().below(1000)) < plan_.crash_share * 1000;
  if (crash)
    ring_.kill(who);
  else
    ring_.leave(who);
  ++departures_;
  if (plan_.replace) join();
}

}  // namespace i3::sim
