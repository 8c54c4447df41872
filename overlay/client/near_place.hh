// Owns where our private triggers live: at a near node, as long as there is no clearly nearer one.
#pragma once

#include "overlay/client/near_nodes.hh"
#include "overlay/client/placer.hh"
#include "overlay/client/prefix_search.hh"

namespace i3::client {

// 1 the present node is clearly farther than the nearest ones  2 one of these is taken at random
// 3 its part of the ring is looked up  4 a salt is found that puts our prefix there  5 the placer
// makes triggers ready there, and takes the new prefix into use once they stand.
class NearPlace {
 public:
  static constexpr Duration kLook = std::chrono::seconds(5);
  static constexpr Duration kApart = std::chrono::seconds(60);  // between two moves
  static constexpr Duration kLongestPause = std::chrono::hours(1);
  static constexpr Duration kAnswerWithin = std::chrono::seconds(1);
  static constexpr Duration kTurn = std::chrono::milliseconds(20);  // of the search
  static constexpr unsigned kTries = 16;                            // look-ups for one node

  NearPlace(Core& core, const Entries& entries, NearNodes& near, Placer& placer)
      : core_(core), entries_(entries), near_(near), placer_(placer) {}

  void start(TimePoint now);
  void stop() { next_ = kNever; }
  void network_changed(TimePoint now);
  bool on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now);
  void on_timer(TimePoint now);
  TimePoint deadline() const { return next_; }

  // Is a node at that distance clearly farther than the nearest?
  static bool clearly_farther(Duration present, Duration nearest);
  // Is it as good as the nearest? From these one is taken at random, so that not all hosts of a
  // place burden one node.
  static bool as_good(Duration one, Duration nearest);

 private:
  void look(TimePoint now);
  void ask(TimePoint now);
  void search(TimePoint now);
  void begin_anew(TimePoint now);
  void failed(TimePoint now);

  Core& core_;
  const Entries& entries_;
  NearNodes& near_;
  Placer& placer_;
  std::optional<NearNode> wanted_;
  std::uint64_t nonce_ = 0;  // of the look-up under way
  Endpoint asked_;
  RingId position_;
  unsigned bit_ = 0;  // the look-up is 2^bit before the node
  unsigned tries_ = 0;
  std::optional<PrefixSearch> search_;
  bool moving_ = false;
  unsigned failures_ = 0;
  TimePoint not_before_{};
  TimePoint next_ = kNever;
};

}  // namespace i3::client
