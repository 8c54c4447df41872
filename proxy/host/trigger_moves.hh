// Owns giving each peer another private trigger when ours move to a nearer node: the new one stands
// before the peer is told, and the old one stays until the peer has said that it knows.
#pragma once

#include "proxy/host/paths.hh"
#include "proxy/host/rendezvous.hh"

namespace i3 {

class TriggerMoves {
 public:
  static constexpr std::size_t kAtOnce = 32;  // peers
  static constexpr Duration kEvery = std::chrono::milliseconds(250);
  // How long the old one stays: for what is on its way, and for a peer that says nothing.
  static constexpr Duration kAfterWord = std::chrono::seconds(3);
  static constexpr Duration kWithoutWord = std::chrono::seconds(30);

  TriggerMoves(HostParts& parts, Rendezvous& rendezvous, Paths& paths)
      : parts_(parts), rendezvous_(rendezvous), paths_(paths) {}

  // Private triggers live elsewhere from now on.
  void begin(TimePoint now) { next_ = now; }
  // The peer knows of the present one.
  static void acknowledged(Peer& peer, TimePoint now);
  // Both the next one and the one before go.
  static void forget(OverlayAccess& client, Peer& peer, TimePoint now);

  TimePoint next_deadline() const { return next_; }
  void on_timer(TimePoint now);

 private:
  void take_into_use(Peer& peer, TimePoint now);

  HostParts& parts_;
  Rendezvous& rendezvous_;
  Paths& paths_;
  TimePoint next_ = kNever;
};

}  // namespace i3
