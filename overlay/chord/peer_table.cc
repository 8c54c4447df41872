#include "overlay/chord/peer_table.hh"

namespace i3 {
namespace {
constexpr Duration kShortestPatience = std::chrono::milliseconds(120);
constexpr Duration kLongestPatience = std::chrono::milliseconds(1000);
constexpr Duration kKept = std::chrono::minutes(2);
constexpr Duration kSureFor = kKept - std::chrono::seconds(20);  // it may keep us no longer
}  // namespace

PeerTable::Peer* PeerTable::find(RingId id) {
  auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second;
}

const PeerTable::Peer* PeerTable::find(RingId id) const {
  auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second;
}

bool PeerTable::proven(const wire::NodeContact& contact, RingId id, bool relayed,
                       TimePoint now) const {
  const Peer* peer = find(id);
  return peer && (relayed ? peer->answered : peer->straight) + kProvenFor > now &&
         peer->v4 == contact.v4 && peer->v6 == contact.v6;
}

bool PeerTable::proven_by(const wire::NodeContact& contact, RingId id,
                          const wire::NodeContact& relay, TimePoint now) const {
  if (!proven(contact, id, true, now)) return false;
  const Peer& peer = *find(id);
  return peer.via && peer.via->key == relay.key && peer.via->v4 == relay.v4 &&
         peer.via->v6 == relay.v6;
}

TimePoint PeerTable::answered(RingId id) const {
  const Peer* peer = find(id);
  return peer ? peer->answered : TimePoint{};
}

bool PeerTable::missing(RingId id) const {
  const Peer* peer = find(id);
  return peer && peer->missed > 0;
}

Duration PeerTable::rtt(RingId id) const {
  const Peer* peer = find(id);
  return peer ? peer->rtt : Duration{};
}

// RFC 6298, with limits that fit a ring of members that may be busy.
Duration PeerTable::patience(RingId id, Duration unknown) const {
  const Peer* peer = find(id);
  if (!peer || peer->rtt == Duration{}) return unknown;
  return std::clamp(peer->rtt + 4 * peer->deviation + std::chrono::milliseconds(20),
                    kShortestPatience, kLongestPatience);
}

PeerTable::Peer& PeerTable::confirm(const RingPeer& from, std::uint64_t nonce,
                                    std::optional<Duration> rtt, const wire::NodeContact* via,
                                    TimePoint now) {
  if (peers_.size() >= kMaxPeers && !peers_.contains(from.id)) {
    purge([](RingId) { return false; }, now);
    if (peers_.size() >= kMaxPeers) peers_.erase(peers_.begin());
  }
  Peer& peer = peers_[from.id];
  if (peer.v4 != from.contact.v4 || peer.v6 != from.contact.v6) {
    peer = {};
    peer.v4 = from.contact.v4;
    peer.v6 = from.contact.v6;
  }
  peer.answered = now;
  peer.missed = 0;
  if (nonce != 0) peer.our_nonce = nonce;
  if (via) {
    peer.via = std::make_unique<wire::NodeContact>(*via);
    peer.via_until = now + kIndirectFor;
    return peer;
  }
  peer.via.reset();
  peer.straight = now;
  if (!rtt) return peer;
  if (peer.rtt == Duration{}) {
    peer.rtt = *rtt;
    peer.deviation = *rtt / 4;
  } else {
    const Duration error = *rtt > peer.rtt ? *rtt - peer.rtt : peer.rtt - *rtt;
    peer.deviation += (error - peer.deviation) / 4;
    peer.rtt += (*rtt - peer.rtt) / 8;
  }
  return peer;
}

void PeerTable::asked_by(RingId id, std::uint64_t nonce, TimePoint now) {
  Peer* peer = find(id);
  if (peer == nullptr) return;
  peer->their_nonce = nonce;
  peer->asked = now;
}

bool PeerTable::knows_us(RingId id, TimePoint now) const {
  const Peer* peer = find(id);
  return peer && peer->their_nonce != 0 && peer->missed == 0 && peer->asked + kSureFor > now;
}

void PeerTable::missed(RingId id) {
  if (Peer* peer = find(id)) ++peer->missed;
}

void PeerTable::purge(const std::function<bool(RingId)>& keep, TimePoint now) {
  std::erase_if(peers_, [&](const auto& entry) {
    return entry.second.answered + kKept <= now && !keep(entry.first);
  });
}

}  // namespace i3
