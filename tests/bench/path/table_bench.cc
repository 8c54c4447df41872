// Measures the trigger table with 1,000,000 rows: resident memory a row, insertions, matches and
// look-ups by label a second. The worst case has a key and an address prefix for every row, and
// rows that take part in longest-prefix match; the usual one has 100 exact rows a key.
#include <cstdlib>
#include <fstream>
#include <memory>
#include <unistd.h>

#include "overlay/triggers/trigger_table.hh"
#include "overlay/wire/insert.hh"
#include "tests/bench/path/figures.hh"

namespace {

using namespace i3;
using namespace i3::bench;

constexpr std::uint32_t kRows = 1'000'000;
constexpr double kWireSize = 176;  // the shortest insertion (docs/PROTOCOL.md)

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

TriggerSpec row(std::uint32_t number, std::uint32_t rows_a_key, bool exact) {
  std::array<std::uint8_t, 4> bytes;
  Writer(bytes).u32(number);
  TriggerSpec spec;
  spec.id.bytes = blake2b<32>("bench id", {bytes});
  Writer(bytes).u32(number / rows_a_key);
  spec.owner.bytes = spec.member.bytes = blake2b<32>("bench key", {bytes});
  spec.observed = {IpAddress::v4(0x0a000000 + number / rows_a_key), 4000};
  spec.lifetime = std::chrono::seconds(120);
  spec.exact = exact;
  return spec;
}

void measure(Report& report, const std::string& name, std::uint32_t rows_a_key, bool exact) {
  const TimePoint now{std::chrono::seconds(1000)};
  SeededRandom random(1);
  std::vector<TriggerSpec> specs;
  specs.reserve(kRows);
  for (std::uint32_t i = 0; i < kRows; ++i) specs.push_back(row(i, rows_a_key, exact));
  const double before = resident_bytes();
  TriggerTable table(TriggerLimits{}, random);
  std::vector<wire::Label> labels(kRows);
  const double with_labels = resident_bytes() - before;

  double start = cpu_nanoseconds();
  for (std::uint32_t i = 0; i < kRows; ++i) labels[i] = table.put(specs[i], now, 0).label;
  const double inserting = cpu_nanoseconds() - start;
  const double bytes = (resident_bytes() - before - with_labels) / kRows;
  if (table.size() != kRows) {
    std::fprintf(stderr, "table_bench: %zu rows instead of %u\n", table.size(), kRows);
    std::exit(1);
  }
  std::uint64_t found = 0;
  start = cpu_nanoseconds();
  for (std::uint32_t i = 0; i < kRows; ++i)
    found += table.match(specs[i * 7919ull % kRows].id, 1, now).size();
  const double matching = cpu_nanoseconds() - start;
  if (found != kRows) {
    std::fprintf(stderr, "table_bench: %zu of %u found\n", static_cast<std::size_t>(found), kRows);
    std::exit(1);
  }
  auto one = [&](const std::string& figure, double value, const char* unit, double goal) {
    Samples samples;
    samples.add(value);
    report.figure("tables." + name + "_" + figure, samples, unit, {goal, 0});
  };
  one("bytes_beyond_wire", bytes - kWireSize, "bytes", 256);
  one("bytes_a_trigger", bytes, "bytes", 0);
  one("insert_ns", inserting / kRows, "ns", 0);
  one("match_ns", matching / kRows, "ns", 0);
  std::printf("%s: %.0f inserts a second, %.0f matches a second\n", name.c_str(),
              kRows / inserting * 1e9, kRows / matching * 1e9);
}

}  // namespace

// table_bench FIGURES-FILE
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: table_bench FIGURES-FILE\n");
    return 2;
  }
  Report report(argv[1]);
  measure(report, "usual", 100, true);
  measure(report, "worst", 1, false);
  return 0;
}
