// The handshake half of Sessions:
//   initiate -> first -> receive_first -> (caller) -> respond -> second -> receive_second
#include "overlay/session/sessions.hh"

namespace i3 {
namespace {
// Features, in the encrypted payloads.
constexpr std::uint16_t kPrefersAes = 1;
constexpr std::uint16_t kKeepsOlder = 2;  // first only: I still open our older session
// Flags of the second message.
constexpr std::uint8_t kEarlyAccepted = 1;

constexpr std::size_t kFirstFields = 8 + 2 + PublicKey::kSize;
constexpr std::size_t kSecondFields = 1 + 2;
constexpr std::size_t kFirstNoise = 4;   // where Noise's first message begins
constexpr std::size_t kSecondNoise = 8;  // and its second
static_assert(kFirstOverhead ==
              kFirstNoise + NoiseIk::kFirstOverhead + kFirstFields + HandshakeGuard::kMacs);
static_assert(kSecondOverhead ==
              kSecondNoise + NoiseIk::kSecondOverhead + kSecondFields + HandshakeGuard::kMacs);

constexpr std::string_view kVersion = "i3 session v1";

// The responder's whole key, because its X25519 form stands for two Ed25519 keys.
std::array<std::uint8_t, kVersion.size() + PublicKey::kSize> prologue(const PublicKey& responder) {
  std::array<std::uint8_t, kVersion.size() + PublicKey::kSize> bytes{};
  Writer writer(bytes);
  writer.bytes(as_bytes(kVersion));
  writer.bytes(responder.bytes);
  return bytes;
}

// Between a message's fixed head and its macs lies Noise's part.
template <class Span>
Span noise_part(Span message, std::size_t begin) {
  return message.subspan(begin, message.size() - begin - HandshakeGuard::kMacs);
}

bool size_fits(std::size_t size, std::size_t overhead) {
  return size >= overhead && size - overhead <= kMaxHandshakePayload;
}
}  // namespace

std::size_t Sessions::initiate(PeerHandle peer, const PublicKey& key, const Psk& psk,
                               std::uint64_t stamp, Bytes payload, MutBytes out, TimePoint now) {
  const std::size_t size = kFirstOverhead + payload.size();
  if (payload.size() > kMaxHandshakePayload || out.size() < size || key == identity_.key())
    return 0;
  const auto static_key = key.x25519();
  SessionPeer* to = static_key ? find_or_add(peer, key) : nullptr;
  if (!to) return 0;
  release_handshake(*to);
  to->handshake = slots_.take(peer, now + options_.handshake_lifetime);
  assert(to->handshake != SlotTable::kNone);  // there are slots for every place of every peer

  const MutBytes message = out.first(size);
  Writer(message).u32(slots_.index(to->handshake));
  // The plaintext is laid where its ciphertext will be.
  const MutBytes text = noise_part(message, kFirstNoise).subspan(NoiseIk::kFirstOverhead - 16);
  Writer fields(text);
  fields.u64(stamp);
  fields.u16(static_cast<std::uint16_t>((options_.aes_preferred ? kPrefersAes : 0) |
                                        (usable(to->current, now) ? kKeepsOlder : 0)));
  identity_.key().write(fields);
  fields.bytes(payload);
  NoiseIk noise = NoiseIk::initiator(NoisePattern::ikpsk2, prologue(key), identity_.x25519_secret(),
                                     identity_.x25519_public(), *static_key);
  auto ephemeral = random_.array<32>();
  const bool written =
      noise.write_first(ephemeral, fields.written(), noise_part(message, kFirstNoise));
  sodium_memzero(ephemeral.data(), ephemeral.size());
  if (!written) {
    release_handshake(*to);
    drop_if_idle(peer);
    return 0;
  }
  to->macs.write(message, now);
  to->pending = std::make_unique<PendingHandshake>(noise, psk, message, now);
  return size;
}

std::size_t Sessions::repeat(PeerHandle peer, SessionKind kind, MutBytes out, TimePoint now) {
  SessionPeer* to = find(peer);
  if (!to) return 0;
  const std::vector<std::uint8_t>* stored = nullptr;
  if (kind == SessionKind::first && to->pending) stored = &to->pending->first;
  if (kind == SessionKind::second)
    for (const Slot place : {to->next, to->doubtful})
      if (const Session* answered = session(place); answered && !stored) stored = &answered->second;
  if (!stored || stored->empty() || out.size() < stored->size()) return 0;
  std::copy(stored->begin(), stored->end(), out.begin());
  to->macs.write(out.first(stored->size()), now);
  return stored->size();
}

std::optional<Received> Sessions::refuse(Bytes message, Bytes source, TimePoint now) {
  switch (guard_.check(message, source, now)) {
    case HandshakeGuard::Verdict::pass:
      return std::nullopt;
    case HandshakeGuard::Verdict::bad_mac:
      return drop(SessionVerdict::bad_mac);
    case HandshakeGuard::Verdict::over_limit:
      return drop(SessionVerdict::over_limit);
    case HandshakeGuard::Verdict::cookie_needed:
      break;
  }
  return SendBack{guard_.cookie_reply(Reader(message).u32(), message, source, now)};
}

Received Sessions::receive_first(MutBytes message, Bytes source, TimePoint now) {
  if (!size_fits(message.size(), kFirstOverhead)) return drop(SessionVerdict::malformed);
  if (auto refused = refuse(message, source, now)) return std::move(*refused);
  NoiseIk noise = NoiseIk::responder(NoisePattern::ikpsk2, prologue(identity_.key()),
                                     identity_.x25519_secret(), identity_.x25519_public());
  const MutBytes sealed = noise_part(message, kFirstNoise);
  const MutBytes text =
      sealed.subspan(NoiseIk::kFirstOverhead - 16, sealed.size() - NoiseIk::kFirstOverhead);
  const std::uint32_t sender_index = Reader(message).u32();
  if (!noise.read_first(sealed, text)) return drop(SessionVerdict::not_authentic);

  FirstMessage first(sender_index, noise);
  Reader fields(text);
  first.stamp = fields.u64();
  first.features = fields.u16();
  first.key = PublicKey::read(fields);
  const Bytes payload = fields.rest();
  first.payload.assign(payload.begin(), payload.end());
  if (first.key == identity_.key()) return drop(SessionVerdict::own_key);
  if (first.key.x25519() != noise.remote_static()) return drop(SessionVerdict::key_mismatch);
  return first;
}

Sessions::Slot Sessions::answered_before(const SessionPeer& peer,
                                         const X25519Key& ephemeral) const {
  for (const Slot place : {peer.next, peer.doubtful})
    if (const Session* answered = session(place);
        answered && answered->their_ephemeral == ephemeral)
      return place;
  return SlotTable::kNone;
}

std::size_t Sessions::respond(const FirstMessage& first, PeerHandle peer, bool early_accepted,
                              Bytes payload, MutBytes out, TimePoint now, const Psk& psk) {
  const std::size_t size = kSecondOverhead + payload.size();
  if (payload.size() > kMaxHandshakePayload || out.size() < size) return 0;
  SessionPeer* to = find_or_add(peer, first.key);
  if (!to) return 0;
  // A copy, by the network or by somebody: the same answer, nothing changes.
  if (const Session* before = session(answered_before(*to, first.state.remote_ephemeral()))) {
    if (out.size() < before->second.size()) return 0;
    std::copy(before->second.begin(), before->second.end(), out.begin());
    to->macs.write(out.first(before->second.size()), now);
    return before->second.size();
  }

  const MutBytes message = out.first(size);
  const MutBytes text = noise_part(message, kSecondNoise).subspan(NoiseIk::kSecondOverhead - 16);
  Writer fields(text);
  fields.u8(early_accepted ? kEarlyAccepted : 0);
  fields.u16(options_.aes_preferred ? kPrefersAes : 0);
  fields.bytes(payload);
  NoiseIk noise = first.state;
  auto ephemeral = random_.array<32>();
  const bool written =
      noise.write_second(ephemeral, psk, fields.written(), noise_part(message, kSecondNoise));
  sodium_memzero(ephemeral.data(), ephemeral.size());
  if (!written) {
    drop_if_idle(peer);
    return 0;
  }

  auto answered = make_session(noise, false, first.features, now);
  answered->remote_index = first.sender_index;
  answered->stamp = first.stamp;
  answered->may_send = early_accepted;
  answered->keeps_older = (first.features & kKeepsOlder) != 0;
  answered->their_ephemeral = first.state.remote_ephemeral();
  const bool newest = !to->newest_stamp || first.stamp > *to->newest_stamp;
  release(to->doubtful);
  if (newest) {
    to->newest_stamp = first.stamp;
    // What it replaces may have been confirmed by a message still under way.
    to->doubtful = to->next;
    to->next = SlotTable::kNone;
  }
  Slot& place = newest ? to->next : to->doubtful;
  place = slots_.take(peer, now + options_.reject_after);
  assert(place != SlotTable::kNone);
  Writer head(message);
  head.u32(slots_.index(place));
  head.u32(first.sender_index);
  to->macs.write(message, now);
  answered->second.assign(message.begin(), message.end());
  slots_.put(place, std::move(answered));
  return size;
}

constexpr unsigned kUnprovedAnswers = 16;

Received Sessions::receive_second(MutBytes message, Bytes source, TimePoint now) {
  if (!size_fits(message.size(), kSecondOverhead)) return drop(SessionVerdict::malformed);
  Reader head(message);
  const std::uint32_t sender_index = head.u32();
  const Slot slot = slots_.find(head.u32());
  if (slot == SlotTable::kNone) return drop(SessionVerdict::unknown_index);
  const PeerHandle handle = slots_.peer(slot);
  SessionPeer& peer = *find(handle);
  if (peer.handshake != slot) return drop(SessionVerdict::unknown_index);
  // Under load an answer that we asked for still gets a few tries without a cookie: over a label
  // there is no way back for a cookie reply, and strangers do not know the index.
  const auto verdict = guard_.check(message, source, now);
  if (verdict == HandshakeGuard::Verdict::bad_mac) return drop(SessionVerdict::bad_mac);
  if (verdict != HandshakeGuard::Verdict::pass &&
      ++peer.pending->unproved_answers > kUnprovedAnswers) {
    if (verdict == HandshakeGuard::Verdict::over_limit) return drop(SessionVerdict::over_limit);
    return SendBack{guard_.cookie_reply(Reader(message).u32(), message, source, now)};
  }

  NoiseIk noise = peer.pending->noise;
  const MutBytes sealed = noise_part(message, kSecondNoise);
  const MutBytes text =
      sealed.subspan(NoiseIk::kSecondOverhead - 16, sealed.size() - NoiseIk::kSecondOverhead);
  if (!noise.read_second(sealed, peer.pending->psk, text))
    return drop(SessionVerdict::not_authentic);
  Reader fields(text);
  const bool early_accepted = (fields.u8() & kEarlyAccepted) != 0;
  const std::uint16_t features = fields.u16();
  const Bytes payload = fields.rest();

  auto established = make_session(noise, true, features, now);
  established->remote_index = sender_index;
  slots_.put(slot, std::move(established));
  slots_.set_deadline(slot, now + options_.reject_after);
  peer.handshake = SlotTable::kNone;
  peer.pending.reset();
  make_current(peer, slot);
  return Established{handle, early_accepted, {payload.begin(), payload.end()}};
}

std::unique_ptr<Session> Sessions::make_session(const NoiseIk& noise, bool initiated,
                                                std::uint16_t their_features, TimePoint now) {
  NoiseState::Pair keys = noise.split();
  const bool aes = options_.aes_preferred && (their_features & kPrefersAes) != 0;
  auto made = std::make_unique<Session>(
      initiated ? keys.first : keys.second, initiated ? keys.second : keys.first,
      aes ? Cipher::aes256_gcm : Cipher::chacha20_poly1305, initiated, now);
  sodium_memzero(&keys, sizeof keys);
  made->serial = next_serial_++;
  return made;
}

Received Sessions::receive_cookie(Bytes message, TimePoint now) {
  if (message.size() != HandshakeGuard::kCookieReplySize) return drop(SessionVerdict::malformed);
  Reader reader(message);
  const Slot slot = slots_.find(reader.u32());
  if (slot == SlotTable::kNone) return drop(SessionVerdict::unknown_index);
  const PeerHandle handle = slots_.peer(slot);
  SessionPeer& peer = *find(handle);
  const bool first = slot == peer.handshake;
  if (!first && slot != peer.next && slot != peer.doubtful)
    return drop(SessionVerdict::unknown_index);
  const Bytes nonce = reader.bytes(24);
  if (!peer.macs.take_cookie(nonce, reader.rest(), now)) return drop(SessionVerdict::bad_cookie);
  return CookieStored{handle, first ? SessionKind::first : SessionKind::second};
}

}  // namespace i3
