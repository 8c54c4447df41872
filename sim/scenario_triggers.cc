// Hosts that talk through their triggers while nodes die, and what a trigger costs.
#include "sim/process.hh"
#include "sim/scenario.hh"
#include "sim/talker.hh"

namespace i3::sim {
namespace {

constexpr double kGoalFailOver = 1000, kGoalTriggerBytes = 256;
// ID, owner, member, endpoint, sequence: what a row has to know of an insertion.
constexpr double kWireSize = 32 + 32 + 32 + 18 + 8;
constexpr Duration kPause = std::chrono::milliseconds(50);  // between two packets of one host

class Conversations {
 public:
  Conversations(World& world, std::size_t count) : world_(world) {
    for (std::size_t i = 0; i < 2 * count; ++i) {
      std::vector<EntryNode> entries;
      for (int e = 0; e < 4; ++e) {
        SimNode& node = world.ring[world.network.random().below(world.ring.size())];
        entries.push_back({node.endpoint(), node.identity().key()});
      }
      talkers_.push_back(
          std::make_unique<Talker>(world.network, i + 1, (i ^ 1) + 1, std::move(entries)));
    }
    clock_ = world.network.add_host();
    tick();
  }
  ~Conversations() { world_.network.cancel(timer_); }

  bool ready() {
    return std::all_of(talkers_.begin(), talkers_.end(),
                       [](auto& talker) { return talker->ready(); });
  }
  void talk(bool on) { talking_ = on; }
  std::size_t count() const { return talkers_.size() / 2; }
  Talker& asking(std::size_t i) { return *talkers_[2 * i]; }
  Talker& answering(std::size_t i) { return *talkers_[2 * i + 1]; }

  struct Count {
    std::uint64_t said = 0, heard = 0, answered = 0;
  };
  Count all() {
    Count sum;
    for (std::size_t i = 0; i < count(); ++i) {
      sum.said += asking(i).said();
      sum.heard += answering(i).heard();
      sum.answered += asking(i).answered();
    }
    return sum;
  }
  std::size_t standing() {
    std::size_t sum = 0;
    for (auto& talker : talkers_)
      for (const TriggerStatus& trigger : talker->client().triggers(world_.network.now()))
        sum += trigger.stands;
    return sum;
  }

 private:
  void tick() {
    timer_ = world_.network.at(clock_, world_.network.now() + kPause, [this] {
      for (std::size_t i = 0; talking_ && i < count(); ++i) asking(i).say();
      tick();
    });
  }

  World& world_;
  std::vector<std::unique_ptr<Talker>> talkers_;
  SimNetwork::Host clock_ = 0;
  SimNetwork::Timer timer_ = 0;
  bool talking_ = false;
};

std::vector<std::string> row(const std::string& what, const Conversations::Count& before,
                             const Conversations::Count& after) {
  const auto said = static_cast<double>(std::max<std::uint64_t>(after.said - before.said, 1));
  const double lost = 100 * (1 - static_cast<double>(after.heard - before.heard) / said);
  const double unanswered =
      100 * (1 - static_cast<double>(after.answered - before.answered) / said);
  return {what, number(said, 0), number(lost, 3), number(unanswered, 3)};
}

// The one that brought the conversation's last packet; nothing if it is no node.
std::optional<std::size_t> node_at(World& world, const Endpoint& endpoint) {
  for (std::size_t i = 0; i < world.ring.size(); ++i)
    if (world.ring[i].endpoint() == endpoint) return i;
  return std::nullopt;
}

struct FailOver {
  float silence_ms;     // at the receiver
  float round_trip_ms;  // between both ends, by the node that died
};

// One for each death of a node that carried a conversation.
std::vector<FailOver> fail_overs(const ScenarioOptions& options, World& world, Conversations& talks,
                                 std::size_t deaths) {
  std::vector<FailOver> result;
  for (std::size_t i = 0; i < deaths; ++i) {
    const std::size_t which = world.network.random().below(talks.count());
    Talker& receiver = talks.answering(which);
    const auto node = node_at(world, receiver.brought_by());
    if (!node) continue;
    const SimNetwork::Host carrier = world.ring[*node].host();
    const Duration way = world.sites.distance(talks.asking(which).machine(), carrier) +
                         world.sites.distance(carrier, receiver.machine());
    receiver.restart_silence();
    world.ring.kill(*node);
    world.ring.add_through_members(2, world.change());
    world.run_for(std::chrono::seconds(15));
    using Milliseconds = std::chrono::duration<float, std::milli>;
    result.push_back(
        {Milliseconds(receiver.longest_silence()).count(), Milliseconds(2 * way).count()});
  }
  say(options, world, std::to_string(result.size()) + " carrying nodes died");
  return result;
}

// Memory of a table with many rows, eight to a key.
double bytes_of_a_row(std::size_t rows) {
  SeededRandom random(5);
  TriggerLimits limits;
  limits.total = limits.per_prefix = rows;
  const std::size_t before = allocated_bytes();
  TriggerTable table(limits, random);
  TriggerSpec spec;
  for (std::size_t i = 0; i < rows; ++i) {
    if (i % 8 == 0) spec.owner.bytes = random.array<32>();
    spec.member = spec.owner;
    spec.id.bytes = random.array<32>();
    spec.observed = {IpAddress::v4(static_cast<std::uint32_t>(0x0c000000 + i / 8)), 4000};
    spec.sequence = 1;
    const auto stored = table.put(spec, TimePoint{}, 0);
    assert(stored.result == TriggerTable::Put::stored);
  }
  return static_cast<double>(allocated_bytes() - before) / static_cast<double>(rows);
}

}  // namespace

void run_triggers(const ScenarioOptions& options, Report& report) {
  const std::size_t nodes = options.nodes ? options.nodes : options.brief ? 40 : 200;
  const std::size_t pairs = options.brief ? 8 : 40;
  const double seconds = options.seconds > 0 ? options.seconds : options.brief ? 60 : 600;
  // First, while the process is small.
  const double row_bytes = bytes_of_a_row(options.brief ? 100'000 : 1'000'000);
  World world(world_plan(options));
  say(options, world, "ring of " + std::to_string(nodes) + " forms");
  world.grow(nodes);
  Conversations talks(world, pairs);
  const bool ready = world.run_until([&] { return talks.ready(); }, std::chrono::seconds(60));
  say(options, world, ready ? "all hosts have triggers" : "not all hosts have triggers");
  talks.talk(true);
  // Near nodes are found, and private triggers moved there, in the first minute.
  world.run_for(std::chrono::seconds(options.brief ? 10 : 90));

  Table table{std::to_string(pairs) + " conversations of 20 packets a second through " +
                  std::to_string(nodes) + " nodes",
              {"", "packets", "% lost", "% without answer"},
              {}};
  auto before = talks.all();
  const auto traffic = world.traffic.by_kind();
  world.run_for(std::chrono::seconds(60));
  const auto upkeep = difference(world.traffic.by_kind(), traffic);
  const std::size_t standing = talks.standing();
  std::size_t rows = 0;
  for (auto& node : world.ring.nodes()) rows += node->core().triggers().size();
  table.rows.push_back(row("calm", before, talks.all()));
  double upkeep_bytes = 0;
  for (const char* kind : {"insertions", "refreshes"})
    if (auto found = upkeep.find(kind); found != upkeep.end())
      upkeep_bytes += static_cast<double>(found->second.with_headers()) / 60;

  before = talks.all();
  const auto overs = fail_overs(options, world, talks, options.brief ? 6 : 40);
  std::vector<float> silences, beyond;
  FailOver worst{};
  for (const FailOver& over : overs) {
    silences.push_back(over.silence_ms);
    beyond.push_back(over.silence_ms - 2 * over.round_trip_ms);
    if (over.silence_ms > worst.silence_ms) worst = over;
  }
  table.rows.push_back(row("carriers die", before, talks.all()));

  // A node's median session is 20 minutes, and half of them leave with a word.
  before = talks.all();
  ChurnPlan plan = sessions_of(20 * 60, nodes);
  plan.crash_share = options.crash_share >= 0 ? options.crash_share : 0.5;
  plan.change = world.change();
  world.churn.start(plan);
  world.run_for(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
  world.churn.stop();
  const auto after = talks.all();
  table.rows.push_back(row("churn, median session 20 min", before, after));
  talks.talk(false);
  close(world, report);
  report.tables.push_back(std::move(table));

  const auto said = static_cast<double>(std::max<std::uint64_t>(after.said - before.said, 1));
  const double lost = 100 * (1 - static_cast<double>(after.heard - before.heard) / said);
  const std::string note = std::to_string(nodes) + " nodes, " + std::to_string(pairs) +
                           " conversations, " + std::to_string(silences.size()) + " deaths";
  report.figure({"triggers.failover_median_ms", percentile(silences, 0.5), "ms", kGoalFailOver,
                 Better::lower, note});
  report.figure(
      {"triggers.failover_worst_ms", percentile(silences, 1), "ms", kGoalFailOver, Better::lower,
       note + ", by a node with a round trip of " + number(worst.round_trip_ms, 0) + " ms"});
  report.figure({"triggers.failover_beyond_two_round_trips_ms",
                 percentile(beyond, 1),
                 "ms",
                 {},
                 Better::lower,
                 note + ", the worst"});
  report.figure({"triggers.churn_lost_percent",
                 lost,
                 "%",
                 {},
                 Better::lower,
                 std::to_string(static_cast<int>(said)) + " packets, median session 20 min"});
  report.figure(
      {"triggers.rows_per_trigger",
       static_cast<double>(rows) / static_cast<double>(std::max<std::size_t>(standing, 1)),
       "",
       {},
       Better::lower,
       "at owner and replicas, " + std::to_string(standing) + " triggers"});
  report.figure({"triggers.upkeep_bytes_per_s",
                 upkeep_bytes / static_cast<double>(std::max<std::size_t>(rows, 1)),
                 "B/s",
                 {},
                 Better::lower,
                 "for each row, both directions, headers counted"});
  report.figure({"triggers.row_bytes",
                 row_bytes,
                 "B",
                 {},
                 Better::lower,
                 "of memory, in a table of a million rows, eight rows to a key"});
  report.figure({"triggers.row_bytes_over_wire", row_bytes - kWireSize, "B", kGoalTriggerBytes,
                 Better::lower, "beyond " + number(kWireSize, 0) + " that the row has to know"});
}

}  // namespace i3::sim
