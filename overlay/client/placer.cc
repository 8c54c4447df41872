#include "overlay/client/placer.hh"

namespace i3::client {

using Use = TriggerStatus::Use;

Placer::Placer(Core& core, Entries& entries, NodeCache& cache, Observations& observations)
    : core_(core), entries_(entries), cache_(cache), observations_(observations), keeper_(core) {
  const PublicKey& key = core.identity.key();
  for (std::uint32_t salt : kPublicSalts)
    homes_.emplace_back(core, cache, salt, owner_prefix(key, salt));
  std::uint32_t salt = core.random.u32();
  while (std::count(std::begin(kKnownSalts), std::end(kKnownSalts), salt)) salt = core.random.u32();
  for (int i = 0; i < 2; ++i) homes_.emplace_back(core, cache, salt, owner_prefix(key, salt));
  homes_.back().in_use = false;
  for (std::size_t i = 0; i < kPrivateHome; ++i) add(homes_[i].prefix, Use::public_id, i);
}

Trigger& Placer::add(const Id& id, Use use, std::size_t home) {
  Trigger& trigger = triggers_[id];
  trigger.use = use;
  trigger.home = home;
  want_everywhere(id, trigger);
  return trigger;
}

void Placer::erase(const Id& id) {
  const auto found = triggers_.find(id);
  if (found == triggers_.end()) return;
  for (const Placement& placement : found->second.placements)
    if (placement.queued)
      std::erase(homes_[found->second.home].post(placement.at.address)->queue, id);
  spares_.erase(id);
  next_spares_.erase(id);
  triggers_.erase(found);
}

void Placer::changed(const Id& id, const Trigger& trigger) {
  if (trigger.use == Use::public_id || trigger.use == Use::peer) changes_.push_back(id);
}

void Placer::path_changed(std::size_t home) {
  for (const auto& [id, trigger] : triggers_)
    if (trigger.home == home && trigger.stands()) changed(id, trigger);
}

std::vector<Id> Placer::take_changes() {
  return std::exchange(changes_, {});
}

// Keeps enough spares ahead of need.
void Placer::top_up(TimePoint now) {
  while (spares_.size() < core_.options.spare_private && triggers_.size() < Client::kMaxTriggers) {
    const Id id = fresh_private(private_);
    spares_.insert(id);
    add(id, Use::spare, private_);
  }
  run(now);
}

Id Placer::fresh_private(std::size_t home) {
  Id id = homes_[home].prefix;
  do core_.random.fill(MutBytes(id.bytes).subspan(16));
  while (triggers_.contains(id));
  return id;
}

void Placer::lead_public(const std::optional<PublicStacks>& stacks, TimePoint now) {
  public_stacks_ = stacks;
  for (std::size_t home = 0; home < kPrivateHome; ++home)
    for (Post& post : homes_[home].posts) {
      restart(home, post);
      want_all(home, post);
    }
  run(now);
}

void Placer::start(TimePoint now) {
  started_ = true;
  for (Home& home : homes_)
    if (home.in_use) home.finder.look_up(now);
  top_up(now);
}

Id Placer::take(TimePoint now) {
  if (stopping_ || (spares_.empty() && triggers_.size() >= Client::kMaxTriggers)) {
    ++core_.counters.no_room;
    return {};
  }
  Id id;
  if (spares_.empty()) {
    id = fresh_private(private_);
    add(id, Use::peer, private_);
  } else {
    // One that stands in as many places as possible.
    const auto best =
        std::max_element(spares_.begin(), spares_.end(), [&](const Id& one, const Id& other) {
          return path(one).nodes.size() < path(other).nodes.size();
        });
    id = *best;
    spares_.erase(best);
    triggers_.at(id).use = Use::peer;
  }
  top_up(now);
  return id;
}

void Placer::release(const Id& id, TimePoint now) {
  const auto found = triggers_.find(id);
  if (found == triggers_.end() || found->second.home < kPrivateHome) return;
  Trigger& trigger = found->second;
  if (trigger.leaving()) return;
  trigger.use = Use::leaving;
  spares_.erase(id);
  want_everywhere(id, trigger);
  if (trigger.placements.empty()) erase(id);
  run(now);
}

void Placer::network_changed(TimePoint now) {
  if (!started_ || stopping_) return;
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    if (!homes_[i].in_use) continue;
    homes_[i].proofs.clear();
    homes_[i].finder.hurry(now);
    arrange(i, now);
    for (Post& post : homes_[i].posts) {
      post.resume = {};
      restart(i, post);
      want_all(i, post);
    }
  }
  run(now);
}

void Placer::verify(TimePoint now) {
  if (!started_ || stopping_) return;
  const Post* post = homes_[private_].owner();
  keeper_.hurry(now, post ? std::optional(post->at.address) : std::nullopt);
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
  next_spares_.clear();
  moving_ = Moving::no;
  move_by_ = kNever;
  for (Home& home : homes_) home.finder.stop();
  keeper_.clear();
  std::vector<Id> nowhere;
  for (auto& [id, trigger] : triggers_) {
    trigger.use = Use::leaving;
    want_everywhere(id, trigger);
    if (trigger.placements.empty()) nowhere.push_back(id);
  }
  for (const Id& id : nowhere) erase(id);
  run(now);
}

Placer::Delivery Placer::check(const Id& id, const Endpoint& node) const {
  const auto found = triggers_.find(id);
  if (found == triggers_.end() || found->second.leaving()) return Delivery::unknown_id;
  const Home& home = homes_[found->second.home];
  const auto owns = [&](const wire::NodeContact& contact) { return contact.owns(node); };
  const bool known =
      std::any_of(home.posts.begin(), home.posts.end(),
                  [&](const Post& p) { return p.at.address == node || owns(p.at.contact); }) ||
      std::any_of(home.replicas.begin(), home.replicas.end(), owns) || home.finder.knows(node);
  return known ? Delivery::accepted : Delivery::unknown_node;
}

// The owner, then its replicas. Former nodes only until the owner has it: they lose it soon.
wire::ReturnPath Placer::path(const Id& id) const {
  wire::ReturnPath path;
  path.id = id;
  const auto found = triggers_.find(id);
  if (found == triggers_.end() || found->second.leaving()) return path;
  bool owner_has_it = false;
  for (const Post& post : homes_[found->second.home].posts) {
    const Placement* placement = found->second.at(post.at.address);
    if (!placement || !placement->stands || (!post.active() && owner_has_it)) continue;
    if (post.role == Post::Role::owner) owner_has_it = true;
    if (path.nodes.size() < wire::ReturnPath::kMaxNodes)
      path.nodes.push_back({placement->at.contact, placement->label});
  }
  return path;
}

bool Placer::ready() const {
  for (std::size_t i = 0; i < kPrivateHome; ++i) {
    const auto found = triggers_.find(homes_[i].prefix);
    if (found != triggers_.end() && !found->second.leaving() && found->second.stands()) return true;
  }
  return false;
}

std::string Placer::trouble() const {
  for (std::size_t i = 0; i < kPrivateHome; ++i) {
    const auto found = triggers_.find(homes_[i].prefix);
    if (waits_for_stack(i)) return "the box by which all have to come has not consented yet";
    if (found == triggers_.end() || !found->second.stands()) return homes_[i].finder.trouble();
  }
  return {};
}

std::vector<TriggerStatus> Placer::status(TimePoint now) const {
  std::vector<TriggerStatus> result;
  for (const auto& [id, trigger] : triggers_) {
    TriggerStatus status;
    status.id = id;
    status.use = trigger.use;
    status.stands = trigger.stands();
    if (status.stands) {
      for (const Post& post : homes_[trigger.home].posts) {
        const Placement* placement = trigger.at(post.at.address);
        if (!placement || !placement->stands) continue;
        status.places.push_back(post.at.address);
        if (status.node) continue;
        status.node = placement->at.contact;
        status.address = placement->at.address;
        status.label = placement->label;
        status.age = now - placement->since;
      }
    } else {
      status.trouble = homes_[trigger.home].finder.trouble();
      if (status.trouble.empty()) status.trouble = "is being inserted";
    }
    result.push_back(std::move(status));
  }
  return result;
}

}  // namespace i3::client
