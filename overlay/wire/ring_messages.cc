#include "overlay/wire/ring_messages.hh"

#include <sodium.h>

namespace i3::wire {
namespace {

constexpr std::uint8_t kHasMembership = 1;

std::array<std::uint8_t, 16> mac_of(Bytes before, Bytes body, const PairKey& key) {
  return blake2b<16>("i3 ring v1", {before, body}, key);
}

std::optional<NodeContact> read_optional_contact(Reader& reader) {
  auto contacts = read_contacts(reader, 1);
  if (contacts.empty()) return std::nullopt;
  return contacts.front();
}

void write_optional_contact(Writer& writer, const std::optional<NodeContact>& contact) {
  writer.u8(contact ? 1 : 0);
  if (contact) contact->write(writer);
}

template <class Body>
std::optional<Body> done(const Reader& reader, Body body) {
  if (!reader.complete()) return std::nullopt;
  return body;
}

}  // namespace

std::optional<PairKey> pair_key(const Identity& mine, const PublicKey& other) {
  auto remote = other.x25519();
  if (!remote) return std::nullopt;
  X25519Key shared;
  if (crypto_scalarmult(shared.data(), mine.x25519_secret().data(), remote->data()) != 0)
    return std::nullopt;
  const bool mine_first = mine.key() < other;
  PairKey key = blake2b<32>("i3 ring key", {shared, (mine_first ? mine.key() : other).bytes,
                                            (mine_first ? other : mine.key()).bytes});
  sodium_memzero(shared.data(), shared.size());
  return key;
}

namespace {
bool known_kind(std::uint8_t kind) {
  return (kind >= 1 && kind <= kLastRingKind) ||
         kind == static_cast<std::uint8_t>(RingKind::reach_for);
}
}  // namespace

std::optional<RingMessage> RingMessage::parse(Bytes message) {
  Reader reader(message);
  const Header header = Header::read(reader);
  RingMessage ring;
  ring.kind = static_cast<RingKind>(header.kind);
  ring.sender = NodeContact::read(reader);
  if (header.flags & kHasMembership) ring.membership = Membership::read(reader);
  ring.mac = reader.array<16>();
  const bool bad = header.type != Type::ring || !known_kind(header.kind) ||
                   (header.flags & ~kHasMembership) != 0;
  if (!reader.ok() || bad) return std::nullopt;
  ring.body = reader.rest();
  return ring;
}

bool RingMessage::valid_mac(Bytes message, const PairKey& key) const {
  assert(message.size() >= body.size() + mac.size());
  const Bytes before = message.first(message.size() - body.size() - mac.size());
  return equal_constant_time(mac_of(before, body, key), mac);
}

void RingMessage::write(Writer& writer, const PairKey& key) const {
  const std::size_t begin = writer.size();
  const std::uint8_t flags = membership ? kHasMembership : 0;
  Header{Type::ring, static_cast<std::uint8_t>(kind), flags}.write(writer);
  sender.write(writer);
  if (membership) membership->write(writer);
  if (!writer.ok()) return;
  writer.bytes(mac_of(writer.written().subspan(begin), body, key));
  writer.bytes(body);
}

namespace {

std::size_t contact_size(const NodeContact& contact) {
  return PublicKey::kSize + 1 + (contact.v4 ? 6u : 0u) + (contact.v6 ? 18u : 0u) +
         (contact.tls_port != 0 ? 2u : 0u);
}

constexpr std::size_t kPing = 8, kTaken = 8, kPong = 16, kStateRequest = 17;

// Of a question's body; nothing for what is none.
std::optional<std::size_t> question_size(RingKind kind, Bytes body) {
  switch (kind) {
    case RingKind::ping:
      return kPing;
    case RingKind::state_request:
      return kStateRequest;
    case RingKind::notify:
      return 0;
    case RingKind::find: {
      Reader reader(body);
      reader.bytes(8 + 8 + 8 + 16 + 1 + 1);
      NodeContact::read(reader);
      if (!reader.ok()) return std::nullopt;
      return body.size() - reader.left();
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

std::size_t question_padding(RingKind kind, const NodeContact& sender, const NodeContact& receiver,
                             const NodeContact* via, bool members_only, std::size_t body) {
  const std::size_t front = kHeaderSize + 16 + (members_only ? Membership::kSize : 0);
  std::size_t ours = front + contact_size(sender), theirs = front + contact_size(receiver);
  if (via) {  // it comes as `relayed` and is answered by `relay`, which names where to
    ours += front + contact_size(*via);
    theirs += front + contact_size(receiver) + contact_size(sender);
  }
  // Its own ping is a question as well.
  const std::size_t proves = std::max(theirs + kPing, ours + kPong);
  std::size_t answers = 0;
  if (kind == RingKind::ping) answers = theirs + kPong;
  if (kind == RingKind::state_request || kind == RingKind::notify) answers = proves;
  if (kind == RingKind::find) answers = proves + theirs + kTaken;
  return answers > ours + body ? answers - ours - body : 0;
}

Bytes unpadded(RingKind kind, Bytes body) {
  const auto size = question_size(kind, body);
  if (!size || *size >= body.size()) return body;
  const Bytes zeros = body.subspan(*size);
  const bool all = std::all_of(zeros.begin(), zeros.end(), [](std::uint8_t b) { return b == 0; });
  return all ? body.first(*size) : body;
}

std::optional<NonceBody> NonceBody::parse(Bytes body) {
  Reader reader(body);
  NonceBody result{reader.u64()};
  return done(reader, result);
}

void NonceBody::write(Writer& writer) const {
  writer.u64(nonce);
}

std::optional<PongBody> PongBody::parse(Bytes body) {
  Reader reader(body);
  PongBody pong;
  pong.nonce = reader.u64();
  pong.proof = reader.u64();
  return done(reader, pong);
}

void PongBody::write(Writer& writer) const {
  writer.u64(nonce);
  writer.u64(proof);
}

std::optional<StateRequestBody> StateRequestBody::parse(Bytes body) {
  Reader reader(body);
  StateRequestBody request;
  request.nonce = reader.u64();
  request.wants = reader.u8();
  request.digest = reader.u64();
  const bool both = (request.wants & kSuccessors) && (request.wants & kFingers);
  if (both || (request.wants & ~(kSuccessors | kFingers | kNotify))) return std::nullopt;
  return done(reader, request);
}

void StateRequestBody::write(Writer& writer) const {
  writer.u64(nonce);
  writer.u8(wants);
  writer.u64(digest);
}

std::optional<StateBody> StateBody::parse(Bytes body) {
  Reader reader(body);
  StateBody state;
  state.nonce = reader.u64();
  state.holds = reader.u8();
  state.predecessor = read_optional_contact(reader);
  state.members = read_contacts(reader, kMaxSuccessors);
  if (state.holds > kFingers || (state.holds == 0 && !state.members.empty())) return std::nullopt;
  if (state.holds == kFingers) {
    const Bytes round_trips = reader.bytes(state.members.size());
    state.round_trips.assign(round_trips.begin(), round_trips.end());
  }
  return done(reader, std::move(state));
}

void StateBody::write(Writer& writer) const {
  assert(members.size() <= kMaxSuccessors && (holds != 0 || members.empty()));
  assert(round_trips.size() == (holds == kFingers ? members.size() : 0));
  writer.u64(nonce);
  writer.u8(holds);
  write_optional_contact(writer, predecessor);
  write_contacts(writer, members);
  writer.bytes(round_trips);
}

std::uint8_t StateBody::round_trip_byte(Duration round_trip) {
  return static_cast<std::uint8_t>(
      std::clamp<std::int64_t>(round_trip / std::chrono::milliseconds(4), 0, 255));
}

std::uint64_t StateBody::digest(const std::vector<NodeContact>& successors) {
  std::array<std::uint8_t, kMaxSuccessors * NodeContact::kMaxSize + 1> buffer;
  Writer writer(buffer);
  write_contacts(writer, successors);
  assert(writer.ok());
  const auto hash = blake2b<16>("i3 ring list", {writer.written()});
  Reader reader(hash);
  return reader.u64();
}

std::optional<FindBody> FindBody::parse(Bytes body) {
  Reader reader(body);
  FindBody find;
  find.nonce = reader.u64();
  find.step = reader.u64();
  find.proof = reader.u64();
  find.position = RingId::read(reader);
  find.hops = reader.u8();
  find.flags = reader.u8();
  find.asker = NodeContact::read(reader);
  if (find.flags & ~kByPath) return std::nullopt;
  return done(reader, std::move(find));
}

void FindBody::write(Writer& writer) const {
  writer.u64(nonce);
  writer.u64(step);
  writer.u64(proof);
  position.write(writer);
  writer.u8(hops);
  writer.u8(flags);
  asker.write(writer);
}

std::optional<FoundBody> FoundBody::parse(Bytes body) {
  Reader reader(body);
  FoundBody found;
  found.nonce = reader.u64();
  found.position = RingId::read(reader);
  found.hops = reader.u8();
  found.contacts = read_contacts(reader, kMaxContacts);
  if (found.contacts.empty()) return std::nullopt;
  return done(reader, std::move(found));
}

void FoundBody::write(Writer& writer) const {
  assert(contacts.size() <= kMaxContacts);
  writer.u64(nonce);
  position.write(writer);
  writer.u8(hops);
  write_contacts(writer, contacts);
}

std::optional<RelayBody> RelayBody::parse(Bytes body) {
  Reader reader(body);
  RelayBody relay;
  relay.to = NodeContact::read(reader);
  if (!reader.ok()) return std::nullopt;
  relay.message = reader.rest();
  return relay;
}

void RelayBody::write(Writer& writer) const {
  to.write(writer);
  writer.bytes(message);
}

std::optional<ForwardBody> ForwardBody::parse(Bytes body) {
  Reader reader(body);
  ForwardBody forward;
  forward.entry = NodeContact::read(reader);
  forward.origin = reader.array<8>();
  if (!reader.ok()) return std::nullopt;
  forward.packet = reader.rest();
  return forward;
}

void ForwardBody::write(Writer& writer) const {
  entry.write(writer);
  writer.bytes(origin);
  writer.bytes(packet);
}

std::optional<ReplyBody> ReplyBody::parse(Bytes body) {
  Reader reader(body);
  ReplyBody reply;
  reply.origin = reader.array<8>();
  if (!reader.ok()) return std::nullopt;
  reply.message = reader.rest();
  return reply;
}

void ReplyBody::write(Writer& writer) const {
  writer.bytes(origin);
  writer.bytes(message);
}

std::optional<LeaveBody> LeaveBody::parse(Bytes body) {
  Reader reader(body);
  LeaveBody leave;
  leave.nonce = reader.u64();
  leave.predecessor = read_optional_contact(reader);
  leave.successors = read_contacts(reader, StateBody::kMaxSuccessors);
  return done(reader, std::move(leave));
}

void LeaveBody::write(Writer& writer) const {
  assert(successors.size() <= StateBody::kMaxSuccessors);
  writer.u64(nonce);
  write_optional_contact(writer, predecessor);
  write_contacts(writer, successors);
}

}  // namespace i3::wire
