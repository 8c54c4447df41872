// Owns which nodes of the ring are near: sampling nodes, measuring their round trips, and keeping
// the nearest.
#pragma once

#include <deque>
#include <vector>

#include "overlay/client/entries.hh"
#include "overlay/wire/reach.hh"

namespace i3::client {

// Nodes come from answers to look-ups of random positions, and from near nodes themselves: asked
// for their next hop towards a random ID, they name one that is near them, and so probably near us.
// Each is probed. In the first seconds a message leaves every kFast, until nothing new comes to
// light; later one every kSlow, which also measures the near ones again.
class NearNodes {
 public:
  static constexpr std::size_t kMaxNodes = 16;       // kept
  static constexpr std::size_t kMaxCandidates = 32;  // not measured yet
  static constexpr std::size_t kMaxTried = 256;      // not to be measured again soon
  static constexpr std::size_t kMaxAsked = 8;        // searches that may be answered yet
  static constexpr std::size_t kSamples = 4;         // of each node; the shortest counts
  static constexpr Duration kFast = std::chrono::milliseconds(200);
  static constexpr Duration kSlow = std::chrono::seconds(10);
  static constexpr Duration kAnswerWithin = std::chrono::seconds(2);
  static constexpr unsigned kFastTurns = 80;
  static constexpr unsigned kIdleSeeks = 12;  // in a row that brought nothing new
  static constexpr unsigned kLostIsGone = 3;  // probes in a row

  NearNodes(Core& core, const Entries& entries, NodeCache& cache)
      : core_(core), entries_(entries), cache_(cache) {}

  void start(TimePoint now);
  void stop() { next_ = kNever; }
  // Round trips are others now; the nodes are measured again.
  void network_changed(TimePoint now);

  // Each is false for an answer to nothing that was asked.
  bool on_probe_reply(const Endpoint& from, Bytes message, const wire::ProbeReply& reply,
                      TimePoint now);
  bool on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now);
  bool on_step_reply(const Endpoint& from, const wire::StepReply& reply, TimePoint now);
  void on_timer(TimePoint now);
  TimePoint deadline() const { return next_; }

  // Measured ones, nearest first.
  std::vector<NearNode> nearest() const;
  // How far that node is: zero where it was not measured, which this asks for. kNever: it does not
  // answer.
  Duration measure(const wire::NodeContact& contact, TimePoint now);
  // The first, fast part is over.
  bool settled() const { return settled_; }

  // Those that an earlier run found near are measured first.
  void begin_with(const std::vector<wire::NodeContact>& contacts) {
    candidates_.assign(contacts.begin(), contacts.end());
  }

 private:
  struct Node {
    wire::NodeContact contact;
    Endpoint address;
    std::array<Duration, kSamples> samples{};
    std::size_t taken = 0;  // samples
    unsigned lost = 0;      // in a row
    std::uint64_t nonce = 0;
    TimePoint sent{};

    Duration rtt() const;
    bool measured() const { return taken > 0; }
  };
  struct Asked {
    std::uint64_t nonce = 0;
    Endpoint to;
    Id id;  // a look-up is for its position
    bool step = false;
  };

  void heard_of(const wire::NodeContact& contact);
  Node* find(const PublicKey& key);
  void probe(Node& node, TimePoint now);
  void expire(TimePoint now);
  bool probe_candidate(TimePoint now);
  bool probe_again(TimePoint now);
  bool seek();
  bool take(const Endpoint& from, std::uint64_t nonce, bool step, const Id& id);
  void keep_nearest();
  void learn(const std::vector<wire::NodeContact>& contacts);

  Core& core_;
  const Entries& entries_;
  NodeCache& cache_;
  std::vector<Node> nodes_;  // at most kMaxNodes measured ones, and few under way
  std::deque<wire::NodeContact> candidates_;
  std::deque<PublicKey> tried_;
  std::deque<Asked> asked_;           // the latest kMaxAsked
  std::optional<PublicKey> watched_;  // never goes, however far it is
  unsigned turns_ = 0, idle_ = 0;
  bool settled_ = false;
  unsigned seeks_ = 0;
  std::size_t around_ = 0;
  TimePoint next_ = kNever;
};

}  // namespace i3::client
