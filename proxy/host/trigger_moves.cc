#include "proxy/host/trigger_moves.hh"

namespace i3 {

void TriggerMoves::on_timer(TimePoint now) {
  if (now < next_) return;
  next_ = kNever;
  std::size_t under_way = 0, waiting = 0;
  parts_.peers.each([&](Peer& peer) {
    if (peer.mine_next && !parts_.client.path(*peer.mine_next).nodes.empty())
      take_into_use(peer, now);
    if (peer.mine_before && now >= peer.mine_before_until) {
      parts_.client.release(*peer.mine_before, now);
      peer.mine_before.reset();
    }
    under_way += peer.mine_next || peer.mine_before;
  });
  parts_.peers.each([&](Peer& peer) {
    if (!peer.mine || peer.mine_next || peer.mine_before || parts_.client.well_placed(*peer.mine))
      return;
    ++waiting;
    if (under_way >= kAtOnce) return;
    const Id next = parts_.client.take_private(now);
    if (next == Id{}) return;
    peer.mine_next = next;
    ++under_way;
  });
  if (under_way + waiting > 0) next_ = now + kEvery;
}

void TriggerMoves::take_into_use(Peer& peer, TimePoint now) {
  peer.mine_before = std::exchange(peer.mine, std::exchange(peer.mine_next, std::nullopt));
  peer.mine_before_until = now + kWithoutWord;
  rendezvous_.trigger_changed(peer, now);
  paths_.trigger_changed(peer, now);
}

void TriggerMoves::acknowledged(Peer& peer, TimePoint now) {
  peer.mine_before_until = std::min(peer.mine_before_until, now + kAfterWord);
}

void TriggerMoves::forget(OverlayAccess& client, Peer& peer, TimePoint now) {
  for (std::optional<Id>* id : {&peer.mine_next, &peer.mine_before}) {
    if (*id) client.release(**id, now);
    id->reset();
  }
}

}  // namespace i3
