#include "overlay/client/keeper.hh"

namespace i3::client {

// A third of what the node grants, so that two losses in a row do no harm.
Duration Keeper::interval(const Node& node) {
  const Duration wanted = std::max(
      kShortest, std::min({core_.options.refresh, core_.keep_alive, Duration(node.lifetime / 3)}));
  return backoff(core_.random, 1, wanted, wanted);
}

void Keeper::inserted(const Target& at, const std::array<std::uint8_t, 16>& token,
                      std::uint32_t lifetime_ms, TimePoint now) {
  auto node = std::find_if(nodes_.begin(), nodes_.end(),
                           [&](const Node& n) { return n.at.address == at.address; });
  if (node == nodes_.end()) {
    if (nodes_.size() >= kMaxNodes) nodes_.erase(nodes_.begin());
    node = nodes_.insert(nodes_.end(), Node{});
    node->next = kNever;
  }
  node->at = at;
  node->token = token;
  node->lifetime = std::chrono::milliseconds(lifetime_ms);
  if (node->next == kNever) node->next = now + interval(*node);
}

void Keeper::drop(const Endpoint& address) {
  std::erase_if(nodes_, [&](const Node& node) { return node.at.address == address; });
}

void Keeper::hurry(TimePoint now, const std::optional<Endpoint>& only) {
  for (Node& node : nodes_)
    if (node.nonce == 0 && node.strangers_until <= now && (!only || *only == node.at.address))
      node.next = std::min(node.next, std::max(now, node.answered + kAskedApart));
}

std::vector<Keeper::Need> Keeper::on_timer(TimePoint now, const CountAt& count_at) {
  std::vector<Need> needs;
  for (std::size_t i = 0; i < nodes_.size();) {
    Node& node = nodes_[i];
    if (node.next > now) {
      ++i;
      continue;
    }
    const Count count = count_at(node.at.address);
    const bool lost = node.tries >= kTries;
    if (lost || !count.wanted) {
      if (lost) needs.push_back({Need::What::lost, node.at.address});
      nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    if (node.strangers_until > now) {
      needs.push_back({Need::What::insert_singly, node.at.address});
      node.next = now + interval(node);
    } else {
      if (node.nonce == 0) node.nonce = core_.nonce();
      if (node.tries++ == 0) node.when_sent = count;
      node.next = now + kApart;
      ++core_.counters.refreshes;
      const PublicKey& key = core_.identity.key();
      core_.send(node.at.address, wire::Refresh{node.nonce, key, key, node.token});
    }
    ++i;
  }
  return needs;
}

Keeper::Node* Keeper::awaiting(const Endpoint& from, std::uint64_t nonce) {
  for (Node& node : nodes_)
    if (node.nonce != 0 && node.nonce == nonce && node.at.address == from) return &node;
  return nullptr;
}

bool Keeper::on_refreshed(const Endpoint& from, const wire::Refreshed& refreshed,
                          const CountAt& count_at, TimePoint now, std::optional<Need>& need) {
  Node* node = awaiting(from, refreshed.nonce);
  if (!node) return false;
  ++core_.counters.refreshed;
  node->nonce = 0;
  node->tries = 0;
  node->answered = now;
  node->token = refreshed.token;
  if (refreshed.lifetime_ms) node->lifetime = std::chrono::milliseconds(refreshed.lifetime_ms);
  node->next = now + interval(*node);
  // What changed while the refresh was on its way may or may not be counted.
  const Count count = count_at(from);
  if (refreshed.count < std::min(count.least, node->when_sent.least)) {
    need = Need{Need::What::insert_again, from};
  } else if (refreshed.count > std::max(count.most, node->when_sent.most)) {
    core_.log.info("unknown_triggers_left_to_expire",
                   {{"node", from.text()},
                    {"held", refreshed.count},
                    {"ours", std::max(count.most, node->when_sent.most)}});
    node->strangers_until = now + node->lifetime + std::chrono::seconds(1);
  }
  return true;
}

bool Keeper::on_refused(const Endpoint& from, const wire::Refused& refused, TimePoint now,
                        std::optional<Need>& need) {
  Node* node = awaiting(from, refused.nonce);
  if (!node) return false;
  node->nonce = 0;
  node->tries = 0;
  node->answered = now;
  node->next = now + interval(*node);
  const bool moved = refused.reason == wire::Refusal::not_owner;
  need = Need{moved ? Need::What::not_owner : Need::What::insert_again, from};
  return true;
}

TimePoint Keeper::deadline() const {
  TimePoint first = kNever;
  for (const Node& node : nodes_) first = std::min(first, node.next);
  return first;
}

}  // namespace i3::client
