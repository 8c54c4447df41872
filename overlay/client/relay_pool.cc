#include "overlay/client/relay_pool.hh"

#include <algorithm>

namespace i3 {

void RelayPool::set_wanted(bool wanted, TimePoint now) {
  if (wanted == wanted_) return;
  wanted_ = wanted;
  pending_.clear();
  at_work_.clear();
  ready_.clear();
  next_ = wanted ? now : kNever;
}

void RelayPool::set_families(bool have_v4, bool have_v6) {
  have_v4_ = have_v4;
  have_v6_ = have_v6;
}

void RelayPool::prefer_tls(bool prefer, TimePoint now) {
  prefer_tls_ = prefer;
  without_tls_ = 0;
  if (!prefer || !wanted_) return;
  const auto serves_none = [](const Prepared& one) { return one.relay.node.tls_port == 0; };
  std::erase_if(ready_, serves_none);
  std::erase_if(at_work_, serves_none);
  next_ = std::min(next_, now);
}

std::optional<Relay> RelayPool::take(std::span<const RingId> avoid, const PublicKey& never,
                                     TimePoint now) {
  // Best first: neither a fault nor another, without TLS where that is wanted, to be avoided, both.
  std::array<std::vector<std::size_t>, 4> ranks;
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    const wire::NodeContact& node = ready_[i].relay.node;
    if (node.key == never) continue;
    const bool avoided =
        std::any_of(avoid.begin(), avoid.end(), [&](RingId at) { return ready_[i].owns(at); });
    const bool no_tls = prefer_tls_ && node.tls_port == 0;
    ranks[(avoided ? 2u : 0u) + (no_tls ? 1u : 0u)].push_back(i);
  }
  const auto best =
      std::find_if(ranks.begin(), ranks.end(), [](const auto& rank) { return !rank.empty(); });
  if (best == ranks.end()) return std::nullopt;
  const std::vector<std::size_t>& from = *best;
  const std::size_t which = from[random_.below(from.size())];
  Relay relay = std::move(ready_[which].relay);
  ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(which));
  next_ = std::min(next_, now);
  return relay;
}

bool RelayPool::known(const PublicKey& node) const {
  const auto is_it = [&](const Prepared& one) { return one.relay.node.key == node; };
  return std::any_of(ready_.begin(), ready_.end(), is_it) ||
         std::any_of(at_work_.begin(), at_work_.end(), is_it);
}

// 1 a random position  2 one of the nodes there  3 a key and salt whose prefix it owns

void RelayPool::ask(TimePoint now) {
  const auto entries = world_.entries();
  if (entries.empty()) return;
  while (pending_.size() < kPending && pending_.size() + at_work_.size() + ready_.size() < kReady) {
    Pending lookup{random_.u64() | 1,
                   {random_.u64(), random_.u64()},
                   entries[random_.below(entries.size())],
                   now + kAnswerWithin};
    std::array<std::uint8_t, wire::Lookup::kSize> buffer;
    Writer writer(buffer);
    wire::Lookup{lookup.nonce, lookup.position}.write(writer);
    ++counters_.lookups;
    pending_.push_back(lookup);
    world_.send(lookup.from, writer.written());
  }
}

void RelayPool::on_message(const Endpoint& from, Bytes message, TimePoint now) {
  const auto reply = wire::LookupReply::parse(message);
  if (!reply) {
    ++counters_.malformed;
    return;
  }
  const auto asked = std::find_if(pending_.begin(), pending_.end(), [&](const Pending& one) {
    return one.nonce == reply->nonce && one.position == reply->position && one.from == from;
  });
  if (asked == pending_.end()) {
    ++counters_.unsolicited;
    return;
  }
  pending_.erase(asked);
  next_ = std::min(next_, now);
  choose(reply->contacts, now);
}

// Fewer contacts than fit are the whole ring: then the first one's predecessor is the last.
void RelayPool::choose(const std::vector<wire::NodeContact>& contacts, TimePoint now) {
  const std::size_t count = contacts.size();
  const bool whole = count < wire::LookupReply::kMaxContacts;
  std::vector<std::size_t> usable;
  for (std::size_t i = whole ? 0 : 1; i < count; ++i)
    if (contacts[i].reachable(have_v4_, have_v6_) && !world_.own(contacts[i].key))
      usable.push_back(i);
  std::vector<std::size_t> serving;
  for (std::size_t i : usable)
    if (prefer_tls_ && contacts[i].tls_port != 0) serving.push_back(i);
  if (prefer_tls_ && serving.empty() && ++without_tls_ < kMostWithoutTls) return;
  without_tls_ = 0;
  if (!serving.empty()) usable = std::move(serving);
  // Rather one that is not ready yet; a small ring has few.
  std::vector<std::size_t> fresh;
  for (std::size_t i : usable)
    if (!known(contacts[i].key)) fresh.push_back(i);
  if (!fresh.empty()) usable = std::move(fresh);
  if (usable.empty()) {
    ++counters_.unusable;
    next_ = now + kPause;
    return;
  }
  const std::size_t which = usable[random_.below(usable.size())];
  Relay relay;
  relay.node = contacts[which];
  relay.owner = Identity::generate(random_);
  const PrefixSearch part(contacts[(which + count - 1) % count].ring_id(),
                          contacts[which].ring_id(), random_.u32());
  at_work_.push_back({std::move(relay), part, now + kFreshFor});
}

void RelayPool::search(TimePoint now) {
  if (at_work_.empty()) return;
  Prepared& one = at_work_.front();
  if (one.part.turn(one.relay.owner->key())) {
    one.relay.salt = one.part.salt();
    ready_.push_back(std::move(one));
    at_work_.erase(at_work_.begin());
    ++counters_.ready;
    return;
  }
  if (!one.part.exhausted()) return;
  ++counters_.too_small;
  at_work_.erase(at_work_.begin());
  next_ = now + kPause;
}

void RelayPool::on_timer(TimePoint now) {
  if (!wanted_ || now < next_) return;
  counters_.unanswered +=
      std::erase_if(pending_, [&](const auto& one) { return one.until <= now; });
  std::erase_if(ready_, [&](const Prepared& one) { return one.until <= now; });
  ask(now);
  search(now);
  next_ = kNever;
  if (!at_work_.empty()) {
    next_ = now;
  } else if (pending_.empty() && ready_.size() < kReady) {
    next_ = now + kPause;
  }
  for (const Pending& one : pending_) next_ = std::min(next_, one.until);
  for (const Prepared& one : ready_) next_ = std::min(next_, one.until);
}

}  // namespace i3
