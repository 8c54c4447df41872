// How private triggers move to another prefix: new ones are made ready there, and only when they
// stand are they given out. Those that peers use stay where they are until the host lets them go.
#include "overlay/client/placer.hh"

namespace i3::client {

void Placer::begin_at(std::uint32_t private_salt) {
  if (started_ || std::count(std::begin(kKnownSalts), std::end(kKnownSalts), private_salt)) return;
  Home& home = homes_[private_];
  home.salt = private_salt;
  home.prefix = owner_prefix(core_.identity.key(), private_salt);
  home.finder.aim(home.prefix.ring());
}

bool Placer::holds_any(std::size_t home) const {
  return std::any_of(triggers_.begin(), triggers_.end(),
                     [&](const auto& entry) { return entry.second.home == home; });
}

bool Placer::move_private(std::uint32_t salt, const PublicKey& node, TimePoint now) {
  const std::size_t next = other_private();
  Home& home = homes_[next];
  if (!started_ || stopping_ || home.in_use || holds_any(next) || salt == homes_[private_].salt ||
      std::count(std::begin(kKnownSalts), std::end(kKnownSalts), salt))
    return false;
  home.salt = salt;
  home.prefix = owner_prefix(core_.identity.key(), salt);
  home.in_use = true;
  home.finder.aim(home.prefix.ring());
  home.finder.look_up(now);
  moving_ = Moving::yes;
  moving_to_ = node;
  move_by_ = now + kMoveWithin;
  const std::size_t count = std::max<std::size_t>(core_.options.spare_private, 1);
  while (next_spares_.size() < count && triggers_.size() < Client::kMaxTriggers) {
    const Id id = fresh_private(next);
    next_spares_.insert(id);
    add(id, TriggerStatus::Use::spare, next);
  }
  run(now);
  return true;
}

// Spares: nobody was told of them.
void Placer::let_go(const std::set<Id>& ids) {
  for (const Id& id : ids) {
    Trigger& trigger = triggers_.at(id);
    trigger.use = TriggerStatus::Use::leaving;
    want_everywhere(id, trigger);
    if (trigger.placements.empty()) erase(id);
  }
}

void Placer::end_move(Moving how, TimePoint now) {
  moving_ = how;
  move_by_ = kNever;
  std::set<Id> leaving = std::exchange(next_spares_, {});
  if (how == Moving::no) {
    std::swap(leaving, spares_);
    private_ = other_private();
    ++moves_;
    core_.log.info("private_triggers_moved",
                   {{"node", homes_[private_].finder.target()->address.text()}});
  }
  let_go(leaving);
  top_up(now);
}

void Placer::go_on_moving(TimePoint now) {
  if (moving_ != Moving::yes || stopping_) return;
  const auto& target = homes_[other_private()].finder.target();
  const auto stands = [&](const Id& id) {
    const Placement* placement = triggers_.at(id).at(target->address);
    return placement && placement->stands;
  };
  if (target && !(target->contact.key == moving_to_)) return end_move(Moving::failed, now);
  if (target && !next_spares_.empty() &&
      std::all_of(next_spares_.begin(), next_spares_.end(), stands))
    return end_move(Moving::no, now);
  if (move_by_ <= now) end_move(Moving::failed, now);
}

// A prefix that is not in use any more and has no trigger left is no nodes' affair.
void Placer::clear_unused() {
  Home& home = homes_[other_private()];
  if (!home.in_use || moving_ == Moving::yes || holds_any(other_private())) return;
  home.finder.aim(home.prefix.ring());
  home.posts.clear();
  home.proofs.clear();
  home.replicas.clear();
  home.in_use = false;
}

}  // namespace i3::client
