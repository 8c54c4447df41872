#include "sim/sim_node.hh"

#include <algorithm>

namespace i3::sim {

SimNode::SimNode(SimNetwork& network, const Endpoint& at, std::vector<ChordSeed> join,
                 std::uint64_t number, const Change& change)
    : network_(network),
      at_(at),
      host_(network.add_host()),
      random_(network.random_for(number)),
      identity_(Identity::generate(random_)) {
  NodeCoreSettings settings;
  (at.address.is_v4() ? settings.contact.v4 : settings.contact.v6) = at;
  settings.have_v4 = at.address.is_v4();
  settings.have_v6 = !at.address.is_v4();
  settings.join = std::move(join);
  if (change) change(settings);
  NodeIo& io = *this;
  core_ = std::make_unique<NodeCore>(std::move(settings), *identity_, random_, log_, io);
  network_.open(host_, at_, [this](const Endpoint& from, const Endpoint&, MutBytes message) {
    const auto verdict = core_->on_datagram(from, message, network_.now(), network_.wall());
    if (verdict.forward) send(verdict.to, message);
    arm();
  });
  core_->start(network_.now());
  arm();
}

SimNode::~SimNode() {
  network_.cancel(timer_);
  network_.kill(host_);
}

void SimNode::leave() {
  core_->leave(network_.now());
}

void SimNode::send(const Endpoint& to, Bytes message) {
  network_.send(host_, at_, to, message);
}

void SimNode::arm() {
  const TimePoint next = core_->next_deadline();
  if (next >= armed_) return;
  network_.cancel(timer_);
  armed_ = next;
  timer_ = network_.at(host_, next, [this] {
    timer_ = 0;
    armed_ = kNever;
    core_->on_timer(network_.now(), network_.wall());
    arm();
  });
}

Endpoint SimRing::endpoint_of(std::uint64_t number) {
  return {IpAddress::v4(static_cast<std::uint32_t>(0x0b000001 + (number << 8))), 5100};
}

SimNode& SimRing::add(std::size_t entries, const SimNode::Change& change) {
  std::vector<Endpoint> join;
  for (std::size_t i = 0; i < entries && i < nodes_.size(); ++i)
    join.push_back(nodes_[network_.random().below(nodes_.size())]->endpoint());
  return add_joining(join, change);
}

SimNode& SimRing::add_joining(const std::vector<Endpoint>& join, const SimNode::Change& change) {
  std::vector<ChordSeed> seeds;
  for (const Endpoint& endpoint : join) seeds.push_back({endpoint, std::nullopt});
  const std::uint64_t number = number_++;
  nodes_.push_back(
      std::make_unique<SimNode>(network_, endpoint_of(number), std::move(seeds), number, change));
  return *nodes_.back();
}

void SimRing::kill(std::size_t index) {
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
  SimNode* best = nodes_.front().get();
  for (auto& node : nodes_)
    if (node->id().minus(position) < best->id().minus(position)) best = node.get();
  return *best;
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
  std::map<RingId, const SimNode*> members;
  for (const auto& node : nodes_)
    if (node->member()) members[node->id()] = node.get();
  if (members.size() < 2) return "";
  // From each member along its first live successor: everybody must come into the same cycle, and
  // the cycle must go round once.
  auto next = [&](const SimNode* node) -> const SimNode* {
    for (const RingPeer& peer : node->core().chord()->view().successors())
      if (auto found = members.find(peer.id); found != members.end()) return found->second;
    return nullptr;
  };
  const SimNode* inside = members.begin()->second;
  for (std::size_t i = 0; i < members.size(); ++i) {
    inside = next(inside);
    if (!inside) return "a member has no live successor";
  }
  std::set<const SimNode*> cycle;
  unsigned descents = 0;
  for (const SimNode* node = inside; cycle.insert(node).second;) {
    const SimNode* after = next(node);
    if (!after) return "a member has no live successor";
    if (after->id() <= node->id()) ++descents;
    node = after;
  }
  if (descents != 1) return "the ring goes round " + std::to_string(descents) + " times";
  for (const auto& [id, node] : members) {
    const SimNode* at = node;
    for (std::size_t i = 0; i <= members.size() && !cycle.contains(at); ++i) {
      at = next(at);
      if (!at) return node->endpoint().text() + " has no live successor";
    }
    if (!cycle.contains(at)) return node->endpoint().text() + " belongs to another ring";
  }
  return "";
}

}  // namespace i3::sim
