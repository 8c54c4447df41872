// Owns what Sessions stores: sessions in numbered slots, and each peer's places for them.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "overlay/base/prefetch.hh"
#include "overlay/base/time.hh"
#include "overlay/session/handshake_guard.hh"
#include "overlay/session/noise.hh"
#include "overlay/session/transport.hh"

namespace i3 {

// Chosen by the caller of Sessions; means one key (and psk) until forget().
using PeerHandle = std::uint32_t;

// One pair of transport keys. `second` (our answer without macs) and `their_ephemeral` serve to
// answer copies of the first message alike, until the session is confirmed.
struct Session {
  Session(const SymmetricKey& to_peer, const SymmetricKey& from_peer, Cipher cipher,
          bool initiated_by_us, TimePoint now)
      : created(now),
        initiated(initiated_by_us),
        confirmed(initiated_by_us),
        sealing(to_peer, cipher),
        opening(from_peer, cipher) {}

  // What each packet reads comes first, within kHot bytes.
  static constexpr std::size_t kHot = 192;
  TimePoint created;
  std::uint64_t serial = 0;  // the order in which sessions of this host came to be
  std::uint32_t remote_index = 0;
  bool initiated;
  bool confirmed;            // the other side is known to hold the keys
  bool may_send = false;     // answered with early_accepted: as `next`, sending need not wait
  bool keeps_older = false;  // the initiator still opens its older session: use that meanwhile
  SealingKey sealing;
  OpeningKey opening;
  std::uint64_t stamp = 0;
  X25519Key their_ephemeral{};
  std::vector<std::uint8_t> second;
};

// Index to session in one step however many there are: an index is a slot number in its low bits
// and random bits above, never zero, never the same twice in a row for one slot.
class SlotTable {
 public:
  using Slot = std::uint32_t;
  static constexpr Slot kNone = ~Slot{0};
  static constexpr std::size_t kMostSlots = std::size_t{1} << 28;

  // At most `max_slots` (<= kMostSlots), rounded up to a power of two, grown as needed.
  SlotTable(Random& random, std::size_t max_slots);

  // kNone when full.
  Slot take(PeerHandle peer, TimePoint deadline);
  void release(Slot slot);
  void set_deadline(Slot slot, TimePoint deadline);
  // kNone if no slot has this index now.
  Slot find(std::uint32_t index) const {
    const Slot slot = index & mask_;
    return slot < entries_.size() && entries_[slot].used && entries_[slot].index == index ? slot
                                                                                          : kNone;
  }

  // Starts fetching what find() will look at.
  void prefetch(std::uint32_t index) const {
    const Slot slot = index & mask_;
    if (slot < entries_.size()) i3::prefetch(&entries_[slot], sizeof(Entry));
  }

  std::uint32_t index(Slot slot) const { return entries_[slot].index; }
  PeerHandle peer(Slot slot) const { return entries_[slot].peer; }
  // Null while the slot belongs to a handshake.
  Session* session(Slot slot) const { return entries_[slot].session.get(); }
  void put(Slot slot, std::unique_ptr<Session> session) {
    entries_[slot].session = std::move(session);
  }

  std::size_t size() const { return deadlines_.size(); }
  TimePoint next_deadline() const {
    return deadlines_.empty() ? kNever : deadlines_.begin()->first;
  }
  // The slot whose deadline is first; requires size() > 0.
  Slot first_to_expire() const { return deadlines_.begin()->second; }

 private:
  struct Entry {
    std::uint32_t index = 0;
    PeerHandle peer = 0;
    bool used = false;
    TimePoint deadline{};
    std::unique_ptr<Session> session;
  };

  Random& random_;
  std::uint32_t mask_;
  std::vector<Entry> entries_;
  std::vector<Slot> free_;
  std::set<std::pair<TimePoint, Slot>> deadlines_;
};

// Our unanswered first message. Wiped on destruction.
struct PendingHandshake {
  PendingHandshake(const NoiseIk& state, const Psk& secret, Bytes message, TimePoint now)
      : noise(state), psk(secret), first(message.begin(), message.end()), started(now) {}
  ~PendingHandshake();
  PendingHandshake(const PendingHandshake&) = delete;
  PendingHandshake& operator=(const PendingHandshake&) = delete;

  NoiseIk noise;
  Psk psk;
  std::vector<std::uint8_t> first;
  TimePoint started;
  unsigned unproved_answers = 0;  // tried under load though their source proved nothing
};

// A peer's places. Current is what we seal with; previous and the two `next` places are open for
// receiving. Replays of old first messages can only ever reach `doubtful`, so they push nothing
// out that a live peer uses.
struct SessionPeer {
  explicit SessionPeer(const PublicKey& peer_key) : key(peer_key), macs(peer_key) {}

  PublicKey key;
  OutgoingMacs macs;
  SlotTable::Slot current = SlotTable::kNone;
  SlotTable::Slot previous = SlotTable::kNone;
  SlotTable::Slot next = SlotTable::kNone;      // answered, newest stamp, not confirmed
  SlotTable::Slot doubtful = SlotTable::kNone;  // answered, a stamp not newer, not confirmed
  SlotTable::Slot handshake = SlotTable::kNone;
  std::unique_ptr<PendingHandshake> pending;  // there exactly when `handshake` is
  std::optional<std::uint64_t> newest_stamp;

  bool idle() const {
    return current == SlotTable::kNone && previous == SlotTable::kNone &&
           next == SlotTable::kNone && doubtful == SlotTable::kNone &&
           handshake == SlotTable::kNone;
  }
};

}  // namespace i3
