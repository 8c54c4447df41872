#include "gateways/middlebox/judges.hh"

#include <algorithm>

namespace i3 {

std::vector<std::string> Judges::missing() const {
  std::vector<std::string> names;
  for (const std::string& name : demanded_) {
    const bool there = std::any_of(plugins_.begin(), plugins_.end(), [&](const auto& one) {
      return one.second.judges && one.second.name == name;
    });
    if (!there) names.push_back(name);
  }
  return names;
}

// 1 are all there that have to be  2 ask, or show  3 wait, or pass at once
void Judges::packet(const std::string& from, const std::string& to, MutBytes packet, TimePoint now,
                    WallTime wall) {
  if (!missing().empty()) {
    ++counters_.no_judge;
    return;
  }
  if (waiting_.size() >= kMaxWaiting || waiting_bytes_ + packet.size() > kMaxWaitingBytes) {
    ++counters_.no_room;
    return;
  }
  Waiting entry;
  entry.number = next_number_++;
  entry.since = now;
  for (const auto& [plugin, hello] : plugins_)
    if (hello.judges) entry.asked.insert(plugin);
  const PluginPacket asked{entry.number, wall, from, to, packet};
  const bool at_once = entry.asked.empty() && waiting_.empty();
  if (!at_once) {
    entry.packet.assign(packet.begin(), packet.end());
    waiting_bytes_ += packet.size();
    waiting_.push_back(std::move(entry));
  }
  std::vector<Plugin> all;  // one that is asked may leave meanwhile
  for (const auto& [plugin, hello] : plugins_) all.push_back(plugin);
  for (const Plugin plugin : all) events_.ask(plugin, asked);
  if (!at_once) return;
  ++counters_.passed;
  events_.pass(packet);
}

void Judges::verdict(Plugin plugin, const PluginVerdict& verdict) {
  const auto found = std::lower_bound(
      waiting_.begin(), waiting_.end(), verdict.number,
      [](const Waiting& entry, std::uint64_t number) { return entry.number < number; });
  if (found == waiting_.end() || found->number != verdict.number ||
      found->asked.erase(plugin) == 0) {
    ++counters_.not_asked;
    return;
  }
  found->drop = found->drop || verdict.drop;
  release();
}

// What waits for it alone is dropped where the settings demand it, and passes where they do not.
void Judges::left(Plugin plugin) {
  const auto known = plugins_.find(plugin);
  if (known == plugins_.end()) return;
  const bool needed = demanded_.contains(known->second.name);
  plugins_.erase(known);
  for (Waiting& entry : waiting_)
    if (entry.asked.erase(plugin) != 0 && needed) entry.drop = true;
  release();
}

void Judges::release() {
  if (releasing_) return;
  releasing_ = true;
  while (!waiting_.empty() && waiting_.front().asked.empty()) {
    Waiting entry = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= entry.packet.size();
    ++(entry.drop ? counters_.dropped : counters_.passed);
    if (!entry.drop) events_.pass(entry.packet);
  }
  releasing_ = false;
}

TimePoint Judges::next_deadline() const {
  return waiting_.empty() ? kNever : waiting_.front().since + kPatience;
}

void Judges::on_timer(TimePoint now) {
  while (!waiting_.empty() && now >= waiting_.front().since + kPatience) {
    const std::set<Plugin> late = waiting_.front().asked;
    for (const Plugin plugin : late) {
      ++counters_.too_late;
      events_.send_away(plugin);
      left(plugin);
    }
    release();
  }
}

}  // namespace i3
