// Passing look-ups on from node to node: each hop is acknowledged by `taken`, and goes another way
// as soon as that fails to come.
#include "overlay/chord/chord.hh"

namespace i3 {
namespace {
// A find is passed on anew for so long; who asked has begun again by then.
constexpr Duration kHopLife = std::chrono::seconds(4);
constexpr unsigned kMaxHopTries = 12;
constexpr Duration kProofEpoch = std::chrono::minutes(10);
}  // namespace

std::uint64_t Chord::proof_epoch(TimePoint now) {
  return static_cast<std::uint64_t>(now.time_since_epoch() / kProofEpoch);
}

// What a node shows as a sign that a nonce sent to its address came back: nobody else could have
// read it there.
std::uint64_t Chord::proof_for(const wire::NodeContact& contact, std::uint64_t epoch) const {
  std::array<std::uint8_t, wire::NodeContact::kMaxSize + 8> buffer;
  Writer writer(buffer);
  contact.write(writer);
  writer.u64(epoch);
  const auto mac = blake2b<16>("i3 ring proof", {writer.written()}, proof_secret_);
  Reader reader(mac);
  return reader.u64() | 1;
}

bool Chord::shows_proof(const wire::NodeContact& contact, std::uint64_t proof,
                        TimePoint now) const {
  if (proof == 0) return false;
  const std::uint64_t epoch = proof_epoch(now);
  return proof == proof_for(contact, epoch) || proof == proof_for(contact, epoch - 1);
}

// 1 told that it came  2 ours: answered  3 passed on
void Chord::on_find(const RingPeer& sender, const wire::FindBody& body,
                    const wire::NodeContact* via, bool waited, TimePoint now) {
  if (body.hops >= kMaxFindHops) return output_.count("find_hops");
  Hop hop;
  hop.body = body;
  ++hop.body.hops;
  hop.previous = sender.contact;
  if (via) hop.previous_via = *via;
  hop.previous_step = body.step;
  // Who asks on its own behalf may ask anybody: only a member that passes a question on says by it
  // that we come next.
  if (body.hops > 0) hop.passed_by = sender.id;
  const Route route = choose(body.position, hop.passed_by, {});
  if (route.kind == Route::Kind::none) return output_.count("find_no_route");
  if (!waited) send_body(sender.contact, wire::RingKind::taken, wire::NonceBody{body.step}, via);
  if (route.kind == Route::Kind::self)
    return give_answer(hop.body, &sender.contact, via, body.step, now);
  pass_on(std::move(hop), route.next, now);
}

void Chord::give_answer(const wire::FindBody& find, const wire::NodeContact* previous,
                        const wire::NodeContact* via, std::uint64_t previous_step, TimePoint now) {
  wire::FoundBody found{find.nonce, find.position, find.hops, owner_answer()};
  if (find.asker.key == self_.contact.key) return finish_find(find.nonce, found.contacts, now);
  if ((find.flags & wire::FindBody::kByPath) == 0 || !previous) {
    const RingId asker = find.asker.ring_id();
    return send_body(find.asker, wire::RingKind::found, found, way_to(asker, now));
  }
  found.nonce = previous_step;
  send_body(*previous, wire::RingKind::found, found, via);
}

void Chord::pass_on(Hop hop, const RingPeer& to, TimePoint now) {
  if (hops_.size() >= kMaxHops) output_.count("find_hops_full");
  hop.body.step = random_.u64() | 1;
  hop.until = now + kHopLife;
  if (hops_.size() >= kMaxHops) return send_hop(hop, to, now);
  const std::uint64_t step = hop.body.step;
  send_hop(hops_.emplace(step, std::move(hop)).first->second, to, now);
}

void Chord::send_hop(Hop& hop, const RingPeer& to, TimePoint now) {
  const PeerTable::Peer* known = peers_.find(to.id);
  hop.body.proof = known ? known->proof : 0;
  hop.sent = now;
  hop.deadline = std::min(now + peers_.patience(to.id, settings_.timeouts[0]) * (2 + hop.tries) / 2,
                          hop.until);
  ++hop.tries;
  hop.tried.push_back(to.id);
  hop.to = to;
  send_body(to.contact, wire::RingKind::find, hop.body, way_to(to.id, now));
}

void Chord::on_taken(const RingPeer& sender, std::uint64_t step, TimePoint now) {
  auto entry = hops_.find(step);
  if (entry == hops_.end()) return;  // taken in the meantime by another one
  Hop& hop = entry->second;
  if (std::find(hop.tried.begin(), hop.tried.end(), sender.id) == hop.tried.end())
    return output_.count("ring_unasked");
  // The last one that it was sent to, and only once: the time is known. A first contact may have
  // had to wait for a proof of our address, so it is not believed to be so far away.
  if (hop.tried.back() == sender.id && peers_.rtt(sender.id) != Duration{} &&
      std::count(hop.tried.begin(), hop.tried.end(), sender.id) == 1)
    confirm(sender, 0, now - hop.sent, nullptr, now);
  if ((hop.body.flags & wire::FindBody::kByPath) == 0) {
    hops_.erase(entry);
    return;
  }
  hop.taken = true;
  hop.deadline = hop.until;
}

// To us, or for the one before us.
void Chord::on_found(const RingPeer& sender, wire::FoundBody found, TimePoint now) {
  if (auto entry = finds_.find(found.nonce); entry != finds_.end()) {
    if (entry->second.position != found.position) return output_.count("ring_unasked");
    if (phase_ == Phase::joining && stranger(sender)) reached_by_stranger_ = true;
    if (entry->second.use == Find::Use::reach && reached_by_stranger_) {
      finds_.erase(entry);
      return on_reach_end(true, now);
    }
    return finish_find(found.nonce, found.contacts, now);
  }
  auto entry = hops_.find(found.nonce);
  if (entry == hops_.end() || !(entry->second.body.flags & wire::FindBody::kByPath) ||
      entry->second.body.position != found.position ||
      std::find(entry->second.tried.begin(), entry->second.tried.end(), sender.id) ==
          entry->second.tried.end())
    return output_.count("ring_unasked");
  const Hop hop = std::move(entry->second);
  hops_.erase(entry);
  if (!hop.previous) return finish_find(hop.body.nonce, found.contacts, now);
  found.nonce = hop.previous_step;
  send_body(*hop.previous, wire::RingKind::found, found,
            hop.previous_via ? &*hop.previous_via : nullptr);
}

void Chord::run_hops(TimePoint now) {
  std::vector<std::uint64_t> late;
  for (const auto& [step, hop] : hops_)
    if (hop.deadline <= now) late.push_back(step);
  std::sort(late.begin(), late.end());
  for (std::uint64_t step : late) {
    auto entry = hops_.find(step);
    if (entry == hops_.end()) continue;
    if (!resend_hop(entry->second, now)) hops_.erase(step);
  }
}

// False when it is at its end.
bool Chord::resend_hop(Hop& hop, TimePoint now) {
  if (hop.taken || hop.until <= now || hop.tries >= kMaxHopTries) return false;
  if (hop.fixed || phase_ != Phase::member) return false;
  peers_.missed(hop.to.id);
  check_alive(hop.to, Duration::zero(), now);
  Route route = choose(hop.body.position, hop.passed_by, hop.tried);
  if (route.kind == Route::Kind::none) return false;
  if (route.kind == Route::Kind::self) {
    // Those that stood between are dead.
    const Hop done = hop;
    hop.until = now;
    give_answer(done.body, done.previous ? &*done.previous : nullptr,
                done.previous_via ? &*done.previous_via : nullptr, done.previous_step, now);
    return false;
  }
  send_hop(hop, route.next, now);
  return true;
}

}  // namespace i3
