// Look-ups of our own: begun, begun again another way, ended. And the choice of the next hop.
#include <cmath>

#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
constexpr unsigned kFindTries = 6;
// The answer comes back along the path from this try on: the owner may be unable to reach us. A
// joining node learns from a straight answer that it can be reached, so it tries that longer.
constexpr unsigned kPathFrom = 1, kPathFromJoining = 2;
// A next hop that has not answered for so long is pinged when it is used.
constexpr Duration kFreshHop = std::chrono::milliseconds(500);
// What a hop is taken to cost, beside the way to it, for each halving of what is left of the ring:
// in milliseconds.
constexpr double kCostOfBit = 14;
// Of a member that was not measured.
constexpr double kUnknownOneWay = 40;

double bits(RingId distance) {
  return std::log2(static_cast<double>(distance.high) * 0x1p64 + static_cast<double>(distance.low) +
                   1);
}

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}
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
  std::uint64_t nonce = random_.u64() | 1;
  while (finds_.contains(nonce)) nonce = random_.u64() | 1;
  Find& stored = finds_.emplace(nonce, std::move(find)).first->second;
  send_find(nonce, stored, now);
  return true;
}

// Each try begins with another next hop; the hops themselves go round what is silent meanwhile.
void Chord::send_find(std::uint64_t nonce, Find& find, TimePoint now) {
  if (find.tries >= kFindTries) return finish_find(nonce, {}, now);
  const bool member_needs = find.use == Find::Use::caller || find.use == Find::Use::finger;
  const unsigned path_from = member_needs ? kPathFrom : kPathFromJoining;
  find.deadline = now + settings_.find_timeout * (2 + find.tries) / 2;
  const unsigned attempt = find.tries++;
  Hop hop;
  hop.body.nonce = nonce;
  hop.body.position = find.position;
  hop.body.asker = self_.contact;
  hop.body.flags = attempt >= path_from ? wire::FindBody::kByPath : 0;
  if (find.through) {
    hop.fixed = true;
    return pass_on(std::move(hop), *find.through, now);
  }
  Route route = choose(find.position, std::nullopt, find.begun_with);
  if (route.kind == Route::Kind::self) return finish_find(nonce, owner_answer(), now);
  if (route.kind == Route::Kind::none) return;
  find.begun_with.push_back(route.next.id);
  pass_on(std::move(hop), route.next, now);
}

void Chord::finish_find(std::uint64_t nonce, const std::vector<wire::NodeContact>& contacts,
                        TimePoint now) {
  auto entry = finds_.find(nonce);
  if (entry == finds_.end()) return;
  const Find find = std::move(entry->second);
  finds_.erase(entry);
  if (find.use == Find::Use::caller) {
    output_.found(find.token, contacts);
    return hear_of(contacts, now);
  }
  if (find.use == Find::Use::reach) return on_reach_end(false, now);
  if (contacts.empty()) {
    if (find.use == Find::Use::join)
      for (Seed& seed : seeds_) seed.next = std::min(seed.next, now + settings_.fast_interval);
    return;
  }
  if (find.use == Find::Use::join) {
    std::vector<RingPeer> found;
    for (const wire::NodeContact& contact : contacts) found.emplace_back(contact);
    return on_join_found(find, found, now);
  }
  if (find.use == Find::Use::merge) {
    const RingPeer owner(contacts.front());
    const RingPeer* successor = view_.successor();
    if (owner.id == self_.id || is_dead(owner.id, now)) return;
    if (!successor || owner.id.in_open(self_.id, successor->id))
      request(Purpose::adopt, owner, now);
    return;
  }
  hear_of(contacts, now);
}

std::vector<wire::NodeContact> Chord::owner_answer() const {
  std::vector<wire::NodeContact> contacts{self_.contact};
  for (const RingPeer& peer : view_.successors()) {
    if (contacts.size() == wire::FoundBody::kMaxContacts) break;
    contacts.push_back(peer.contact);
  }
  return contacts;
}

Chord::Route Chord::route(RingId position, const std::optional<RingId>& sender, TimePoint now) {
  Route route = choose(position, sender, {});
  if (route.kind == Route::Kind::next) check_alive(route.next, kFreshHop, now);
  return route;
}

// 1 ours  2 the sender takes us for the owner  3 the owner is in our list  4 somebody before it
// Two nodes must agree that a member is dead before its range is another's: who passes a question
// over it, and the next one, whose predecessor it was.
Chord::Route Chord::choose(RingId position, const std::optional<RingId>& sender,
                           const std::vector<RingId>& excluded) const {
  if (phase_ != Phase::member) return {};
  if (view_.owns(position)) return {Route::Kind::self, {}};
  auto bad = [&](RingId id) {
    return peers_.missing(id) || std::find(excluded.begin(), excluded.end(), id) != excluded.end();
  };
  const RingPeer* predecessor = view_.predecessor();
  if (sender && position.in_half_open(*sender, self_.id)) {
    // A member has come in between that the sender has not heard of, or does not reach. Otherwise
    // our predecessor is unknown or dead.
    if (predecessor && predecessor->id.in_open(*sender, self_.id))
      return {Route::Kind::next, *predecessor};
    return {Route::Kind::self, {}};
  }
  const auto& successors = view_.successors();
  if (successors.empty()) {
    // All successors died and the new ones are not known yet.
    if (predecessor) return {Route::Kind::next, *predecessor};
    return {};
  }
  RingId before = self_.id;
  for (std::size_t i = 0; i < successors.size(); before = successors[i++].id) {
    if (!position.in_half_open(before, successors[i].id)) continue;
    if (!bad(successors[i].id)) return {Route::Kind::next, successors[i]};
    if (i > 0) break;  // those before it know better whether it lives
    for (const RingPeer& further : successors)
      if (!bad(further.id)) return {Route::Kind::next, further};
    return {Route::Kind::next, successors.front()};
  }
  if (const RingPeer* next = cheapest_towards(position, excluded))
    return {Route::Kind::next, *next};
  return {Route::Kind::next, successors.front()};
}

// The way to it, and what is left from there. Members whose successor list covers the position are
// all as good.
const RingPeer* Chord::cheapest_towards(RingId position,
                                        const std::vector<RingId>& excluded) const {
  const RingPeer* best = nullptr;
  double least = 0;
  const double covered =
      bits(view_.spacing()) + std::log2(static_cast<double>(view_.successors().size()));
  auto consider = [&](const RingPeer& peer, Duration rtt) {
    if (!peer.id.in_open(self_.id, position)) return;
    const double way = rtt == Duration{} ? kUnknownOneWay : milliseconds(rtt) / 2;
    const double left = std::max(0.0, bits(position.minus(peer.id)) - covered);
    const double cost = way + kCostOfBit * left;
    if (best && cost >= least) return;
    if (peers_.missing(peer.id) ||
        std::find(excluded.begin(), excluded.end(), peer.id) != excluded.end())
      return;
    best = &peer;
    least = cost;
  };
  for (const Finger& finger : view_.fingers()) consider(finger.peer, finger.rtt);
  for (const RingPeer& peer : view_.successors()) consider(peer, peers_.rtt(peer.id));
  return best;
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
