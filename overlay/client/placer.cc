#include "overlay/client/placer.hh"

namespace i3::client {

using Use = TriggerStatus::Use;

Placer::Placer(Core& core, Entries& entries, NodeCache& cache, Observations& observations)
    : core_(core), entries_(entries), cache_(cache), observations_(observations), keeper_(core) {
  const PublicKey& key = core.identity.key();
  for (std::uint32_t salt : kPublicSalts)
    homes_.emplace_back(core, cache, salt, owner_prefix(key, salt));
  std::uint32_t salt = core.random.u32();
  while (std::count(std::begin(kPublicSalts), std::end(kPublicSalts), salt))
    salt = core.random.u32();
  homes_.emplace_back(core, cache, salt, owner_prefix(key, salt));
  for (std::size_t i = 0; i < kPrivateHome; ++i) add(homes_[i].prefix, Use::public_id, i);
}

Trigger& Placer::add(const Id& id, Use use, std::size_t home) {
  Trigger& trigger = triggers_[id];
  trigger.use = use;
  trigger.home = home;
  want(id, trigger);
  return trigger;
}

// Puts the trigger in the queue for whatever it needs; what leaves goes first.
void Placer::want(const Id& id, Trigger& trigger) {
  if (trigger.busy) {
    trigger.again = true;
  } else if (!trigger.queued) {
    trigger.queued = true;
    auto& queue = homes_[trigger.home].queue;
    if (trigger.leaving())
      queue.push_front(id);
    else
      queue.push_back(id);
  }
}

void Placer::want_home(std::size_t home) {
  for (auto& [id, trigger] : triggers_)
    if (trigger.home == home) want(id, trigger);
}

void Placer::erase(const Id& id) {
  const auto found = triggers_.find(id);
  if (found == triggers_.end()) return;
  if (found->second.queued) std::erase(homes_[found->second.home].queue, id);
  spares_.erase(id);
  triggers_.erase(found);
}

void Placer::changed(const Id& id, const Trigger& trigger) {
  if (trigger.use == Use::public_id || trigger.use == Use::peer) changes_.push_back(id);
}

std::vector<Id> Placer::take_changes() {
  return std::exchange(changes_, {});
}

// Keeps enough spares ahead of need.
void Placer::top_up(TimePoint now) {
  while (spares_.size() < core_.options.spare_private && triggers_.size() < Client::kMaxTriggers) {
    const Id id = fresh_private();
    spares_.insert(id);
    add(id, Use::spare, kPrivateHome);
  }
  run(now);
}

Id Placer::fresh_private() {
  Id id = homes_[kPrivateHome].prefix;
  do core_.random.fill(MutBytes(id.bytes).subspan(16));
  while (triggers_.contains(id));
  return id;
}

void Placer::start(TimePoint now) {
  started_ = true;
  for (Home& home : homes_) home.finder.look_up(now);
  top_up(now);
}

Id Placer::take(TimePoint now) {
  if (stopping_ || (spares_.empty() && triggers_.size() >= Client::kMaxTriggers)) {
    ++core_.counters.no_room;
    return {};
  }
  Id id;
  if (spares_.empty()) {
    id = fresh_private();
    add(id, Use::peer, kPrivateHome);
  } else {
    const auto standing = std::find_if(spares_.begin(), spares_.end(), [&](const Id& spare) {
      return !triggers_.at(spare).placements.empty();
    });
    const auto best = standing == spares_.end() ? spares_.begin() : standing;
    id = *best;
    spares_.erase(best);
    triggers_.at(id).use = Use::peer;
  }
  top_up(now);
  return id;
}

void Placer::release(const Id& id, TimePoint now) {
  const auto found = triggers_.find(id);
  if (found == triggers_.end() || found->second.home != kPrivateHome) return;
  Trigger& trigger = found->second;
  if (trigger.leaving()) return;
  trigger.use = Use::leaving;
  spares_.erase(id);
  if (trigger.queued) {
    std::erase(homes_[kPrivateHome].queue, id);
    trigger.queued = false;
  }
  want(id, trigger);
  run(now);
}

void Placer::network_changed(TimePoint now) {
  if (!started_ || stopping_) return;
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    homes_[i].proofs.clear();
    restart_home(i);
    homes_[i].finder.hurry(now);
    want_home(i);
  }
  run(now);
}

void Placer::entry_alive(TimePoint now) {
  if (stopping_) return;
  for (Home& home : homes_) home.finder.entry_alive(now);
}

void Placer::stop(TimePoint now) {
  if (stopping_) return;
  stopping_ = true;
  if (!started_) return triggers_.clear();
  stop_by_ = now + kStopWithin;
  spares_.clear();
  for (Home& home : homes_) home.finder.stop();
  keeper_.clear();
  for (auto& [id, trigger] : triggers_) {
    trigger.use = Use::leaving;
    want(id, trigger);
  }
  run(now);
}

Placer::Delivery Placer::check(const Id& id, const Endpoint& node, TimePoint now) const {
  const auto found = triggers_.find(id);
  if (found == triggers_.end() || found->second.leaving()) return Delivery::unknown_id;
  const Home& home = homes_[found->second.home];
  const auto owns = [&](const wire::NodeContact& contact) { return contact.owns(node); };
  const auto& placements = found->second.placements;
  const bool known =
      std::any_of(placements.begin(), placements.end(),
                  [&](const Placement& p) { return p.at.address == node || owns(p.at.contact); }) ||
      std::any_of(home.replicas.begin(), home.replicas.end(), owns) || home.finder.knows(node) ||
      std::any_of(home.recent.begin(), home.recent.end(),
                  [&](const Recent& recent) { return recent.node == node && recent.until > now; });
  return known ? Delivery::accepted : Delivery::unknown_node;
}

wire::ReturnPath Placer::path(const Id& id) const {
  wire::ReturnPath path;
  path.id = id;
  const auto found = triggers_.find(id);
  if (found == triggers_.end() || found->second.leaving()) return path;
  for (const Placement& placement : found->second.placements)
    if (path.nodes.size() < wire::ReturnPath::kMaxNodes)
      path.nodes.push_back({placement.at.contact, placement.label});
  return path;
}

bool Placer::ready() const {
  for (std::size_t i = 0; i < kPrivateHome; ++i) {
    const auto found = triggers_.find(homes_[i].prefix);
    if (found != triggers_.end() && !found->second.leaving() && !found->second.placements.empty())
      return true;
  }
  return false;
}

std::string Placer::trouble() const {
  for (std::size_t i = 0; i < kPrivateHome; ++i) {
    const auto found = triggers_.find(homes_[i].prefix);
    if (found == triggers_.end() || found->second.placements.empty())
      return homes_[i].finder.trouble();
  }
  return {};
}

std::vector<TriggerStatus> Placer::status(TimePoint now) const {
  std::vector<TriggerStatus> result;
  for (const auto& [id, trigger] : triggers_) {
    TriggerStatus status;
    status.id = id;
    status.use = trigger.use;
    status.stands = !trigger.placements.empty();
    if (status.stands) {
      const Placement& placement = trigger.placements.front();
      status.node = placement.at.contact;
      status.address = placement.at.address;
      status.label = placement.label;
      status.age = now - placement.since;
    } else {
      status.trouble = homes_[trigger.home].finder.trouble();
      if (status.trouble.empty()) status.trouble = "is being inserted";
    }
    result.push_back(std::move(status));
  }
  return result;
}

}  // namespace i3::client
