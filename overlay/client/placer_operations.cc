// The operations of placer.hh, in the order of an insertion.
#include "overlay/client/placer.hh"

namespace i3::client {

// 1 find the node

bool Placer::on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now) {
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    const auto outcome = homes_[i].finder.on_reply(from, reply, now);
    if (outcome == Finder::Outcome::unsolicited) continue;
    if (outcome == Finder::Outcome::new_target) {
      restart_home(i);
      want_home(i);
    }
    run(now);
    return true;
  }
  return false;
}

void Placer::restart_home(std::size_t home) {
  for (auto operation = operations_.begin(); operation != operations_.end();) {
    const auto next = std::next(operation);
    if (operation->second.home == home && !operation->second.remove) {
      const Id id = operation->second.id;
      finish(operation);
      want(id, triggers_.at(id));
    }
    operation = next;
  }
}

// 2 ask without proof, or go straight to 4 where a cookie is at hand

void Placer::run(TimePoint now) {
  if (!started_) return;
  for (std::size_t i = 0; i < homes_.size(); ++i)
    while (start_next(i, now)) {
    }
}

// True if the front of the queue was dealt with.
bool Placer::start_next(std::size_t index, TimePoint now) {
  Home& home = homes_[index];
  if (home.queue.empty()) return false;
  const Id id = home.queue.front();
  Trigger& trigger = triggers_.at(id);
  Operation operation;
  operation.id = id;
  operation.home = index;
  operation.remove = trigger.leaving();
  if (operation.remove && !trigger.placements.empty())
    operation.at = trigger.placements.front().at;
  else if (home.finder.target())
    operation.at = *home.finder.target();
  const bool nowhere = operation.at.address.port == 0;
  if (operation.remove && (nowhere || !trigger.maybe_stored)) {
    erase(id);
    return true;
  }
  const Proof* proof = nowhere ? nullptr : proof_for(home, operation.at, now);
  // One asks for the challenge that serves them all.
  if (nowhere || home.in_flight >= (proof ? kWindow : 1)) return false;
  if (proof && !operation.remove && !pace_.take(now)) {
    paced_until_ = now + kPause;
    return false;
  }
  home.queue.pop_front();
  trigger.queued = false;
  trigger.busy = true;
  ++home.in_flight;
  if (proof) operation.proof = *proof;
  give_sequence(operation, now);
  const std::uint64_t nonce = fresh_nonce();
  transmit(nonce, operations_[nonce] = std::move(operation), now);
  return true;
}

const Placer::Proof* Placer::proof_for(const Home& home, const Target& at, TimePoint now) const {
  for (const Proof& proof : home.proofs)
    if (proof.address == at.address && proof.node == at.contact.key && proof.expires > now)
      return &proof;
  return nullptr;
}

void Placer::forget_proof(Home& home, const Endpoint& address) {
  std::erase_if(home.proofs, [&](const Proof& proof) { return proof.address == address; });
}

// Always above what was used before: by this run, or by an earlier one as the wall clock tells.
void Placer::give_sequence(Operation& operation, TimePoint now) {
  const auto offset = static_cast<std::uint64_t>(sequence_offset_.count());
  last_sequence_ = std::max(core_.wall(now) + offset, last_sequence_ + 1);
  operation.sequence = last_sequence_;
  operation.offset = sequence_offset_;
}

void Placer::transmit(std::uint64_t nonce, Operation& operation, TimePoint now) {
  if (operation.tries == 0) operation.first_sent = now;
  operation.deadline = now + backoff(core_.random, ++operation.tries);
  wire::Insert insert;
  insert.nonce = nonce;
  insert.remove = operation.remove;
  insert.id = operation.id;
  insert.owner = core_.identity.key();
  insert.salt = homes_[operation.home].salt;
  insert.sequence = operation.sequence;
  insert.lifetime_ms = core_.options.lifetime_ms;
  if (operation.home != kPrivateHome) insert.rate_pps = core_.options.public_rate_pps;
  ++(operation.remove ? core_.counters.removals : core_.counters.inserts);
  if (!operation.proof) {
    core_.send(operation.at.address, insert);
    return;
  }
  triggers_.at(operation.id).maybe_stored = true;
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  insert.write_proof(writer, core_.identity, operation.proof->cookie, operation.proof->observed,
                     operation.at.contact.ring_id());
  assert(writer.ok());
  core_.events.send(operation.at.address, writer.written());
}

std::uint64_t Placer::fresh_nonce() {
  for (;;)
    if (const std::uint64_t nonce = core_.nonce(); !operations_.contains(nonce)) return nonce;
}

// A new step of an operation gets a nonce of its own, so that late answers to the step before do
// not count.
void Placer::transmit_anew(Operations::iterator found, TimePoint now) {
  auto node = operations_.extract(found);
  node.key() = fresh_nonce();
  node.mapped().tries = 0;
  give_sequence(node.mapped(), now);
  const auto at = operations_.insert(std::move(node)).position;
  transmit(at->first, at->second, now);
}

Placer::Operations::iterator Placer::find(const Endpoint& from, std::uint64_t nonce) {
  const auto found = operations_.find(nonce);
  return found != operations_.end() && found->second.at.address == from ? found : operations_.end();
}

void Placer::finish(Operations::iterator found) {
  Trigger& trigger = triggers_.at(found->second.id);
  const Id id = found->second.id;
  --homes_[found->second.home].in_flight;
  operations_.erase(found);
  trigger.busy = false;
  if (std::exchange(trigger.again, false)) want(id, trigger);
}

// 3 challenge

bool Placer::on_challenge(const Endpoint& from, const wire::Challenge& challenge, TimePoint now) {
  const auto found = find(from, challenge.nonce);
  if (found == operations_.end()) return false;
  Operation& operation = found->second;
  Home& home = homes_[operation.home];
  if (challenge.contact.key != operation.at.contact.key) {
    ++core_.counters.wrong_key;
    return true;  // the right answer may still come; else the node counts as silent
  }
  ++core_.counters.challenges;
  home.heard = {from, now};
  observations_.note(from, challenge.observed);
  if (++operation.challenges > kMaxChallenges) {
    if (operation.remove) {
      removal_done(found);
    } else {
      home.finder.fail(now, "its node challenges without end");
      restart_home(operation.home);
    }
    run(now);
    return true;
  }
  // Its place may be another one than the ring said when it was looked up.
  operation.at.contact = challenge.contact;
  home.finder.update(challenge.contact);
  operation.proof = Proof{challenge.contact.key, from, challenge.cookie, challenge.observed,
                          now + kCookieLifetime};
  forget_proof(home, from);
  if (home.proofs.size() >= kMaxProofs) home.proofs.erase(home.proofs.begin());
  home.proofs.push_back(*operation.proof);
  transmit_anew(found, now);  // 4 insert with proof
  run(now);
  return true;
}

// 5 inserted

bool Placer::on_inserted(const Endpoint& from, const wire::Inserted& inserted, TimePoint now) {
  const auto found = find(from, inserted.nonce);
  if (found == operations_.end() || !found->second.proof || found->second.id != inserted.id)
    return false;
  ++core_.counters.inserted;
  homes_[found->second.home].heard = {from, now};
  if (found->second.remove) {
    removal_done(found);
  } else {
    Home& home = homes_[found->second.home];
    const Target at = found->second.at;
    home.replicas = inserted.replicas;
    cache_.learn(inserted.replicas);
    keeper_.inserted(at, inserted.token, inserted.lifetime_ms, now);
    place(home, inserted.id, at, inserted.label, now);
    home.finder.succeeded(now);
    finish(found);
  }
  run(now);
  return true;
}

void Placer::place(Home& home, const Id& id, const Target& at, wire::Label label, TimePoint now) {
  Trigger& trigger = triggers_.at(id);
  auto& placements = trigger.placements;
  if (!placements.empty()) {
    Placement& placement = placements.front();
    const bool same = placement.at.address == at.address && placement.label == label &&
                      placement.at.contact == at.contact;
    if (placement.at.address != at.address) {
      std::erase_if(home.recent, [&](const Recent& r) { return r.node == placement.at.address; });
      if (home.recent.size() >= kMaxRecent) home.recent.erase(home.recent.begin());
      home.recent.push_back({placement.at.address, now + kHeldRecently});
    }
    placement.at = at;
    if (same) return;
    placement.label = label;
    placement.since = now;
  } else {
    placements.push_back({at, label, now});
  }
  changed(id, trigger);
}

void Placer::removal_done(Operations::iterator found) {
  const Id id = found->second.id;
  finish(found);
  erase(id);
}

// Refusals and silence

bool Placer::on_refused(const Endpoint& from, const wire::Refused& refused, TimePoint now) {
  const auto found = find(from, refused.nonce);
  std::optional<Keeper::Need> need;
  if (found != operations_.end()) {
    ++core_.counters.refused;
    refused_insert(found, refused, now);
  } else if (keeper_.on_refused(from, refused, now, need)) {
    ++core_.counters.refused;
    if (need) meet(*need, now);
  } else {
    return false;
  }
  run(now);
  return true;
}

void Placer::refused_insert(Operations::iterator found, const wire::Refused& refused,
                            TimePoint now) {
  using wire::Refusal;
  Operation& operation = found->second;
  const std::size_t index = operation.home;
  Finder& finder = homes_[index].finder;
  if (refused.reason == Refusal::stale) return refused_as_stale(found, now);
  // Nothing there to remove, or nothing more that we could do about it.
  if (operation.remove) return removal_done(found);
  switch (refused.reason) {
    case Refusal::not_owner:
      finder.redirect(refused.contact, now);
      break;
    case Refusal::quota:
      finder.fail(now, "the node refuses: too many triggers of this key or address",
                  kFirstQuotaPause, kLastQuotaPause);
      break;
    case Refusal::full:
      finder.fail(now, "the node refuses: its table is full", kFirstQuotaPause, kLastQuotaPause);
      break;
    case Refusal::not_ready:
      finder.fail(now, "the node has not joined its ring");
      break;
    default:
      forget_proof(homes_[index], operation.at.address);
      finder.fail(now, "the node refuses our proof");
  }
  restart_home(index);
}

// The clock is behind an earlier run's: jumps ahead, twice as far each time, for the refusal does
// not tell how far is enough.
void Placer::refused_as_stale(Operations::iterator found, TimePoint now) {
  constexpr Duration kFirstJump = std::chrono::seconds(1);
  constexpr Duration kFarthestJump = std::chrono::hours(24 * 365 * 130);
  Operation& operation = found->second;
  if (++operation.stale > kMaxStale) {
    const std::size_t home = operation.home;
    if (operation.remove) return removal_done(found);
    homes_[home].finder.fail(now, "the node calls every sequence number stale");
    return restart_home(home);
  }
  // Of several refused at once, only the first moves the clock.
  if (operation.offset == sequence_offset_) {
    if (sequence_offset_ == Duration(0))
      core_.log.warning("clock_behind_earlier_insertions", {{"id", operation.id.hex()}});
    sequence_offset_ = std::clamp(sequence_offset_ * 2, kFirstJump, kFarthestJump);
  }
  transmit_anew(found, now);
}

// All tries of one message are used up.
void Placer::unanswered(Operations::iterator found, TimePoint now) {
  const Operation operation = found->second;
  if (operation.remove) return removal_done(found);
  finish(found);
  want(operation.id, triggers_.at(operation.id));
  // It answered others in the meantime: alive, but has enough of us for the moment.
  const Recent& heard = homes_[operation.home].heard;
  const bool alive = heard.node == operation.at.address && heard.until >= operation.first_sent;
  if (!alive) node_lost(operation.at.address, now);
}

void Placer::node_lost(const Endpoint& address, TimePoint now) {
  ++core_.counters.lost_nodes;
  core_.log.warning("node_of_triggers_silent", {{"address", address.text()}});
  keeper_.drop(address);
  entries_.suspect(address, now);
  std::vector<Id> gone;
  for (auto& [id, trigger] : triggers_) {
    const auto lost = std::erase_if(trigger.placements,
                                    [&](const Placement& p) { return p.at.address == address; });
    if (!lost) continue;
    changed(id, trigger);
    if (!trigger.leaving())
      want(id, trigger);
    else if (!trigger.busy)
      gone.push_back(id);
  }
  for (const Id& id : gone) erase(id);
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    forget_proof(homes_[i], address);
    const auto& target = homes_[i].finder.target();
    if (stopping_ || !target || target->address != address) continue;
    homes_[i].finder.silent(now);
    restart_home(i);
  }
}

void Placer::meet(const Keeper::Need& need, TimePoint now) {
  if (need.what == Keeper::Need::What::lost) return node_lost(need.address, now);
  for (auto& [id, trigger] : triggers_) {
    const bool there =
        std::any_of(trigger.placements.begin(), trigger.placements.end(),
                    [&](const Placement& p) { return p.at.address == need.address; });
    if (!there || trigger.leaving()) continue;
    want(id, trigger);
    Home& home = homes_[trigger.home];
    if (need.what != Keeper::Need::What::insert_again) continue;
    forget_proof(home, need.address);
    if (home.finder.target()) home.finder.look_up(now);
  }
}

Keeper::Count Placer::count_at(const Endpoint& address) const {
  Keeper::Count count;
  for (const auto& [id, trigger] : triggers_) {
    const bool stands = std::any_of(trigger.placements.begin(), trigger.placements.end(),
                                    [&](const Placement& p) { return p.at.address == address; });
    if (stands && !trigger.leaving()) ++count.least;
    if (stands || trigger.busy) ++count.most;
  }
  return count;
}

bool Placer::on_refreshed(const Endpoint& from, const wire::Refreshed& refreshed, TimePoint now) {
  std::optional<Keeper::Need> need;
  const auto count = [this](const Endpoint& address) { return count_at(address); };
  if (!keeper_.on_refreshed(from, refreshed, count, now, need)) return false;
  if (need) meet(*need, now);
  run(now);
  return true;
}

void Placer::on_timer(TimePoint now) {
  if (!started_) return;
  if (stop_by_ <= now) {
    operations_.clear();
    triggers_.clear();
    for (Home& home : homes_) home.queue.clear();
    stop_by_ = kNever;
    return;
  }
  const auto count = [this](const Endpoint& address) { return count_at(address); };
  for (const Keeper::Need& need : keeper_.on_timer(now, count)) meet(need, now);
  std::vector<std::uint64_t> due;
  for (const auto& [nonce, operation] : operations_)
    if (operation.deadline <= now) due.push_back(nonce);
  for (std::uint64_t nonce : due) {
    const auto found = operations_.find(nonce);
    if (found == operations_.end()) continue;  // ended with its node
    if (found->second.tries < kTries) {
      transmit(nonce, found->second, now);
      continue;
    }
    unanswered(found, now);
  }
  if (paced_until_ <= now) paced_until_ = kNever;
  for (Home& home : homes_) home.finder.on_timer(now, entries_);
  run(now);
}

TimePoint Placer::deadline() const {
  TimePoint first = std::min({keeper_.deadline(), stop_by_, paced_until_});
  if (!started_ || stopped()) return kNever;
  for (const Home& home : homes_) first = std::min(first, home.finder.deadline());
  for (const auto& [nonce, operation] : operations_) first = std::min(first, operation.deadline);
  return first;
}

}  // namespace i3::client
