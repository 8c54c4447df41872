// Owns meeting a peer: first messages, their retries and answers, the packets that wait meanwhile,
// and the judgement that a peer is absent (seed 001, 4.3; docs/DESIGN.md, decisions 11, 12, 20).
#pragma once

#include "overlay/base/token_bucket.hh"
#include "proxy/host/courier.hh"

namespace i3 {

class Paths;

class Rendezvous {
 public:
  Rendezvous(HostParts& parts, Courier& courier, Paths& paths);

  // Keeps a packet until there is a session, and makes one.
  Verdict park(Peer& peer, Bytes packet, TimePoint now);
  // Starts a handshake unless one is under way. `from_silence`: a session stands, but the peer does
  // not answer on it; else a session that works is never given up.
  void contact(Peer& peer, TimePoint now, bool from_silence = false);
  // The private trigger stands, or moved: a try that waited for it goes out.
  void trigger_changed(Peer& peer, TimePoint now);

  // A first message from somebody who may talk to us. `early` is what its hello carried.
  void answer(Peer& peer, const FirstMessage& first, const wire::Hello& hello, TimePoint now);
  // Our first message was answered.
  void established(Peer& peer, const Established& answer, TimePoint now);
  // The first transport message of a session that we answered.
  void confirmed(Peer& peer, std::uint64_t stamp, TimePoint now);
  void repeat(Peer& peer, SessionKind kind, TimePoint now);

  void on_forwarded(std::uint64_t nonce, TimePoint now);
  void on_not_present(std::uint64_t nonce, TimePoint now);

  // To be called at contact.next_try.
  void on_timer(Peer& peer, TimePoint now);

  // Tells the local program that sent `packet` that its host is unreachable.
  void answer_unreachable(Bytes packet);
  void forget(Peer& peer);

  // Packets that came early in a first message and may be delivered now.
  std::function<void(Peer&, MutBytes, TimePoint)> deliver;
  // A session stands: the state log and whoever waits for the peer want to know.
  std::function<void(Peer&, TimePoint)> ready;

 private:
  void attempt(Peer& peer, TimePoint now);
  // Writes a first message, new or once more; 0 when it cannot be.
  std::size_t write_first(Peer& peer, MutBytes out, TimePoint now);
  void send_first(Peer& peer, Frame frame, TimePoint now);
  void send_to_public(Peer& peer, std::size_t which, Bytes message, TimePoint now);
  void end(Peer& peer);
  void give_up(Peer& peer, std::string reason, TimePoint now);
  void flush(Peer& peer, TimePoint now);
  void drop_early(Peer& peer);
  void learn(Peer& peer, const wire::Hello& hello, TimePoint now);
  bool waiting_for_trigger(const Peer& peer, TimePoint now) const;
  // When the try under way is given up.
  TimePoint end_of_patience(const Contact& contact) const;
  bool has_trigger(Peer& peer, TimePoint now);
  void keep_unconfirmed(Peer& peer, std::uint64_t stamp, const wire::Hello& hello);

  HostParts& parts_;
  Courier& courier_;
  Paths& paths_;
  // Outstanding ID packets of handshakes under way; at most two a try.
  struct Asked {
    PeerHandle peer;
    std::size_t which;  // of the peer's public IDs
  };
  std::unordered_map<std::uint64_t, Asked> nonces_;
  TokenBucket unreachables_;
};

// The wait between two tries grows from kRetry; a peer that a node forwards to is given up after
// kPatienceAcknowledged, one that nobody answers for after kPatienceSilent.
inline constexpr Duration kRetry = std::chrono::milliseconds(200);
inline constexpr Duration kSecondPublicAfter = std::chrono::milliseconds(300);
// Something went and nothing came back for so long: the peer is met anew.
inline constexpr Duration kContactAfter = std::chrono::seconds(4);
inline constexpr Duration kPatienceAcknowledged = std::chrono::seconds(2);
inline constexpr Duration kPatienceSilent = std::chrono::seconds(8);
// Packets to a peer just found absent are answered for so long before it is tried again.
inline constexpr Duration kAbsentFor = std::chrono::milliseconds(100);
// A first message is small enough for any path, its early packet included.
inline constexpr std::size_t kMaxFirstMessage = 1100;

}  // namespace i3
