// Owns the records of keys that a node keeps: soft state, beside the triggers of the same position.
#pragma once

#include <deque>
#include <unordered_map>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/key_record.hh"
#include "overlay/wire/records.hh"

namespace i3 {

// A revocation is kept alone: nothing that the key says can count after it. Of moves two that
// contradict each other are kept, the first two: that both are told is what shows the theft.
class RecordTable {
 public:
  struct Limits {
    std::size_t most = 65'536;
    std::size_t most_of_prefix = 256;  // limit_prefix() of whoever brought it first
    Duration lifetime = std::chrono::hours(1);
  };
  enum class Put { kept, quota, full };

  RecordTable() = default;
  explicit RecordTable(const Limits& limits) : limits_(limits) {}

  // Known already, so that its signature need not be looked at; then it lives on.
  bool renew(const KeyRecord& record, TimePoint now);
  // `record` is valid. A move of a revoked key, and a third move, are kept as far as anybody cares.
  Put put(const KeyRecord& record, const Endpoint& from, TimePoint now);
  std::vector<KeyRecord> of(const PublicKey& key, TimePoint now) const;
  std::size_t size() const { return size_; }
  Duration lifetime() const { return limits_.lifetime; }
  void expire(TimePoint now);
  // When expire() has something to do; kNever while nothing is kept.
  TimePoint next_expiry() const;

 private:
  struct Row {
    KeyRecord record;
    IpAddress prefix;
    TimePoint expiry{};
  };
  struct Due {
    TimePoint at{};
    PublicKey key;
  };

  void forget(const Row& row);
  void note(const PublicKey& key, TimePoint expiry);

  Limits limits_;
  std::unordered_map<PublicKey, std::vector<Row>> rows_;
  std::unordered_map<IpAddress, std::size_t> of_prefix_;
  std::deque<Due> due_;  // in order of time, for all records live equally long; one a row at most,
                         // looked at again when it comes up
  std::size_t size_ = 0;
};

}  // namespace i3
