#include "overlay/client/near_nodes.hh"

namespace i3::client {

Duration NearNodes::Node::rtt() const {
  const std::size_t count = std::min(taken, samples.size());
  return count == 0 ? Duration{} : *std::min_element(samples.begin(), samples.begin() + count);
}

void NearNodes::start(TimePoint now) {
  if (!core_.options.near_nodes) return;
  next_ = now;
}

void NearNodes::network_changed(TimePoint now) {
  for (Node& node : nodes_) {
    node.taken = node.lost = 0;
    node.nonce = 0;
    if (const auto address = core_.reachable(node.contact)) node.address = *address;
  }
  tried_.clear();
  turns_ = idle_ = 0;
  settled_ = false;
  if (next_ != kNever) next_ = now;
}

NearNodes::Node* NearNodes::find(const PublicKey& key) {
  for (Node& node : nodes_)
    if (node.contact.key == key) return &node;
  return nullptr;
}

void NearNodes::heard_of(const wire::NodeContact& contact) {
  if (!core_.reachable(contact) || find(contact.key) != nullptr ||
      std::count(tried_.begin(), tried_.end(), contact.key))
    return;
  for (const wire::NodeContact& waiting : candidates_)
    if (waiting.key == contact.key) return;
  idle_ = 0;
  candidates_.push_front(contact);
  if (candidates_.size() > kMaxCandidates) candidates_.pop_back();
}

void NearNodes::learn(const std::vector<wire::NodeContact>& contacts) {
  cache_.learn(contacts);
  for (const wire::NodeContact& contact : contacts) heard_of(contact);
}

// 1 what was asked before and is not answered  2 a candidate, a known one again, or more of them

void NearNodes::on_timer(TimePoint now) {
  if (now < next_) return;
  expire(now);
  if (turns_ >= kFastTurns || idle_ >= kIdleSeeks) settled_ = true;
  const bool fast = !settled_;
  next_ = now + backoff(core_.random, 1, fast ? kFast : kSlow, kSlow);
  if (!entries_.best()) return;
  if (fast) {
    ++turns_;
    for (const wire::NodeContact& contact : cache_.all()) heard_of(contact);
  }
  ++around_;
  if (around_ % 3 == 0 && seek()) return;
  if ((fast || around_ % 3 == 1) && probe_candidate(now)) return;
  if (!probe_again(now)) seek();
}

void NearNodes::expire(TimePoint now) {
  for (Node& node : nodes_) {
    if (node.nonce == 0 || now - node.sent < kAnswerWithin) continue;
    node.nonce = 0;
    ++node.lost;
  }
  std::erase_if(nodes_, [&](const Node& node) {
    return node.lost >= kLostIsGone && node.contact.key != watched_;
  });
}

void NearNodes::probe(Node& node, TimePoint now) {
  node.nonce = core_.nonce();
  node.sent = now;
  ++core_.counters.probes;
  core_.send(node.address, wire::Probe{node.nonce});
}

bool NearNodes::probe_candidate(TimePoint now) {
  if (candidates_.empty()) return false;
  Node node;
  node.contact = candidates_.front();
  candidates_.pop_front();
  const auto address = core_.reachable(node.contact);
  if (!address) return false;
  node.address = *address;
  tried_.push_back(node.contact.key);
  if (tried_.size() > kMaxTried) tried_.pop_front();
  probe(nodes_.emplace_back(std::move(node)), now);
  return true;
}

// The one measured longest ago, while a few samples are taken of each.
bool NearNodes::probe_again(TimePoint now) {
  Node* oldest = nullptr;
  for (Node& node : nodes_) {
    if (node.nonce != 0 || (!settled_ && node.taken >= kSamples / 2)) continue;
    if (oldest == nullptr || node.sent < oldest->sent) oldest = &node;
  }
  if (oldest == nullptr) return false;
  probe(*oldest, now);
  return true;
}

// By turns of the ring at large, and of a near node.
bool NearNodes::seek() {
  const auto entry = entries_.best();
  const auto near = nearest();
  const bool step = ++seeks_ % 3 != 0 && seeks_ > 3 && !near.empty();
  if (!step && !entry) return false;
  Asked asked;
  asked.nonce = core_.nonce();
  core_.random.fill(MutBytes(asked.id.bytes));
  asked.step = step;
  asked.to =
      step ? near[core_.random.below(std::min<std::size_t>(near.size(), 4))].address : *entry;
  ++idle_;
  asked_.push_back(asked);
  if (asked_.size() > kMaxAsked) asked_.pop_front();
  if (step) {
    core_.send(asked.to, wire::Step{asked.nonce, asked.id});
  } else {
    ++core_.counters.lookups;
    core_.send(asked.to, wire::Lookup{asked.nonce, asked.id.ring()});
  }
  return true;
}

// What came

bool NearNodes::take(const Endpoint& from, std::uint64_t nonce, bool step, const Id& id) {
  return std::erase_if(asked_, [&](const Asked& one) {
           return one.nonce == nonce && one.to == from && one.step == step &&
                  (step ? one.id == id : one.id.ring() == id.ring());
         }) != 0;
}

bool NearNodes::on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint) {
  Id id;
  Writer writer(id.bytes);
  reply.position.write(writer);
  if (!take(from, reply.nonce, false, id)) return false;
  learn(reply.contacts);
  return true;
}

bool NearNodes::on_step_reply(const Endpoint& from, const wire::StepReply& reply, TimePoint) {
  if (!take(from, reply.nonce, true, reply.id)) return false;
  if (reply.next) learn({*reply.next});
  return true;
}

bool NearNodes::on_probe_reply(const Endpoint& from, Bytes message, const wire::ProbeReply& reply,
                               TimePoint now) {
  const auto node = std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& one) {
    return one.nonce != 0 && one.nonce == reply.nonce && one.address == from;
  });
  if (node == nodes_.end()) return false;
  if (!unfit(core_, node->contact.key, message, reply, now).empty()) {
    nodes_.erase(node);
    return true;
  }
  node->nonce = 0;
  node->lost = 0;
  node->contact = reply.contact;
  node->samples[node->taken++ % kSamples] = std::max<Duration>(now - node->sent, Duration(1));
  keep_nearest();
  return true;
}

void NearNodes::keep_nearest() {
  std::size_t measured = 0;
  Node* farthest = nullptr;
  for (Node& node : nodes_) {
    if (!node.measured() || node.contact.key == watched_) continue;
    ++measured;
    if (farthest == nullptr || node.rtt() > farthest->rtt()) farthest = &node;
  }
  if (measured > kMaxNodes) nodes_.erase(nodes_.begin() + (farthest - nodes_.data()));
}

std::vector<NearNode> NearNodes::nearest() const {
  std::vector<NearNode> near;
  for (const Node& node : nodes_)
    if (node.measured() && node.lost == 0) near.push_back({node.contact, node.address, node.rtt()});
  std::stable_sort(near.begin(), near.end(),
                   [](const NearNode& a, const NearNode& b) { return a.rtt < b.rtt; });
  if (near.size() > kMaxNodes) near.resize(kMaxNodes);
  return near;
}

Duration NearNodes::measure(const wire::NodeContact& contact, TimePoint now) {
  watched_ = contact.key;
  Node* node = find(contact.key);
  if (node == nullptr) {
    const auto address = core_.reachable(contact);
    if (!address) return Duration::max();
    Node fresh;
    fresh.contact = contact;
    fresh.address = *address;
    node = &nodes_.emplace_back(std::move(fresh));
  }
  if (node->lost >= kLostIsGone) return Duration::max();
  if (!node->measured() && node->nonce == 0) probe(*node, now);
  return node->rtt();
}

}  // namespace i3::client
