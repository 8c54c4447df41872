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

// The cached node, else the best entry node, until one leaves a packet unanswered.
std::optional<Endpoint> Sends::way(const Id& id, TimePoint now) {
  if (const auto found = latest_.find(id); found != latest_.end()) {
    Latest& latest = found->second;
    if (latest.since != kNever && now - latest.since >= kOtherWayAfter)
      return other_way(id, latest, now);
    if (latest.turn > 0) return latest.to;
  }
  if (auto cached = prefixes_.find(id.ring(), now)) return cached;
  return entries_.best();
}

std::optional<Endpoint> Sends::other_way(const Id& id, Latest& latest, TimePoint now) {
  const Endpoint silent = latest.to;
  latest.since = kNever;
  entries_.suspect(silent, now);
  search(id.ring(), silent, now);
  std::vector<Endpoint> ways;
  const auto add = [&](const std::optional<Endpoint>& way) {
    if (way && *way != silent && !std::count(ways.begin(), ways.end(), *way)) ways.push_back(*way);
  };
  const auto cached = prefixes_.find(id.ring(), now);
  add(cached);
  if (cached == silent) prefixes_.forget(id.ring());
  // The owner's successor has it as well, and the owner is the likelier one to be dead.
  const auto& nodes = searches_[id.ring()].nodes;
  if (nodes.size() > 1) add(nodes[1]);
  add(entries_.best(silent));
  for (const Endpoint& node : nodes) add(node);
  const auto next = ways.empty() ? entries_.best() : ways[latest.turn++ % ways.size()];
  // Also for packets that want no answer, until one that does goes there.
  if (next) latest.to = *next;
  return next;
}

// Two entry nodes are asked, for one of them may be the one that died.
void Sends::search(RingId position, const Endpoint& avoid, TimePoint now) {
  if (searches_.size() >= kMaxSearches && !searches_.contains(position))
    searches_.erase(std::min_element(
        searches_.begin(), searches_.end(),
        [](const auto& one, const auto& other) { return one.second.at < other.second.at; }));
  std::erase_if(searches_, [&](const auto& one) { return now - one.second.at > kSearchKept; });
  Search& search = searches_[position];
  if (search.nonce != 0 && now - search.at < kSearchesApart) return;
  search.nonce = core_.nonce();
  search.at = now;
  search.asked.clear();
  std::optional<Endpoint> entry = entries_.best(avoid);
  for (int i = 0; i < 2 && entry; ++i) {
    if (std::count(search.asked.begin(), search.asked.end(), *entry)) break;
    search.asked.push_back(*entry);
    ++core_.counters.lookups;
    core_.send(*entry, wire::Lookup{search.nonce, position});
    entry = entries_.best(entry);
  }
}

bool Sends::on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply) {
  const auto found = searches_.find(reply.position);
  if (found == searches_.end() || found->second.nonce != reply.nonce ||
      !std::count(found->second.asked.begin(), found->second.asked.end(), from))
    return false;
  auto& nodes = found->second.nodes;
  nodes.clear();
  for (const wire::NodeContact& contact : reply.contacts)
    if (const auto address = core_.reachable(contact)) nodes.push_back(*address);
  return true;
}

std::uint64_t Sends::send(const SendById& sending, TimePoint now) {
  const std::size_t count = sending.ids.size();
  if (count == 0 || count > wire::kMaxStack ||
      sending.payload.size() > wire::kMaxMessage - wire::id_packet_size(count)) {
    ++core_.counters.too_long;
    return 0;
  }
  const auto to = way(sending.ids.front(), now);
  if (!to) {
    ++core_.counters.no_node;
    return 0;
  }
  wire::IdPacket packet;
  packet.kind = sending.kind;
  packet.flags = static_cast<std::uint8_t>((sending.want_node ? wire::IdPacket::kWantNode : 0) |
                                           (sending.nearest ? wire::IdPacket::kNearest : 0) |
                                           (sending.every_stop ? wire::IdPacket::kEveryStop : 0));
  packet.copies = sending.copies;
  packet.hop_limit = sending.hop_limit;
  packet.nonce = core_.nonce();
  packet.id_count = count;
  std::copy(sending.ids.begin(), sending.ids.end(), packet.ids.begin());
  packet.payload = sending.payload;
  if (sending.want_node) remember(packet.nonce, {sending.ids.front(), *to, now}, now);
  core_.send(*to, packet);
  return packet.nonce;
}

void Sends::remember(std::uint64_t nonce, const Outstanding& sent, TimePoint now) {
  while (!order_.empty() && (order_.size() >= kMaxOutstanding ||
                             now - outstanding_.at(order_.front()).at >= kAnswerWithin))
    forget_oldest();
  outstanding_[nonce] = sent;
  order_.push_back(nonce);
  Latest& latest = latest_[sent.id];
  if (latest.since == kNever || latest.to != sent.to) latest.since = now;
  latest.nonce = nonce;
  latest.asked = now;
  latest.to = sent.to;
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
  if (auto last = latest_.find(sent->second.id);
      last != latest_.end() && last->second.nonce == nonce)
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
  if (const auto latest = latest_.find(sent.id); latest != latest_.end()) {
    latest->second.since = kNever;
    latest->second.turn = 0;
  }
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
