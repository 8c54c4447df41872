// Owns our triggers and the operations that put them at their nodes and take them away again.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <utility>

#include "overlay/base/token_bucket.hh"
#include "overlay/client/finder.hh"
#include "overlay/client/keeper.hh"
#include "overlay/client/observations.hh"
#include "overlay/wire/insert.hh"

namespace i3::client {

// A trigger at one node.
struct Placement {
  Target at;
  wire::Label label;
  TimePoint since{};
};

struct Trigger {
  TriggerStatus::Use use{};
  std::size_t home = 0;               // index of its prefix
  std::vector<Placement> placements;  // where it stands; at most one for now
  bool maybe_stored = false;          // a node may hold it, whether or not it said so
  bool queued = false;                // waits for an operation
  bool busy = false;                  // an operation is under way
  bool again = false;                 // another one when that ends

  bool leaving() const { return use == TriggerStatus::Use::leaving; }
};

// The way of an insertion: 1 find the node  2 ask without proof  3 challenge  4 insert with proof
// 5 inserted, kept from then on. A cookie is kept for its prefix, so the next ones start at 4.
class Placer {
 public:
  static constexpr unsigned kTries = 4;          // of one message before its node counts as silent
  static constexpr unsigned kMaxChallenges = 4;  // for one operation
  static constexpr unsigned kMaxStale = 64;      // for one operation
  static constexpr std::size_t kWindow = 16;     // operations of one prefix at a time
  // Nodes bound the signatures they check for one address; what goes beyond stays unanswered.
  static constexpr double kProofsPerSecond = 50, kProofBurst = 100;
  static constexpr Duration kPause = std::chrono::milliseconds(20);
  static constexpr Duration kCookieLifetime = std::chrono::seconds(55);
  static constexpr Duration kHeldRecently = std::chrono::seconds(60);
  static constexpr Duration kStopWithin = std::chrono::seconds(1);
  static constexpr Duration kFirstQuotaPause = std::chrono::seconds(5);
  static constexpr Duration kLastQuotaPause = std::chrono::seconds(60);

  Placer(Core& core, Entries& entries, NodeCache& cache, Observations& observations);

  void start(TimePoint now);
  Id take(TimePoint now);
  void release(const Id& id, TimePoint now);
  void network_changed(TimePoint now);
  void entry_alive(TimePoint now);
  void stop(TimePoint now);
  bool stopped() const { return stopping_ && triggers_.empty(); }

  // Each is false for an answer to nothing that was asked.
  bool on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now);
  bool on_challenge(const Endpoint& from, const wire::Challenge& challenge, TimePoint now);
  bool on_inserted(const Endpoint& from, const wire::Inserted& inserted, TimePoint now);
  bool on_refused(const Endpoint& from, const wire::Refused& refused, TimePoint now);
  bool on_refreshed(const Endpoint& from, const wire::Refreshed& refreshed, TimePoint now);
  void on_timer(TimePoint now);
  TimePoint deadline() const;

  enum class Delivery { accepted, unknown_id, unknown_node };
  Delivery check(const Id& id, const Endpoint& node, TimePoint now) const;
  wire::ReturnPath path(const Id& id) const;
  bool ready() const;
  std::string trouble() const;
  std::vector<TriggerStatus> status(TimePoint now) const;

  // IDs whose path changed since the last call.
  std::vector<Id> take_changes();

  std::uint64_t last_sequence() const { return last_sequence_; }
  void stay_above(std::uint64_t sequence) { last_sequence_ = std::max(last_sequence_, sequence); }

 private:
  struct Proof {
    PublicKey node;
    Endpoint address;
    wire::Cookie cookie{};
    Endpoint observed;
    TimePoint expires{};
  };
  struct Recent {
    Endpoint node;
    TimePoint until{};  // of `heard`: when
  };
  // One prefix: all triggers under it live at the same node.
  struct Home {
    Home(Core& core, NodeCache& cache, std::uint32_t its_salt, const Id& its_prefix)
        : salt(its_salt), prefix(its_prefix), finder(core, cache, its_prefix.ring()) {}
    std::uint32_t salt;
    Id prefix;
    Finder finder;
    std::deque<Id> queue;
    std::size_t in_flight = 0;
    std::vector<Proof> proofs;                // at most kMaxProofs
    std::vector<wire::NodeContact> replicas;  // as the owner named them
    Recent heard;                             // the node that answered last, and when
    std::vector<Recent> recent;               // nodes that held its triggers; at most kMaxRecent
  };
  static constexpr std::size_t kMaxProofs = 4;
  static constexpr std::size_t kMaxRecent = 4;
  static constexpr std::size_t kPrivateHome = std::size(kPublicSalts);

  struct Operation {
    Id id;
    std::size_t home = 0;
    Target at;
    bool remove = false;
    std::optional<Proof> proof;  // without: asks for a challenge
    std::uint64_t sequence = 0;
    Duration offset{};  // of the clock that made the sequence
    unsigned tries = 0;
    unsigned challenges = 0;
    unsigned stale = 0;
    TimePoint first_sent{};
    TimePoint deadline{};
  };
  using Operations = std::map<std::uint64_t, Operation>;  // by nonce

  Trigger& add(const Id& id, TriggerStatus::Use use, std::size_t home);
  void top_up(TimePoint now);
  Id fresh_private();
  void want(const Id& id, Trigger& trigger);
  void erase(const Id& id);
  void changed(const Id& id, const Trigger& trigger);
  void want_home(std::size_t home);
  Keeper::Count count_at(const Endpoint& address) const;

  void run(TimePoint now);
  bool start_next(std::size_t home, TimePoint now);
  std::uint64_t fresh_nonce();
  void transmit(std::uint64_t nonce, Operation& operation, TimePoint now);
  void transmit_anew(Operations::iterator operation, TimePoint now);
  void give_sequence(Operation& operation, TimePoint now);
  Operations::iterator find(const Endpoint& from, std::uint64_t nonce);
  void finish(Operations::iterator operation);
  // Ends the insertions under way for a prefix; they start over when there is a target again.
  void restart_home(std::size_t home);
  void refused_insert(Operations::iterator found, const wire::Refused& refused, TimePoint now);
  void refused_as_stale(Operations::iterator found, TimePoint now);
  void removal_done(Operations::iterator found);
  void place(Home& home, const Id& id, const Target& at, wire::Label label, TimePoint now);
  const Proof* proof_for(const Home& home, const Target& at, TimePoint now) const;
  void forget_proof(Home& home, const Endpoint& address);

  void unanswered(Operations::iterator found, TimePoint now);
  void node_lost(const Endpoint& address, TimePoint now);
  void meet(const Keeper::Need& need, TimePoint now);

  Core& core_;
  Entries& entries_;
  NodeCache& cache_;
  Observations& observations_;
  Keeper keeper_;
  std::deque<Home> homes_;  // the public ones, then the private one
  std::map<Id, Trigger> triggers_;
  std::set<Id> spares_;  // of triggers_
  Operations operations_;
  std::vector<Id> changes_;
  std::uint64_t last_sequence_ = 0;
  Duration sequence_offset_{};  // how far a node showed our clock to be behind
  TokenBucket pace_{kProofsPerSecond, kProofBurst};
  TimePoint paced_until_ = kNever;
  bool started_ = false;
  bool stopping_ = false;
  TimePoint stop_by_ = kNever;
};

}  // namespace i3::client
