// From measured rings to those that no machine simulates: straight lines over log2 of the size.
#include <cmath>

#include "sim/scenario.hh"

namespace i3::sim {
namespace {

constexpr double kTriggers = 1e9;
constexpr double kSizes[] = {1e4, 1e5, 1e6, 1e7};

struct Line {
  double at_zero = 0, slope = 0, worst = 0;  // worst: the largest distance of a point from it

  double operator()(double nodes) const { return at_zero + slope * std::log2(nodes); }
};

// Least squares of y over log2 x.
Line fit(const Curve& curve) {
  const auto count = static_cast<double>(curve.points.size());
  double sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (const auto& [nodes, y] : curve.points) {
    const double x = std::log2(nodes);
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  Line line;
  const double spread = count * sxx - sx * sx;
  line.slope = spread > 0 ? (count * sxy - sx * sy) / spread : 0;
  line.at_zero = (sy - line.slope * sx) / count;
  for (const auto& [nodes, y] : curve.points)
    line.worst = std::max(line.worst, std::abs(line(nodes) - y));
  return line;
}

const Curve* curve_of(const Report& report, std::string_view title) {
  for (const Chart& chart : report.charts)
    if (chart.title == title && !chart.curves.empty() && chart.curves[0].points.size() >= 3)
      return &chart.curves[0];
  return nullptr;
}

const Figure* figure_of(const Report& report, std::string_view name) {
  for (const Figure& figure : report.figures)
    if (figure.name == name) return &figure;
  return nullptr;
}

std::string formula(const std::string& what, const Line& line) {
  return what + " = " + number(line.at_zero) + (line.slope < 0 ? " - " : " + ") +
         number(std::abs(line.slope)) + " log2 N (off by " + number(line.worst) + " at most)";
}

}  // namespace

void run_extrapolate(const ScenarioOptions& options, Report& report) {
  if (!curve_of(report, kHopsChart)) {
    ScenarioOptions all_sizes = options;
    all_sizes.nodes = 0;
    run_lookup(all_sizes, report);
  }
  if (!figure_of(report, "triggers.upkeep_bytes_per_s")) run_triggers(options, report);
  const Line hops = fit(*curve_of(report, kHopsChart));
  const Line bytes = fit(*curve_of(report, kBytesChart));
  const Line memory = fit(*curve_of(report, kMemoryChart));
  const double rows_each = figure_of(report, "triggers.rows_per_trigger")->value;
  const double upkeep = figure_of(report, "triggers.upkeep_bytes_per_s")->value;
  const double row_bytes = figure_of(report, "triggers.row_bytes")->value;

  Table table{"extrapolated to a billion triggers: " + formula("hops", hops) + "; " +
                  formula("ring B/s", bytes) + "; " + formula("ring KiB", memory),
              {"nodes", "hops", "ring B/s a node", "ring KiB a node", "rows a node",
               "rows' memory a node", "rows' upkeep a node"},
              {}};
  for (const double nodes : kSizes) {
    const double rows = kTriggers * rows_each / nodes;
    const double mib = rows * row_bytes / 1048576, rate = rows * upkeep / 1000;
    table.rows.push_back({number(nodes, 0), number(hops(nodes), 1), number(bytes(nodes), 0),
                          number(memory(nodes), 0), number(rows, 0), number(mib, 1) + " MiB",
                          number(rate, 1) + " kB/s"});
  }
  report.tables.push_back(std::move(table));
  report.figure({"scale.hops_1m_nodes", hops(1e6), "", {}, Better::lower, "extrapolated"});
  report.figure({"scale.ring_bytes_per_s_1m_nodes",
                 bytes(1e6),
                 "B/s",
                 {},
                 Better::lower,
                 "extrapolated, calm ring"});
  report.figure({"scale.memory_mib_1m_nodes_1g_triggers",
                 (kTriggers * rows_each / 1e6 * row_bytes / 1024 + memory(1e6)) / 1024,
                 "MiB",
                 {},
                 Better::lower,
                 "extrapolated, a node's ring state and rows"});
}

}  // namespace i3::sim
