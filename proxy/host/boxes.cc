#include "proxy/host/boxes.hh"

#include "proxy/host/trigger_moves.hh"

namespace i3 {

// By the settings, or by the peer's wish.
std::optional<PublicKey> Boxes::named(const PublicKey& key) const {
  std::optional<PublicKey> box = directory_.box_for(key);
  if (!box)
    if (const Peer* peer = parts_.peers.find(key))
      if (peer->redirect && parts_.clock.wall() < peer->redirect->expiry) box = peer->redirect->box;
  // Nobody is reached through itself.
  if (box && (*box == key || *box == parts_.identity.key())) return std::nullopt;
  return box;
}

std::optional<PublicKey> Boxes::group_for(const PublicKey& key) const {
  const auto box = named(key);
  return box && parts_.groups != nullptr && parts_.groups->is_group(*box) ? box : std::nullopt;
}

std::optional<PublicKey> Boxes::required(const PublicKey& key, TimePoint now) const {
  const auto group = group_for(key);
  if (!group) return named(key);
  const Peer* peer = parts_.peers.find(key);
  if (peer != nullptr && parts_.groups->stands(*group, peer->partner, now)) {
    parts_.groups->stand_in(*group, now);  // keeps its members known
    return peer->partner;
  }
  return parts_.groups->stand_in(*group, now).value_or(*group);
}

bool Boxes::serves(const PublicKey& key, const PublicKey& box, const PublicKey& one,
                   TimePoint now) const {
  if (one == box) return true;
  const auto group = group_for(key);
  return group && parts_.groups->stands(*group, one, now);
}

void Boxes::doubt(Peer& peer, TimePoint now) {
  const auto group = peer.leg ? std::nullopt : group_for(peer.key);
  if (group && !peer.no_box) parts_.groups->doubt(*group, peer.partner, now);
}

// The redirect, or the middle-box by which the peer came, counts until it fails: the peer is asked
// itself then, and says where to come.
bool Boxes::other_way(Peer& peer, TimePoint now) {
  if (peer.leg || peer.partner == peer.key || now < peer.other_way_at + kOtherWayEvery)
    return false;
  peer.other_way_at = now;
  const PublicKey before = peer.partner;
  const bool by_group = group_for(peer.key).has_value();
  if (by_group && !peer.no_box) parts_.groups->lost(before, now);
  if (peer.redirect && peer.redirect->box == before) peer.redirect.reset();
  peer.partner_is_theirs = false;
  settle(peer, now);
  return peer.partner != before && !peer.no_box;
}

bool Boxes::may_speak(const PublicKey& box, const wire::Through& through) const {
  if (through.other == box || through.other == parts_.identity.key()) return false;
  if (through.leave.valid(through.other, box, parts_.identity.key(), parts_.clock.wall()))
    return true;
  // One that this host itself put in the way needs no leave of the other end to answer for it. The
  // one that everybody has to come through does: it must not make callers up.
  const KnownHost* known = directory_.by_key(through.other);
  if (known != nullptr && known->middlebox)
    if (serves(through.other, *known->middlebox, box, parts_.clock.now())) return true;
  const Peer* peer = parts_.peers.find(through.other);
  return peer != nullptr && peer->redirect && peer->redirect->box == box &&
         parts_.clock.wall() < peer->redirect->expiry;
}

void Boxes::settle(Peer& peer, TimePoint now) {
  if (peer.leg) return;
  const auto box = required(peer.key, now);
  const PublicKey wanted = box ? *box : peer.partner_is_theirs ? peer.partner : peer.key;
  if (wanted != peer.partner) take_partner(peer, wanted, false, now);
  peer.no_box = box && box == group_for(peer.key);
}

void Boxes::take_partner(Peer& peer, const PublicKey& partner, bool theirs, TimePoint now) {
  peer.partner_is_theirs = theirs;
  if (peer.partner == partner) return;
  end_sessions(peer, now);
  peer.leave = {};
  peer.no_box = false;
  peer.partner = partner;
}

void Boxes::end_sessions(Peer& peer, TimePoint now) {
  const std::uint8_t close = static_cast<std::uint8_t>(wire::Control::close);
  courier_.send_control(peer, Bytes(&close, 1), now);
  rendezvous_.forget(peer);
  // The last partner's way in ends with it.
  if (peer.mine) parts_.client.release(*peer.mine, now);
  TriggerMoves::forget(parts_.client, peer, now);
  peer.mine.reset();
  peer.mine_acknowledged = true;
  peer.direct = DirectPaths{};
  peer.forget_return_path();
  peer.unconfirmed.clear();
  peer.unanswered_since = peer.keepalive_at = kNever;
  peer.ever_ready = false;
}

void Boxes::add_box(Peer& peer, wire::Hello& hello) const {
  if (peer.leg) {
    const Peer* other = parts_.peers.leg(peer.leg->other, peer.key);
    hello.through = {wire::Through::Way::from_box, peer.leg->other,
                     other != nullptr ? other->leg->leave : wire::Spokesman{}};
    return;
  }
  if (peer.partner == peer.key) return;
  const WallTime wall = parts_.clock.wall();
  if (peer.leave.expiry < wall + wire::kHourNs)
    peer.leave = wire::Spokesman::issue(parts_.identity, peer.partner, peer.key,
                                        wire::expiry_after(wall, wire::kSpokesmanHours));
  hello.through = {wire::Through::Way::to_box, peer.key, peer.leave};
  if (peer.redirect && peer.redirect->box == peer.partner) hello.redirect = peer.redirect;
}

bool Boxes::follow(Peer& peer, const wire::Redirect& redirect, TimePoint now) {
  parts_.sessions.forget(peer.handle);
  // Whoever already goes by a middle-box does not let that one send it on to another.
  if (peer.leg || peer.partner != peer.key || redirect.box == peer.key ||
      redirect.box == parts_.identity.key() ||
      !redirect.valid(peer.key, parts_.identity.key(), parts_.clock.wall()))
    return false;
  peer.redirect = redirect;
  settle(peer, now);
  return true;
}

}  // namespace i3
