#include "overlay/client/finder.hh"

namespace i3::client {

void Finder::begin(TimePoint now) {
  resume_ = kNever;
  recheck_ = kNever;
  if (lookup_) return;
  lookup_.emplace();
  lookup_->nonce = core_.nonce();
  lookup_->next = now;
}

void Finder::aim(RingId position) {
  position_ = position;
  target_.reset();
  contacts_.clear();
  last_silent_.reset();
  failures_ = silences_ = redirects_ = rechecks_ = 0;
  trouble_.clear();
  stop();
}

void Finder::look_up(TimePoint now) {
  target_.reset();
  begin(now);
}

void Finder::ask_again(TimePoint now) {
  if (lookup_ || resume_ != kNever) return;
  if (now - answered_ >= kAskedApart)
    begin(now);
  else
    recheck_ = std::min(recheck_, answered_ + kAskedApart);
}

void Finder::recheck_soon(TimePoint now) {
  if (lookup_) return;
  recheck_ = now + backoff(core_.random, ++rechecks_, kLastRetry, kRecheck);
  rechecks_ = std::min(rechecks_, 8u);
}

std::vector<wire::NodeContact> Finder::others() const {
  std::vector<wire::NodeContact> others;
  for (const wire::NodeContact& contact : contacts_) {
    const bool target = target_ && contact.key == target_->contact.key;
    const bool silent = last_silent_ && contact.owns(*last_silent_);
    if (!target && !silent) others.push_back(contact);
  }
  return others;
}

void Finder::fail(TimePoint now, std::string why, Duration first, Duration most) {
  if (trouble_ != why)
    core_.log.warning("trigger_waits", {{"position", position_.hex()}, {"why", why}});
  trouble_ = std::move(why);
  target_.reset();
  lookup_.reset();
  recheck_ = kNever;
  failures_ = std::min(failures_ + 1, 32u);
  resume_ = now + backoff(core_.random, failures_, first, most);
}

void Finder::silent(TimePoint now) {
  if (target_) last_silent_ = target_->address;
  silences_ = std::min(silences_ + 1, 1u << 16);
  if (silences_ > 1) return fail(now, "its node does not answer");
  trouble_ = "its node does not answer";
  look_up(now);
}

void Finder::redirect(const std::optional<wire::NodeContact>& contact, TimePoint now) {
  if (!contact) return fail(now, "the node does not own it and names nobody");
  if (++redirects_ > kMaxRedirects) return fail(now, "nodes send us round and round");
  const auto address = core_.reachable(*contact);
  if (!address) return fail(now, "its node has no address of our family");
  const Target next{*contact, *address};
  if (target_ && target_->same(next)) return fail(now, "the node says that itself is another one");
  cache_.learn(*contact);
  if (contacts_.size() > wire::LookupReply::kMaxContacts) contacts_.pop_back();
  contacts_.push_back(*contact);
  target_ = next;
}

void Finder::succeeded(TimePoint now) {
  failures_ = silences_ = redirects_ = 0;
  last_silent_.reset();
  trouble_.clear();
  if (recheck_ == kNever && !lookup_) recheck_ = now + backoff(core_.random, 1, kRecheck, kRecheck);
}

void Finder::update(const wire::NodeContact& contact) {
  if (target_ && target_->contact.key == contact.key) target_->contact = contact;
}

void Finder::hurry(TimePoint now) {
  failures_ = silences_ = redirects_ = 0;
  if (target_) {
    const auto address = core_.reachable(target_->contact);
    if (!address) return look_up(now);
    target_->address = *address;
  } else {
    lookup_.reset();
    begin(now);
  }
}

void Finder::stop() {
  lookup_.reset();
  resume_ = recheck_ = kNever;
}

void Finder::ask(TimePoint now, const Entries& entries) {
  PendingLookup& lookup = *lookup_;
  // After two losses another entry node is asked; never first the one that just fell silent.
  auto avoid = last_silent_;
  if (lookup.tries >= 2 && !lookup.asked.empty()) avoid = lookup.asked.back();
  const auto entry = entries.trusted(avoid);
  lookup.tries = std::min(lookup.tries + 1, 32u);
  lookup.next = now + backoff(core_.random, lookup.tries);
  if (!entry) {
    if (!target_) trouble_ = "no entry node answers";
    return;
  }
  if (lookup.tries > 3 && !target_ && trouble_.empty()) trouble_ = "look-ups are not answered";
  std::erase(lookup.asked, *entry);
  lookup.asked.push_back(*entry);
  if (lookup.asked.size() > PendingLookup::kMaxAsked) lookup.asked.erase(lookup.asked.begin());
  ++core_.counters.lookups;
  core_.send(*entry, wire::Lookup{lookup.nonce, position_});
}

Finder::Outcome Finder::on_reply(const Endpoint& from, const wire::LookupReply& reply,
                                 TimePoint now) {
  if (!lookup_ || reply.nonce != lookup_->nonce || reply.position != position_ ||
      std::find(lookup_->asked.begin(), lookup_->asked.end(), from) == lookup_->asked.end())
    return Outcome::unsolicited;
  if (reply.contacts.empty()) {
    if (!target_) trouble_ = "the ring found no owner in time";
    return Outcome::same;  // asked again when its turn comes
  }
  lookup_.reset();
  answered_ = now;
  contacts_ = reply.contacts;
  cache_.learn(contacts_);
  return choose(now);
}

// Takes the first contact that we can reach; where that is the silent one, the others in turn.
Finder::Outcome Finder::choose(TimePoint now) {
  std::vector<Target> usable;
  for (const wire::NodeContact& contact : contacts_)
    if (const auto address = core_.reachable(contact)) usable.push_back({contact, *address});
  if (usable.empty() || usable.front().contact.key != contacts_.front().key)
    core_.log.warning("owner_of_other_family", {{"position", position_.hex()},
                                                {"owner", contacts_.front().primary().text()},
                                                {"other_contacts", usable.size()}});
  if (usable.empty()) {
    if (target_)
      succeeded(now);
    else
      fail(now, "its node has no address of our family");
    return Outcome::same;
  }
  const bool silent_still = last_silent_ && usable.front().address == *last_silent_;
  const Target& next = usable[silent_still ? silences_ % usable.size() : 0];
  redirects_ = 0;
  const bool same = target_ && target_->same(next);
  if (!same) rechecks_ = 0;
  target_ = next;
  if (same) succeeded(now);
  return same ? Outcome::same : Outcome::new_target;
}

void Finder::on_timer(TimePoint now, const Entries& entries) {
  if (resume_ <= now || recheck_ <= now) begin(now);
  if (lookup_ && lookup_->next <= now) ask(now, entries);
}

TimePoint Finder::deadline() const {
  return std::min({resume_, recheck_, lookup_ ? lookup_->next : kNever});
}

bool Finder::knows(const Endpoint& address) const {
  return std::any_of(contacts_.begin(), contacts_.end(),
                     [&](const wire::NodeContact& contact) { return contact.owns(address); });
}

}  // namespace i3::client
