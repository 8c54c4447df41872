// Owns how these benchmarks measure and report: medians of runs, one JSON object a line, one table.
#pragma once

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <time.h>
#include <vector>

namespace i3::bench {

struct Samples {
  std::vector<double> values;

  void add(double value) { values.push_back(value); }
  double median() const {
    auto sorted = values;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
  double least() const { return *std::min_element(values.begin(), values.end()); }
  double most() const { return *std::max_element(values.begin(), values.end()); }
};

// This thread's CPU time: what the work costs, also on a machine that does other things too.
inline double cpu_nanoseconds() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) * 1e9 + static_cast<double>(spent.tv_nsec);
}

// For single steps, whose median forgives the moments in which somebody else had the processor.
inline double wall_nanoseconds() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

inline std::string machine() {
  const std::string cores = std::to_string(std::thread::hardware_concurrency()) + " cores";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return cores + ' ' + line.substr(line.find(':') + 2);
  return cores;
}

// What a figure is compared with; 0: nothing. Every figure here is better lower.
struct Against {
  double goal = 0;
  double paper = 0;  // seed 001, 8.1 and 8.2, on a machine of 2004
};

class Report {
 public:
  explicit Report(const char* path) : out_(path, std::ios::app), machine_(machine()) {
    std::printf("%-38s %10s %-6s %8s %-7s %9s  %s\n", "figure", "median", "unit", "goal", "",
                "to paper", "least to most");
  }

  void figure(const std::string& name, const Samples& samples, const char* unit,
              const Against& against = {}) {
    char line[640];
    char goal[32] = "null", paper[48] = "", ratio[32] = "-";
    if (against.goal > 0) std::snprintf(goal, sizeof goal, "%g", against.goal);
    if (against.paper > 0) {
      std::snprintf(paper, sizeof paper, "\"paper 2004\":%g", against.paper);
      std::snprintf(ratio, sizeof ratio, "%.4f", samples.median() / against.paper);
    }
    std::snprintf(line, sizeof line,
                  "{\"figure\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"goal\":%s,"
                  "\"better\":\"lower\",\"against\":{%s},\"runs\":%zu,\"min\":%.3f,\"max\":%.3f,"
                  "\"machine\":\"%s\"}",
                  name.c_str(), samples.median(), unit, goal, paper, samples.values.size(),
                  samples.least(), samples.most(), machine_.c_str());
    out_ << line << std::endl;
    const bool met = samples.median() <= against.goal;
    std::printf("%-38s %10.2f %-6s %8s %-7s %9s  %.2f to %.2f\n", name.c_str(), samples.median(),
                unit, against.goal > 0 ? goal : "-",
                against.goal <= 0 ? ""
                : met             ? "met"
                                  : "missed",
                ratio, samples.least(), samples.most());
    std::fflush(stdout);
  }

 private:
  std::ofstream out_;
  std::string machine_;
};

// `large` in terms of the median of `small`.
inline Samples ratio(const Samples& large, const Samples& small) {
  Samples result;
  for (double value : large.values) result.add(value / small.median());
  return result;
}

}  // namespace i3::bench
