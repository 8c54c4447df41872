// Owns the scenarios of i3-sim: what each one does to a simulated world and what it measures.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/report.hh"
#include "sim/world.hh"

namespace i3::sim {

struct ScenarioOptions {
  std::size_t nodes = 0;  // 0: the scenario's own number
  double seconds = 0;     // of simulated time for each measurement; 0: the scenario's own
  std::uint64_t seed = 1;
  std::size_t successors = 0;  // 0: as a daemon has it
  double loss = 0;
  bool odd_site = false;      // see LatencyMatrix
  bool brief = false;         // smaller and shorter, for a quick look and for tests
  std::vector<double> rates;  // churn: joins and departures a second; empty: 0.05 to 0.40
  double crash_share = -1;    // of the departures; below 0: the scenario's own
  double median_session = 84;
  double broken_pairs = 0.05;
  // Said now and then while it runs: what happens, and the simulated time.
  std::function<void(const std::string& what, double seconds)> progress;
};

struct Scenario {
  std::string_view name, what;
  void (*run)(const ScenarioOptions&, Report&);
};

std::span<const Scenario> scenarios();

// Shared by the scenarios.
WorldPlan world_plan(const ScenarioOptions& options);
void say(const ScenarioOptions& options, const World& world, const std::string& what);
// Adds what the world's invariants gave.
void close(const World& world, Report& report);
// Bytes a second and node by kind of message, as a table.
Table traffic_table(const std::string& title, const Traffic::ByKind& traffic, double node_seconds);

// Charts that an extrapolation begins from; the first curve of each is over the number of nodes.
inline constexpr std::string_view kHopsChart = "Hops of a look-up";
inline constexpr std::string_view kBytesChart = "Upkeep of a calm ring";
inline constexpr std::string_view kMemoryChart = "Memory of a simulated node";

void run_churn(const ScenarioOptions& options, Report& report);
void run_lookup(const ScenarioOptions& options, Report& report);
void run_maintenance(const ScenarioOptions& options, Report& report);
void run_small(const ScenarioOptions& options, Report& report);
void run_kill_half(const ScenarioOptions& options, Report& report);
void run_partition(const ScenarioOptions& options, Report& report);
void run_non_transitive(const ScenarioOptions& options, Report& report);
void run_triggers(const ScenarioOptions& options, Report& report);
void run_near(const ScenarioOptions& options, Report& report);
void run_extrapolate(const ScenarioOptions& options, Report& report);

}  // namespace i3::sim
