// Owns a host identity's end-to-end sessions: handshakes, key slots, sealing, opening, rekeying.
// Sans-I/O: bytes and `now` come in, bytes, verdicts and deadlines go out. Formats and the state
// machine are in docs/PROTOCOL.md.
#pragma once

#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "overlay/base/time.hh"
#include "overlay/session/handshake_guard.hh"
#include "overlay/session/noise.hh"
#include "overlay/session/session_table.hh"
#include "overlay/session/transport.hh"

namespace i3 {

// Travels in the carrier's header, not in the session message.
enum class SessionKind : std::uint8_t { transport = 0, first = 1, second = 2, cookie = 3 };

// A transport message is header + plaintext + tag; a handshake message is its payload + overhead.
inline constexpr std::size_t kTransportHeader = 8;
inline constexpr std::size_t kTransportOverhead = kTransportHeader + kTransportTag;
inline constexpr std::size_t kFirstOverhead = 4 + NoiseIk::kFirstOverhead + 8 + 2 + 32 + 32;
inline constexpr std::size_t kSecondOverhead = 8 + NoiseIk::kSecondOverhead + 1 + 2 + 32;
inline constexpr std::size_t kMaxHandshakePayload = 2048;

// Why a message was dropped; each has a counter.
enum class SessionVerdict : std::uint8_t {
  malformed,        // wrong length or kind
  bad_mac,          // mac1 is not for us: silence
  unknown_index,    // no such session or handshake (any more)
  not_established,  // transport for a handshake whose second message has not come
  not_authentic,    // tag, key or point wrong
  key_mismatch,     // the claimed Ed25519 key is not the one that shook hands
  own_key,          // our own key came back
  replayed,         // counter seen before or behind the window
  expired,          // session past its time
  over_limit,       // more handshakes from this source than allowed under load
  bad_cookie,       // cookie reply that no message of ours caused
  kCount,
};
std::string_view name_of(SessionVerdict verdict);

struct SessionOptions {
  // True if this machine has AES instructions and AES-256-GCM measured faster (aes_is_faster()).
  // Both ends must say so, else ChaCha20-Poly1305.
  bool aes_preferred = false;
  // Peers with a session or handshake, at most 50 million; each costs at most four sessions and
  // one handshake.
  std::size_t max_peers = 1u << 20;
  // Above this many first messages a second we are "under load" and demand cookies.
  std::uint32_t handshakes_per_second = 200;

  Duration rekey_after = std::chrono::seconds(120);
  Duration reject_after = std::chrono::seconds(180);
  // After this long without an answer a new initiate() makes sense; repeat() before.
  Duration handshake_retry = std::chrono::seconds(5);
  // An unanswered handshake is forgotten.
  Duration handshake_lifetime = std::chrono::seconds(30);
  std::uint64_t rekey_after_messages = std::uint64_t{1} << 60;
  std::uint64_t reject_after_messages = ~std::uint64_t{0} - (std::uint64_t{1} << 13);
};

// Someone who proved `key` wants a session. Nothing is stored until respond(). The proof may be a
// replay: StampGate says whether the payload's early packet may be delivered.
struct FirstMessage {
  PublicKey key;
  std::uint64_t stamp = 0;
  std::uint16_t features = 0;
  std::vector<std::uint8_t> payload;  // at most kMaxHandshakePayload

 private:
  friend class Sessions;
  FirstMessage(std::uint32_t index, const NoiseIk& noise) : sender_index(index), state(noise) {}
  std::uint32_t sender_index;
  NoiseIk state;
};
// Our handshake was answered; sealing works now. Send a transport message at once, an empty one if
// nothing waits: it confirms the session to the other side.
struct Established {
  PeerHandle peer;
  bool early_accepted;  // the early packet of our first message was delivered, now or before
  std::vector<std::uint8_t> payload;
};
struct Data {
  PeerHandle peer;
  MutBytes plaintext;   // inside the `message` given to receive()
  bool confirms;        // the first transport message of a session that we answered
  std::uint64_t stamp;  // the first message's stamp when `confirms`, else 0
  Duration age;         // of the session it came on
};
// A cookie reply (SessionKind::cookie) for the source of the message.
struct SendBack {
  std::array<std::uint8_t, HandshakeGuard::kCookieReplySize> bytes;
};
// The peer is under load: call repeat(peer, kind, ...) and send that, now with mac2.
struct CookieStored {
  PeerHandle peer;
  SessionKind kind;
};
struct Drop {
  SessionVerdict verdict;
};
using Received = std::variant<Drop, Data, FirstMessage, Established, SendBack, CookieStored>;

struct SessionInfo {
  bool initiated_by_us;
  Cipher cipher;
  Duration age;
  std::uint64_t sealed;
};

// Not thread safe. `identity` and `random` outlive it. No allocation on seal() and on transport in
// receive(). Everything stored is bounded by max_peers and expires.
class Sessions {
 public:
  Sessions(const Identity& identity, Random& random, const SessionOptions& options);
  ~Sessions();
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  // Writes a first message to `key`. `stamp` is strictly greater than every earlier one to that key
  // (StampClock); the same one again only with the same early packet. Replaces a pending
  // handshake of that peer, whose answer then no longer counts: within a round trip use repeat().
  // Returns the size, or 0 if it does not fit, the key is invalid or our own, the handle belongs to
  // another key, or the table is full.
  std::size_t initiate(PeerHandle peer, const PublicKey& key, const Psk& psk, std::uint64_t stamp,
                       Bytes payload, MutBytes out, TimePoint now);
  // Writes the pending first message, or the second message not yet confirmed, once more with
  // fresh macs: for retries and after CookieStored. An answerer answers copies alike. 0 if none.
  std::size_t repeat(PeerHandle peer, SessionKind kind, MutBytes out, TimePoint now);

  // Any session message; `message` is opened in place. `source` describes opaquely where it came
  // from (endpoint, or node and source tag), and is what cookies and limits go by.
  Received receive(SessionKind kind, MutBytes message, Bytes source, TimePoint now);

  // Answers a first message; not calling it keeps us silent. early_accepted: the early packet was
  // delivered, now or before (StampGate said deliver or repeat); we may then send at once, else
  // only after the initiator's first transport message. Returns as initiate().
  std::size_t respond(const FirstMessage& first, PeerHandle peer, bool early_accepted,
                      Bytes payload, MutBytes out, TimePoint now, const Psk& psk = kNoPsk);

  // False when there is no usable session: park the packet and initiate().
  bool can_seal(PeerHandle peer, TimePoint now) const;
  // `buffer` is kTransportHeader bytes to be filled, plaintext, kTransportTag bytes to be filled.
  // On false (no usable session, short buffer) it is untouched.
  bool seal(PeerHandle peer, MutBytes buffer, TimePoint now);

  // Start fetching what receive() of a transport message, or seal(), will read. Each step reads
  // what the one before it fetched: a driver goes over several messages with each of kFetches in
  // turn, and then handles them. Without it all is the same, but slower with many sessions.
  enum class Fetch : std::uint8_t { first, second, third };
  static constexpr std::array kFetches{Fetch::first, Fetch::second, Fetch::third};
  void prefetch(Bytes transport_message, Fetch step) const;
  void prefetch(PeerHandle peer, Fetch step) const;

  // Ask when traffic flows. True when the session should be replaced and no handshake of ours
  // started within handshake_retry: for its initiator after rekey_after or rekey_after_messages,
  // for the other side 15 s before reject_after. Then initiate(); the old session serves meanwhile.
  bool wants_rekey(PeerHandle peer, TimePoint now) const;
  // A first message of ours is unanswered.
  bool handshaking(PeerHandle peer) const;
  std::optional<SessionInfo> info(PeerHandle peer, TimePoint now) const;

  // Drops everything about the peer.
  void forget(PeerHandle peer);
  // When expire() next has something to drop; kNever if nothing is stored.
  TimePoint next_deadline() const;
  void expire(TimePoint now);

  std::size_t peers() const { return peers_.size(); }
  // Sessions and unanswered handshakes stored.
  std::size_t stored() const { return slots_.size(); }
  std::uint64_t dropped(SessionVerdict verdict) const {
    return dropped_[static_cast<std::size_t>(verdict)];
  }

 private:
  using Slot = SlotTable::Slot;

  Received drop(SessionVerdict verdict);
  Received receive_first(MutBytes message, Bytes source, TimePoint now);
  Received receive_second(MutBytes message, Bytes source, TimePoint now);
  Received receive_cookie(Bytes message, TimePoint now);
  Received receive_transport(MutBytes message, TimePoint now);
  // What to return for a message that may not pass; nothing if it may.
  std::optional<Received> refuse(Bytes message, Bytes source, TimePoint now);

  SessionPeer* find(PeerHandle peer);
  const SessionPeer* find(PeerHandle peer) const;
  // Null if the handle belongs to another key or the table is full.
  SessionPeer* find_or_add(PeerHandle peer, const PublicKey& key);
  void drop_if_idle(PeerHandle peer);
  // Frees the slot that `place` names and clears it.
  void release(Slot& place);
  void release_handshake(SessionPeer& peer);
  // The answered session that this first message already led to; kNone if none.
  Slot answered_before(const SessionPeer& peer, const X25519Key& ephemeral) const;
  std::unique_ptr<Session> make_session(const NoiseIk& noise, bool initiated,
                                        std::uint16_t their_features, TimePoint now);

  Session* session(Slot slot) const;
  // As session(), but null also for one that may not be used any more.
  Session* usable(Slot slot, TimePoint now) const;
  // The session to seal with; null if none.
  Session* sending(const SessionPeer& peer, TimePoint now) const;
  void make_current(SessionPeer& peer, Slot slot);
  void confirm(SessionPeer& peer, Slot slot, TimePoint now);

  const Identity& identity_;
  Random& random_;
  SessionOptions options_;
  HandshakeGuard guard_;
  SlotTable slots_;
  std::unordered_map<PeerHandle, SessionPeer> peers_;
  std::uint64_t next_serial_ = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(SessionVerdict::kCount)> dropped_{};
};

}  // namespace i3
