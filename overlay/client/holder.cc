#include "overlay/client/holder.hh"

namespace i3::client {
namespace {

bool owned_by_us(const Core& core, const HeldTrigger& trigger) {
  return trigger.owner == core.identity.key();
}

}  // namespace

void Holder::start(TimePoint now) {
  started_ = true;
  for (auto& [key, held] : held_) held.finder.look_up(now);
}

bool Holder::hold(const HeldTrigger& trigger, TimePoint now) {
  const Key key{trigger.id, trigger.owner};
  if (stopping_ || trigger.stack.size() > wire::kMaxStack) return false;
  auto found = held_.find(key);
  if (found == held_.end()) {
    if (held_.size() >= Client::kMaxHeld) return false;
    found = held_.try_emplace(key, core_, cache_, trigger).first;
    if (started_) found->second.finder.look_up(now);
    return true;
  }
  Held& held = found->second;
  held.what = trigger;
  held.leaving = false;
  for (Place& place : held.places) begin(place, now);
  if (started_ && !held.finder.target()) held.finder.look_up(now);
  return true;
}

void Holder::let_go(const Id& id, const PublicKey& owner, TimePoint now) {
  const auto found = held_.find({id, owner});
  if (found == held_.end() || found->second.leaving) return;
  Held& held = found->second;
  held.leaving = true;
  held.finder.stop();
  std::erase_if(held.places, [](const Place& place) { return !place.maybe_stored; });
  for (Place& place : held.places) begin(place, now);
  sweep();
  if (started_) on_timer(now);
}

void Holder::network_changed(TimePoint now) {
  if (!started_ || stopping_) return;
  for (auto& [key, held] : held_) {
    if (held.leaving) continue;
    held.finder.hurry(now);
    for (Place& place : held.places) {
      place.cookie_until = {};
      if (const auto address = core_.reachable(place.at.contact)) place.at.address = *address;
      begin(place, now);
    }
  }
  on_timer(now);
}

void Holder::entry_alive(TimePoint now) {
  for (auto& [key, held] : held_)
    if (!held.leaving) held.finder.entry_alive(now);
}

void Holder::stop(TimePoint now) {
  if (stopping_) return;
  stopping_ = true;
  if (!started_) return held_.clear();
  stop_by_ = now + kStopWithin;
  std::vector<Key> keys;
  for (const auto& [key, held] : held_) keys.push_back(key);
  for (const Key& key : keys) let_go(key.first, key.second, now);
}

// Removes what has left everywhere.
void Holder::sweep() {
  std::erase_if(
      held_, [](const auto& entry) { return entry.second.leaving && entry.second.places.empty(); });
}

Holder::Found Holder::find(const Endpoint& from, std::uint64_t nonce) {
  if (nonce == 0) return {};
  for (auto& [key, held] : held_)
    for (Place& place : held.places)
      if (place.nonce == nonce && place.at.address == from) return {&held, &place};
  return {};
}

Holder::Place* Holder::place_at(Held& held, const Endpoint& address) {
  for (Place& place : held.places)
    if (place.at.address == address) return &place;
  return nullptr;
}

void Holder::begin(Place& place, TimePoint now) {
  place.challenges = place.stale = 0;
  next_step(place, place.cookie_until > now ? Step::prove : Step::ask, now);
}

// A new step has a nonce of its own, so that late answers to the one before do not count.
void Holder::next_step(Place& place, Step step, TimePoint now) {
  place.step = step;
  place.nonce = core_.nonce();
  place.tries = 0;
  place.next = now;
  if (step != Step::prove) return;
  const auto offset = static_cast<std::uint64_t>(sequence_offset_.count());
  last_sequence_ = std::max(core_.wall(now) + offset, last_sequence_ + 1);
  place.sequence = last_sequence_;
}

void Holder::add_place(Held& held, const Target& at, bool as_owner, TimePoint now) {
  if (Place* known = place_at(held, at.address)) {
    known->at = at;
    // A row says whether its node owns the ID.
    if (known->as_owner != as_owner) begin(*known, now);
    known->as_owner = as_owner;
    return;
  }
  if (held.places.size() >= kMaxPlaces) {
    if (!as_owner) return;
    held.places.pop_back();
  }
  Place place;
  place.at = at;
  place.as_owner = as_owner;
  begin(place, now);
  held.places.insert(as_owner ? held.places.begin() : held.places.end(), place);
}

// The finder may have another node by now; the one before stays as a place until it is not named as
// a replica.
void Holder::take_target(Held& held, TimePoint now) {
  const auto& target = held.finder.target();
  if (held.leaving || !target) return;
  const Place* owner = place_at(held, target->address);
  if (owner != nullptr && owner->as_owner) return;
  for (Place& place : held.places) place.as_owner = false;
  add_place(held, *target, true, now);
}

void Holder::follow_replicas(Held& held, const std::vector<wire::NodeContact>& replicas,
                             TimePoint now) {
  const auto named = [&](const Place& place) {
    return place.as_owner ||
           std::any_of(replicas.begin(), replicas.end(), [&](const wire::NodeContact& replica) {
             return replica.key == place.at.contact.key;
           });
  };
  std::erase_if(held.places, [&](const Place& place) { return !named(place); });
  for (const wire::NodeContact& replica : replicas)
    if (const auto address = core_.reachable(replica); address && !place_at(held, *address))
      add_place(held, {replica, *address}, false, now);
}

void Holder::on_timer(TimePoint now) {
  if (!started_) return;
  if (stop_by_ <= now) {
    held_.clear();
    stop_by_ = kNever;
    return;
  }
  for (auto& [key, held] : held_) {
    if (!held.leaving) held.finder.on_timer(now, entries_);
    take_target(held, now);
    std::vector<Endpoint> due;
    for (const Place& place : held.places)
      if (place.next <= now) due.push_back(place.at.address);
    for (const Endpoint& address : due)
      if (Place* place = place_at(held, address)) act(held, *place, now);
  }
  sweep();
}

void Holder::act(Held& held, Place& place, TimePoint now) {
  const bool insertion = place.step == Step::ask || place.step == Step::prove;
  if (insertion && place.tries < kTries) return transmit(held, place, now);
  if (place.step == Step::refresh && place.tries < kTries) return send_refresh(held, place, now);
  if (place.step != Step::rest) return silent(held, place.at.address, now);
  // A refresh carries all rows of a group; rows under our own key are the placer's to refresh, and
  // proving these few again says which row is meant.
  if (owned_by_us(core_, held.what)) {
    begin(place, now);
    return transmit(held, place, now);
  }
  next_step(place, Step::refresh, now);
  send_refresh(held, place, now);
}

void Holder::transmit(Held& held, Place& place, TimePoint now) {
  place.next = now + backoff(core_.random, ++place.tries);
  wire::Insert insert;
  insert.nonce = place.nonce;
  insert.exact = held.what.exact;
  insert.remove = held.leaving;
  insert.id = held.what.id;
  insert.owner = held.what.owner;
  insert.salt = held.what.salt;
  insert.sequence = place.sequence;
  insert.lifetime_ms = core_.options.lifetime_ms;
  insert.rate_pps = held.what.rate_pps;
  insert.delegation = held.what.delegation;
  insert.stack = held.what.stack;
  ++(held.leaving ? core_.counters.removals : core_.counters.inserts);
  if (place.step == Step::ask) {
    core_.send(place.at.address, insert);
    return;
  }
  place.maybe_stored = true;
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  insert.write_proof(writer, core_.identity, place.cookie, place.observed,
                     place.at.contact.ring_id());
  assert(writer.ok());
  core_.events.send(place.at.address, writer.written());
}

void Holder::send_refresh(Held& held, Place& place, TimePoint now) {
  place.next = now + std::chrono::milliseconds(500);
  ++place.tries;
  ++core_.counters.refreshes;
  core_.send(place.at.address,
             wire::Refresh{place.nonce, held.what.owner, core_.identity.key(), place.token});
}

void Holder::lose(Held& held, const Endpoint& address) {
  std::erase_if(held.places, [&](const Place& place) { return place.at.address == address; });
}

void Holder::silent(Held& held, const Endpoint& address, TimePoint now) {
  lose(held, address);
  const auto& target = held.finder.target();
  if (held.leaving || !target || target->address != address) return;
  entries_.suspect(address, now);
  held.finder.silent(now);
  take_target(held, now);
}

TimePoint Holder::deadline() const {
  if (!started_ || stopped()) return kNever;
  TimePoint first = stop_by_;
  for (const auto& [key, held] : held_) {
    if (!held.leaving) first = std::min(first, held.finder.deadline());
    for (const Place& place : held.places) first = std::min(first, place.next);
  }
  return first;
}

Holder::Delivery Holder::check(const Id& id, const Endpoint& node) const {
  bool known_id = false;
  for (const auto& [key, held] : held_) {
    const bool ours =
        held.what.exact ? held.what.id == id : held.what.id.common_prefix(id) >= Id::kMinimumMatch;
    if (!ours || held.leaving) continue;
    known_id = true;
    if (held.finder.knows(node)) return Delivery::accepted;
    for (const Place& place : held.places)
      if (place.at.address == node || place.at.contact.owns(node)) return Delivery::accepted;
  }
  return known_id ? Delivery::unknown_node : Delivery::unknown_id;
}

std::vector<HeldStatus> Holder::status() const {
  std::vector<HeldStatus> result;
  for (const auto& [key, held] : held_) {
    HeldStatus status;
    status.id = held.what.id;
    status.owner = held.what.owner;
    status.exact = held.what.exact;
    status.stack = held.what.stack.size();
    for (const Place& place : held.places) {
      if (!place.stands) continue;
      if (status.places++ == 0) status.address = place.at.address;
      status.at_owner = status.at_owner || place.as_owner;
    }
    if (held.leaving)
      status.trouble = "is being removed";
    else if (status.places == 0)
      status.trouble = held.finder.trouble().empty() ? "is being inserted" : held.finder.trouble();
    result.push_back(std::move(status));
  }
  return result;
}

std::vector<HeldTrigger> Holder::all() const {
  std::vector<HeldTrigger> result;
  for (const auto& [key, held] : held_)
    if (!held.leaving) result.push_back(held.what);
  return result;
}

std::size_t Holder::own_at(const Endpoint& address) const {
  return expected_at(core_.identity.key(), address);
}

std::size_t Holder::expected_at(const PublicKey& owner, const Endpoint& address) const {
  std::size_t count = 0;
  for (const auto& [key, held] : held_)
    for (const Place& place : held.places)
      if (held.what.owner == owner && place.stands && !held.leaving && place.at.address == address)
        ++count;
  return count;
}

}  // namespace i3::client
