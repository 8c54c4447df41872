#include "overlay/client/sends.hh"

namespace i3::client {

void PrefixCache::learn(RingId prefix, const Endpoint& node, TimePoint now) {
  forget(prefix);
  if (entries_.size() >= kMaxPrefixes) forget(entries_.front().prefix);
  entries_.push_back({prefix, node, now + kLifetime});
  index_[prefix] = std::prev(entries_.end());
}

std::optional<Endpoint> PrefixCache::find(RingId prefix, TimePoint now) const {
  const auto found = index_.find(prefix);
  if (found == index_.end() || found->second->expires <= now) return std::nullopt;
  return found->second->node;
}

void PrefixCache::forget(RingId prefix) {
  const auto found = index_.find(prefix);
  if (found == index_.end()) return;
  entries_.erase(found->second);
  index_.erase(found);
}

void PrefixCache::clear() {
  entries_.clear();
  index_.clear();
}

// The cached node, else the best entry node; not the one that just left the same ID unanswered.
std::optional<Endpoint> Sends::way(const Id& id, TimePoint now) {
  std::optional<Endpoint> avoid;
  if (const auto last = latest_.find(id); last != latest_.end()) {
    const Outstanding& before = outstanding_.at(last->second);
    if (!before.answered && now - before.at >= kOtherWayAfter) avoid = before.to;
  }
  if (auto cached = prefixes_.find(id.ring(), now)) {
    if (cached != avoid) return cached;
    prefixes_.forget(id.ring());
  }
  if (avoid) entries_.suspect(*avoid, now);
  return entries_.best(avoid);
}

std::uint64_t Sends::send(const Id& id, std::uint8_t kind, Bytes payload, TimePoint now) {
  const auto to = way(id, now);
  if (!to) {
    ++core_.counters.no_node;
    return 0;
  }
  wire::IdPacket packet;
  packet.kind = kind;
  packet.flags = wire::IdPacket::kWantNode;
  packet.nonce = core_.nonce();
  packet.ids[0] = id;
  packet.payload = payload;
  if (payload.size() > wire::kMaxMessage - wire::id_packet_size(1)) {
    ++core_.counters.too_long;
    return 0;
  }
  remember(packet.nonce, {id, *to, now}, now);
  core_.send(*to, packet);
  return packet.nonce;
}

void Sends::remember(std::uint64_t nonce, const Outstanding& sent, TimePoint now) {
  while (!order_.empty() && (order_.size() >= kMaxOutstanding ||
                             now - outstanding_.at(order_.front()).at >= kAnswerWithin))
    forget_oldest();
  outstanding_[nonce] = sent;
  order_.push_back(nonce);
  latest_[sent.id] = nonce;
  std::erase_if(asked_, [&](const auto& entry) { return now - entry.second >= kReturnsWithin; });
  if (asked_.size() >= kMaxAsked && !asked_.contains(sent.to))
    asked_.erase(std::min_element(asked_.begin(), asked_.end(), [](const auto& a, const auto& b) {
      return a.second < b.second;
    }));
  asked_[sent.to] = now;
}

void Sends::forget_oldest() {
  const std::uint64_t nonce = order_.front();
  order_.pop_front();
  const auto sent = outstanding_.find(nonce);
  if (!sent->second.answered) ++core_.counters.unanswered_sends;
  if (auto last = latest_.find(sent->second.id); last != latest_.end() && last->second == nonce)
    latest_.erase(last);
  outstanding_.erase(sent);
}

Sends::Outstanding* Sends::answered(const Endpoint& from, std::uint64_t nonce, const Id& id,
                                    TimePoint now) {
  const auto found = outstanding_.find(nonce);
  if (found == outstanding_.end()) return nullptr;
  Outstanding& sent = found->second;
  if (sent.to != from || now - sent.at >= kAnswerWithin ||
      sent.id.common_prefix(id) < Id::kMinimumMatch)
    return nullptr;
  sent.answered = true;
  return &sent;
}

bool Sends::on_forwarded(const Endpoint& from, const wire::Forwarded& forwarded, TimePoint now) {
  const Outstanding* sent = answered(from, forwarded.nonce, forwarded.id, now);
  if (!sent) return false;
  if (const auto node = core_.reachable(forwarded.contact))
    prefixes_.learn(sent->id.ring(), *node, now);
  return true;
}

bool Sends::on_not_present(const Endpoint& from, const wire::NotPresent& absent, TimePoint now) {
  const Outstanding* sent = answered(from, absent.nonce, absent.id, now);
  if (!sent) return false;
  prefixes_.forget(sent->id.ring());
  return true;
}

bool Sends::asked(const Endpoint& node, TimePoint now) const {
  const auto found = asked_.find(node);
  return found != asked_.end() && now - found->second < kReturnsWithin;
}

}  // namespace i3::client
