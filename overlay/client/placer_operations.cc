// The operations of placer.hh at one node, in the order of an insertion.
#include "overlay/client/placer.hh"

namespace i3::client {

// 2 ask without proof, or go straight to 4 where a cookie is at hand

void Placer::run(TimePoint now) {
  if (!started_) return;
  for (std::size_t i = 0; i < homes_.size(); ++i)
    for (Post& post : homes_[i].posts)
      while (start_next(i, post, now)) {
      }
}

// True if the front of the queue was dealt with.
bool Placer::start_next(std::size_t index, Post& post, TimePoint now) {
  Home& home = homes_[index];
  if (post.queue.empty()) return false;
  const Id id = post.queue.front();
  Trigger& trigger = triggers_.at(id);
  Placement& placement = *trigger.at(post.at.address);
  const bool remove = trigger.leaving();
  if (remove ? !placement.maybe_stored : !post.active()) {
    post.queue.pop_front();
    placement.queued = false;
    if (!placement.maybe_stored) forget_placement(id, post.at.address);
    return true;
  }
  if (!remove) {
    if (waits_for_stack(index)) return false;
    // While the owner is looked up anew nothing more goes to the old one.
    const auto& owner = home.finder.target();
    if (post.role == Post::Role::owner && !(owner && owner->address == post.at.address))
      return false;
    if (post.resume > now) return false;
  }
  const Proof* proof = proof_for(home, post.at, now);
  // One asks for the challenge that serves them all.
  if (post.in_flight >= (proof ? kWindow : 1)) return false;
  if (proof && !remove && !post.pace.take(now)) {
    post.paced_until = now + kPause;
    return false;
  }
  post.queue.pop_front();
  placement.queued = false;
  placement.busy = true;
  ++post.in_flight;
  Operation operation;
  operation.id = id;
  operation.home = index;
  operation.at = post.at;
  operation.remove = remove;
  if (proof) operation.proof = *proof;
  give_sequence(operation, now);
  const std::uint64_t nonce = fresh_nonce();
  transmit(nonce, operations_[nonce] = std::move(operation), now);
  return true;
}

void Placer::restart(std::size_t home, Post& post, bool anew) {
  for (auto operation = operations_.begin(); operation != operations_.end();) {
    const auto next = std::next(operation);
    const Operation& one = operation->second;
    if (one.home == home && one.at.address == post.at.address && !one.remove) {
      const Id id = one.id;
      finish(operation);
      if (anew) want(id, triggers_.at(id), post);
    }
    operation = next;
  }
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
  if (operation.home < kPrivateHome) insert.rate_pps = core_.options.public_rate_pps;
  if (operation.home < kPrivateHome && public_stacks_ && !operation.remove) {
    insert.stack = (*public_stacks_)[operation.home];
    insert.every_stop = true;
  }
  ++(operation.remove ? core_.counters.removals : core_.counters.inserts);
  if (!operation.proof) {
    core_.send(operation.at.address, insert);
    return;
  }
  triggers_.at(operation.id).at(operation.at.address)->maybe_stored = true;
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
  const Id id = found->second.id;
  Trigger& trigger = triggers_.at(id);
  Post& post = *homes_[found->second.home].post(found->second.at.address);
  Placement& placement = *trigger.at(post.at.address);
  operations_.erase(found);
  --post.in_flight;
  placement.busy = false;
  if (std::exchange(placement.again, false)) want(id, trigger, post);
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
  Post& post = *home.post(from);
  post.heard = now;
  // One NAT lets go of all its bindings at once.
  if (observations_.note(from, challenge.observed)) keeper_.hurry(now);
  if (++operation.challenges > kMaxChallenges) {
    if (operation.remove)
      removal_done(found);
    else
      fail(operation.home, post, now, "its node challenges without end");
    run(now);
    return true;
  }
  // Its place may be another one than the ring said when it was looked up.
  operation.at.contact = post.at.contact = challenge.contact;
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
  const std::size_t index = found->second.home;
  Home& home = homes_[index];
  Post& post = *home.post(from);
  post.heard = now;
  post.failures = 0;
  if (found->second.remove) {
    removal_done(found);
    run(now);
    return true;
  }
  keeper_.inserted(post.at, inserted.token, inserted.lifetime_ms, now);
  place(post, inserted.id, inserted.label, now);
  finish(found);
  cache_.learn(inserted.replicas);
  if (!inserted.replicas.empty()) post.owns_by_its_word = true;
  if (post.role == Post::Role::owner) {
    home.finder.succeeded(now);
    if (!inserted.replicas.empty() && home.replicas != inserted.replicas) {
      home.replicas = inserted.replicas;
      arrange(index, now);
    }
  } else if (!inserted.replicas.empty() && post.role == Post::Role::replica) {
    home.finder.ask_again(now);  // it says that it is the owner
  }
  run(now);
  return true;
}

void Placer::place(Post& post, const Id& id, wire::Label label, TimePoint now) {
  Trigger& trigger = triggers_.at(id);
  Placement& placement = *trigger.at(post.at.address);
  const bool same =
      placement.stands && placement.label == label && placement.at.contact == post.at.contact;
  placement.at = post.at;
  if (same) return;
  placement.label = label;
  placement.since = now;
  placement.stands = true;
  changed(id, trigger);
}

void Placer::removal_done(Operations::iterator found) {
  const Id id = found->second.id;
  const Endpoint address = found->second.at.address;
  finish(found);
  Post& post = *homes_[triggers_.at(id).home].post(address);
  Placement& placement = *triggers_.at(id).at(address);
  if (std::exchange(placement.queued, false)) std::erase(post.queue, id);
  forget_placement(id, address);
}

// A trigger that leaves is gone with the last of them.
void Placer::forget_placement(const Id& id, const Endpoint& address) {
  const auto found = triggers_.find(id);
  Trigger& trigger = found->second;
  std::erase_if(trigger.placements, [&](const Placement& p) { return p.at.address == address; });
  if (trigger.leaving() && trigger.placements.empty()) erase(id);
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
  Post& post = *homes_[index].post(operation.at.address);
  post.heard = now;
  if (refused.reason == Refusal::stale) return refused_as_stale(found, now);
  // Nothing there to remove, or nothing more that we could do about it.
  if (operation.remove) return removal_done(found);
  switch (refused.reason) {
    case Refusal::not_owner:
      return not_owner(index, post, refused.contact, now);
    case Refusal::quota:
      return fail(index, post, now, "the node refuses: too many triggers of this key or address",
                  kFirstQuotaPause, kLastQuotaPause);
    case Refusal::full:
      return fail(index, post, now, "the node refuses: its table is full", kFirstQuotaPause,
                  kLastQuotaPause);
    case Refusal::not_ready:
      return fail(index, post, now, "the node has not joined its ring");
    default:
      forget_proof(homes_[index], operation.at.address);
      fail(index, post, now, "the node refuses our proof");
  }
}

// The clock is behind an earlier run's: jumps ahead, twice as far each time, for the refusal does
// not tell how far is enough.
void Placer::refused_as_stale(Operations::iterator found, TimePoint now) {
  constexpr Duration kFirstJump = std::chrono::seconds(1);
  constexpr Duration kFarthestJump = std::chrono::hours(24 * 365 * 130);
  Operation& operation = found->second;
  if (++operation.stale > kMaxStale) {
    if (operation.remove) return removal_done(found);
    return fail(operation.home, *homes_[operation.home].post(operation.at.address), now,
                "the node calls every sequence number stale");
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
  Post& post = *homes_[operation.home].post(operation.at.address);
  finish(found);
  want(operation.id, triggers_.at(operation.id), post);
  // It answered others in the meantime: alive, but has enough of us for the moment.
  if (post.heard < operation.first_sent) node_lost(operation.at.address, now);
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
    for (Home& home : homes_) home.posts.clear();
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
  drop_former(now);
  go_on_moving(now);
  clear_unused();
  for (Home& home : homes_) {
    home.finder.on_timer(now, entries_);
    for (Post& post : home.posts) {
      if (post.paced_until <= now) post.paced_until = kNever;
      if (post.resume <= now) post.resume = {};
    }
  }
  run(now);
}

TimePoint Placer::deadline() const {
  TimePoint first = std::min({keeper_.deadline(), stop_by_, move_by_});
  if (!started_ || stopped()) return kNever;
  for (const Home& home : homes_) {
    first = std::min(first, home.finder.deadline());
    for (const Post& post : home.posts) {
      first = std::min({first, post.paced_until, post.until});
      if (!post.queue.empty() && post.resume != TimePoint{}) first = std::min(first, post.resume);
    }
  }
  for (const auto& [nonce, operation] : operations_) first = std::min(first, operation.deadline);
  return first;
}

}  // namespace i3::client
