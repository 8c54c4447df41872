// Owns the choice of relays for anonymous visits: nodes found at random places of the ring, each
// with a throwaway key whose prefix that node owns, made ready ahead of need.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "overlay/client/prefix_search.hh"
#include "overlay/client/relayed_client.hh"

namespace i3 {

// What it needs of the host that it works for. None of these may call back.
struct RelayPoolWorld {
  // Entry nodes that answer at present.
  std::function<std::vector<Endpoint>()> entries;
  // From a socket that nothing else uses.
  std::function<void(const Endpoint& to, Bytes message)> send;
  // The node that runs on this very machine, if one does: its address is ours.
  std::function<bool(const PublicKey&)> own;
};

struct RelayPoolCounters {
  std::uint64_t lookups = 0;      // sent
  std::uint64_t unanswered = 0;   // of them
  std::uint64_t unsolicited = 0;  // answers to nothing that was asked
  std::uint64_t malformed = 0;
  std::uint64_t unusable = 0;   // answers that name no node that can serve
  std::uint64_t too_small = 0;  // nodes whose part of the ring no prefix was found for
  std::uint64_t ready = 0;      // relays made
};

// A random position is looked up; of the contacts that follow each other in the answer one is
// taken at random, and since the one before it is known, so is the part of the ring that it owns.
// Then keys' salts are tried until a prefix lies there: as many hashes as the ring has nodes, a
// slice a turn. So nobody is ever asked for the position that a visit uses, and whoever answered
// the look-up knows only that the host heard of four nodes some time before.
class RelayPool {
 public:
  static constexpr std::size_t kReady = 8;    // kept ready, and under way at most
  static constexpr std::size_t kPending = 4;  // look-ups
  static constexpr Duration kFreshFor = std::chrono::minutes(10);
  static constexpr Duration kAnswerWithin = std::chrono::seconds(1);
  static constexpr Duration kPause = std::chrono::milliseconds(200);  // while no entry node lives
  static constexpr unsigned kMostWithoutTls = 16;  // then one that serves none has to do

  RelayPool(Random& random, RelayPoolWorld world) : random_(random), world_(std::move(world)) {}

  // Keeps relays ready from now on; or lets all go and asks nothing.
  void set_wanted(bool wanted, TimePoint now);
  void set_families(bool have_v4, bool have_v6);
  // Nodes that serve TLS come first from now on.
  void prefer_tls(bool prefer, TimePoint now);

  bool wanted() const { return wanted_; }
  bool empty() const { return ready_.empty(); }
  // One at random, none that owns one of `avoid` if there is another, and not the node of the key
  // `never`. Nothing if no other is ready.
  std::optional<Relay> take(std::span<const RingId> avoid, const PublicKey& never, TimePoint now);

  void on_message(const Endpoint& from, Bytes message, TimePoint now);
  TimePoint next_deadline() const { return next_; }
  void on_timer(TimePoint now);
  const RelayPoolCounters& counters() const { return counters_; }

 private:
  struct Pending {
    std::uint64_t nonce;
    RingId position;
    Endpoint from;
    TimePoint until;
  };
  // A node, and its part of the ring.
  struct Prepared {
    Relay relay;
    PrefixSearch part;
    TimePoint until;

    bool owns(RingId position) const { return part.covers(position); }
  };

  void ask(TimePoint now);
  void choose(const std::vector<wire::NodeContact>& contacts, TimePoint now);
  void search(TimePoint now);
  bool known(const PublicKey& node) const;

  Random& random_;
  RelayPoolWorld world_;
  RelayPoolCounters counters_;
  bool wanted_ = false;
  bool have_v4_ = true, have_v6_ = true;
  bool prefer_tls_ = false;
  unsigned without_tls_ = 0;       // answers in a row that named none
  std::vector<Pending> pending_;   // at most kPending
  std::vector<Prepared> at_work_;  // a prefix is being looked for; with ready_ at most kReady
  std::vector<Prepared> ready_;
  TimePoint next_ = kNever;
};

}  // namespace i3
