#include "overlay/session/sessions.hh"

namespace i3 {
namespace {
// Current, previous, next, doubtful and one handshake.
constexpr std::size_t kSlotsPerPeer = 5;
// How long we send on an answered but unconfirmed session although an older one would do: long
// enough for a round trip, short if its answer got lost.
constexpr Duration kUnconfirmedSending = std::chrono::seconds(2);
// The answering side asks for new keys this long before they become useless.
constexpr Duration kAnswererMargin = std::chrono::seconds(15);
}  // namespace

std::string_view name_of(SessionVerdict verdict) {
  switch (verdict) {
    case SessionVerdict::malformed:
      return "malformed";
    case SessionVerdict::bad_mac:
      return "bad_mac";
    case SessionVerdict::unknown_index:
      return "unknown_index";
    case SessionVerdict::not_established:
      return "not_established";
    case SessionVerdict::not_authentic:
      return "not_authentic";
    case SessionVerdict::key_mismatch:
      return "key_mismatch";
    case SessionVerdict::own_key:
      return "own_key";
    case SessionVerdict::replayed:
      return "replayed";
    case SessionVerdict::expired:
      return "expired";
    case SessionVerdict::over_limit:
      return "over_limit";
    case SessionVerdict::bad_cookie:
      return "bad_cookie";
    case SessionVerdict::kCount:
      break;
  }
  return "unknown";
}

Sessions::Sessions(const Identity& identity, Random& random, const SessionOptions& options)
    : identity_(identity),
      random_(random),
      options_(options),
      guard_(identity.key(), random, options.handshakes_per_second),
      slots_(random, options.max_peers * kSlotsPerPeer) {
  options_.aes_preferred = options.aes_preferred && crypto_aead_aes256gcm_is_available();
}

Sessions::~Sessions() = default;

// Sealing: 1 peer  2 session  3 encrypt in place  4 header

bool Sessions::can_seal(PeerHandle peer, TimePoint now) const {
  const SessionPeer* found = find(peer);
  return found && sending(*found, now);
}

bool Sessions::seal(PeerHandle peer, MutBytes buffer, TimePoint now) {
  if (buffer.size() < kTransportOverhead) return false;
  const SessionPeer* found = find(peer);
  Session* with = found ? sending(*found, now) : nullptr;
  if (!with) return false;
  const auto counter = with->sealing.seal(buffer.subspan(kTransportHeader));
  if (!counter) return false;
  Writer header(buffer.first(kTransportHeader));
  header.u32(with->remote_index);
  header.u32(static_cast<std::uint32_t>(*counter));
  return true;
}

// Fetching ahead: 1 the index  2 the session  3 its keys

void Sessions::prefetch(Bytes message, Fetch step) const {
  if (message.size() < kTransportOverhead) return;
  Reader header(message.first(kTransportHeader));
  const std::uint32_t index = header.u32();
  if (step == Fetch::first) return slots_.prefetch(index);
  const Slot slot = slots_.find(index);
  const Session* with = session(slot);
  if (with == nullptr) return;
  if (step == Fetch::second) return i3::prefetch(with, Session::kHot);
  with->opening.prefetch();
}

void Sessions::prefetch(PeerHandle peer, Fetch step) const {
  const SessionPeer* found = find(peer);
  if (found == nullptr || found->current == SlotTable::kNone) return;
  if (step == Fetch::first) return slots_.prefetch(found->current);
  const Session* with = session(found->current);
  if (with == nullptr) return;
  if (step == Fetch::second) return i3::prefetch(with, Session::kHot);
  with->sealing.prefetch();
}

// Receiving: 1 index  2 session  3 open in place  4 the first one confirms the session

Received Sessions::receive(SessionKind kind, MutBytes message, Bytes source, TimePoint now) {
  switch (kind) {
    case SessionKind::transport:
      return receive_transport(message, now);
    case SessionKind::first:
      return receive_first(message, source, now);
    case SessionKind::second:
      return receive_second(message, source, now);
    case SessionKind::cookie:
      return receive_cookie(message, now);
  }
  return drop(SessionVerdict::malformed);
}

Received Sessions::receive_transport(MutBytes message, TimePoint now) {
  if (message.size() < kTransportOverhead) return drop(SessionVerdict::malformed);
  Reader header(message.first(kTransportHeader));
  const Slot slot = slots_.find(header.u32());
  if (slot == SlotTable::kNone) return drop(SessionVerdict::unknown_index);
  Session* with = slots_.session(slot);
  if (!with) return drop(SessionVerdict::not_established);
  if (now - with->created >= options_.reject_after) return drop(SessionVerdict::expired);
  const MutBytes text = message.subspan(kTransportHeader);
  switch (with->opening.open(header.u32(), text)) {
    case OpeningKey::Result::replayed:
      return drop(SessionVerdict::replayed);
    case OpeningKey::Result::not_authentic:
      return drop(SessionVerdict::not_authentic);
    case OpeningKey::Result::opened:
      break;
  }
  Data data{slots_.peer(slot), text.first(text.size() - kTransportTag), !with->confirmed,
            with->confirmed ? 0 : with->stamp, now - with->created};
  if (!with->confirmed) confirm(*find(data.peer), slot, now);
  return data;
}

Received Sessions::drop(SessionVerdict verdict) {
  ++dropped_[static_cast<std::size_t>(verdict)];
  return Drop{verdict};
}

// Places

SessionPeer* Sessions::find(PeerHandle peer) {
  auto it = peers_.find(peer);
  return it == peers_.end() ? nullptr : &it->second;
}
const SessionPeer* Sessions::find(PeerHandle peer) const {
  auto it = peers_.find(peer);
  return it == peers_.end() ? nullptr : &it->second;
}

SessionPeer* Sessions::find_or_add(PeerHandle peer, const PublicKey& key) {
  if (SessionPeer* found = find(peer)) return found->key == key ? found : nullptr;
  if (peers_.size() >= options_.max_peers) return nullptr;
  return &peers_.emplace(peer, SessionPeer(key)).first->second;
}

void Sessions::drop_if_idle(PeerHandle peer) {
  if (const SessionPeer* found = find(peer); found && found->idle()) peers_.erase(peer);
}

void Sessions::release(Slot& place) {
  if (place != SlotTable::kNone) slots_.release(place);
  place = SlotTable::kNone;
}

void Sessions::release_handshake(SessionPeer& peer) {
  release(peer.handshake);
  peer.pending.reset();
}

Session* Sessions::session(Slot slot) const {
  return slot == SlotTable::kNone ? nullptr : slots_.session(slot);
}

Session* Sessions::usable(Slot slot, TimePoint now) const {
  Session* found = session(slot);
  const bool good = found && now - found->created < options_.reject_after &&
                    found->sealing.sealed() < options_.reject_after_messages;
  return good ? found : nullptr;
}

Session* Sessions::sending(const SessionPeer& peer, TimePoint now) const {
  Session* current = usable(peer.current, now);
  Session* next = usable(peer.next, now);
  if (!next || !next->may_send) return current;
  if (!current) return next;
  // An initiator that lost its older session (it restarted) hears us on the new one only; one that
  // kept it hears us on the older one for certain, even if our answer got lost.
  const bool at_once = !next->keeps_older && next->serial > current->serial &&
                       now - next->created < kUnconfirmedSending;
  return at_once ? next : current;
}

void Sessions::make_current(SessionPeer& peer, Slot slot) {
  release(peer.previous);
  peer.previous = peer.current;
  peer.current = slot;
}

// The initiator has shown that it holds the keys of a session that we answered.
void Sessions::confirm(SessionPeer& peer, Slot slot, TimePoint now) {
  Session& confirmed = *session(slot);
  confirmed.confirmed = true;
  std::vector<std::uint8_t>().swap(confirmed.second);
  if (peer.next == slot) peer.next = SlotTable::kNone;
  if (peer.doubtful == slot) peer.doubtful = SlotTable::kNone;

  const Session* current = usable(peer.current, now);
  const bool newer = !current || confirmed.serial > current->serial;
  // Both initiated at once and we answered theirs before ours was answered: both sides settle on
  // the session that the larger key initiated.
  const bool crossed_and_theirs = current && current->initiated && identity_.key() < peer.key &&
                                  current->created - confirmed.created < options_.handshake_retry;
  if (newer || crossed_and_theirs) {
    make_current(peer, slot);
  } else {
    release(peer.previous);
    peer.previous = slot;
  }
}

bool Sessions::wants_rekey(PeerHandle peer, TimePoint now) const {
  const SessionPeer* found = find(peer);
  const Session* with = found ? sending(*found, now) : nullptr;
  if (!with) return false;
  if (found->pending && now - found->pending->started < options_.handshake_retry) return false;
  if (const Session* next = usable(found->next, now);
      next && now - next->created < options_.handshake_retry)
    return false;
  if (with->sealing.sealed() >= options_.rekey_after_messages) return true;
  const Duration age = now - with->created;
  return age >= (with->initiated ? options_.rekey_after : options_.reject_after - kAnswererMargin);
}

bool Sessions::handshaking(PeerHandle peer) const {
  const SessionPeer* found = find(peer);
  return found && found->pending;
}

std::optional<SessionInfo> Sessions::info(PeerHandle peer, TimePoint now) const {
  const SessionPeer* found = find(peer);
  const Session* with = found ? sending(*found, now) : nullptr;
  if (!with) return std::nullopt;
  return SessionInfo{with->initiated, with->sealing.cipher(), now - with->created,
                     with->sealing.sealed()};
}

// Endings

void Sessions::forget(PeerHandle peer) {
  SessionPeer* found = find(peer);
  if (!found) return;
  for (Slot* place : {&found->current, &found->previous, &found->next, &found->doubtful})
    release(*place);
  release_handshake(*found);
  peers_.erase(peer);
}

TimePoint Sessions::next_deadline() const {
  return slots_.next_deadline();
}

void Sessions::expire(TimePoint now) {
  while (slots_.next_deadline() <= now) {
    const Slot slot = slots_.first_to_expire();
    const PeerHandle handle = slots_.peer(slot);
    SessionPeer& peer = *find(handle);
    if (peer.handshake == slot) release_handshake(peer);
    for (Slot* place : {&peer.current, &peer.previous, &peer.next, &peer.doubtful})
      if (*place == slot) release(*place);
    drop_if_idle(handle);
  }
}

}  // namespace i3
