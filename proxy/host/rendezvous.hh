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
  // Time jumped: to the other the session may be over, whatever of it still comes in here.
  void contact_after_jump(Peer& peer, TimePoint now);
  // The private trigger stands, or moved: a try that waited for it goes out.
  void trigger_changed(Peer& peer, TimePoint now);
  // Where a first message may have left that names a trigger which is no more: with a new one.
  void begin_anew(Peer& peer, TimePoint now);

  // A first message from somebody who may talk to us, judged by the stamp gate.
  void answer(Peer& peer, const FirstMessage& first, const wire::Hello& hello,
              StampGate::Decision decision, TimePoint now);
  // Answers a first message by saying through which middle-box to come, and keeps nothing of it.
  void redirect(const FirstMessage& first, const wire::Hello& hello, const PublicKey& box,
                TimePoint now);
  // Our first message was answered.
  void established(Peer& peer, const Established& answer, TimePoint now);
  // The first transport message of a session that we answered.
  void confirmed(Peer& peer, std::uint64_t stamp, TimePoint now);
  void repeat(Peer& peer, SessionKind kind, TimePoint now);

  void on_forwarded(std::uint64_t nonce, TimePoint now);
  void on_not_present(std::uint64_t nonce, TimePoint now);

  // To be called at contact.next_try.
  void on_timer(Peer& peer, TimePoint now);

  // Tells whoever sent `packet` to the peer that it is unreachable.
  void answer_unreachable(Peer& peer, Bytes packet, bool waited = false);
  void give_up(Peer& peer, std::string reason, TimePoint now);
  void forget(Peer& peer);

  // Packets that came early in a first message and may be delivered now.
  std::function<void(Peer&, MutBytes, TimePoint)> deliver;
  // A session stands: the state log and whoever waits for the peer want to know.
  std::function<void(Peer&, TimePoint)> ready;
  // Turns an error about a packet that waited, by then with the addresses of its session, into one
  // with those that its program knows.
  std::function<void(Peer&, MutBytes)> local_view;
  // Before a handshake of ours: with whom it is to be.
  std::function<void(Peer&, TimePoint)> settle;
  // Several first messages went unanswered: another middle-box may be due. And the attempt ended:
  // true where there is another way.
  std::function<void(Peer&, TimePoint)> doubted;
  std::function<bool(Peer&, TimePoint)> other_way;
  // What a hello of ours says of middle-boxes.
  std::function<void(Peer&, wire::Hello&)> add_box;
  // The peer wants to be reached by a middle-box.
  std::function<void(Peer&, const wire::Redirect&, TimePoint)> redirected;

 private:
  void begin(Peer& peer, Contact contact, TimePoint now);
  void attempt(Peer& peer, TimePoint now);
  // Writes a first message, new or once more; 0 when it cannot be.
  std::size_t write_first(Peer& peer, MutBytes out, TimePoint now);
  void send_first(Peer& peer, Frame frame, TimePoint now);
  void send_to_public(Peer& peer, std::size_t which, Bytes message, TimePoint now);
  void end(Peer& peer);
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
// After so many first messages without an answer a middle-box of a group is doubted.
inline constexpr unsigned kDoubtedAfter = 3;
// The group of a peer's middle-boxes has so long to name one.
inline constexpr Duration kPatienceNoBox = std::chrono::milliseconds(2500);
inline constexpr Duration kAbsentFor = std::chrono::milliseconds(100);
// Of the session in which a redirect is told: no peer's.
inline constexpr PeerHandle kPassingHandle = 0xffffffff;
// A first message is small enough for any path, its early packet included.
inline constexpr std::size_t kMaxFirstMessage = 1100;

}  // namespace i3
