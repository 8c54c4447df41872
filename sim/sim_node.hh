// Owns a real NodeCore on a simulated machine.
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

  // A program on the same machine asks for the owner of `position`; nothing crosses the network
  // between it and the node. `answer` is called once, with no contact if the node found none, and
  // never if the node dies before.
  using Answer = std::function<void(const std::vector<wire::NodeContact>& contacts)>;
  void ask(RingId position, Answer answer);

  // Called when the node has become a member, or is one no longer.
  void watch(std::function<void()> on_membership) { on_membership_ = std::move(on_membership); }

 private:
  void send(const Endpoint& to, Bytes message) override;
  // Opened when it is first asked for.
  std::uint16_t other_port(const IpAddress& family) override;
  void send_other(const Endpoint& to, Bytes message) override;
  void arm();
  void after_core();

  SimNetwork& network_;
  Endpoint at_;
  Endpoint other_;  // its second port
  SimNetwork::Host host_;
  SeededRandom random_;
  std::unique_ptr<Identity> identity_;
  Log log_;
  std::unique_ptr<NodeCore> core_;
  SimNetwork::Timer timer_ = 0;
  TimePoint armed_ = kNever;
  bool was_member_ = false;
  std::function<void()> on_membership_;
  std::unordered_map<std::uint64_t, Answer> asked_;
};

}  // namespace i3::sim
