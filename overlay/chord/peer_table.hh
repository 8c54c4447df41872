// Owns what one member knows of each other node that it has exchanged nonces with: that its address
// is its own, how far it is, how to reach it. Bounded; a pure table.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "overlay/chord/ring_view.hh"

namespace i3 {

class PeerTable {
 public:
  static constexpr std::size_t kMaxPeers = 4096;
  static constexpr Duration kProvenFor = std::chrono::minutes(10);
  // How long the way through a third node is used before the straight one is tried again.
  static constexpr Duration kIndirectFor = std::chrono::seconds(60);

  struct Peer {
    // The addresses that it answered at. Others of the same ring ID prove nothing.
    std::optional<Endpoint> v4, v6;
    TimePoint answered;  // a nonce of ours, last
    TimePoint straight;  // the same, not through another member
    Duration rtt{};      // smoothed (RFC 6298); 0: not measured
    Duration deviation{};
    std::uint64_t our_nonce = 0;    // the last one of ours that it answered
    std::uint64_t their_nonce = 0;  // the last one of its that we answered
    TimePoint asked;                // when that was
    std::uint64_t proof = 0;        // what it gave us to show as a sign that it has proven us
    unsigned missed = 0;            // our messages left unanswered since
    std::unique_ptr<wire::NodeContact> via;  // reached through this one, until
    TimePoint via_until;
  };

  Peer* find(RingId id);
  const Peer* find(RingId id) const;
  // True if a nonce of ours was answered at these very addresses lately. For messages that come and
  // go through another member (`relayed`) an answer that came so is enough; it says nothing about
  // the address, for which that other one answers.
  bool proven(const wire::NodeContact& contact, RingId id, bool relayed, TimePoint now) const;
  // True if the last nonce of ours that it answered lately went and came through `relay`: so that
  // one is at its address too.
  bool proven_by(const wire::NodeContact& contact, RingId id, const wire::NodeContact& relay,
                 TimePoint now) const;
  TimePoint answered(RingId id) const;  // the epoch if never
  bool missing(RingId id) const;
  Duration rtt(RingId id) const;  // 0: not known
  // How long an answer of it may take; `unknown` where nothing was measured.
  Duration patience(RingId id, Duration unknown) const;

  // It answered `nonce`, straight after `rtt` if that was measured, or through `via`.
  Peer& confirm(const RingPeer& peer, std::uint64_t nonce, std::optional<Duration> rtt,
                const wire::NodeContact* via, TimePoint now);
  // It asked us with `nonce`. Remembered only of nodes that are here already.
  void asked_by(RingId id, std::uint64_t nonce, TimePoint now);
  // It has proven our address, as far as we can know: it asked lately, and answers.
  bool knows_us(RingId id, TimePoint now) const;
  void missed(RingId id);
  void erase(RingId id) { peers_.erase(id); }
  // Of nodes that `keep` does not name only those who answered within the last two minutes stay.
  void purge(const std::function<bool(RingId)>& keep, TimePoint now);
  std::size_t size() const { return peers_.size(); }

 private:
  std::unordered_map<RingId, Peer> peers_;
};

}  // namespace i3
