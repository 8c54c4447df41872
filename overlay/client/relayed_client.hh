// Owns an anonymous visit's side of the overlay: one trigger of a throwaway key at one node, its
// relay, through which everything goes both ways (docs/DESIGN.md, decision 25).
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "overlay/client/client.hh"
#include "overlay/wire/insert.hh"

namespace i3 {

// A node, and an identity under whose salted prefix that node owns the IDs. Both serve one visit:
// the owner's key is not the one that the visited host sees.
struct Relay {
  wire::NodeContact node;
  std::unique_ptr<Identity> owner;
  std::uint32_t salt = 0;

  RingId position() const { return owner_prefix(owner->key(), salt).ring(); }
};

struct RelayedOptions {
  bool have_v4 = true, have_v6 = true;
  std::uint32_t lifetime_ms = 30'000;
};

// Every drop has a counter of its name.
struct RelayedCounters {
  std::uint64_t foreign = 0;          // not from the relay
  std::uint64_t malformed = 0;        // not parsed
  std::uint64_t unsolicited = 0;      // answers to nothing that was asked
  std::uint64_t unknown_id = 0;       // an ID packet for another trigger
  std::uint64_t unexpected_type = 0;  // a type that it does not take
  std::uint64_t wrong_key = 0;        // a challenge of another node
  std::uint64_t unreachable = 0;      // a send without an address of the relay in our families
  std::uint64_t too_long = 0;         // a payload that fits no message
  std::uint64_t no_room = 0;          // a second private trigger
  std::uint64_t inserts = 0, refreshes = 0, relays_lost = 0;
  std::uint64_t by_id = 0, by_way = 0;  // transport packets
};

// Sends to its relay and to nobody else, whatever anybody says: no look-ups, no probes, no labels
// of other nodes, no redirects, no replicas, no second relay. It tells no address and no time: the
// insertions are counted from 1. Who keeps it puts another relay in when this one is lost.
class RelayedClient final : public OverlayAccess {
 public:
  static constexpr unsigned kTries = 3;         // of an insertion's message
  static constexpr unsigned kRefreshTries = 3;  // half a second apart
  static constexpr unsigned kMaxChallenges = 4;
  static constexpr std::size_t kMaxAsked = 64;
  static constexpr Duration kAnswerWithin = std::chrono::seconds(10);
  static constexpr Duration kRefreshApart = std::chrono::milliseconds(500);
  static constexpr Duration kCookieLifetime = std::chrono::seconds(55);
  static constexpr Duration kWayLifetime = std::chrono::seconds(25);
  static constexpr Duration kAskWayAfter = std::chrono::seconds(10);
  static constexpr Duration kAskWayAgain = std::chrono::milliseconds(500);

  // The references outlive it. Nothing is sent before start().
  RelayedClient(Relay relay, Random& random, Log& log, RelayedOptions options,
                ClientEvents& events);

  // True when the relay is silent or refuses: nothing is sent any more until change().
  bool lost() const { return step_ == Step::lost; }
  // Goes on through another relay, under that one's owner and a new trigger.
  void change(Relay relay, TimePoint now);
  const wire::NodeContact& relay() const { return relay_.node; }
  // Where every datagram goes; nothing if the relay has no address of our families.
  std::optional<Endpoint> address() const;
  const RelayedCounters& counters() const { return counters_; }

  // OverlayAccess. There is nothing to keep over a restart, and one private trigger.
  bool restore(Bytes) override { return false; }
  std::vector<std::uint8_t> save() const override { return {}; }
  void start(TimePoint now, WallTime wall) override;
  void on_message(const Endpoint& from, Bytes message, TimePoint now, WallTime wall) override;
  TimePoint next_deadline() const override;
  void on_timer(TimePoint now, WallTime wall) override;
  std::uint64_t send_by_id(const Id& id, std::uint8_t kind, Bytes payload, TimePoint now) override;
  std::uint64_t send_stack(std::span<const Id> ids, std::uint8_t kind, Bytes payload,
                           TimePoint now) override;
  void send_returned(const Endpoint& node, const wire::SourceTag& tag, std::uint8_t kind,
                     Bytes payload) override;
  Id take_private(TimePoint now) override;
  void release(const Id& id, TimePoint now) override;
  wire::ReturnPath path(const Id& id) const override;
  bool ready() const override { return step_ == Step::standing; }
  std::string trouble() const override { return trouble_; }
  Observed observed() const override { return {}; }
  void network_changed(TimePoint now) override;
  // The relay is asked whether it is still there, as soon as the beat of refreshes allows: three of
  // them, half a second apart.
  void verify(TimePoint now) override;
  void set_families(bool have_v4, bool have_v6) override;
  void stop(TimePoint now) override;
  bool stopped() const override { return step_ == Step::stopped; }

 private:
  enum class Step { idle, asking, proving, standing, lost, stopped };
  // What the relay passes on under a label of its own: the ID that transport goes to.
  struct Way {
    Id id;
    wire::Label label;     // zero: none yet
    TimePoint until{};     // the relay may have forgotten it from then on
    TimePoint next_ask{};  // by an ID packet
    std::uint64_t nonce = 0;
  };
  struct Asked {
    std::uint64_t nonce;
    Id id;
    TimePoint at;
  };

  template <class Message>
  bool send(const Message& message);
  template <class Message, class Take>
  void take(Bytes message, Take&& taken);
  void new_trigger();
  void ask(TimePoint now);
  void transmit(TimePoint now);
  void refresh(TimePoint now);
  void schedule_refresh(TimePoint now);
  void remove(TimePoint now);
  void lose(std::string why, TimePoint now);
  wire::Insert insertion();
  bool on_challenge(const wire::Challenge& challenge, TimePoint now);
  bool on_inserted(const wire::Inserted& inserted, TimePoint now);
  bool on_refreshed(const wire::Refreshed& refreshed, TimePoint now);
  bool on_refused(const wire::Refused& refused, TimePoint now);
  std::uint64_t send_ids(std::span<const Id> ids, std::uint8_t flags, std::uint8_t kind,
                         Bytes payload, TimePoint now);
  // True if the packet left under the way's label; else `packet` asks for one, if it is time.
  bool send_by_way(wire::IdPacket& packet, TimePoint now);
  bool on_way(const wire::Way& way, TimePoint now);
  bool asked_for(std::uint64_t nonce, const Id& id, TimePoint now);
  void on_packet(Bytes message, TimePoint now);

  Relay relay_;
  Random& random_;
  Log& log_;
  RelayedOptions options_;
  ClientEvents& events_;
  RelayedCounters counters_;

  Step step_ = Step::idle;
  std::string trouble_;
  Id id_;               // of the one trigger
  bool taken_ = false;  // somebody was told of it
  bool told_ = false;   // that it stands
  wire::Label label_;
  std::uint64_t sequence_ = 0;
  std::uint64_t nonce_ = 0;  // of the request under way; 0: none
  unsigned tries_ = 0, challenges_ = 0;
  TimePoint next_ = kNever;  // a repeat, or a refresh
  TimePoint earliest_{};     // no refresh comes sooner after the last one, whatever falls silent
  std::optional<wire::Challenge> proof_;
  TimePoint proof_until_{};
  std::array<std::uint8_t, 16> token_{};
  std::uint32_t lifetime_ms_ = 0;
  Way way_;
  std::deque<Asked> asked_;  // at most kMaxAsked, oldest first
};

}  // namespace i3
