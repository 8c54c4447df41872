// Owns sending by ID: which node an ID packet goes to, which answers are still awaited, and the
// cache of nodes that hold a prefix.
#pragma once

#include <list>
#include <map>
#include <optional>

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
  // What is sent this long after the first unanswered send takes another way: another entry node,
  // or a node that the ring names for that position, for its owner may be dead and not missed yet.
  static constexpr Duration kOtherWayAfter = std::chrono::milliseconds(150);
  static constexpr Duration kAskEvery = std::chrono::milliseconds(100);
  static constexpr std::size_t kMaxSearches = 64;
  static constexpr Duration kSearchesApart = std::chrono::seconds(1);
  static constexpr Duration kSearchKept = std::chrono::seconds(30);
  // How long a node may send us `returned` after we last sent it an ID packet.
  static constexpr Duration kReturnsWithin = std::chrono::seconds(120);

  Sends(Core& core, Entries& entries) : core_(core), entries_(entries) {}

  // Returns the packet's nonce; 0 if nothing could be sent.
  std::uint64_t send(const SendById& sending, TimePoint now);
  // Packets for this ID tell us their node, and whether that is alive, if they ask so often.
  bool due(const Id& id, TimePoint now) const {
    const auto found = latest_.find(id);
    return found == latest_.end() || now - found->second.asked >= kAskEvery;
  }
  // True if this answers a send of ours and came from the node that was asked.
  bool on_forwarded(const Endpoint& from, const wire::Forwarded& forwarded, TimePoint now);
  bool on_not_present(const Endpoint& from, const wire::NotPresent& absent, TimePoint now);
  bool on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply);
  // True if we sent an ID packet through that node not long ago.
  bool asked(const Endpoint& node, TimePoint now) const;
  void network_changed() {
    prefixes_.clear();
    searches_.clear();
    for (auto& [id, latest] : latest_) latest.since = kNever;
  }

 private:
  struct Outstanding {
    Id id;
    Endpoint to;
    TimePoint at{};
    bool answered = false;
  };
  // The way of packets for one ID.
  struct Latest {
    std::uint64_t nonce = 0;  // of the last one
    Endpoint to;
    TimePoint since = kNever;  // the first one by this way since anything was answered
    TimePoint asked{};         // when the last one was sent that wanted an answer
    unsigned turn = 0;         // ways given up since anything was answered
  };
  // Nodes that the ring names for a position.
  struct Search {
    std::uint64_t nonce = 0;
    std::vector<Endpoint> asked;
    std::vector<Endpoint> nodes;
    TimePoint at{};
  };

  std::optional<Endpoint> way(const Id& id, TimePoint now);
  std::optional<Endpoint> other_way(const Id& id, Latest& latest, TimePoint now);
  void search(RingId position, const Endpoint& avoid, TimePoint now);
  Outstanding* answered(const Endpoint& from, std::uint64_t nonce, const Id& id, TimePoint now);
  void remember(std::uint64_t nonce, const Outstanding& sent, TimePoint now);
  void forget_oldest();

  Core& core_;
  Entries& entries_;
  PrefixCache prefixes_;
  std::map<std::uint64_t, Outstanding> outstanding_;
  std::list<std::uint64_t> order_;     // of outstanding_, oldest first
  std::map<Id, Latest> latest_;        // of the IDs of outstanding_
  std::map<RingId, Search> searches_;  // at most kMaxSearches
  std::map<Endpoint, TimePoint> asked_;
};

}  // namespace i3::client
