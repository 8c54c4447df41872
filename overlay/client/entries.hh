// Owns the entry nodes: probing them, their round-trip times, and which is best.
#pragma once

#include "overlay/client/core.hh"
#include "overlay/client/node_cache.hh"

namespace i3::client {

// Why an answer to a probe makes its node unfit for us, where it should have that key; empty if it
// does not.
std::string unfit(Core& core, const std::optional<PublicKey>& key, Bytes message,
                  const wire::ProbeReply& reply, TimePoint now);

// Every node is probed for ever: at once, then 200 ms, 400 ms ... 5 s after a lost probe, and every
// 15 s while it answers. It is alive from its first good answer to three lost probes. Near nodes of
// the ring are offered beside the configured ones, and used where they are nearer. While no
// configured node is alive, a few nodes of the cache are probed and used as well.
class Entries {
 public:
  static constexpr std::size_t kMaxLearnt = 4;
  static constexpr std::size_t kMaxNear = 2;
  static constexpr Duration kNearStay = std::chrono::seconds(60);
  static constexpr unsigned kLostIsDead = 3;
  static constexpr unsigned kLostIsDropped = 6;  // a learnt node: another one gets its place
  static constexpr Duration kReprobe = std::chrono::seconds(15);

  Entries(Core& core, NodeCache& cache) : core_(core), cache_(cache) {}

  void set(std::vector<EntryNode> entries, TimePoint now);
  void add(const EntryNode& entry, TimePoint now);
  // The nearest nodes, instead of those offered before: those stay for a while as they live.
  void offer(const std::vector<NearNode>& near, TimePoint now);
  void start(TimePoint now);
  void stop() { started_ = false; }
  void probe_all(TimePoint now);
  // Somebody missed an answer from that one: if it is an entry node it is probed now, and only
  // taken for want of a better until it answers.
  void suspect(const Endpoint& address, TimePoint now);

  enum class Outcome { unsolicited, refused, good, became_alive };
  Outcome on_reply(const Endpoint& from, Bytes message, const wire::ProbeReply& reply,
                   TimePoint now);
  void on_timer(TimePoint now);
  TimePoint deadline() const;

  // The live node with the shortest round trip, another one than `avoid` if possible.
  std::optional<Endpoint> best(const std::optional<Endpoint>& avoid = std::nullopt) const;
  // The same among those of the settings as long as one of them lives: whom to ask for the places
  // of our own triggers, for a node that is only near may name whom it likes.
  std::optional<Endpoint> trusted(const std::optional<Endpoint>& avoid = std::nullopt) const;
  bool known(const Endpoint& address) const;
  std::vector<EntryStatus> status() const;

 private:
  struct Sent {
    std::uint64_t nonce = 0;
    TimePoint at{};
  };
  struct Node {
    EntryNode entry;
    bool configured = true;
    bool near = false;  // offered; not configured
    bool alive = false;
    bool suspected = false;
    std::optional<wire::NodeContact> contact;
    std::optional<Endpoint> observed;
    Duration rtt{};
    std::array<Sent, 4> sent{};  // the latest probes; an answer to any of them counts
    unsigned lost = 0;           // sent since the last good answer
    TimePoint next{};
    std::string trouble;
  };

  void probe(Node& node, TimePoint now);
  void refuse(Node& node, std::string why, TimePoint now);
  void fall_back(TimePoint now);
  std::optional<Endpoint> pick(const std::optional<Endpoint>& avoid, bool configured) const;
  bool any_configured_alive() const;

  Core& core_;
  NodeCache& cache_;
  std::vector<Node> nodes_;  // at most kMaxEntries, kMaxLearnt and kMaxNear
  bool started_ = false;
  TimePoint near_until_{};
};

}  // namespace i3::client
