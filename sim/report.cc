#include "sim/report.hh"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

namespace i3::sim {
namespace {

using Json = nlohmann::ordered_json;

void print_table(std::ostream& out, const Table& table) {
  std::vector<std::size_t> widths(table.head.size());
  auto measure = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  };
  measure(table.head);
  for (const auto& row : table.rows) measure(row);
  auto print_row = [&](const std::vector<std::string>& row) {
    std::string line = " ";
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      const std::string gap(widths[i] - row[i].size(), ' ');
      line += ' ' + (i == 0 ? row[i] + gap : gap + row[i]) + ' ';
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  };
  if (!table.title.empty()) out << '\n' << table.title << '\n';
  print_row(table.head);
  for (const auto& row : table.rows) print_row(row);
}

Json value_of(const Figure& figure) {
  Json json{{"figure", figure.name}, {"value", figure.value}, {"unit", figure.unit}};
  json["goal"] = figure.goal ? Json(*figure.goal) : Json(nullptr);
  json["better"] = figure.better == Better::lower ? "lower" : "higher";
  return json;
}

}  // namespace

std::string number(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

void Report::print(std::ostream& out) const {
  for (const Table& table : tables) print_table(out, table);
  Table all{"figures", {"figure", "value", "unit", "goal", "", "measured on"}, {}};
  for (const Figure& figure : figures) {
    const std::string goal =
        figure.goal ? (figure.better == Better::lower ? "<= " : ">= ") + number(*figure.goal) : "-";
    all.rows.push_back({figure.name, number(figure.value), figure.unit, goal,
                        !figure.goal   ? ""
                        : figure.met() ? "met"
                                       : "missed",
                        figure.note});
  }
  if (!all.rows.empty()) print_table(out, all);
  out << '\n' << "invariants: " << violation_count << " broken in " << snapshots << " snapshots\n";
  for (const std::string& violation : violations) out << "  " << violation << '\n';
}

std::string Report::json() const {
  Json json{{"seed", seed}, {"figures", Json::array()}, {"tables", Json::array()}};
  for (const Figure& figure : figures) {
    Json one = value_of(figure);
    one["met"] = figure.met();
    one["measured_on"] = figure.note;
    json["figures"].push_back(std::move(one));
  }
  for (const Table& table : tables)
    json["tables"].push_back({{"title", table.title}, {"head", table.head}, {"rows", table.rows}});
  json["charts"] = Json::array();
  for (const Chart& chart : charts) {
    Json one{{"title", chart.title}, {"x", chart.x}, {"y", chart.y}, {"curves", Json::array()}};
    for (const Curve& curve : chart.curves)
      one["curves"].push_back({{"name", curve.name}, {"points", curve.points}});
    json["charts"].push_back(std::move(one));
  }
  json["invariants"] = {
      {"snapshots", snapshots}, {"broken", violation_count}, {"first", violations}};
  return json.dump(2);
}

std::string Report::figure_lines(const std::string& machine) const {
  std::string lines;
  for (const Figure& figure : figures) {
    Json json = value_of(figure);
    json["against"] = Json::object();
    json["runs"] = 1;
    json["min"] = json["max"] = figure.value;
    json["machine"] = machine;
    json["note"] = figure.note;
    lines += json.dump() + '\n';
  }
  return lines;
}

}  // namespace i3::sim
