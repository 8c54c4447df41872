#include "overlay/client/near_place.hh"

namespace i3::client {

using std::chrono::milliseconds;

bool NearPlace::clearly_farther(Duration present, Duration nearest) {
  return present - present / 3 > nearest + milliseconds(2);
}

bool NearPlace::as_good(Duration one, Duration nearest) {
  return one <= nearest + nearest * 3 / 10 + milliseconds(1);
}

void NearPlace::start(TimePoint now) {
  if (core_.options.near_nodes) next_ = now + kLook / 5;
}

void NearPlace::network_changed(TimePoint now) {
  if (next_ == kNever) return;
  failures_ = 0;
  not_before_ = {};
  if (!moving_) begin_anew(now);
}

void NearPlace::begin_anew(TimePoint now) {
  wanted_.reset();
  search_.reset();
  nonce_ = 0;
  moving_ = false;
  next_ = now + kLook;
}

void NearPlace::failed(TimePoint now) {
  begin_anew(now);
  not_before_ = now + backoff(core_.random, ++failures_, kApart / 4, kLongestPause);
  failures_ = std::min(failures_, 16u);
}

// 1 and 2

void NearPlace::on_timer(TimePoint now) {
  if (now < next_) return;
  next_ = now + kLook;
  if (moving_) {
    const auto state = placer_.moving();
    if (state == Placer::Moving::yes) {
      next_ = now + kLook / 5;
    } else if (state == Placer::Moving::failed) {
      failed(now);
    } else {
      begin_anew(now);
      failures_ = 0;
      not_before_ = now + backoff(core_.random, 1, kApart, kApart);
    }
    return;
  }
  if (search_) return search(now);
  if (wanted_) return ask(now);
  if (near_.settled() && now >= not_before_) look(now);
  if (!near_.settled()) next_ = now + kLook / 10;
}

void NearPlace::look(TimePoint now) {
  const auto present = placer_.private_owner();
  const auto near = near_.nearest();
  if (!present || near.empty() || placer_.moving() == Placer::Moving::yes) return;
  const Duration far = near_.measure(*present, now);
  if (far == Duration{}) {
    next_ = now + kLook / 5;
    return;
  }
  const Duration best = near.front().rtt;
  if (far != Duration::max() && !clearly_farther(far, best)) return;
  std::size_t good = 0;
  while (good < near.size() && as_good(near[good].rtt, best)) ++good;
  wanted_ = near[core_.random.below(good)];
  if (wanted_->contact.key == present->key) return wanted_.reset();
  bit_ = 127;
  tries_ = 0;
  ask(now);
}

// 3 Its part begins at its predecessor, or where a look-up names it as the owner. What lies before
// it is looked up, nearer each time, until it is among the answer's four nodes; how far they are
// from each other tells how near that has to be.

void NearPlace::ask(TimePoint now) {
  const auto entry = entries_.best();
  if (!entry || tries_ >= kTries) return failed(now);
  ++tries_;
  nonce_ = core_.nonce();
  asked_ = *entry;
  position_ = wanted_->contact.ring_id().minus(RingId{}.plus_power(bit_));
  next_ = now + kAnswerWithin;
  ++core_.counters.lookups;
  core_.send(asked_, wire::Lookup{nonce_, position_});
}

bool NearPlace::on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply,
                                TimePoint now) {
  if (nonce_ == 0 || reply.nonce != nonce_ || from != asked_ || reply.position != position_)
    return false;
  nonce_ = 0;
  const auto& contacts = reply.contacts;
  const auto node = std::find_if(
      contacts.begin(), contacts.end(),
      [&](const wire::NodeContact& contact) { return contact.key == wanted_->contact.key; });
  if (node == contacts.end()) {
    // Of a small ring all are named.
    if (contacts.size() < wire::LookupReply::kMaxContacts || bit_ == 0) {
      failed(now);
      return true;
    }
    const RingId span = contacts.back().ring_id().minus(contacts.front().ring_id());
    --bit_;
    while (bit_ > 0 && RingId{}.plus_power(bit_) > span) --bit_;
    ask(now);
    return true;
  }
  const RingId begin = node == contacts.begin() ? reply.position : std::prev(node)->ring_id();
  search_.emplace(begin, node->ring_id(), core_.random.u32());
  wanted_->contact = *node;
  next_ = now;
  return true;
}

// 4 and 5

void NearPlace::search(TimePoint now) {
  next_ = now + kTurn;
  if (!search_->turn(core_.identity.key())) {
    if (search_->exhausted()) failed(now);
    return;
  }
  const std::uint32_t salt = search_->salt();
  search_.reset();
  if (!placer_.move_private(salt, wanted_->contact.key, now)) return failed(now);
  moving_ = true;
}

}  // namespace i3::client
