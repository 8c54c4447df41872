// Owns the entry nodes: probing them, their round-trip times, and which is best.
#pragma once

#include "overlay/client/core.hh"
#include "overlay/client/node_cache.hh"

namespace i3::client {

// Every node is probed for ever: at once, then 200 ms, 400 ms ... 5 s after a lost probe, and every
// 15 s while it answers. It is alive from its first good answer to three lost probes. While no
// configured node is alive, a few nodes of the cache are probed and used as well.
class Entries {
 public:
  static constexpr std::size_t kMaxLearnt = 4;
  static constexpr unsigned kLostIsDead = 3;
  static constexpr unsigned kLostIsDropped = 6;  // a learnt node: another one gets its place
  static constexpr Duration kReprobe = std::chrono::seconds(15);

  Entries(Core& core, NodeCache& cache) : core_(core), cache_(cache) {}

  void set(std::vector<EntryNode> entries, TimePoint now);
  void add(const EntryNode& entry, TimePoint now);
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
  bool any_configured_alive() const;
  std::string wrong(const Node& node, Bytes message, const wire::ProbeReply& reply, TimePoint now);

  Core& core_;
  NodeCache& cache_;
  std::vector<Node> nodes_;  // at most kMaxEntries and kMaxLearnt
  bool started_ = false;
};

}  // namespace i3::client
