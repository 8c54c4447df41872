// Owns the program i3-sim: options, output, exit codes.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "sim/cheap_crypto.hh"
#include "sim/plot.hh"
#include "sim/process.hh"
#include "sim/scenario.hh"

namespace i3::sim {
namespace {

enum Exit { kFine = 0, kFailed = 1, kUsage = 2 };

struct Arguments {
  std::vector<std::string> names;
  ScenarioOptions scenario;
  std::string crypto = "cheap";
  bool json = false, quiet = false;
  std::string figures_file, plot_file;
};

std::vector<std::string> known_names() {
  std::vector<std::string> names{"all"};
  for (const Scenario& scenario : scenarios()) names.emplace_back(scenario.name);
  return names;
}

std::string footer() {
  std::string text = "Scenarios:\n";
  for (const Scenario& scenario : scenarios()) {
    std::string name(scenario.name);
    text += "  " + name + std::string(16 - name.size(), ' ') + std::string(scenario.what) + '\n';
  }
  return text +
         "  all             every one of them\n"
         "\nExit codes: 0 all invariants held, 1 one was broken, 2 wrong usage.";
}

void add_options(CLI::App& app, Arguments& arguments) {
  ScenarioOptions& scenario = arguments.scenario;
  app.add_option("scenario", arguments.names, "what to simulate")
      ->required()
      ->check(CLI::IsMember(known_names()));
  app.add_option("--nodes", scenario.nodes, "nodes; default: the scenario's own")
      ->check(CLI::Range(3, 200'000));
  app.add_option("--seconds", scenario.seconds, "simulated time of each measurement")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", scenario.seed, "the same seed gives the same result")
      ->capture_default_str();
  app.add_option("--successors", scenario.successors, "length of the successor lists")
      ->check(CLI::Range(1, 16));
  app.add_option("--loss", scenario.loss, "share of the datagrams that are lost")
      ->check(CLI::Range(0.0, 0.9));
  app.add_option("--rate", scenario.rates, "churn: joins, and departures, a second; several")
      ->check(CLI::PositiveNumber);
  app.add_option("--crashes", scenario.crash_share, "share of the departures that say nothing")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--session", scenario.median_session, "maintenance: median session, seconds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--broken-pairs", scenario.broken_pairs, "non-transitive: share of the pairs")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_flag("--all-sites", scenario.odd_site,
               "the one site too that is 1 to 3 s from the others");
  app.add_flag("--brief", scenario.brief, "smaller and shorter");
  app.add_option("--crypto", arguments.crypto, "cheap: stand-ins; real: as the daemons have it")
      ->check(CLI::IsMember({"cheap", "real"}))
      ->capture_default_str();
  app.add_flag("--json", arguments.json, "print one JSON object instead of tables");
  app.add_option("--figures", arguments.figures_file,
                 "append figures to FILE, one JSON object a line");
  app.add_option("--plot", arguments.plot_file, "draw the curves into FILE, as SVG");
  app.add_flag("--quiet", arguments.quiet, "do not tell on stderr how far it is");
}

void write(const std::string& file, std::ios::openmode how, const std::string& text) {
  std::ofstream out(file, std::ios::out | how);
  out << text;
  if (!out.flush()) throw std::runtime_error(file + ": cannot be written");
}

int run(Arguments& arguments) {
  if (arguments.crypto == "cheap") use_cheap_crypto();
  if (!arguments.quiet)
    arguments.scenario.progress = [](const std::string& what, double seconds) {
      std::cerr << '[' << number(machine_seconds(), 1) << " s of CPU, " << number(seconds, 1)
                << " s simulated] " << what << std::endl;
    };
  Report report;
  report.seed = arguments.scenario.seed;
  for (const Scenario& scenario : scenarios())
    for (const std::string& name : arguments.names)
      if (name == scenario.name || name == "all") {
        scenario.run(arguments.scenario, report);
        break;
      }
  report.figure({"chord.invariant_violations", static_cast<double>(report.violation_count), "", 0.0,
                 Better::lower, std::to_string(report.snapshots) + " snapshots"});
  const auto bound = [](Duration duration) {
    return std::chrono::duration<double>(duration).count();
  };
  const BeliefBounds bounds;
  report.figure({"chord.dead_neighbour_believed_s", report.dead_neighbour, "s",
                 bound(bounds.neighbour), Better::lower,
                 "the longest seen, as successor or predecessor"});
  report.figure({"chord.dead_in_list_believed_s", report.dead_in_list, "s", bound(bounds.list),
                 Better::lower, "further back in a successor list"});
  report.figure({"chord.dead_finger_believed_s", report.dead_finger, "s", bound(bounds.finger),
                 Better::lower, "as a finger or an earlier predecessor"});
  if (arguments.json) {
    std::cout << report.json() << '\n';
  } else {
    std::cout << "seed " << report.seed << '\n';
    report.print(std::cout);
  }
  if (!arguments.figures_file.empty())
    write(arguments.figures_file, std::ios::app, report.figure_lines(machine_name()));
  if (!arguments.plot_file.empty())
    write(arguments.plot_file, std::ios::trunc,
          svg(report.charts, "i3-sim " + CLI::detail::join(arguments.names, " ") + ", seed " +
                                 std::to_string(report.seed) +
                                 ": real node cores, simulated time, round trips measured "
                                 "between PlanetLab hosts"));
  return report.violation_count == 0 ? kFine : kFailed;
}

int run_program(int count, char** values) {
  Arguments arguments;
  CLI::App app{"i3-sim runs real overlay nodes on simulated time and network.", "i3-sim"};
  app.set_version_flag("--version", "i3-sim " I3_VERSION);
  app.footer(footer());
  add_options(app, arguments);
  try {
    app.parse(count, values);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kFine : kUsage;
  }
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    std::cerr << "i3-sim: " << error.what() << '\n';
    return kFailed;
  }
}

}  // namespace
}  // namespace i3::sim

int main(int count, char** values) {
  return i3::sim::run_program(count, values);
}
