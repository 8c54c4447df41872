// What nodes answer to holder.hh's requests, in the order of an insertion.
#include "overlay/client/holder.hh"

namespace i3::client {

bool Holder::on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now) {
  for (auto& [key, held] : held_) {
    if (held.finder.on_reply(from, reply, now) == Finder::Outcome::unsolicited) continue;
    on_timer(now);
    return true;
  }
  return false;
}

bool Holder::on_challenge(const Endpoint& from, const wire::Challenge& challenge, TimePoint now) {
  const Found found = find(from, challenge.nonce);
  if (!found || found.place->step == Step::refresh) return false;
  Place& place = *found.place;
  if (challenge.contact.key != place.at.contact.key) {
    ++core_.counters.wrong_key;
    return true;  // the right answer may still come; else the node counts as silent
  }
  ++core_.counters.challenges;
  observations_.note(from, challenge.observed);
  if (++place.challenges > kMaxChallenges) {
    silent(*found.held, from, now);
    sweep();
    return true;
  }
  place.at.contact = challenge.contact;
  if (place.as_owner) found.held->finder.update(challenge.contact);
  place.cookie = challenge.cookie;
  place.observed = challenge.observed;
  place.cookie_until = now + kCookieLifetime;
  next_step(place, Step::prove, now);
  transmit(*found.held, place, now);
  return true;
}

bool Holder::on_inserted(const Endpoint& from, const wire::Inserted& inserted, TimePoint now) {
  const Found found = find(from, inserted.nonce);
  if (!found || found.place->step != Step::prove || found.held->what.id != inserted.id)
    return false;
  ++core_.counters.inserted;
  Held& held = *found.held;
  Place& place = *found.place;
  if (held.leaving) {
    lose(held, from);
    sweep();
    return true;
  }
  place.stands = true;
  place.token = inserted.token;
  place.lifetime = std::chrono::milliseconds(inserted.lifetime_ms);
  place.challenges = place.stale = 0;
  place.step = Step::rest;
  place.nonce = 0;
  const Duration interval = std::max<Duration>(
      std::chrono::seconds(1), std::min(core_.options.refresh, Duration(place.lifetime / 3)));
  place.next = now + backoff(core_.random, 1, interval, interval);
  cache_.learn(inserted.replicas);
  if (!place.as_owner) return true;
  held.finder.succeeded(now);
  follow_replicas(held, inserted.replicas, now);  // `place` may have moved
  on_timer(now);
  return true;
}

bool Holder::on_refreshed(const Endpoint& from, const wire::Refreshed& refreshed, TimePoint now) {
  const Found found = find(from, refreshed.nonce);
  if (!found || found.place->step != Step::refresh) return false;
  ++core_.counters.refreshed;
  Place& place = *found.place;
  place.token = refreshed.token;
  if (refreshed.lifetime_ms) place.lifetime = std::chrono::milliseconds(refreshed.lifetime_ms);
  if (refreshed.count < expected_at(found.held->what.owner, from)) {
    // The node lacks one of them and does not say which.
    for (auto& [key, held] : held_)
      for (Place& other : held.places)
        if (held.what.owner == found.held->what.owner && other.at.address == from && other.stands)
          begin(other, now);
    on_timer(now);
    return true;
  }
  place.step = Step::rest;
  place.nonce = 0;
  const Duration interval = std::max<Duration>(
      std::chrono::seconds(1), std::min(core_.options.refresh, Duration(place.lifetime / 3)));
  place.next = now + backoff(core_.random, 1, interval, interval);
  return true;
}

bool Holder::on_refused(const Endpoint& from, const wire::Refused& refused, TimePoint now) {
  const Found found = find(from, refused.nonce);
  if (!found) return false;
  ++core_.counters.refused;
  Held& held = *found.held;
  Place& place = *found.place;
  if (refused.reason == wire::Refusal::stale && place.step == Step::prove) {
    stale(held, place, now);
  } else if (held.leaving) {
    lose(held, from);  // nothing there, or nothing more that we could do about it
  } else if (place.step == Step::refresh) {
    // It does not know us, or owns the ID no longer.
    place.stands = false;
    place.cookie_until = {};
    begin(place, now);
    if (place.as_owner) held.finder.look_up(now);
  } else {
    refused_place(held, place, refused, now);
  }
  on_timer(now);
  return true;
}

void Holder::refused_place(Held& held, Place& place, const wire::Refused& refused, TimePoint now) {
  using wire::Refusal;
  const bool as_owner = place.as_owner;
  place.cookie_until = {};
  lose(held, place.at.address);  // `place` is gone
  if (!as_owner) return;
  switch (refused.reason) {
    case Refusal::not_owner:
      return held.finder.redirect(refused.contact, now);
    case Refusal::quota:
      return held.finder.fail(now, "the node refuses: too many triggers of this key or address",
                              kRefusedPause, kLastPause);
    case Refusal::full:
      return held.finder.fail(now, "the node refuses: its table is full", kRefusedPause,
                              kLastPause);
    case Refusal::not_ready:
      return held.finder.fail(now, "the node has not joined its ring");
    default:
      return held.finder.fail(now, "the node refuses our delegation or consent", kRefusedPause,
                              kLastPause);
  }
}

// The clock is behind an earlier run's, as in the placer.
void Holder::stale(Held& held, Place& place, TimePoint now) {
  constexpr Duration kFirstJump = std::chrono::seconds(1);
  constexpr Duration kFarthestJump = std::chrono::hours(24 * 365 * 130);
  if (++place.stale > kMaxStale) {
    const Endpoint address = place.at.address;
    const bool as_owner = place.as_owner;
    lose(held, address);
    if (as_owner && !held.leaving)
      held.finder.fail(now, "the node calls every sequence number stale");
    return;
  }
  sequence_offset_ = std::clamp(sequence_offset_ * 2, kFirstJump, kFarthestJump);
  next_step(place, Step::prove, now);
  transmit(held, place, now);
}

}  // namespace i3::client
