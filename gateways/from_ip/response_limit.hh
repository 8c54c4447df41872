// Owns the limit of answers over UDP to one network, so that the zone is no amplifier (as BIND's
// response rate limiting). Pure.
#pragma once

#include <list>
#include <unordered_map>

#include "overlay/base/endpoint.hh"
#include "overlay/base/token_bucket.hh"

namespace i3 {

// Counted by the /24 of IPv4 and the /56 of IPv6. Above the limit answers are cut to the question
// with TC set, which sends who really asked to TCP; far above it there are none.
class ResponseLimit {
 public:
  enum class Verdict { answer, cut, silence };
  static constexpr double kAnswers = 100, kCut = 500;  // a second; twice as many at once
  static constexpr std::size_t kMaxNetworks = 16384;   // the one that asked longest ago goes

  Verdict judge(const IpAddress& from, TimePoint now) {
    const IpAddress network = network_of(from);
    auto found = networks_.find(network);
    if (found == networks_.end()) {
      if (networks_.size() >= kMaxNetworks) {
        networks_.erase(order_.front().network);
        order_.pop_front();
      }
      order_.push_back({network});
      found = networks_.emplace(network, std::prev(order_.end())).first;
    }
    order_.splice(order_.end(), order_, found->second);
    if (found->second->answers.take(now)) return Verdict::answer;
    return found->second->cut.take(now) ? Verdict::cut : Verdict::silence;
  }
  std::size_t size() const { return networks_.size(); }

 private:
  struct Network {
    IpAddress network;
    TokenBucket answers{kAnswers, 2 * kAnswers};
    TokenBucket cut{kCut, 2 * kCut};
  };
  static IpAddress network_of(const IpAddress& address) {
    if (address.is_v4()) return IpAddress::v4(address.to_v4() & 0xffffff00);
    return limit_prefix(address);
  }
  std::list<Network> order_;  // least recently asking first
  std::unordered_map<IpAddress, std::list<Network>::iterator> networks_;
};

}  // namespace i3
