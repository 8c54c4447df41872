#include "overlay/client/entries.hh"

namespace i3::client {

std::string unfit(Core& core, const std::optional<PublicKey>& key, Bytes message,
                  const wire::ProbeReply& reply, TimePoint now) {
  if (key && reply.contact.key != *key) {
    ++core.counters.wrong_key;
    return "has another key: " + reply.contact.key.text();
  }
  if (!wire::ProbeReply::valid_signature(message, reply.contact.key)) {
    ++core.counters.bad_signature;
    return "its signature does not hold";
  }
  const auto& operator_key = core.options.operator_key;
  if (operator_key &&
      !(reply.membership &&
        reply.membership->valid(*operator_key, reply.contact.key, core.wall(now)))) {
    ++core.counters.wrong_key;
    return "shows no membership of the operator's ring";
  }
  return {};
}

void Entries::set(std::vector<EntryNode> entries, TimePoint now) {
  std::vector<Node> kept;
  for (Node& node : nodes_)
    if (node.configured && std::count(entries.begin(), entries.end(), node.entry))
      kept.push_back(std::move(node));
  nodes_ = std::move(kept);
  for (const EntryNode& entry : entries)
    if (!known(entry.address)) add(entry, now);
}

void Entries::add(const EntryNode& entry, TimePoint now) {
  std::erase_if(nodes_, [&](const Node& node) { return node.entry.address == entry.address; });
  const auto configured =
      std::count_if(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.configured; });
  if (static_cast<std::size_t>(configured) >= ClientOptions::kMaxEntries) {
    core_.log.warning("entry_node_left_out",
                      {{"address", entry.address.text()}, {"most", ClientOptions::kMaxEntries}});
    return;
  }
  Node node;
  node.entry = entry;
  node.next = now;
  nodes_.push_back(std::move(node));
}

void Entries::offer(const std::vector<NearNode>& near, TimePoint now) {
  const auto lost = [](const Node& node) { return node.near && node.lost >= kLostIsDead; };
  if (!started_ || (now < near_until_ && std::none_of(nodes_.begin(), nodes_.end(), lost))) return;
  near_until_ = now + kNearStay;
  const auto wanted = std::span(near).first(std::min(near.size(), kMaxNear));
  std::erase_if(nodes_, [&](const Node& node) {
    return node.near && std::none_of(wanted.begin(), wanted.end(), [&](const NearNode& one) {
             return one.address == node.entry.address;
           });
  });
  for (const NearNode& one : wanted) {
    if (known(one.address)) continue;
    Node node;
    node.entry = {one.address, one.contact.key};
    node.configured = false;
    node.near = true;
    node.next = now;
    nodes_.push_back(std::move(node));
  }
}

void Entries::start(TimePoint now) {
  started_ = true;
  for (Node& node : nodes_) {
    node.next = now;
    if (!node.entry.key)
      core_.log.warning("entry_node_without_key", {{"address", node.entry.address.text()}});
  }
}

void Entries::probe_all(TimePoint now) {
  for (Node& node : nodes_) {
    node.lost = 0;
    node.next = now;
  }
}

void Entries::suspect(const Endpoint& address, TimePoint now) {
  for (Node& node : nodes_) {
    if (node.entry.address != address || !node.alive) continue;
    node.suspected = true;
    if (node.lost == 0) node.next = now;
  }
}

void Entries::probe(Node& node, TimePoint now) {
  if (!core_.usable(node.entry.address)) {
    node.alive = false;
    node.trouble = "no address of its family here";
    node.next = now + kLastRetry;
    return;
  }
  if (node.lost >= kLostIsDead) {
    if (node.alive)
      core_.log.warning("entry_node_silent", {{"address", node.entry.address.text()}});
    node.alive = false;
    if (node.trouble.empty()) node.trouble = "does not answer";
  }
  const std::uint64_t nonce = core_.nonce();
  std::move_backward(node.sent.begin(), node.sent.end() - 1, node.sent.end());
  node.sent[0] = {nonce, now};
  node.next = now + backoff(core_.random, ++node.lost);
  ++core_.counters.probes;
  core_.send(node.entry.address, wire::Probe{nonce});
}

void Entries::refuse(Node& node, std::string why, TimePoint now) {
  if (node.trouble != why)
    core_.log.error("entry_node_refused", {{"address", node.entry.address.text()}, {"why", why}});
  node.trouble = std::move(why);
  node.alive = false;
  node.contact.reset();
  node.next = now + kLastRetry;
}

Entries::Outcome Entries::on_reply(const Endpoint& from, Bytes message,
                                   const wire::ProbeReply& reply, TimePoint now) {
  for (Node& node : nodes_) {
    if (node.entry.address != from) continue;
    auto sent = std::find_if(node.sent.begin(), node.sent.end(),
                             [&](const Sent& s) { return s.nonce != 0 && s.nonce == reply.nonce; });
    if (sent == node.sent.end()) return Outcome::unsolicited;
    sent->nonce = 0;
    if (std::string why = unfit(core_, node.entry.key, message, reply, now); !why.empty()) {
      refuse(node, std::move(why), now);
      return Outcome::refused;
    }
    const Duration sample = now - sent->at;
    node.rtt = node.alive ? (node.rtt * 7 + sample) / 8 : sample;
    node.lost = 0;
    node.suspected = false;
    node.next = now + backoff(core_.random, 1, kReprobe, kReprobe);
    node.contact = reply.contact;
    node.trouble.clear();
    if (reply.observed.valid()) node.observed = reply.observed;
    cache_.learn(reply.contact);
    if (node.alive) return Outcome::good;
    node.alive = true;
    core_.log.info("entry_node_alive",
                   {{"address", from.text()}, {"key", reply.contact.key.text()}});
    if (node.configured)
      std::erase_if(nodes_, [](const Node& n) { return !n.configured && !n.near; });
    return Outcome::became_alive;
  }
  return Outcome::unsolicited;
}

bool Entries::any_configured_alive() const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const Node& node) { return node.configured && node.alive; });
}

// With every configured node silent, refused or unusable, probes nodes of the cache.
void Entries::fall_back(TimePoint now) {
  std::erase_if(nodes_, [](const Node& node) {
    return !node.configured && !node.alive && node.lost >= kLostIsDropped;
  });
  std::size_t learnt = 0;
  for (const Node& node : nodes_) {
    if (node.configured && (node.alive || (node.lost < 2 && node.trouble.empty()))) return;
    if (!node.configured && !node.near) ++learnt;
  }
  for (; learnt < kMaxLearnt; ++learnt) {
    auto contact = cache_.next([&](const wire::NodeContact& candidate) {
      const auto address = core_.reachable(candidate);
      return address && !known(*address);
    });
    if (!contact) return;
    Node node;
    node.entry = {*core_.reachable(*contact), contact->key};
    node.configured = false;
    node.next = now;
    nodes_.push_back(std::move(node));
  }
}

void Entries::on_timer(TimePoint now) {
  if (!started_) return;
  for (Node& node : nodes_)
    if (node.next <= now) probe(node, now);
  if (any_configured_alive()) return;
  fall_back(now);
  for (Node& node : nodes_)
    if (node.next <= now) probe(node, now);
}

TimePoint Entries::deadline() const {
  TimePoint first = kNever;
  if (!started_) return first;
  for (const Node& node : nodes_) first = std::min(first, node.next);
  return first;
}

std::optional<Endpoint> Entries::pick(const std::optional<Endpoint>& avoid, bool configured) const {
  const Node* best = nullptr;
  const Node* avoided = nullptr;
  for (const Node& node : nodes_) {
    if (!node.alive || (configured && !node.configured)) continue;
    if (avoid && node.entry.address == *avoid)
      avoided = &node;
    else if (!best || std::pair(node.suspected, node.rtt) < std::pair(best->suspected, best->rtt))
      best = &node;
  }
  if (!best) best = avoided;
  if (!best) return std::nullopt;
  return best->entry.address;
}

std::optional<Endpoint> Entries::best(const std::optional<Endpoint>& avoid) const {
  return pick(avoid, false);
}

std::optional<Endpoint> Entries::trusted(const std::optional<Endpoint>& avoid) const {
  const auto configured = pick(avoid, true);
  return configured && configured != avoid ? configured : pick(avoid, false);
}

bool Entries::known(const Endpoint& address) const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [&](const Node& node) { return node.entry.address == address; });
}

std::vector<EntryStatus> Entries::status() const {
  std::vector<EntryStatus> result;
  for (const Node& node : nodes_) {
    EntryStatus status;
    status.address = node.entry.address;
    status.key = node.contact ? std::optional(node.contact->key) : node.entry.key;
    status.configured = node.configured;
    status.alive = node.alive;
    status.rtt = node.rtt;
    status.observed = node.observed;
    status.trouble = node.trouble;
    result.push_back(std::move(status));
  }
  return result;
}

}  // namespace i3::client
