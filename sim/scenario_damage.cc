// Mass death, partition, and rings so small that every rule is at its edge.
#include "sim/scenario.hh"

namespace i3::sim {
namespace {
constexpr double kGoalHalf = 30, kGoalMerge = 60, kGoalWrong = 0;
constexpr std::size_t kManySuccessors = 16;

double seconds_until_ideal(World& world, Duration limit) {
  const double start = world.seconds();
  world.settle(limit);
  return world.seconds() - start;
}
}  // namespace

void run_kill_half(const ScenarioOptions& options, Report& report) {
  const std::size_t nodes = options.nodes ? options.nodes : options.brief ? 128 : 1000;
  WorldPlan plan = world_plan(options);
  if (plan.successors == 0) plan.successors = kManySuccessors;
  World world(plan);
  say(options, world, "ring of " + std::to_string(nodes) + " forms");
  world.grow(nodes);
  world.run_for(std::chrono::seconds(30));
  world.lookups.take();
  world.lookups.set_rate(static_cast<double>(nodes) / 10);
  for (std::size_t i = 0; i < nodes / 2; ++i)
    world.ring.kill(world.network.random().below(world.ring.size()));
  const std::string unlucky = world.ring.broken();
  say(options, world, "half of them are dead");

  Table table{"after half of " + std::to_string(nodes) + " nodes died",
              {"seconds", "look-ups", "wrong", "none"},
              {}};
  Chart chart{"Look-ups after half of " + std::to_string(nodes) + " nodes died",
              "seconds after",
              "% of the look-ups",
              {{"no answer", {}}, {"wrong owner", {}}},
              false,
              {},
              ""};
  const double start = world.seconds();
  double ideal_after = -1;
  LookupTally all;
  for (int i = 0; i < 60; ++i) {
    world.run_for(std::chrono::milliseconds(1000));
    if (ideal_after < 0 && world.ring.ideal()) ideal_after = world.seconds() - start;
    const LookupTally tally = world.lookups.take();
    all.add(tally);
    const double total = static_cast<double>(std::max<std::uint64_t>(tally.total(), 1));
    chart.curves[0].points.emplace_back(i + 1, 100 * static_cast<double>(tally.unknown) / total);
    chart.curves[1].points.emplace_back(i + 1, 100 * static_cast<double>(tally.wrong) / total);
    if (i < 10 || i % 10 == 9)
      table.rows.push_back({std::to_string(i + 1), std::to_string(tally.total()),
                            std::to_string(tally.wrong), std::to_string(tally.unknown)});
    if (ideal_after >= 0 && i > 30) break;
  }
  if (ideal_after < 0) ideal_after = 60 + seconds_until_ideal(world, std::chrono::minutes(3));
  world.lookups.set_rate(0);
  if (!unlucky.empty()) table.title += " (a member lost its whole list at once: " + unlucky + ")";
  close(world, report);
  report.tables.push_back(std::move(table));
  report.charts.push_back(std::move(chart));
  const std::string note =
      std::to_string(nodes) + " nodes, " + std::to_string(plan.successors) + " successors";
  report.figure({"chord.kill_half_ideal_s", ideal_after, "s", kGoalHalf, Better::lower, note});
  report.figure({"chord.kill_half_wrong_owners", static_cast<double>(all.wrong), "", kGoalWrong,
                 Better::lower,
                 note + ", " + std::to_string(all.total()) + " look-ups from that moment on"});
  report.figure({"chord.kill_half_unanswered_percent",
                 100 * static_cast<double>(all.unknown) /
                     static_cast<double>(std::max<std::uint64_t>(all.total(), 1)),
                 "%",
                 {},
                 Better::lower,
                 "of the same"});
}

void run_partition(const ScenarioOptions& options, Report& report) {
  const std::size_t nodes = options.nodes ? options.nodes : options.brief ? 60 : 500;
  const double seconds = options.seconds > 0 ? options.seconds : options.brief ? 60 : 300;
  World world(world_plan(options));
  say(options, world, "ring of " + std::to_string(nodes) + " forms");
  world.grow(nodes);
  world.run_for(std::chrono::seconds(30));
  world.partition([](SimNetwork::Host host) { return host % 2; });
  world.run_for(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
  say(options, world, "the network heals");
  world.partition({});
  world.allow_several_rings(std::chrono::seconds(60));
  const double merged = seconds_until_ideal(world, std::chrono::minutes(5));
  const std::string fault = world.ring.fault();
  say(options, world, fault.empty() ? "one ring" : fault);
  world.run_for(std::chrono::seconds(30));
  close(world, report);
  report.figure({"chord.partition_merge_s", merged, "s", kGoalMerge, Better::lower,
                 std::to_string(nodes) + " nodes, two halves for " + number(seconds, 0) + " s" +
                     (fault.empty() ? "" : "; not one ring: " + fault)});
}

// One, two, three nodes and back, each with look-ups; the last one is alone again.
void run_small(const ScenarioOptions& options, Report& report) {
  World world(world_plan(options));
  Table table{"small rings", {"nodes", "", "ideal after s", "look-ups", "wrong", "none"}, {}};
  std::uint64_t wrong = 0, unanswered = 0;
  double slowest = 0;
  auto measure = [&](const std::string& what) {
    const double ideal = seconds_until_ideal(world, std::chrono::minutes(2));
    slowest = std::max(slowest, ideal);
    world.lookups.take();
    for (int i = 0; i < 50; ++i) world.lookups.ask();
    world.run_for(std::chrono::seconds(11));
    const LookupTally tally = world.lookups.take();
    wrong += tally.wrong;
    unanswered += tally.unknown;
    table.rows.push_back({std::to_string(world.ring.size()), what, number(ideal, 1),
                          std::to_string(tally.total()), std::to_string(tally.wrong),
                          std::to_string(tally.unknown)});
  };
  for (int i = 0; i < 3; ++i) {
    world.ring.add_through_members(2, world.change());
    measure("one more");
  }
  world.ring.kill(1);
  measure("one died");
  world.ring.add_through_members(2, world.change());
  measure("one more");
  world.ring.leave(0);
  measure("the first one left");
  world.ring.kill(0);
  measure("one died");
  world.ring.add_through_members(2, world.change());
  measure("one more");
  close(world, report);
  report.tables.push_back(std::move(table));
  report.figure({"chord.small_wrong_owners", static_cast<double>(wrong), "", 0.0, Better::lower,
                 "rings of 1 to 3 nodes"});
  report.figure({"chord.small_unanswered", static_cast<double>(unanswered), "", 0.0, Better::lower,
                 "the same"});
  report.figure(
      {"chord.small_ideal_s", slowest, "s", kGoalHalf, Better::lower, "the slowest change"});
}

}  // namespace i3::sim
