// Owns which packets of a middle-box wait for which plug-ins' verdicts, and in which order they go
// on.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gateways/middlebox/plugin_wire.hh"
#include "overlay/base/time.hh"

namespace i3 {

struct JudgeCounters {
  std::uint64_t passed = 0;
  std::uint64_t dropped = 0;    // by a verdict
  std::uint64_t no_judge = 0;   // one that the settings demand is not there
  std::uint64_t no_room = 0;    // too many waited
  std::uint64_t too_late = 0;   // a judge that did not answer in time was sent away
  std::uint64_t not_asked = 0;  // verdicts for nothing that waits
};

// Sans-I/O. Packets leave in the order in which they came; each as soon as all who were asked let
// it pass.
class Judges {
 public:
  using Plugin = std::uint32_t;
  static constexpr std::size_t kMaxWaiting = 4096;
  static constexpr std::size_t kMaxWaitingBytes = 4 * 1024 * 1024;
  static constexpr Duration kPatience = std::chrono::seconds(2);

  struct Events {
    std::function<void(MutBytes packet)> pass;
    std::function<void(Plugin, const PluginPacket&)> ask;
    std::function<void(Plugin)> send_away;
  };
  // Without a plug-in of each of these names, each of them one that judges, nothing passes.
  Judges(Events events, std::set<std::string> demanded)
      : events_(std::move(events)), demanded_(std::move(demanded)) {}

  void demand(std::set<std::string> names) { demanded_ = std::move(names); }
  void joined(Plugin plugin, const PluginHello& hello) { plugins_[plugin] = hello; }
  void left(Plugin plugin);
  // `packet` is borrowed; where nobody judges it passes within the call.
  void packet(const std::string& from, const std::string& to, MutBytes packet, TimePoint now,
              WallTime wall);
  void verdict(Plugin plugin, const PluginVerdict& verdict);
  TimePoint next_deadline() const;
  void on_timer(TimePoint now);

  std::size_t waiting() const { return waiting_.size(); }
  const std::map<Plugin, PluginHello>& plugins() const { return plugins_; }
  std::vector<std::string> missing() const;
  const JudgeCounters& counters() const { return counters_; }

 private:
  struct Waiting {
    std::uint64_t number = 0;
    std::vector<std::uint8_t> packet;
    std::set<Plugin> asked;  // and not answered yet
    bool drop = false;
    TimePoint since;
  };

  void release();

  Events events_;
  std::set<std::string> demanded_;
  std::map<Plugin, PluginHello> plugins_;
  std::deque<Waiting> waiting_;  // by number
  std::size_t waiting_bytes_ = 0;
  std::uint64_t next_number_ = 1;
  bool releasing_ = false;
  JudgeCounters counters_;
};

}  // namespace i3
