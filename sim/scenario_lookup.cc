// Hops, latency and memory in calm rings of several sizes.
#include <cmath>

#include "sim/process.hh"
#include "sim/scenario.hh"

namespace i3::sim {
namespace {
constexpr double kGoalHops = 1, kGoalStretch = 1.5, kGoalMinutes = 5;
constexpr std::size_t kLarge = 10'000;
}  // namespace

void run_lookup(const ScenarioOptions& options, Report& report) {
  std::vector<std::size_t> sizes{100, 300, 1000, 3000, kLarge};
  if (options.brief) sizes = {50, 100, 300};
  if (options.nodes != 0) sizes = {options.nodes};
  const std::size_t look_ups = options.brief ? 1000 : 10'000;

  Table table{"look-ups in calm rings",
              {"nodes", "hops", "half log2 N", "most", "ms", "direct RTT ms", "stretch", "median",
               "90 %", "one way", "failed", "KiB a node", "B/s a node", "machine s"},
              {}};
  Chart hops{std::string(kHopsChart),
             "nodes",
             "mean hops",
             {{"measured", {}}, {"half of log2 N", {}}},
             true,
             {},
             ""};
  Chart stretch{"Latency of a look-up against the direct round trip",
                "nodes",
                "stretch",
                {{"mean to mean", {}}, {"median", {}}, {"90 %", {}}},
                true,
                kGoalStretch,
                "goal"};
  Chart upkeep{std::string(kBytesChart),
               "nodes",
               "bytes a second a node",
               {{"headers counted", {}}},
               true,
               {},
               ""};
  Chart memory{std::string(kMemoryChart), "nodes", "KiB", {{"allocated", {}}}, true, {}, ""};
  for (const std::size_t nodes : sizes) {
    const double machine_start = machine_seconds();
    const std::size_t memory_start = allocated_bytes();
    WorldPlan plan = world_plan(options);
    plan.check_every = std::chrono::seconds(nodes > 2000 ? 5 : 1);
    World world(plan);
    say(options, world, "ring of " + std::to_string(nodes) + " forms");
    const bool ideal = world.grow(nodes);
    say(options, world,
        ideal ? "the ring is ideal" : "the ring is not ideal: " + world.ring.fault());
    world.run_for(std::chrono::seconds(60));
    const auto before = world.traffic.all();
    world.run_for(std::chrono::seconds(30));
    const auto sent = world.traffic.all() - before;
    const double bytes = static_cast<double>(sent.with_headers()) / 30 / static_cast<double>(nodes);
    world.lookups.take();
    world.lookups.set_rate(static_cast<double>(look_ups) / 60);
    world.run_for(std::chrono::seconds(60));
    world.lookups.set_rate(0);
    world.run_for(std::chrono::seconds(12));
    const LookupTally tally = world.lookups.take();
    const double each =
        static_cast<double>(allocated_bytes() - std::min(allocated_bytes(), memory_start)) /
        static_cast<double>(nodes);
    close(world, report);
    const double half = std::log2(static_cast<double>(nodes)) / 2;
    const double machine = machine_seconds() - machine_start;
    const auto measured = static_cast<double>(std::max<std::uint64_t>(tally.measured, 1));
    table.rows.push_back(
        {std::to_string(nodes), number(tally.mean_hops()), number(half),
         std::to_string(tally.most_hops), number(1e3 * tally.took / measured, 0),
         number(2e3 * tally.direct / measured, 0), number(tally.mean_stretch()),
         number(percentile(tally.stretch, 0.5)), number(percentile(tally.stretch, 0.9)),
         number(tally.mean_one_way_stretch()), std::to_string(tally.wrong + tally.unknown),
         number(each / 1024, 1), number(bytes, 0), number(machine, 1)});
    say(options, world,
        "mean hops " + number(tally.mean_hops()) + ", stretch " + number(tally.mean_stretch()));
    const auto x = static_cast<double>(nodes);
    hops.curves[0].points.emplace_back(x, tally.mean_hops());
    hops.curves[1].points.emplace_back(x, half);
    stretch.curves[0].points.emplace_back(x, tally.mean_stretch());
    stretch.curves[1].points.emplace_back(x, percentile(tally.stretch, 0.5));
    stretch.curves[2].points.emplace_back(x, percentile(tally.stretch, 0.9));
    upkeep.curves[0].points.emplace_back(x, bytes);
    memory.curves[0].points.emplace_back(x, each / 1024);
    if (nodes != sizes.back()) continue;

    const std::string note =
        std::to_string(nodes) + " nodes, " + std::to_string(tally.total()) + " look-ups";
    report.figure({"chord.hops_over_half_log2n", tally.mean_hops() / half, "", kGoalHops,
                   Better::lower, note});
    report.figure({"chord.stretch_" + std::to_string(nodes), tally.mean_stretch(), "", kGoalStretch,
                   Better::lower, note + ", until the answer is back, to the direct round trip"});
    report.figure({"chord.one_way_stretch_" + std::to_string(nodes),
                   tally.mean_one_way_stretch(),
                   "",
                   {},
                   Better::lower,
                   "until the owner has the question, to the direct way"});
    report.figure({"sim.node_memory_kib",
                   each / 1024,
                   "KiB",
                   {},
                   Better::lower,
                   note + ", simulator's share included"});
    report.figure({"sim.nodes_" + std::to_string(nodes) + "_minutes", machine / 60, "min",
                   nodes == kLarge ? std::optional(kGoalMinutes) : std::nullopt, Better::lower,
                   number(world.seconds(), 0) + " s simulated, " +
                       std::to_string(world.network.happened()) + " events"});
  }
  report.tables.push_back(std::move(table));
  report.charts.push_back(std::move(hops));
  report.charts.push_back(std::move(stretch));
  report.charts.push_back(std::move(upkeep));
  report.charts.push_back(std::move(memory));
}

}  // namespace i3::sim
