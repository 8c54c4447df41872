// Owns what a simulation found: figures with their goals, curves, tables, broken invariants; and
// how they are written for people and for programs.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace i3::sim {

enum class Better { lower, higher };

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
  std::optional<double> goal;
  Better better = Better::lower;
  std::string note;  // what it was measured on; goes beside the figure

  bool met() const { return !goal || (better == Better::lower ? value <= *goal : value >= *goal); }
};

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

struct Chart {
  std::string title, x, y;
  std::vector<Curve> curves;
  bool logarithmic_x = false;
  std::optional<double> goal;  // a line across
  std::string goal_name;
};

// Rows of text under a head; numbers are put in by the caller.
struct Table {
  std::string title;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

class Report {
 public:
  std::uint64_t seed = 0;
  std::vector<Figure> figures;
  std::vector<Table> tables;
  std::vector<Chart> charts;
  std::vector<std::string> violations;  // the first ones
  std::uint64_t violation_count = 0;
  std::uint64_t snapshots = 0;
  // The longest that anybody was seen to believe in a dead member: seconds.
  double dead_neighbour = 0, dead_in_list = 0, dead_finger = 0;

  void figure(Figure figure) { figures.push_back(std::move(figure)); }
  void print(std::ostream& out) const;
  // One object; figures that depend on the machine's speed are marked so.
  std::string json() const;
  // One line for each figure, as the benchmarks write them.
  std::string figure_lines(const std::string& machine) const;
};

std::string number(double value, int digits = 2);

}  // namespace i3::sim
