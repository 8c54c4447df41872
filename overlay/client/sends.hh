// Owns sending by ID: which node an ID packet goes to, which answers are still awaited, and the
// cache of nodes that hold a prefix.
#pragma once

#include <list>
#include <map>

#include "overlay/client/entries.hh"

namespace i3::client {

// The node that holds the triggers under a prefix, as a `forwarded` said, for a while.
class PrefixCache {
 public:
  static constexpr std::size_t kMaxPrefixes = 4096;
  static constexpr Duration kLifetime = std::chrono::seconds(30);

  void learn(RingId prefix, const Endpoint& node, TimePoint now);
  std::optional<Endpoint> find(RingId prefix, TimePoint now) const;
  void forget(RingId prefix);
  void clear();
  std::size_t size() const { return index_.size(); }

 private:
  struct Entry {
    RingId prefix;
    Endpoint node;
    TimePoint expires;
  };
  std::list<Entry> entries_;  // first to expire: front
  std::map<RingId, std::list<Entry>::iterator> index_;
};

class Sends {
 public:
  static constexpr std::size_t kMaxOutstanding = 4096;
  static constexpr std::size_t kMaxAsked = 256;
  static constexpr Duration kAnswerWithin = std::chrono::seconds(10);
  // A repeat this long after an unanswered send takes another way.
  static constexpr Duration kOtherWayAfter = std::chrono::milliseconds(150);
  // How long a node may send us `returned` after we last sent it an ID packet.
  static constexpr Duration kReturnsWithin = std::chrono::seconds(120);

  Sends(Core& core, Entries& entries) : core_(core), entries_(entries) {}

  std::uint64_t send(const Id& id, std::uint8_t kind, Bytes payload, TimePoint now);
  // True if this answers a send of ours and came from the node that was asked.
  bool on_forwarded(const Endpoint& from, const wire::Forwarded& forwarded, TimePoint now);
  bool on_not_present(const Endpoint& from, const wire::NotPresent& absent, TimePoint now);
  // True if we sent an ID packet through that node not long ago.
  bool asked(const Endpoint& node, TimePoint now) const;
  void network_changed() { prefixes_.clear(); }

 private:
  struct Outstanding {
    Id id;
    Endpoint to;
    TimePoint at{};
    bool answered = false;
  };

  std::optional<Endpoint> way(const Id& id, TimePoint now);
  Outstanding* answered(const Endpoint& from, std::uint64_t nonce, const Id& id, TimePoint now);
  void remember(std::uint64_t nonce, const Outstanding& sent, TimePoint now);
  void forget_oldest();

  Core& core_;
  Entries& entries_;
  PrefixCache prefixes_;
  std::map<std::uint64_t, Outstanding> outstanding_;
  std::list<std::uint64_t> order_;      // of outstanding_, oldest first
  std::map<Id, std::uint64_t> latest_;  // the last outstanding send for each ID
  std::map<Endpoint, TimePoint> asked_;
};

}  // namespace i3::client
