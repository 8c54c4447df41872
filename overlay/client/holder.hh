// Owns triggers beside the host's own addresses (held.hh): each is kept at the node that owns its
// ID and at that node's replicas, so that the death of one of them loses nothing.
#pragma once

#include <map>

#include "overlay/client/held.hh"
#include "overlay/client/placer.hh"

namespace i3::client {

// The way at each node: 1 ask  2 challenge  3 prove  4 inserted  5 refreshed, or proved anew. It is
// simpler than the placer's: few triggers, no paths to tell, no labels.
class Holder {
 public:
  static constexpr std::size_t kMaxPlaces = 1 + wire::Inserted::kMaxReplicas;
  static constexpr unsigned kTries = 4;
  static constexpr unsigned kMaxChallenges = 4;  // in a row
  static constexpr unsigned kMaxStale = 64;      // in a row
  static constexpr Duration kCookieLifetime = std::chrono::seconds(55);
  static constexpr Duration kRefusedPause = std::chrono::seconds(5);
  static constexpr Duration kLastPause = std::chrono::seconds(60);
  static constexpr Duration kStopWithin = std::chrono::seconds(1);

  Holder(Core& core, Entries& entries, NodeCache& cache, Observations& observations)
      : core_(core), entries_(entries), cache_(cache), observations_(observations) {}

  void start(TimePoint now);
  bool hold(const HeldTrigger& trigger, TimePoint now);
  void let_go(const Id& id, const PublicKey& owner, TimePoint now);
  void network_changed(TimePoint now);
  void entry_alive(TimePoint now);
  void stop(TimePoint now);
  bool stopped() const { return stopping_ && held_.empty(); }

  // Each is false for an answer to nothing that was asked.
  bool on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now);
  bool on_challenge(const Endpoint& from, const wire::Challenge& challenge, TimePoint now);
  bool on_inserted(const Endpoint& from, const wire::Inserted& inserted, TimePoint now);
  bool on_refused(const Endpoint& from, const wire::Refused& refused, TimePoint now);
  bool on_refreshed(const Endpoint& from, const wire::Refreshed& refreshed, TimePoint now);
  void on_timer(TimePoint now);
  TimePoint deadline() const;

  using Delivery = Placer::Delivery;
  // Whether a packet for `id` from that node is for one of these triggers.
  Delivery check(const Id& id, const Endpoint& node) const;
  std::vector<HeldStatus> status() const;
  // The description of what is held; the caller's until the next call that changes something.
  std::vector<HeldTrigger> all() const;
  // How many triggers under the host's own key a node holds: its refreshes count them as well.
  std::size_t own_at(const Endpoint& address) const;

 private:
  enum class Step { ask, prove, refresh, rest };
  struct Place {
    Target at;
    bool as_owner = false;
    bool stands = false;
    bool maybe_stored = false;
    Step step = Step::ask;
    std::uint64_t nonce = 0;
    std::uint64_t sequence = 0;
    unsigned tries = 0, challenges = 0, stale = 0;
    TimePoint next{};
    wire::Cookie cookie{};
    Endpoint observed;
    TimePoint cookie_until{};
    std::array<std::uint8_t, 16> token{};
    Duration lifetime{};
  };
  struct Held {
    Held(Core& core, NodeCache& cache, HeldTrigger its_what)
        : what(std::move(its_what)), finder(core, cache, what.id.ring()) {}
    HeldTrigger what;
    Finder finder;
    std::vector<Place> places;  // at most kMaxPlaces
    bool leaving = false;
  };
  using Key = std::pair<Id, PublicKey>;
  struct Found {
    Held* held = nullptr;
    Place* place = nullptr;
    explicit operator bool() const { return place != nullptr; }
  };

  Found find(const Endpoint& from, std::uint64_t nonce);
  static Place* place_at(Held& held, const Endpoint& address);
  void add_place(Held& held, const Target& at, bool as_owner, TimePoint now);
  void take_target(Held& held, TimePoint now);
  void begin(Place& place, TimePoint now);
  void act(Held& held, Place& place, TimePoint now);
  void transmit(Held& held, Place& place, TimePoint now);
  void send_refresh(Held& held, Place& place, TimePoint now);
  void next_step(Place& place, Step step, TimePoint now);
  // The place is gone: its node is silent, or wants no trigger of ours.
  void lose(Held& held, const Endpoint& address);
  void silent(Held& held, const Endpoint& address, TimePoint now);
  void refused_place(Held& held, Place& place, const wire::Refused& refused, TimePoint now);
  void stale(Held& held, Place& place, TimePoint now);
  void follow_replicas(Held& held, const std::vector<wire::NodeContact>& replicas, TimePoint now);
  std::size_t expected_at(const PublicKey& owner, const Endpoint& address) const;
  void sweep();

  Core& core_;
  Entries& entries_;
  NodeCache& cache_;
  Observations& observations_;
  std::map<Key, Held> held_;
  std::uint64_t last_sequence_ = 0;
  Duration sequence_offset_{};
  bool started_ = false;
  bool stopping_ = false;
  TimePoint stop_by_ = kNever;
};

}  // namespace i3::client
