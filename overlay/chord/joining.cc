// Entering a ring, finding it again, and meeting one that formed apart.
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr Duration kFirstProbe = std::chrono::milliseconds(500);
constexpr Duration kSlowestProbe = std::chrono::seconds(15);
constexpr Duration kMemberProbe = std::chrono::seconds(30);
constexpr Duration kFoundAfter = std::chrono::seconds(4);
constexpr std::size_t kRevivedAtOnce = 4;
}  // namespace

void Chord::probe_seeds(TimePoint now) {
  for (Seed& seed : seeds_) {
    if (seed.next > now) continue;
    if (seed.nonce == 0) seed.nonce = random_.u64() | 1;
    output_.probe(seed.address, seed.nonce);
    if (phase_ == Phase::member && !view_.alone()) {
      seed.next = now + kMemberProbe;
    } else {
      Duration wait = kFirstProbe * (1 << std::min(seed.failures, 5u));
      seed.next = now + std::min(wait, kSlowestProbe);
    }
    ++seed.failures;
  }
  if (phase_ == Phase::joining) found_ring_if_lowest(now);
}

void Chord::on_probe_reply(const wire::ProbeReply& reply, TimePoint now) {
  if (phase_ != Phase::joining && phase_ != Phase::member) return;
  for (Seed& seed : seeds_) {
    if (seed.nonce == 0 || seed.nonce != reply.nonce) continue;
    if (seed.key && *seed.key != reply.contact.key) return output_.count("join_wrong_key");
    seed.nonce = 0;
    if (reply.contact.key == self_.contact.key) {
      // Our own address stands in our list: there is nothing to learn there.
      seed.next = now + kMemberProbe;
      return;
    }
    seed.answered = RingPeer(reply.contact);
    seed.answered_at = now;
    seed.failures = 0;
    return introduce(*seed.answered, now);
  }
  output_.count("probe_reply_unasked");
}

// A member was met. Joining: it looks for our successor. As a member: if the ring that it belongs
// to has a node closer behind us than our successor, the two rings are different ones.
void Chord::introduce(const RingPeer& peer, TimePoint now) {
  if (peer.id == self_.id || view_.knows(peer.id)) return;
  const auto use = phase_ == Phase::joining ? Find::Use::join : Find::Use::merge;
  for (const auto& [nonce, find] : finds_)
    if (find.use == use && find.through && find.through->key == peer.contact.key) return;
  if (phase_ == Phase::joining) {
    for (const Request& request : requests_)
      if (request.purpose == Purpose::join) return;
  }
  Find find;
  find.use = use;
  // The member at our own place if there is one: a former life of ours, or a copy of our key.
  find.position = use == Find::Use::join ? self_.id : self_.id.plus_power(0);
  find.through = peer.contact;
  start_find(std::move(find), now);
}

void Chord::on_join_found(const RingPeer& owner, TimePoint now) {
  if (phase_ != Phase::joining) return;
  if (owner.id == self_.id || owner.contact.key == self_.contact.key) {
    take_next_place(now);
    return;
  }
  // Zave 2017: the successor's list is fetched before this node becomes a member.
  request(Purpose::join, owner, now);
}

void Chord::become_member(std::vector<RingPeer> successors, TimePoint now) {
  phase_ = Phase::member;
  member_since_ = now;
  view_.set_successors(successors);
  fingers_complete_ = false;
  finger_bit_ = 0;
  next_finger_ = now + std::chrono::milliseconds(200);
  for (Seed& seed : seeds_) seed.next = std::max(seed.next, now + kMemberProbe / 2);
  log_.info("ring-joined", {{"id", self_.id.hex()},
                            {"successors", view_.successors().size()},
                            {"address", self_.contact.primary().text()}});
  changed(now);
  if (const RingPeer* successor = view_.successor())
    send(successor->contact, wire::RingKind::notify, {});
}

// Nodes that name each other as their entry would wait for ever: of those that answer probes but
// know no ring, the one with the lowest ID begins it. If it was not the only one after all, the
// rings meet through the same entries later.
void Chord::found_ring_if_lowest(TimePoint now) {
  if (joining_since_ + kFoundAfter > now) return;
  bool anybody = false;
  for (const Seed& seed : seeds_) {
    if (!seed.answered || seed.answered_at + kFoundAfter * 2 < now) continue;
    if (seed.known_member && *seed.known_member + kMemberProbe > now) return;
    anybody = true;
    if (seed.answered->id < self_.id) return;
  }
  for (const Request& request : requests_)
    if (request.purpose == Purpose::join) return;
  if (!anybody) return;
  for (auto entry = finds_.begin(); entry != finds_.end();)
    entry = entry->second.use == Find::Use::join ? finds_.erase(entry) : std::next(entry);
  log_.info("ring-founded", {{"reason", "no entry node belongs to a ring yet"}});
  become_member({}, now);
  // Meet whoever did the same.
  for (Seed& seed : seeds_) seed.next = now + std::chrono::seconds(1);
}

void Chord::take_next_place(TimePoint now) {
  self_.contact.k =
      static_cast<std::uint8_t>((self_.contact.k + 1) % (wire::NodeContact::kMaxK + 1));
  self_ = RingPeer(self_.contact);
  view_ = RingView(self_.id, settings_.successors, settings_.replicas + 1);
  log_.info("ring-place-taken", {{"next_k", self_.contact.k}});
  for (Seed& seed : seeds_) seed.next = std::min(seed.next, now + kFirstProbe);
}

void Chord::revive_lost(TimePoint now) {
  if (phase_ != Phase::member) return;
  for (std::size_t i = 0; i < kRevivedAtOnce && !lost_.empty(); ++i) {
    RingPeer peer = lost_.front();
    lost_.pop_front();
    request(Purpose::revive, peer, now);
  }
}

}  // namespace i3
