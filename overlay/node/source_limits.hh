// Owns how much a node does for sources that have proven nothing: token buckets by address prefix.
#pragma once

#include <deque>
#include <unordered_map>

#include "overlay/base/endpoint.hh"
#include "overlay/base/token_bucket.hh"

namespace i3 {

struct SourceLimitSettings {
  // Per limit_prefix() of the source, a second and at once.
  double requests_per_second = 500, requests_burst = 2000;
  double packets_per_second = 10'000, packets_burst = 20'000;
  // Public-key operations, all sources together; once for those that have proven their address and
  // once for those that have not.
  double verifications_per_second = 3000, verifications_burst = 6000;
  std::size_t most_prefixes = 65'536;
};

class SourceLimits {
 public:
  explicit SourceLimits(const SourceLimitSettings& settings)
      : settings_(settings),
        strangers_(settings.verifications_per_second, settings.verifications_burst),
        proven_(settings.verifications_per_second, settings.verifications_burst) {}

  // A question to this node; `cost` 1 for one that costs no public-key operation.
  bool request(const Endpoint& from, double cost, TimePoint now) {
    return source(from).requests.take(now, cost);
  }
  bool packet(const Endpoint& from, TimePoint now) { return source(from).packets.take(now); }
  // A packet of a source behind another node, by the tag that this node calls it.
  bool tagged(const std::array<std::uint8_t, 8>& tag, TimePoint now) {
    const std::uint64_t key = Reader(tag).u64();
    auto found = tagged_.find(key);
    if (found == tagged_.end()) {
      if (tagged_.size() >= settings_.most_prefixes) {
        tagged_.erase(tagged_order_.front());
        tagged_order_.pop_front();
      }
      tagged_order_.push_back(key);
      found =
          tagged_.emplace(key, TokenBucket(settings_.packets_per_second, settings_.packets_burst))
              .first;
    }
    return found->second.take(now);
  }
  // A public-key operation for `from`. Who has proven its address shares nothing with those who
  // have not: forged sources cannot starve it.
  enum class Address { unproven, proven };
  bool verification(const Endpoint& from, Address address, TimePoint now) {
    TokenBucket& all = address == Address::proven ? proven_ : strangers_;
    return source(from).requests.take(now, 4) && all.take(now);
  }
  std::size_t size() const { return sources_.size(); }

 private:
  struct Source {
    TokenBucket requests, packets;
  };
  // The one that was made first goes when there are too many: a flood from forged addresses renews
  // other sources' buckets, and the bucket of all verifications bounds what that is worth.
  Source& source(const Endpoint& from) {
    const IpAddress prefix = limit_prefix(from.address);
    auto found = sources_.find(prefix);
    if (found != sources_.end()) return found->second;
    if (sources_.size() >= settings_.most_prefixes) {
      sources_.erase(order_.front());
      order_.pop_front();
    }
    order_.push_back(prefix);
    const SourceLimitSettings& s = settings_;
    return sources_
        .emplace(prefix, Source{TokenBucket(s.requests_per_second, s.requests_burst),
                                TokenBucket(s.packets_per_second, s.packets_burst)})
        .first->second;
  }

  SourceLimitSettings settings_;
  TokenBucket strangers_, proven_;
  std::unordered_map<IpAddress, Source> sources_;
  std::deque<IpAddress> order_;
  std::unordered_map<std::uint64_t, TokenBucket> tagged_;
  std::deque<std::uint64_t> tagged_order_;
};

}  // namespace i3
