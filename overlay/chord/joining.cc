// Entering a ring, finding it again, and meeting one that formed apart.
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr Duration kFirstProbe = std::chrono::milliseconds(500);
constexpr Duration kSlowestProbe = std::chrono::seconds(15);
constexpr Duration kMemberProbe = std::chrono::seconds(30);
constexpr Duration kFoundAfter = std::chrono::seconds(6);
constexpr std::size_t kRevivedAtOnce = 2;
// So many members must fail to reach us before we take it that nobody can.
constexpr std::size_t kReachTests = 3;
constexpr Duration kReachAgain = std::chrono::seconds(15);
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
  for (const auto& [nonce, find] : finds_) {
    if (find.use == Find::Use::reach) return;
    if (find.use == use && find.through && find.through->id == peer.id) return;
  }
  if (phase_ == Phase::joining) {
    for (const Request& request : requests_)
      if (request.purpose == Purpose::join) return;
  }
  Find find;
  find.use = use;
  // The member at our own place if there is one: a former life of ours, or a copy of our key.
  find.position = use == Find::Use::join ? self_.id : self_.id.plus_power(0);
  find.through = peer;
  start_find(std::move(find), now);
}

// The owner of our place was found. Before anything else it must be sure that members which we have
// sent nothing to can reach us, as any of them will have to; an answer straight from such a one
// shows it.
void Chord::on_join_found(const Find& find, const std::vector<RingPeer>& found, TimePoint now) {
  if (phase_ != Phase::joining) return;
  // Who passes questions on belongs to a ring.
  for (Seed& seed : seeds_)
    if (seed.answered && find.through && seed.answered->id == find.through->id)
      seed.known_member = now;
  const RingPeer& owner = found.front();
  if (owner.id == self_.id || owner.contact.key == self_.contact.key) {
    take_next_place(now);
    return;
  }
  if (reached_by_stranger_) {
    unreachable_ = false;
    // Zave 2017: the successor's list is fetched before this node becomes a member.
    return request(Purpose::join, owner, now);
  }
  for (const RingPeer& peer : found) {
    if (!stranger(peer) ||
        std::find(reach_asked_.begin(), reach_asked_.end(), peer.id) != reach_asked_.end())
      continue;
    reach_asked_.push_back(peer.id);
    reach_owner_ = owner;
    Find test;
    test.use = Find::Use::reach;
    test.position = peer.id;
    test.through = find.through;
    start_find(std::move(test), now);
    return;
  }
  // Nobody but our entry nodes is in this ring.
  if (reach_asked_.empty()) return request(Purpose::join, owner, now);
  give_up_for_now(now);
}

void Chord::on_reach_end(bool reached, TimePoint now) {
  if (phase_ != Phase::joining) return;
  if (!reached && reach_asked_.size() >= kReachTests) return give_up_for_now(now);
  if (reached) {
    reach_asked_.clear();
    unreachable_ = false;
    if (reach_owner_) return request(Purpose::join, *reach_owner_, now);
  }
  for (Seed& seed : seeds_) seed.next = std::min(seed.next, now);
}

void Chord::give_up_for_now(TimePoint now) {
  if (!unreachable_)
    log_.error("not-reachable",
               {{"address", self_.contact.primary().text()},
                {"remedy", "let UDP in to this address, or advertise the one that is reached"}});
  unreachable_ = true;
  output_.count("join_not_reachable");
  reach_asked_.clear();
  joining_since_ = now;
  for (Seed& seed : seeds_) seed.next = now + kReachAgain;
}

// Nothing that we sent may have opened a way for its answers.
bool Chord::stranger(const RingPeer& peer) const {
  for (const Seed& seed : seeds_)
    if ((seed.answered && seed.answered->id == peer.id) || peer.contact.owns(seed.address))
      return false;
  return true;
}

void Chord::become_member(std::vector<RingPeer> successors, TimePoint now) {
  phase_ = Phase::member;
  member_since_ = now;
  view_.set_successors(successors);
  finger_turn_ = 0;
  next_finger_ = now + std::chrono::milliseconds(200);
  for (Seed& seed : seeds_) seed.next = std::max(seed.next, now + kMemberProbe / 2);
  log_.info("ring-joined", {{"id", self_.id.hex()},
                            {"successors", view_.successors().size()},
                            {"address", self_.contact.primary().text()}});
  changed(now);
  if (const RingPeer* successor = view_.successor())
    send_body(successor->contact, wire::RingKind::notify, NoBody{}, way_to(successor->id, now));
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
    entry = entry->second.use == Find::Use::join || entry->second.use == Find::Use::reach
                ? finds_.erase(entry)
                : std::next(entry);
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
