#include "sim/sim_ring.hh"

#include <algorithm>

namespace i3::sim {

Endpoint SimRing::endpoint_of(std::uint64_t number) {
  return {IpAddress::v4(static_cast<std::uint32_t>(0x0b000001 + (number << 8))), 5100};
}

SimNode& SimRing::add(std::size_t entries, const SimNode::Change& change) {
  std::vector<Endpoint> join;
  for (std::size_t i = 0; i < entries && i < nodes_.size(); ++i)
    join.push_back(nodes_[network_.random().below(nodes_.size())]->endpoint());
  return add_joining(join, change);
}

SimNode& SimRing::add_through_members(std::size_t entries, const SimNode::Change& change) {
  std::vector<Endpoint> join;
  while (join.size() < entries && join.size() < members_.size()) {
    const SimNode& node = *nodes_[network_.random().below(nodes_.size())];
    const bool again = std::find(join.begin(), join.end(), node.endpoint()) != join.end();
    if (node.member() && !again) join.push_back(node.endpoint());
  }
  return add_joining(join, change);
}

SimNode& SimRing::add_joining(const std::vector<Endpoint>& join, const SimNode::Change& change) {
  std::vector<ChordSeed> seeds;
  for (const Endpoint& endpoint : join) seeds.push_back({endpoint, std::nullopt});
  const std::uint64_t number = number_++;
  nodes_.push_back(
      std::make_unique<SimNode>(network_, endpoint_of(number), std::move(seeds), number, change));
  SimNode& node = *nodes_.back();
  node.watch([this, &node] { note(node); });
  if (node.member()) note(node);
  return node;
}

// A node's place never changes while it is a member.
void SimRing::note(SimNode& node) {
  if (!node.member()) return forget(node);
  members_[node.id()] = &node;
  if (on_members_) on_members_();
}

void SimRing::forget(SimNode& node) {
  if (!node.core().chord()) return;
  auto found = members_.find(node.id());
  if (found == members_.end() || found->second != &node) return;
  members_.erase(found);
  if (on_death_) on_death_(node.id());
  if (on_members_) on_members_();
}

void SimRing::kill(std::size_t index) {
  forget(*nodes_[index]);
  nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(index));
}

void SimRing::leave(std::size_t index) {
  nodes_[index]->leave();
  kill(index);
}

std::vector<const SimNode*> SimRing::in_order() const {
  std::vector<const SimNode*> order;
  for (const auto& node : nodes_) order.push_back(node.get());
  std::sort(order.begin(), order.end(),
            [](const SimNode* a, const SimNode* b) { return a->id() < b->id(); });
  return order;
}

SimNode& SimRing::owner_of(RingId position) {
  if (members_.empty()) return *nodes_.front();
  auto owner = members_.lower_bound(position);
  return *(owner == members_.end() ? members_.begin() : owner)->second;
}

RingSnapshot SimRing::snapshot(const std::function<unsigned(SimNetwork::Host)>& side) const {
  RingSnapshot snapshot{network_.now(), {}};
  snapshot.members.reserve(members_.size());
  for (const auto& [id, node] : members_) {
    const RingView& view = node->core().chord()->view();
    MemberView member;
    member.id = id;
    if (side) member.side = side(node->host());
    if (view.predecessor()) member.predecessor = view.predecessor()->id;
    for (const RingPeer& peer : view.successors()) member.successors.push_back(peer.id);
    for (const Finger& finger : view.fingers()) member.others.push_back(finger.peer.id);
    for (std::size_t i = 1; i < view.predecessors().size(); ++i)
      member.others.push_back(view.predecessors()[i].id);
    snapshot.members.push_back(std::move(member));
  }
  return snapshot;
}

std::string SimRing::fault() const {
  for (const auto& node : nodes_)
    if (!node->member()) return node->endpoint().text() + " is no member";
  const auto order = in_order();
  const std::size_t count = order.size();
  for (std::size_t i = 0; i < count; ++i) {
    const RingView& view = order[i]->core().chord()->view();
    const std::string who = order[i]->endpoint().text();
    if (count == 1) return view.alone() ? "" : who + " is alone and believes otherwise";
    const RingId before = order[(i + count - 1) % count]->id();
    if (!view.predecessor() || view.predecessor()->id != before)
      return who + " has a wrong predecessor";
    const std::size_t expected =
        std::min(count - 1, std::max<std::size_t>(view.successors().size(), 1));
    if (view.successors().size() != expected) return who + " has a list that is too long";
    if (view.whole_ring_known() && view.successors().size() != count - 1)
      return who + " has a list that is too short";
    for (std::size_t s = 0; s < expected; ++s)
      if (view.successors()[s].id != order[(i + 1 + s) % count]->id())
        return who + " has a wrong successor at place " + std::to_string(s);
  }
  return "";
}

bool SimRing::neighbours_right() const {
  const auto order = in_order();
  const std::size_t count = order.size();
  for (std::size_t i = 0; i < count && count > 1; ++i) {
    const RingView& view = order[i]->core().chord()->view();
    if (!view.successor() || view.successor()->id != order[(i + 1) % count]->id()) return false;
    if (!view.predecessor() || view.predecessor()->id != order[(i + count - 1) % count]->id())
      return false;
  }
  return true;
}

std::string SimRing::broken() const {
  const auto faults = ring_faults(snapshot());
  return faults.empty() ? "" : faults.front();
}

}  // namespace i3::sim
