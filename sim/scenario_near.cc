// How far hosts are from each other through the nodes that hold their triggers: where these are as
// chance has it, and where each host looks for near ones.
#include "sim/scenario.hh"
#include "sim/talker.hh"

namespace i3::sim {
namespace {

constexpr double kGoalStretch = 1.3;

struct Ways {
  double through = 0, direct = 0;  // seconds, sums over the conversations
  std::vector<float> stretch;
  std::vector<float> nearest_ms;  // round trips to the nodes that hold private triggers
  std::size_t not_heard = 0;
  std::uint64_t said = 0, heard = 0;
  std::size_t most_hosts = 0;  // whose private triggers one and the same node holds
  double bytes_per_s = 0;      // that a host sends and receives, idle

  double mean() const { return direct > 0 ? through / direct : 0; }
};

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::uint64_t traffic_of(World& world, SimNetwork::Host machine) {
  const auto both = [](const SimNetwork::Traffic& traffic) {
    return traffic.bytes + 28 * traffic.packets;
  };
  return both(world.network.sent(machine)) + both(world.network.received(machine));
}

class Meeting {
 public:
  Meeting(World& world, std::size_t pairs, bool near) : world_(world) {
    for (std::size_t i = 0; i < 2 * pairs; ++i) {
      std::vector<EntryNode> entries;
      for (int e = 0; e < 2; ++e) {
        SimNode& node = world.ring[world.network.random().below(world.ring.size())];
        entries.push_back({node.endpoint(), node.identity().key()});
      }
      talkers_.push_back(
          std::make_unique<Talker>(world.network, i + 1, (i ^ 1) + 1, std::move(entries), near));
    }
  }

  bool ready() {
    return std::all_of(talkers_.begin(), talkers_.end(),
                       [](auto& talker) { return talker->ready(); });
  }
  // Each conversation says one packet a second, while the hosts find their places.
  void talk(int packets) {
    for (int i = 0; i < packets; ++i) {
      for (std::size_t t = 0; t < talkers_.size(); t += 2) talkers_[t]->say();
      world_.run_for(std::chrono::seconds(1));
    }
  }
  void idle(Ways& ways) {
    std::uint64_t before = 0, after = 0;
    for (auto& talker : talkers_) before += traffic_of(world_, talker->machine());
    world_.run_for(std::chrono::seconds(120));
    for (auto& talker : talkers_) after += traffic_of(world_, talker->machine());
    ways.bytes_per_s =
        static_cast<double>(after - before) / 120 / static_cast<double>(talkers_.size());
  }
  void measure(Ways& ways) {
    for (std::size_t i = 0; i < talkers_.size(); i += 2) {
      Talker& from = *talkers_[i];
      Talker& to = *talkers_[i + 1];
      ways.said += from.said();
      ways.heard += to.heard();
      const double direct = seconds(world_.sites.distance(from.machine(), to.machine()));
      if (to.heard_at() <= from.said_at()) {
        ++ways.not_heard;
        continue;
      }
      const double through = seconds(to.heard_at() - from.said_at());
      ways.through += through;
      ways.direct += direct;
      ways.stretch.push_back(static_cast<float>(through / direct));
    }
    std::map<Endpoint, std::size_t> hosts;
    for (auto& talker : talkers_)
      for (const TriggerStatus& trigger : talker->client().triggers(world_.network.now())) {
        if (trigger.use != TriggerStatus::Use::spare || !trigger.stands) continue;
        ways.most_hosts = std::max(ways.most_hosts, ++hosts[trigger.address]);
        for (const auto& node : world_.ring.nodes())
          if (node->endpoint() == trigger.address)
            ways.nearest_ms.push_back(static_cast<float>(
                2e3 * seconds(world_.sites.distance(talker->machine(), node->host()))));
        break;
      }
  }

 private:
  World& world_;
  std::vector<std::unique_ptr<Talker>> talkers_;
};

Ways ways_of(const ScenarioOptions& options, Report& report, std::size_t nodes, std::size_t pairs,
             bool near) {
  World world(world_plan(options));
  say(options, world, "ring of " + std::to_string(nodes) + " forms");
  world.grow(nodes);
  Meeting meeting(world, pairs, near);
  world.run_until([&] { return meeting.ready(); }, std::chrono::seconds(60));
  say(options, world, near ? "hosts look for near nodes" : "hosts take what comes");
  meeting.talk(60);
  Ways ways;
  meeting.idle(ways);
  meeting.talk(2);
  meeting.measure(ways);
  close(world, report);
  return ways;
}

}  // namespace

void run_near(const ScenarioOptions& options, Report& report) {
  const std::size_t nodes = options.nodes ? options.nodes : options.brief ? 60 : 500;
  const std::size_t pairs = options.brief ? 10 : 100;
  Table table{std::to_string(pairs) + " conversations through " + std::to_string(nodes) + " nodes",
              {"nodes", "stretch", "median", "90 %", "RTT to own node ms", "90 %",
               "most hosts of one", "% lost", "host B/s idle"},
              {}};
  const std::string note = std::to_string(nodes) + " nodes, " + std::to_string(pairs) +
                           " conversations, sums of one-way delays";
  for (const bool near : {false, true}) {
    const Ways ways = ways_of(options, report, nodes, pairs, near);
    const double lost = 100 * (1 - static_cast<double>(ways.heard) /
                                       static_cast<double>(std::max<std::uint64_t>(ways.said, 1)));
    table.rows.push_back(
        {near ? "near ones" : "as they come", number(ways.mean()),
         number(percentile(ways.stretch, 0.5)), number(percentile(ways.stretch, 0.9)),
         number(percentile(ways.nearest_ms, 0.5), 1), number(percentile(ways.nearest_ms, 0.9), 1),
         std::to_string(ways.most_hosts), number(lost, 3), number(ways.bytes_per_s, 0)});
    if (near) {
      report.figure({"path.relayed_stretch", ways.mean(), "", kGoalStretch, Better::lower, note});
      report.figure({"path.relayed_lost_percent", lost, "%", 0.0, Better::lower,
                     std::to_string(ways.said) + " packets, while hosts find near nodes"});
    } else {
      report.figure({"path.relayed_stretch_by_chance", ways.mean(), "", {}, Better::lower, note});
    }
  }
  report.tables.push_back(std::move(table));
}

}  // namespace i3::sim
