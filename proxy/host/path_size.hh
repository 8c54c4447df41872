// Owns finding out how large packets the way to a peer takes, so that none vanish on an underlay
// with a small MTU whose routers say nothing (RFC 8899; docs/PROTOCOL.md, "The size of packets").
#pragma once

#include "overlay/wire/size.hh"
#include "proxy/host/courier.hh"

namespace i3 {

// 1 a packet larger than what was proved goes out  2 a probe of that size follows it, and a small
// one beside it  3 the large one is answered: proved; only small ones are: less from now on, and
// the largest size that passes is looked for
class PathSizes {
 public:
  PathSizes(HostParts& parts, Courier& courier) : parts_(parts), courier_(courier) {}

  // The largest packet to send to that peer now.
  std::uint16_t limit(const Peer& peer) const { return peer.largest(); }
  // A packet of that size is about to go to the peer, whose session stands.
  void sending(Peer& peer, std::size_t size, TimePoint now) {
    if (size > peer.size.proved || changed(peer)) begin(peer, size, now);
  }
  void on_probe(Peer& peer, const wire::SizeProbe& probe, TimePoint now);
  void on_seen(Peer& peer, std::uint64_t nonce, TimePoint now);
  // A packet in two pieces; false when there is no session.
  bool send_in_two(Peer& peer, Bytes packet, TimePoint now);
  // The whole packet, once both are there; else empty.
  std::vector<std::uint8_t> on_piece(Peer& peer, const wire::Piece& piece);
  void on_timer(Peer& peer, TimePoint now);
  TimePoint next_deadline(const Peer& peer) const { return peer.size.next; }

  // What every path takes in all carriers: an underlay of 1280, IPv6 included, has room for it.
  static constexpr std::uint16_t kLeast = 1196;

 private:
  static constexpr std::uint16_t kNear = 16;  // sizes closer than this are not told apart
  static constexpr unsigned kTries = 3;
  static constexpr Duration kLeastWait = std::chrono::milliseconds(150);
  static constexpr Duration kMostWait = std::chrono::seconds(1);
  static constexpr Duration kPause = std::chrono::seconds(10);  // nothing was answered at all
  static constexpr Duration kAgain = std::chrono::minutes(10);  // a larger size may pass meanwhile

  bool changed(const Peer& peer) const {
    return peer.size.direct != peer.direct.active ||
           (!peer.direct.active && peer.size.by_node != peer.ways.at);
  }
  static std::uint16_t full(const Peer& peer) {
    return peer.by_stops() ? std::min(peer.mtu, mtu_by_ids(1 + peer.stops())) : peer.mtu;
  }
  // ID packets are larger than labelled ones by 12 bytes, and 32 for each ID.
  static std::uint16_t least(const Peer& peer) {
    return static_cast<std::uint16_t>(kLeast -
                                      (peer.by_stops() ? 12 + 32 * (1 + peer.stops()) : 0));
  }
  void begin(Peer& peer, std::size_t size, TimePoint now);
  void ask(Peer& peer, std::uint16_t size, TimePoint now);
  void send(Peer& peer, TimePoint now);
  void passed(Peer& peer, TimePoint now);
  void vanished(Peer& peer, TimePoint now);
  void next_size(Peer& peer, TimePoint now);
  void finish(Peer& peer, TimePoint now);

  HostParts& parts_;
  Courier& courier_;
};

}  // namespace i3
