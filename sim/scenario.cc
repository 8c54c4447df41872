#include "sim/scenario.hh"

namespace i3::sim {
namespace {

constexpr Scenario kScenarios[] = {
    {"churn", "look-ups while nodes join and depart, at several rates", run_churn},
    {"lookup", "hops and latency of look-ups in a calm ring", run_lookup},
    {"maintenance", "bytes a second a node, calm and with short sessions", run_maintenance},
    {"kill-half", "half of all nodes die at one moment", run_kill_half},
    {"partition", "the network falls into two halves and heals", run_partition},
    {"non-transitive", "some pairs of nodes cannot talk to each other", run_non_transitive},
    {"small", "rings of one, two and three nodes", run_small},
    {"triggers", "hosts talk through their triggers while nodes die", run_triggers},
    {"near", "how far hosts are through nodes: found by chance, and near ones", run_near},
    {"extrapolate", "from lookup and triggers to millions of nodes", run_extrapolate},
};

}  // namespace

std::span<const Scenario> scenarios() {
  return kScenarios;
}

WorldPlan world_plan(const ScenarioOptions& options) {
  WorldPlan plan;
  plan.seed = options.seed;
  plan.successors = options.successors;
  plan.loss = options.loss;
  plan.odd_site = options.odd_site;
  return plan;
}

void say(const ScenarioOptions& options, const World& world, const std::string& what) {
  if (options.progress) options.progress(what, world.seconds());
}

void close(const World& world, Report& report) {
  report.snapshots += world.snapshots();
  report.violation_count += world.violation_count();
  auto longer = [](double& longest, Duration duration) {
    longest = std::max(longest, std::chrono::duration<double>(duration).count());
  };
  longer(report.dead_neighbour, world.longest_beliefs().neighbour);
  longer(report.dead_in_list, world.longest_beliefs().list);
  longer(report.dead_finger, world.longest_beliefs().finger);
  report.violations.insert(report.violations.end(), world.violations().begin(),
                           world.violations().end());
}

Table traffic_table(const std::string& title, const Traffic::ByKind& traffic, double node_seconds) {
  Table table{title, {"message", "a second", "bytes a second", "with IP and UDP"}, {}};
  Traffic::Count sum;
  auto row = [&](const std::string& name, const Traffic::Count& count) {
    table.rows.push_back({name, number(static_cast<double>(count.packets) / node_seconds, 3),
                          number(static_cast<double>(count.bytes) / node_seconds, 1),
                          number(static_cast<double>(count.with_headers()) / node_seconds, 1)});
  };
  for (const auto& [kind, count] : traffic) {
    if (count.packets == 0) continue;
    row(kind, count);
    sum.packets += count.packets;
    sum.bytes += count.bytes;
  }
  row("all", sum);
  return table;
}

}  // namespace i3::sim
