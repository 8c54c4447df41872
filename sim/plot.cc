#include "sim/plot.hh"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace i3::sim {
namespace {

constexpr double kWidth = 520, kHeight = 340, kGap = 28, kHead = 44;
// Of a panel, around its plot.
constexpr double kLeft = 62, kRight = 18, kTop = 62, kBottom = 50;
constexpr const char* kColours[] = {"#2563b0", "#d1622b", "#2f8f5b", "#8a4fa3"};
constexpr const char *kInk = "#1f2430", *kSoft = "#5d6675", *kGrid = "#e4e7ec", *kGoal = "#b3261e";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text)
    if (c == '<')
      out += "&lt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  return out;
}

std::string f(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

// As short as it can be said: 0.05, 12, 10,000.
std::string tick_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", std::round(value * 1e6) / 1e6);
  std::string out = text;
  if (std::abs(value) >= 1000 && out.find_first_of(".e") == std::string::npos)
    for (auto at = static_cast<std::ptrdiff_t>(out.size()) - 3; at > 0; at -= 3)
      out.insert(static_cast<std::size_t>(at), ",");
  return out;
}

std::string label(double x, double y, const std::string& text, const char* anchor, int size,
                  const char* colour, const std::string& more = "") {
  return "<text x=\"" + f(x) + "\" y=\"" + f(y) + "\" text-anchor=\"" + anchor + "\" font-size=\"" +
         std::to_string(size) + "\" fill=\"" + colour + "\"" + more + ">" + escaped(text) +
         "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* colour, double width,
                 const std::string& more = "") {
  return "<line x1=\"" + f(x1) + "\" y1=\"" + f(y1) + "\" x2=\"" + f(x2) + "\" y2=\"" + f(y2) +
         "\" stroke=\"" + colour + "\" stroke-width=\"" + f(width) + "\"" + more + "/>\n";
}

// 1, 2 or 5 times a power of ten, so that about five fit.
double step_of(double span) {
  const double rough = span / 5, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double times : {1.0, 2.0, 5.0})
    if (times * power >= rough) return times * power;
  return 10 * power;
}

struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::vector<double> ticks;

  double share(double value) const {
    if (logarithmic) return (std::log(value) - std::log(low)) / (std::log(high) - std::log(low));
    return (value - low) / (high - low);
  }
};

Axis x_axis(const Chart& chart) {
  Axis axis;
  axis.logarithmic = chart.logarithmic_x;
  axis.low = 1e300;
  axis.high = -1e300;
  for (const Curve& curve : chart.curves)
    for (const auto& [x, y] : curve.points) {
      axis.low = std::min(axis.low, x);
      axis.high = std::max(axis.high, x);
      if (axis.logarithmic &&
          std::find(axis.ticks.begin(), axis.ticks.end(), x) == axis.ticks.end())
        axis.ticks.push_back(x);
    }
  if (axis.logarithmic) {
    axis.low /= 1.15;
    axis.high *= 1.15;
    return axis;
  }
  if (axis.high <= axis.low) axis.high = axis.low + 1;
  const double step = step_of(axis.high - axis.low);
  axis.low = std::floor(axis.low / step + 1e-9) * step;
  axis.high = std::ceil(axis.high / step - 1e-9) * step;
  for (double tick = axis.low; tick <= axis.high + step / 2; tick += step)
    axis.ticks.push_back(tick);
  return axis;
}

Axis y_axis(const Chart& chart) {
  Axis axis;
  axis.high = chart.goal ? *chart.goal * 1.15 : 0;
  for (const Curve& curve : chart.curves)
    for (const auto& [x, y] : curve.points) axis.high = std::max(axis.high, y);
  if (axis.high <= 0) axis.high = 1;
  const double step = step_of(axis.high);
  axis.high = std::ceil(axis.high / step - 1e-9) * step;
  for (double tick = 0; tick <= axis.high + step / 2; tick += step) axis.ticks.push_back(tick);
  return axis;
}

std::string panel(const Chart& chart, double x0, double y0) {
  const Axis xs = x_axis(chart), ys = y_axis(chart);
  const double left = x0 + kLeft, right = x0 + kWidth - kRight;
  const double top = y0 + kTop, bottom = y0 + kHeight - kBottom;
  auto x_at = [&](double value) { return left + xs.share(value) * (right - left); };
  auto y_at = [&](double value) { return bottom - ys.share(value) * (bottom - top); };

  std::string out = label(x0 + 4, y0 + 18, chart.title, "start", 15, kInk, " font-weight=\"600\"");
  for (const double tick : ys.ticks) {
    out += line(left, y_at(tick), right, y_at(tick), kGrid, 1);
    out += label(left - 8, y_at(tick) + 4, tick_text(tick), "end", 11, kSoft);
  }
  out += line(left, bottom, right, bottom, kSoft, 1);
  for (const double tick : xs.ticks) {
    out += line(x_at(tick), bottom, x_at(tick), bottom + 4, kSoft, 1);
    out += label(x_at(tick), bottom + 18, tick_text(tick), "middle", 11, kSoft);
  }
  out += label((left + right) / 2, bottom + 38, chart.x, "middle", 12, kSoft);
  const double middle = (top + bottom) / 2;
  out += label(x0 + 14, middle, chart.y, "middle", 12, kSoft,
               " transform=\"rotate(-90 " + f(x0 + 14) + ' ' + f(middle) + ")\"");
  if (chart.goal) {
    out += line(left, y_at(*chart.goal), right, y_at(*chart.goal), kGoal, 1.2,
                " stroke-dasharray=\"5 4\"");
    out += label(right - 4, y_at(*chart.goal) - 5, chart.goal_name + ' ' + tick_text(*chart.goal),
                 "end", 11, kGoal);
  }
  double legend = left;
  for (std::size_t i = 0; i < chart.curves.size(); ++i) {
    const Curve& curve = chart.curves[i];
    const char* colour = kColours[i % std::size(kColours)];
    std::string points;
    for (const auto& [x, y] : curve.points) points += f(x_at(x)) + ',' + f(y_at(y)) + ' ';
    out += "<polyline fill=\"none\" stroke=\"" + std::string(colour) +
           "\" stroke-width=\"2.2\" stroke-linejoin=\"round\" points=\"" + points + "\"/>\n";
    if (curve.points.size() <= 24)
      for (const auto& [x, y] : curve.points)
        out += "<circle cx=\"" + f(x_at(x)) + "\" cy=\"" + f(y_at(y)) +
               "\" r=\"3.4\" stroke=\"#ffffff\" stroke-width=\"1.2\" fill=\"" + colour + "\"/>\n";
    out += line(legend, y0 + 38, legend + 18, y0 + 38, colour, 2.6);
    out += label(legend + 24, y0 + 42, curve.name, "start", 12, kInk);
    legend += 44 + 6.6 * static_cast<double>(curve.name.size());
  }
  return out;
}

}  // namespace

std::string svg(const std::vector<Chart>& charts, const std::string& subtitle) {
  std::vector<const Chart*> drawn;
  for (const Chart& chart : charts)
    for (const Curve& curve : chart.curves)
      if (!curve.points.empty()) {
        drawn.push_back(&chart);
        break;
      }
  const std::size_t columns = std::clamp<std::size_t>(drawn.size(), 1, 2);
  const std::size_t rows = (drawn.size() + columns - 1) / columns;
  const double width = kGap + static_cast<double>(columns) * (kWidth + kGap);
  const double height = kHead + static_cast<double>(rows) * (kHeight + kGap);
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + f(width) + ' ' +
                    f(height) + "\" width=\"" + f(width) + "\" height=\"" + f(height) +
                    "\" font-family=\"system-ui, sans-serif\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
  out += label(kGap, 26, subtitle, "start", 12, kSoft);
  for (std::size_t i = 0; i < drawn.size(); ++i)
    out += panel(*drawn[i], kGap + static_cast<double>(i % columns) * (kWidth + kGap),
                 kHead + static_cast<double>(i / columns) * (kHeight + kGap));
  return out + "</svg>\n";
}

}  // namespace i3::sim
