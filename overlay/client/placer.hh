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

// A trigger at one node: on its way there, or standing.
struct Placement {
  Target at;
  wire::Label label;  // from here on: while it stands
  TimePoint since{};
  bool stands = false;
  bool maybe_stored = false;  // the node may hold it, whether or not it said so
  bool queued = false;        // waits for an operation
  bool busy = false;          // an operation is under way
  bool again = false;         // another one when that ends
};

struct Trigger {
  TriggerStatus::Use use{};
  std::size_t home = 0;               // index of its prefix
  std::vector<Placement> placements;  // one for each post of its home, in no order

  bool leaving() const { return use == TriggerStatus::Use::leaving; }
  bool stands() const {
    return std::any_of(placements.begin(), placements.end(),
                       [](const Placement& p) { return p.stands; });
  }
  Placement* at(const Endpoint& address) {
    for (Placement& placement : placements)
      if (placement.at.address == address) return &placement;
    return nullptr;
  }
  const Placement* at(const Endpoint& address) const {
    return const_cast<Trigger*>(this)->at(address);
  }
};

// A node that keeps, or kept, the triggers of one prefix.
struct Post {
  enum class Role : std::uint8_t { owner, replica, former };

  Target at;
  Role role{};
  bool owns_by_its_word = false;  // it named its replicas, as only the owner does
  unsigned confirmations = 0;     // how often it was asked to: some rings keep no replicas
  std::deque<Id> queue;           // triggers that wait for an operation there
  std::size_t in_flight = 0;
  // Nodes bound the signatures they check for one address; what goes beyond stays unanswered.
  TokenBucket pace{50, 100};
  TimePoint paced_until = kNever;
  TimePoint heard{};  // when it answered last
  unsigned failures = 0;
  TimePoint resume{};        // a replica that failed is left alone until then
  TimePoint until = kNever;  // a former one: what it holds has run out then

  bool active() const { return role != Role::former; }
};

// The way of an insertion: 1 find the node  2 ask without proof  3 challenge  4 insert with proof
// 5 inserted, kept from then on. A cookie is kept for its prefix, so the next ones start at 4.
// All that happens at the owner and at its replicas, each by itself, so that a trigger outlives the
// node that holds it (docs/DESIGN.md, decision 8).
class Placer {
 public:
  static constexpr unsigned kTries = 4;          // of one message before its node counts as silent
  static constexpr unsigned kMaxChallenges = 4;  // for one operation
  static constexpr unsigned kMaxStale = 64;      // for one operation
  static constexpr unsigned kMaxConfirmations = 6;  // of one owner; they take some two minutes
  static constexpr std::size_t kWindow = 16;   // operations of one prefix at one node at a time
  static constexpr std::size_t kMaxPosts = 8;  // of one prefix, former ones included
  static constexpr Duration kPause = std::chrono::milliseconds(20);
  static constexpr Duration kCookieLifetime = std::chrono::seconds(55);
  static constexpr Duration kHeldRecently = std::chrono::seconds(60);
  static constexpr Duration kStopWithin = std::chrono::seconds(1);
  static constexpr Duration kFirstQuotaPause = std::chrono::seconds(5);
  static constexpr Duration kLastQuotaPause = std::chrono::seconds(60);
  static constexpr Duration kFirstReplicaPause = std::chrono::seconds(1);
  static constexpr Duration kMoveWithin = std::chrono::seconds(20);

  Placer(Core& core, Entries& entries, NodeCache& cache, Observations& observations);

  // The salt of the private prefix, as an earlier run had it. Before start().
  void begin_at(std::uint32_t private_salt);
  std::uint32_t private_salt() const { return homes_[private_].salt; }
  void start(TimePoint now);
  Id take(TimePoint now);
  void release(const Id& id, TimePoint now);
  void lead_public(const std::optional<PublicStacks>& stacks, TimePoint now);
  const std::optional<PublicStacks>& public_stacks() const { return public_stacks_; }

  // placer_moving.cc. Makes triggers ready under another private prefix; they are given out once
  // they stand at that node. False while triggers of an earlier prefix are left.
  bool move_private(std::uint32_t salt, const PublicKey& node, TimePoint now);
  enum class Moving { no, yes, failed };
  Moving moving() const { return moving_; }
  // Prefixes came into use so often, the first one not counted.
  std::uint64_t moves() const { return moves_; }
  bool well_placed(const Id& id) const {
    const auto found = triggers_.find(id);
    return found != triggers_.end() && found->second.home == private_;
  }
  std::optional<std::uint32_t> salt_of(const Id& id) const {
    const auto found = triggers_.find(id);
    if (found == triggers_.end()) return std::nullopt;
    return homes_[found->second.home].salt;
  }
  // The node that keeps private triggers.
  std::optional<wire::NodeContact> private_owner() const {
    const auto& target = homes_[private_].finder.target();
    return target ? std::optional(target->contact) : std::nullopt;
  }

  void network_changed(TimePoint now);
  // Something may be wrong between us and the nodes: asks one of them whether it still holds what
  // is ours, as a refresh does, and all of them if it sees us elsewhere. At most every 3 seconds.
  void verify(TimePoint now);
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
  Delivery check(const Id& id, const Endpoint& node) const;
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
  // One prefix: all triggers under it live at the same nodes.
  struct Home {
    Home(Core& core, NodeCache& cache, std::uint32_t its_salt, const Id& its_prefix)
        : salt(its_salt), prefix(its_prefix), finder(core, cache, its_prefix.ring()) {}
    std::uint32_t salt;
    Id prefix;
    Finder finder;
    bool in_use = true;
    std::vector<Post> posts;                  // the owner, its replicas, then former ones
    std::vector<Proof> proofs;                // at most kMaxProofs
    std::vector<wire::NodeContact> replicas;  // as the ring or the owner named them

    Post* post(const Endpoint& address) {
      for (Post& post : posts)
        if (post.at.address == address) return &post;
      return nullptr;
    }
    const Post* owner() const {
      return !posts.empty() && posts.front().role == Post::Role::owner ? &posts.front() : nullptr;
    }
  };
  static constexpr std::size_t kMaxProofs = 6;
  // The first of two private ones: one in use, one that triggers move to or from.
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
  // Its triggers lead to IDs that are not known yet.
  bool waits_for_stack(std::size_t home) const {
    return home < kPrivateHome && public_stacks_ && (*public_stacks_)[home].empty();
  }
  void top_up(TimePoint now);
  Id fresh_private(std::size_t home);
  void changed(const Id& id, const Trigger& trigger);
  void path_changed(std::size_t home);  // of all its triggers that stand
  void erase(const Id& id);

  // placer_moving.cc
  std::size_t other_private() const { return 2 * kPrivateHome + 1 - private_; }
  bool holds_any(std::size_t home) const;
  void let_go(const std::set<Id>& ids);
  void end_move(Moving how, TimePoint now);
  void go_on_moving(TimePoint now);
  void clear_unused();

  // placer_posts.cc: which nodes
  void arrange(std::size_t home, TimePoint now);
  void retire(std::size_t home, Post& post, TimePoint now);
  void drop_post(std::size_t home, std::size_t post);
  void drop_former(TimePoint now);
  void want(const Id& id, Trigger& trigger, Post& post);
  void want_everywhere(const Id& id, Trigger& trigger);
  void want_all(std::size_t home, Post& post);
  void confirm_owner(std::size_t home, TimePoint now);
  void not_owner(std::size_t home, Post& post, const std::optional<wire::NodeContact>& owner,
                 TimePoint now);
  void fail(std::size_t home, Post& post, TimePoint now, std::string why,
            Duration first = kFirstRetry, Duration most = kLastRetry);
  void node_lost(const Endpoint& address, TimePoint now);
  void meet(const Keeper::Need& need, TimePoint now);
  Keeper::Count count_at(const Endpoint& address) const;

  // placer_operations.cc: what happens at one of them
  void run(TimePoint now);
  bool start_next(std::size_t home, Post& post, TimePoint now);
  std::uint64_t fresh_nonce();
  void transmit(std::uint64_t nonce, Operation& operation, TimePoint now);
  void transmit_anew(Operations::iterator operation, TimePoint now);
  void give_sequence(Operation& operation, TimePoint now);
  Operations::iterator find(const Endpoint& from, std::uint64_t nonce);
  void finish(Operations::iterator operation);
  // Ends the insertions under way there; with `anew` they wait for their turn again.
  void restart(std::size_t home, Post& post, bool anew = true);
  void refused_insert(Operations::iterator found, const wire::Refused& refused, TimePoint now);
  void refused_as_stale(Operations::iterator found, TimePoint now);
  void removal_done(Operations::iterator found);
  void forget_placement(const Id& id, const Endpoint& address);
  void place(Post& post, const Id& id, wire::Label label, TimePoint now);
  const Proof* proof_for(const Home& home, const Target& at, TimePoint now) const;
  void forget_proof(Home& home, const Endpoint& address);
  void unanswered(Operations::iterator found, TimePoint now);

  Core& core_;
  Entries& entries_;
  NodeCache& cache_;
  Observations& observations_;
  Keeper keeper_;
  std::deque<Home> homes_;              // the public ones, then the private ones
  std::size_t private_ = kPrivateHome;  // the one in use
  std::optional<PublicStacks> public_stacks_;
  std::map<Id, Trigger> triggers_;
  std::set<Id> spares_;       // of triggers_
  std::set<Id> next_spares_;  // the same under the prefix that is made ready
  Moving moving_ = Moving::no;
  PublicKey moving_to_;
  TimePoint move_by_ = kNever;
  std::uint64_t moves_ = 0;
  Operations operations_;
  std::vector<Id> changes_;
  std::uint64_t last_sequence_ = 0;
  Duration sequence_offset_{};  // how far a node showed our clock to be behind
  bool started_ = false;
  bool stopping_ = false;
  TimePoint stop_by_ = kNever;
};

}  // namespace i3::client
