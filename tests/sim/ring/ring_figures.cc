// Prints the figures of the ring: look-ups under churn, broken pairs, half the nodes dying,
// partition, latency and hops, cost of keeping it.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/sim/ring/chord_world.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {
struct Options {
  std::size_t nodes = 1000;
  std::uint64_t seed = 1;
  double rate = 0.1;
  double pairs = 0.05;
  double minutes = 60;
  double session = 1.4;
  double crashes = 0.5;
  std::size_t successors = 16;
  std::string matrix;
};

LatencyMatrix latencies(const Options& options) {
  SeededRandom random(options.seed + 77);
  if (options.matrix.empty()) return LatencyMatrix::plane(500, random);
  auto matrix = LatencyMatrix::read(options.matrix);
  if (!matrix) throw std::runtime_error("cannot read " + options.matrix);
  return *matrix;
}

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

double milli(Duration duration) {
  return seconds(duration) * 1000;
}

struct Tally {
  std::size_t asked = 0, silent = 0, wrong = 0, anew = 0;
  std::vector<ChordWorld::Outcome> right;
  void add(const ChordWorld::Outcome& outcome) {
    ++asked;
    if (!outcome.answered)
      ++silent;
    else if (!outcome.right)
      ++wrong;
    else
      right.push_back(outcome);
    if (outcome.sent_anew) ++anew;
  }
  void print(const char* name) const {
    std::vector<double> answer;
    double hops = 0, direct = 0, reach = 0, total = 0;
    std::vector<double> ratio, reaches, directs;
    for (const auto& o : right) {
      answer.push_back(milli(o.to_answer));
      total += milli(o.to_answer);
      hops += o.hops;
      if (o.direct == Duration{}) continue;
      direct += milli(o.direct);
      reach += milli(o.to_owner);
      reaches.push_back(milli(o.to_owner));
      directs.push_back(milli(o.direct));
      ratio.push_back(milli(o.to_owner) / milli(o.direct));
    }
    auto quantile = [](std::vector<double> v, double q) {
      if (v.empty()) return 0.0;
      std::sort(v.begin(), v.end());
      return v[static_cast<std::size_t>(q * static_cast<double>(v.size() - 1))];
    };
    const double n = std::max<double>(1, static_cast<double>(right.size()));
    std::printf(
        "%s: %zu look-ups, failed %zu (%.2f of 10,000): silent %zu, wrong %zu; sent anew %zu; "
        "hops %.2f; answer mean %.0f median %.0f p99 %.0f ms; to owner mean %.1f direct %.1f ms "
        "(%.2f), medians %.1f %.1f (%.2f), median of ratios %.2f\n",
        name, asked, silent + wrong,
        asked ? 1e4 * static_cast<double>(silent + wrong) / static_cast<double>(asked) : 0, silent,
        wrong, anew, hops / n, total / n, quantile(answer, 0.5), quantile(answer, 0.99), reach / n,
        direct / n, direct > 0 ? reach / direct : 0, quantile(reaches, 0.5), quantile(directs, 0.5),
        directs.empty() ? 0 : quantile(reaches, 0.5) / quantile(directs, 0.5),
        quantile(ratio, 0.5));
    std::fflush(stdout);
  }
};

struct Run {
  explicit Run(const Options& o)
      : options(o), world(o.seed, latencies(o), [&] {
          ChordSettings settings;
          settings.successors = o.successors;
          return settings;
        }()) {}

  void grow() {
    world.add();
    // Twice as fast as a second's doubling would be harder on the ring than any real one.
    while (world.members() < options.nodes && world.living().size() < options.nodes) {
      const std::size_t batch = std::max<std::size_t>(1, world.members() / 20);
      for (std::size_t i = 0; i < batch && world.living().size() < options.nodes; ++i) world.add();
      world.run_for(1s);
    }
    const TimePoint begun = world.now();
    const bool ideal = world.ideal_within(300s);
    std::printf("grown to %zu: %s after %.1f s %s\n", world.members(),
                ideal ? "ideal" : "NOT ideal", seconds(world.now() - begun), world.fault().c_str());
    std::fflush(stdout);
  }
  void ask(Tally& tally) {
    Random& random = world.random();
    const RingId position{random.u64(), random.u64()};
    world.look_up(world.random_member(), position,
                  [&](const ChordWorld::Outcome& outcome) { tally.add(outcome); });
  }
  void traffic(const char* name, TimePoint since, std::uint64_t bytes_before, double seconds_before,
               const std::array<std::uint64_t, 16>& kinds_before) {
    (void)since;
    const double lived = world.node_seconds() - seconds_before;
    std::printf("%s: %.0f bytes a second and node sent;", name,
                static_cast<double>(world.bytes_sent() - bytes_before) / lived);
    static const char* names[] = {"",      "ping",    "pong",    "ask",   "state", "notify",
                                  "find",  "found",   "forward", "reply", "leave", "ack",
                                  "relay", "relayed", "",        ""};
    for (std::size_t i = 0; i < 16; ++i)
      if (world.bytes_by_kind()[i] > kinds_before[i])
        std::printf(" %s %.0f", names[i],
                    static_cast<double>(world.bytes_by_kind()[i] - kinds_before[i]) / lived);
    std::printf("\n");
    std::fflush(stdout);
  }

  Options options;
  ChordWorld world;
};

void calm(const Options& options) {
  Run run(options);
  run.grow();
  run.world.run_for(std::chrono::seconds(static_cast<int>(options.minutes * 60)));
  const auto bytes = run.world.bytes_sent();
  const auto lived = run.world.node_seconds();
  const auto kinds = run.world.bytes_by_kind();
  const TimePoint begun = run.world.now();
  run.world.run_for(100s);
  run.traffic("calm", begun, bytes, lived, kinds);
  Tally tally;
  run.world.every(100, [&] { run.ask(tally); });
  run.world.run_for(60s);
  run.world.stop_all();
  run.world.run_for(10s);
  tally.print("calm");
}

void churn(const Options& options) {
  Run run(options);
  run.grow();
  run.world.run_for(120s);
  Tally tally;
  const auto bytes = run.world.bytes_sent();
  const auto lived = run.world.node_seconds();
  const auto kinds = run.world.bytes_by_kind();
  const TimePoint begun = run.world.now();
  run.world.every(options.rate, [&] { run.world.add(); });
  run.world.every(options.rate, [&] {
    const auto victim = run.world.random_member();
    if (static_cast<double>(run.world.random().below(1000)) < options.crashes * 1000)
      run.world.kill(victim);
    else
      run.world.leave(victim);
  });
  run.world.every(10, [&] { run.ask(tally); });
  std::size_t broken = 0;
  std::string last;
  const int looks = static_cast<int>(options.minutes * 60);
  for (int i = 0; i < looks; ++i) {
    run.world.run_for(1s);
    if (auto what = run.world.broken(); !what.empty()) {
      ++broken;
      last = what;
    }
  }
  run.traffic("churn", begun, bytes, lived, kinds);
  run.world.stop_all();
  run.world.run_for(15s);
  char name[64];
  std::snprintf(name, sizeof name, "churn %.2f/s", options.rate);
  tally.print(name);
  std::printf("invariant broken at %zu of %d looks %s\n", broken, looks, last.c_str());
  const TimePoint stopped = run.world.now();
  const bool ideal = run.world.ideal_within(120s);
  std::printf("after churn: %s after %.1f s %s\n", ideal ? "ideal" : "NOT ideal",
              seconds(run.world.now() - stopped) + 15, run.world.fault().c_str());
}

// Lives are exponential with the given median; as many come as go.
void sessions(Options options) {
  options.rate = static_cast<double>(options.nodes) / (options.session * 60 / 0.6931);
  Run run(options);
  run.grow();
  run.world.run_for(60s);
  run.world.every(options.rate, [&] { run.world.add(); });
  run.world.every(options.rate, [&] { run.world.kill(run.world.random_member()); });
  run.world.run_for(180s);
  Tally tally;
  const auto bytes = run.world.bytes_sent();
  const auto lived = run.world.node_seconds();
  const auto kinds = run.world.bytes_by_kind();
  const TimePoint begun = run.world.now();
  run.world.every(10, [&] { run.ask(tally); });
  run.world.run_for(std::chrono::seconds(static_cast<int>(options.minutes * 60)));
  run.traffic("sessions", begun, bytes, lived, kinds);
  tally.print("sessions");
  std::printf("members %zu, broken: %s\n", run.world.members(), run.world.broken().c_str());
}

void half(const Options& options) {
  Run run(options);
  run.grow();
  run.world.run_for(60s);
  auto living = run.world.living();
  for (std::size_t i = living.size(); i > 1; --i)
    std::swap(living[i - 1], living[run.world.random().below(i)]);
  for (std::size_t i = 0; i < living.size() / 2; ++i) run.world.kill(living[i]);
  const TimePoint begun = run.world.now();
  Tally tally, later;
  run.world.every(50, [&] { run.ask(run.world.now() < begun + 30s ? tally : later); });
  std::printf("half of all died: invariant: %s\n", run.world.broken().c_str());
  bool ideal = false;
  for (int i = 0; i < 240 && !ideal; ++i) {
    run.world.run_for(500ms);
    ideal = run.world.ideal();
  }
  std::printf("half of all died: %s after %.1f s %s\n", ideal ? "ideal" : "NOT ideal",
              seconds(run.world.now() - begun), run.world.fault().c_str());
  if (run.world.now() < begun + 40s) run.world.run_until(begun + 40s);
  run.world.stop_all();
  run.world.run_for(15s);
  tally.print("first 30 s");
  later.print("after 30 s");
}

void partition(const Options& options) {
  Run run(options);
  run.grow();
  run.world.run_for(60s);
  run.world.set_blocked([](auto a, auto b) { return a % 2 != b % 2; });
  run.world.run_for(300s);
  run.world.set_blocked({});
  const TimePoint begun = run.world.now();
  bool ideal = false;
  for (int i = 0; i < 240 && !ideal; ++i) {
    run.world.run_for(500ms);
    ideal = run.world.ideal();
  }
  std::printf("partition healed: %s after %.1f s %s\n", ideal ? "ideal" : "NOT ideal",
              seconds(run.world.now() - begun), run.world.fault().c_str());
}

void pairs(const Options& options) {
  Run run(options);
  const auto share = static_cast<std::uint64_t>(options.pairs * 1e6);
  run.world.set_blocked([share](std::uint64_t a, std::uint64_t b) {
    if (a > b) std::swap(a, b);
    std::uint64_t h = (a * 0x9e3779b97f4a7c15ull) ^ (b * 0xc2b2ae3d27d4eb4full);
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9ull;
    h ^= h >> 32;
    return h % 1'000'000 < share;
  });
  run.grow();
  run.world.run_for(60s);
  Tally tally;
  if (options.rate > 0) {
    run.world.every(options.rate, [&] { run.world.add(); });
    run.world.every(options.rate, [&] { run.world.kill(run.world.random_member()); });
  }
  run.world.every(10, [&] { run.ask(tally); });
  run.world.run_for(std::chrono::seconds(static_cast<int>(options.minutes * 60)));
  run.world.stop_all();
  run.world.run_for(15s);
  tally.print("broken pairs");
  std::printf("members %zu of %zu, broken: %s, fault: %s\n", run.world.members(),
              run.world.living().size(), run.world.broken().c_str(), run.world.fault().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Figures of the ring, simulated"};
  Options options;
  std::string what;
  app.add_option("figure", what, "calm, churn, sessions, half, partition or pairs")->required();
  app.add_option("--nodes", options.nodes);
  app.add_option("--seed", options.seed);
  app.add_option("--rate", options.rate, "joins, and leaves, a second");
  app.add_option("--crashes", options.crashes, "share of leaves that are crashes");
  app.add_option("--pairs", options.pairs, "share of pairs that cannot reach each other");
  app.add_option("--minutes", options.minutes);
  app.add_option("--session", options.session, "median session in minutes");
  app.add_option("--successors", options.successors);
  app.add_option("--matrix", options.matrix, "file of round-trip times");
  CLI11_PARSE(app, argc, argv);
  std::printf("figure %s, %zu nodes, seed %llu\n", what.c_str(), options.nodes,
              static_cast<unsigned long long>(options.seed));
  if (what == "calm")
    calm(options);
  else if (what == "churn")
    churn(options);
  else if (what == "sessions")
    sessions(options);
  else if (what == "half")
    half(options);
  else if (what == "partition")
    partition(options);
  else if (what == "pairs")
    pairs(options);
  else
    return 2;
  return 0;
}
