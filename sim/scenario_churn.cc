// Churn, maintenance under churn, and pairs of nodes that cannot talk.
#include <cmath>

#include "sim/scenario.hh"

namespace i3::sim {
namespace {

constexpr double kGoalFailures = 5, kGoalNonTransitive = 1, kGoalMaintenance = 900;

std::string text_of(const LookupTally& tally) {
  return std::to_string(tally.total()) + " look-ups";
}

std::vector<std::string> tally_row(const std::string& first, const LookupTally& tally) {
  return {first,
          std::to_string(tally.total()),
          std::to_string(tally.wrong),
          std::to_string(tally.unknown),
          number(tally.failures_per_10000(), 1),
          number(tally.mean_hops()),
          number(tally.measured ? 1e3 * tally.took / static_cast<double>(tally.measured) : 0, 0),
          number(1e3 * percentile(tally.stretch, 0.5), 0)};
}

}  // namespace

// Stoica et al. 2003, section V-D: Poisson joins and departures at the same rate, look-ups all the
// time. Twice for each rate: all leave with a word, all die without one.
void run_churn(const ScenarioOptions& options, Report& report) {
  const std::size_t nodes = options.nodes ? options.nodes : options.brief ? 200 : 1000;
  const double seconds = options.seconds > 0 ? options.seconds : options.brief ? 120 : 300;
  const double look_ups = options.brief ? 10 : 10'000 / seconds;
  std::vector<double> rates = options.rates;
  if (rates.empty())
    rates = options.brief ? std::vector{0.1, 0.4}
                          : std::vector{0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40};
  std::vector<std::pair<std::string, double>> kinds{{"leave", 0.0}, {"die", 1.0}};
  if (options.crash_share >= 0) kinds = {{"mixed", options.crash_share}};

  Table table{"look-ups under churn, " + std::to_string(nodes) + " nodes",
              {"departures", "rate 1/s", "look-ups", "wrong", "none", "failed of 10,000",
               "mean hops", "mean ms", "joins", "departed"},
              {}};
  Chart chart{"Failed look-ups under churn, " + std::to_string(nodes) + " nodes",
              "joins a second, and departures a second",
              "failed look-ups of 10,000",
              {},
              false,
              kGoalFailures,
              "goal"};
  LookupTally all;
  double worst = 0;
  Table traffic;
  for (const auto& [kind, share] : kinds) {
    World world(world_plan(options));
    say(options, world, "ring of " + std::to_string(nodes) + " forms");
    world.grow(nodes);
    Curve curve{share == 0 ? "they leave" : share == 1 ? "they die" : "some die", {}};
    world.lookups.set_rate(look_ups);
    for (const double rate : rates) {
      ChurnPlan plan;
      plan.joins_per_second = plan.departures_per_second = rate;
      plan.crash_share = share;
      plan.change = world.change();
      world.lookups.take();
      const auto joins = world.churn.joins(), departures = world.churn.departures();
      const auto before = world.traffic.by_kind();
      world.churn.start(plan);
      world.run_for(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
      world.churn.stop();
      const LookupTally tally = world.lookups.take();
      all.add(tally);
      worst = std::max(worst, tally.failures_per_10000());
      curve.points.emplace_back(rate, tally.failures_per_10000());
      auto row = tally_row(kind, tally);
      table.rows.push_back({kind, number(rate), row[1], row[2], row[3], row[4], row[5], row[6],
                            std::to_string(world.churn.joins() - joins),
                            std::to_string(world.churn.departures() - departures)});
      say(options, world,
          kind + " at " + number(rate) + " a second: " + row[4] + " of 10,000 failed");
      traffic = traffic_table("sent by a node at the last rate",
                              difference(world.traffic.by_kind(), before),
                              seconds * static_cast<double>(world.ring.size()));
    }
    chart.curves.push_back(std::move(curve));
    close(world, report);
  }
  report.tables.push_back(std::move(table));
  report.tables.push_back(std::move(traffic));
  report.charts.push_back(std::move(chart));
  const std::string note = std::to_string(nodes) + " nodes, " + text_of(all);
  report.figure({"chord.failures_per_10000_worst_rate", worst, "of 10,000", kGoalFailures,
                 Better::lower, note});
  report.figure({"chord.failures_per_10000", all.failures_per_10000(), "of 10,000", kGoalFailures,
                 Better::lower, note + ", all rates"});
}

// Rhea et al. 2004: sessions of exponential length; who dies is replaced at once by a new node.
void run_maintenance(const ScenarioOptions& options, Report& report) {
  const std::size_t nodes = options.nodes ? options.nodes : options.brief ? 200 : 1000;
  const double seconds = options.seconds > 0 ? options.seconds : options.brief ? 60 : 300;
  const auto span = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  World world(world_plan(options));
  say(options, world, "ring of " + std::to_string(nodes) + " forms");
  world.grow(nodes);
  world.run_for(std::chrono::seconds(options.brief ? 30 : 60));

  auto measure = [&](const std::string& title) {
    const auto before = world.traffic.by_kind();
    const auto all_before = world.traffic.all();
    world.run_for(span);
    const double node_seconds = seconds * static_cast<double>(nodes);
    report.tables.push_back(
        traffic_table(title, difference(world.traffic.by_kind(), before), node_seconds));
    const auto sent = world.traffic.all() - all_before;
    return std::pair{static_cast<double>(sent.with_headers()) / node_seconds,
                     static_cast<double>(sent.bytes) / node_seconds};
  };
  const auto calm = measure("sent by a node of a calm ring");
  ChurnPlan plan = sessions_of(options.median_session, nodes);
  if (options.crash_share >= 0) plan.crash_share = options.crash_share;
  plan.change = world.change();
  world.churn.start(plan);
  world.run_for(std::chrono::seconds(options.brief ? 20 : 60));
  say(options, world, "sessions of " + number(options.median_session, 0) + " s");
  world.lookups.take();
  world.lookups.set_rate(0.1);
  const auto churning =
      measure("sent by a node at a median session of " + number(options.median_session, 0) + " s");
  world.lookups.set_rate(10);
  world.run_for(span);
  const LookupTally tally = world.lookups.take();
  world.churn.stop();
  close(world, report);

  const std::string size = std::to_string(nodes) + " nodes";
  report.figure({"chord.maintenance_bytes_per_s", churning.first, "B/s", kGoalMaintenance,
                 Better::lower,
                 size + ", median session " + number(options.median_session, 0) +
                     " s, IP and UDP headers counted"});
  report.figure({"chord.maintenance_payload_bytes_per_s",
                 churning.second,
                 "B/s",
                 {},
                 Better::lower,
                 "the same without headers"});
  report.figure({"chord.calm_bytes_per_s",
                 calm.first,
                 "B/s",
                 {},
                 Better::lower,
                 size + ", nobody joins or departs, headers counted"});
  report.figure({"chord.short_sessions_failed_percent",
                 tally.failures_per_10000() / 100,
                 "%",
                 {},
                 Better::lower,
                 size + ", " + text_of(tally)});
}

// Freedman et al. 2005 ("Non-transitive connectivity and DHTs"): some pairs never hear each other.
void run_non_transitive(const ScenarioOptions& options, Report& report) {
  const std::size_t nodes = options.nodes ? options.nodes : options.brief ? 100 : 400;
  const double seconds = options.seconds > 0 ? options.seconds : options.brief ? 60 : 600;
  World world(world_plan(options));
  const auto threshold = static_cast<std::uint64_t>(options.broken_pairs * 1e6);
  world.network.set_blocked([&, threshold](SimNetwork::Host a, SimNetwork::Host b) {
    // A hash of the pair: the same in both directions and for ever.
    std::uint64_t mixed = (std::uint64_t{std::min(a, b)} << 32 | std::max(a, b)) + options.seed;
    mixed = (mixed ^ mixed >> 31) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ mixed >> 29) * 0x94d049bb133111ebull;
    return a != b && (mixed >> 20) % 1'000'000 < threshold;
  });
  say(options, world, "ring of " + std::to_string(nodes) + " forms");
  world.grow(nodes);
  world.run_for(std::chrono::seconds(30));
  world.lookups.take();
  world.lookups.set_rate(10'000 / 600.0);
  world.run_for(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
  const LookupTally tally = world.lookups.take();
  close(world, report);
  report.tables.push_back(
      {"look-ups while " + number(100 * options.broken_pairs, 0) + " % of the pairs cannot talk",
       {"", "look-ups", "wrong", "none", "failed of 10,000", "mean hops", "mean ms"},
       {}});
  auto row = tally_row("", tally);
  row.pop_back();
  report.tables.back().rows.push_back(row);
  report.figure({"chord.nontransitive_failures_percent", tally.failures_per_10000() / 100, "%",
                 kGoalNonTransitive, Better::lower,
                 std::to_string(nodes) + " nodes, " + text_of(tally)});
}

}  // namespace i3::sim
