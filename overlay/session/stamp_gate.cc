#include "overlay/session/stamp_gate.hh"

namespace i3 {

void StampEntry::write(Writer& writer) const {
  key.write(writer);
  writer.u64(stamp);
}

StampEntry StampEntry::read(Reader& reader) {
  StampEntry entry;
  entry.key = PublicKey::read(reader);
  entry.stamp = reader.u64();
  return entry;
}

StampGate::StampGate(std::size_t max_entries, bool clean_start)
    : max_entries_(max_entries), clean_start_(clean_start) {
  assert(max_entries > 0);
}

StampGate::Decision StampGate::check(const PublicKey& key, std::uint64_t stamp) {
  if (auto it = last_.find(key); it != last_.end()) {
    if (stamp == it->second) return Decision::repeat;
    if (stamp < it->second) return Decision::hold;
  } else if (!clean_start_ || (floor_ && stamp <= *floor_)) {
    return Decision::hold;
  }
  record(key, stamp);
  return Decision::deliver;
}

bool StampGate::confirmed(const PublicKey& key, std::uint64_t stamp) {
  // A confirmed early packet was delivered by the caller when it came, hence never again. The
  // entry only ever rises: going back would let what was delivered be delivered again.
  auto it = last_.find(key);
  if (it != last_.end() && stamp <= it->second) return false;
  record(key, stamp);
  return last_.contains(key);
}

void StampGate::record(const PublicKey& key, std::uint64_t stamp) {
  if (auto it = last_.find(key); it != last_.end()) {
    by_stamp_.erase({it->second, key});
    last_.erase(it);
  }
  last_.emplace(key, stamp);
  by_stamp_.emplace(stamp, key);
  while (last_.size() > max_entries_) {
    const auto [oldest, evicted] = *by_stamp_.begin();
    floor_ = std::max(floor_.value_or(0), oldest);
    by_stamp_.erase(by_stamp_.begin());
    last_.erase(evicted);
  }
}

std::optional<StampEntry> StampGate::entry(const PublicKey& key) const {
  auto it = last_.find(key);
  if (it == last_.end()) return std::nullopt;
  return StampEntry{key, it->second};
}

std::optional<StampEntry> StampGate::floor() const {
  if (!floor_) return std::nullopt;
  return StampEntry{PublicKey{}, *floor_};
}

void StampGate::restore(const StampEntry& entry) {
  if (entry.key == PublicKey{})
    floor_ = std::max(floor_.value_or(0), entry.stamp);
  else if (auto it = last_.find(entry.key); it == last_.end() || it->second < entry.stamp)
    record(entry.key, entry.stamp);
}

std::vector<StampEntry> StampGate::entries() const {
  std::vector<StampEntry> all;
  all.reserve(last_.size() + 1);
  if (auto lowest = floor()) all.push_back(*lowest);
  for (const auto& [stamp, key] : by_stamp_) all.push_back({key, stamp});
  return all;
}

}  // namespace i3
