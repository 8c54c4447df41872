// Owns rings of simulated nodes, and the truth about who owns what in them.
#pragma once

#include <map>

#include "sim/invariants.hh"
#include "sim/sim_node.hh"

namespace i3::sim {

// Several nodes, with what must hold of all of them together.
class SimRing {
 public:
  explicit SimRing(SimNetwork& network) : network_(network) {}

  // Node number n listens at an address of its own /24; it joins through `entries` earlier ones.
  SimNode& add(std::size_t entries = 2, const SimNode::Change& change = {});
  // The same through nodes that are members already, as an operator would name them.
  SimNode& add_through_members(std::size_t entries = 2, const SimNode::Change& change = {});
  SimNode& add_joining(const std::vector<Endpoint>& join, const SimNode::Change& change = {});
  Endpoint next_endpoint() const { return endpoint_of(number_); }
  void kill(std::size_t index);
  void leave(std::size_t index);

  std::vector<std::unique_ptr<SimNode>>& nodes() { return nodes_; }
  std::size_t size() const { return nodes_.size(); }
  SimNode& operator[](std::size_t index) { return *nodes_[index]; }
  // The member that owns `position`. There must be a node.
  SimNode& owner_of(RingId position);
  const std::map<RingId, SimNode*>& members() const { return members_; }
  // Called after a member came or went.
  void watch(std::function<void()> on_members) { on_members_ = std::move(on_members); }
  // Called for each member's end.
  void watch_deaths(std::function<void(RingId)> on_death) { on_death_ = std::move(on_death); }
  // What all members believe now. `side` tells which nodes can talk; by default all can.
  RingSnapshot snapshot(const std::function<unsigned(SimNetwork::Host)>& side = {}) const;

  // Why the ring is not ideal: one sentence about the first node that is wrong; empty if each has
  // the right predecessor and the right successor list.
  std::string fault() const;
  // The first of ring_faults(); empty if there is none. Holds at every moment.
  std::string broken() const;
  bool ideal() const { return fault().empty(); }
  // Each member's first successor and predecessor are right; lists may still lag behind.
  bool neighbours_right() const;

 private:
  static Endpoint endpoint_of(std::uint64_t number);
  void note(SimNode& node);
  void forget(SimNode& node);
  std::vector<const SimNode*> in_order() const;

  SimNetwork& network_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::uint64_t number_ = 1;
  std::map<RingId, SimNode*> members_;
  std::function<void()> on_members_;
  std::function<void(RingId)> on_death_;
};

}  // namespace i3::sim
