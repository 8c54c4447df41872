#include "overlay/triggers/record_table.hh"

#include <algorithm>

namespace i3 {

bool RecordTable::renew(const KeyRecord& record, TimePoint now) {
  const auto found = rows_.find(record.key);
  if (found == rows_.end()) return false;
  for (Row& row : found->second) {
    const bool same = row.record.says_as(record) && row.record.made == record.made &&
                      row.record.signature == record.signature;
    if (!same || now >= row.expiry) continue;
    row.expiry = now + limits_.lifetime;
    return true;
  }
  return false;
}

RecordTable::Put RecordTable::put(const KeyRecord& record, const Endpoint& from, TimePoint now) {
  expire(now);
  const IpAddress prefix = limit_prefix(from.address);
  const TimePoint expiry = now + limits_.lifetime;
  if (const auto found = rows_.find(record.key); found != rows_.end()) {
    std::vector<Row>& rows = found->second;
    for (Row& row : rows)
      if (row.record.says_as(record)) {
        row.expiry = expiry;
        return Put::kept;
      }
    if (rows.front().record.kind == KeyRecord::Kind::revoked) return Put::kept;
    if (record.kind == KeyRecord::Kind::revoked) {
      // In the place of what it ends, so no quota and no full table keeps it out.
      while (rows.size() > 1) {
        forget(rows.back());
        rows.pop_back();
      }
      rows.front().record = record;
      rows.front().expiry = expiry;
      return Put::kept;
    }
    if (rows.size() >= wire::Records::kMost) return Put::kept;
  }
  if (size_ >= limits_.most) return Put::full;
  const auto held = of_prefix_.find(prefix);
  if (held != of_prefix_.end() && held->second >= limits_.most_of_prefix) return Put::quota;
  ++of_prefix_[prefix];
  ++size_;
  rows_[record.key].push_back({record, prefix, expiry});
  note(record.key, expiry);
  return Put::kept;
}

std::vector<KeyRecord> RecordTable::of(const PublicKey& key, TimePoint now) const {
  std::vector<KeyRecord> records;
  if (const auto found = rows_.find(key); found != rows_.end())
    for (const Row& row : found->second)
      if (now < row.expiry) records.push_back(row.record);
  return records;
}

void RecordTable::note(const PublicKey& key, TimePoint expiry) {
  due_.push_back({expiry, key});
}

void RecordTable::forget(const Row& row) {
  --size_;
  if (const auto held = of_prefix_.find(row.prefix); --held->second == 0) of_prefix_.erase(held);
}

void RecordTable::expire(TimePoint now) {
  while (!due_.empty() && due_.front().at <= now) {
    const PublicKey key = due_.front().key;
    due_.pop_front();
    const auto found = rows_.find(key);
    if (found == rows_.end()) continue;
    std::erase_if(found->second, [&](const Row& row) {
      if (row.expiry > now) return false;
      forget(row);
      return true;
    });
    if (found->second.empty()) {
      rows_.erase(found);
      continue;
    }
    // Renewed meanwhile. Its turn comes again; in order, as nothing here lives longer than this.
    TimePoint next = kNever;
    for (const Row& row : found->second) next = std::min(next, row.expiry);
    const auto later = std::upper_bound(due_.begin(), due_.end(), next,
                                        [](TimePoint at, const Due& due) { return at < due.at; });
    due_.insert(later, {next, key});
  }
}

TimePoint RecordTable::next_expiry() const {
  return due_.empty() ? kNever : due_.front().at;
}

}  // namespace i3
