// Owns a real NodeCore on a simulated machine, and rings of them with their invariants.
#pragma once

#include <memory>

#include "overlay/node/node_core.hh"
#include "sim/network.hh"

namespace i3::sim {

// One life of one node. Destroying it is kill -9.
class SimNode final : private NodeIo {
 public:
  // `change` may adapt the settings before the core is made.
  using Change = std::function<void(NodeCoreSettings&)>;
  SimNode(SimNetwork& network, const Endpoint& at, std::vector<ChordSeed> join,
          std::uint64_t number, const Change& change = {});
  ~SimNode() override;

  NodeCore& core() { return *core_; }
  const NodeCore& core() const { return *core_; }
  const Identity& identity() const { return *identity_; }
  const Endpoint& endpoint() const { return at_; }
  SimNetwork::Host host() const { return host_; }
  bool member() const { return core_->ready(); }
  RingId id() const { return core_->chord()->id(); }
  void leave();

 private:
  void send(const Endpoint& to, Bytes message) override;
  void arm();

  SimNetwork& network_;
  Endpoint at_;
  SimNetwork::Host host_;
  SeededRandom random_;
  std::unique_ptr<Identity> identity_;
  Log log_;
  std::unique_ptr<NodeCore> core_;
  SimNetwork::Timer timer_ = 0;
  TimePoint armed_ = kNever;
};

// Several nodes, with what must hold of all of them together.
class SimRing {
 public:
  explicit SimRing(SimNetwork& network) : network_(network) {}

  // Node number n listens at an address of its own /24; it joins through `entries` earlier ones.
  SimNode& add(std::size_t entries = 2, const SimNode::Change& change = {});
  SimNode& add_joining(const std::vector<Endpoint>& join, const SimNode::Change& change = {});
  Endpoint next_endpoint() const { return endpoint_of(number_); }
  void kill(std::size_t index);
  void leave(std::size_t index);

  std::vector<std::unique_ptr<SimNode>>& nodes() { return nodes_; }
  std::size_t size() const { return nodes_.size(); }
  SimNode& operator[](std::size_t index) { return *nodes_[index]; }
  SimNode& owner_of(RingId position);

  // Why the ring is not ideal: one sentence about the first node that is wrong; empty if each has
  // the right predecessor and the right successor list.
  std::string fault() const;
  // Why an invariant is broken that must hold at every moment once all have joined: each member
  // has a live successor, and the first live successors form one ordered ring.
  std::string broken() const;
  bool ideal() const { return fault().empty(); }
  // Each member's first successor and predecessor are right; lists may still lag behind.
  bool neighbours_right() const;

 private:
  static Endpoint endpoint_of(std::uint64_t number);
  std::vector<const SimNode*> in_order() const;

  SimNetwork& network_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::uint64_t number_ = 1;
};

}  // namespace i3::sim
