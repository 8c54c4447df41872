// Look-ups: the way of one towards its owner, and what becomes of the answer.
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr unsigned kFindTries = 5;
// A next hop that has not answered for so long is pinged when it is used.
constexpr Duration kFreshHop = std::chrono::milliseconds(500);
}  // namespace

bool Chord::find(std::uint64_t token, RingId position, TimePoint now) {
  Find find;
  find.use = Find::Use::caller;
  find.token = token;
  find.position = position;
  return start_find(std::move(find), now);
}

bool Chord::start_find(Find find, TimePoint now) {
  if (finds_.size() >= kMaxFinds) {
    output_.count("finds_full");
    return false;
  }
  std::uint64_t nonce = random_.u64();
  while (finds_.contains(nonce)) nonce = random_.u64();
  Find& stored = finds_.emplace(nonce, std::move(find)).first->second;
  send_find(nonce, stored, now);
  return true;
}

// Each try begins with another next hop.
void Chord::send_find(std::uint64_t nonce, Find& find, TimePoint now) {
  if (find.tries >= kFindTries) return finish_find(nonce, {}, now);
  wire::FindBody body{nonce, find.position, 0, self_.contact};
  find.deadline = now + settings_.find_timeout;
  const unsigned attempt = find.tries++;
  if (find.through) return send_body(*find.through, wire::RingKind::find, body);
  Route route = this->route(find.position, std::nullopt, attempt, now);
  if (route.kind == Route::Kind::self) return finish_find(nonce, owner_answer(), now);
  if (route.kind == Route::Kind::next) send_body(route.next, wire::RingKind::find, body);
}

void Chord::finish_find(std::uint64_t nonce, const std::vector<wire::NodeContact>& contacts,
                        TimePoint now) {
  auto entry = finds_.find(nonce);
  if (entry == finds_.end()) return;
  const Find find = std::move(entry->second);
  finds_.erase(entry);
  if (find.use == Find::Use::caller) return output_.found(find.token, contacts);
  if (contacts.empty()) {
    if (find.use == Find::Use::join)
      for (Seed& seed : seeds_) seed.next = std::min(seed.next, now + settings_.fast_interval);
    return;
  }
  const RingPeer owner(contacts.front());
  if (find.use == Find::Use::join) return on_join_found(owner, now);
  if (owner.id == self_.id || is_dead(owner.id, now)) return;
  if (find.use == Find::Use::merge) {
    const RingPeer* successor = view_.successor();
    if (!successor || owner.id.in_open(self_.id, successor->id))
      request(Purpose::adopt, owner, now);
    return;
  }
  const unsigned bit = static_cast<unsigned>(find.token);
  view_.set_finger(bit, owner);
  finger_bit_ = std::max(finger_bit_, view_.bit_beyond(owner));
}

void Chord::on_find(const RingPeer& sender, wire::FindBody body, TimePoint now) {
  if (body.hops >= kMaxFindHops) return output_.count("find_hops");
  // Who asks on its own behalf may ask anybody: only a member that passes a question on says by it
  // that we come next.
  std::optional<RingId> passed_by;
  if (body.hops > 0) passed_by = sender.id;
  ++body.hops;
  Route route = this->route(body.position, passed_by, 0, now);
  if (route.kind == Route::Kind::next) return send_body(route.next, wire::RingKind::find, body);
  if (route.kind == Route::Kind::none) return output_.count("find_no_route");
  wire::FoundBody found{body.nonce, body.position, body.hops, owner_answer()};
  if (body.asker.key == self_.contact.key) return finish_find(body.nonce, found.contacts, now);
  send_body(body.asker, wire::RingKind::found, found);
}

std::vector<wire::NodeContact> Chord::owner_answer() const {
  std::vector<wire::NodeContact> contacts{self_.contact};
  for (const RingPeer& peer : view_.successors()) {
    if (contacts.size() == wire::FoundBody::kMaxContacts) break;
    contacts.push_back(peer.contact);
  }
  return contacts;
}

// 1 ours  2 the sender takes us for the owner  3 our successor's  4 the closest member before it
Chord::Route Chord::route(RingId position, const std::optional<RingId>& sender,
                          std::size_t alternative, TimePoint now) {
  if (phase_ != Phase::member) return {};
  if (view_.owns(position)) return {Route::Kind::self, {}};
  auto towards = [&](const RingPeer& peer) {
    check_alive(peer, kFreshHop, now);
    return Route{Route::Kind::next, peer.contact};
  };
  const RingPeer* predecessor = view_.predecessor();
  if (sender && position.in_half_open(*sender, self_.id)) {
    // A member has come in between that the sender has not heard of; otherwise our predecessor is
    // unknown, dead or about to be.
    const bool between = predecessor && predecessor->id.in_open(*sender, self_.id);
    if (between && !suspect(predecessor->id)) return towards(*predecessor);
    return {Route::Kind::self, {}};
  }
  const RingPeer* successor = view_.successor();
  if (!successor) {
    // All successors died and the new ones are not known yet.
    if (predecessor) return towards(*predecessor);
    return {};
  }
  if (position.in_half_open(self_.id, successor->id)) {
    for (const RingPeer& peer : view_.successors())
      if (!suspect(peer.id) && alternative-- == 0) return towards(peer);
    return towards(*successor);
  }
  for (const RingPeer* peer : view_.preceding(position))
    if (!suspect(peer->id) && alternative-- == 0) return towards(*peer);
  return towards(*successor);
}

std::optional<wire::NodeContact> Chord::known_owner(RingId position) const {
  if (view_.owns(position)) return self_.contact;
  RingId before = self_.id;
  for (const RingPeer& peer : view_.successors()) {
    if (position.in_half_open(before, peer.id)) return peer.contact;
    before = peer.id;
  }
  const auto& predecessors = view_.predecessors();
  for (std::size_t i = 0; i + 1 < predecessors.size(); ++i)
    if (position.in_half_open(predecessors[i + 1].id, predecessors[i].id))
      return predecessors[i].contact;
  return std::nullopt;
}

}  // namespace i3
