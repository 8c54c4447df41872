#include "overlay/wire/host_messages.hh"

namespace i3::wire {
namespace {

constexpr std::string_view kProbeDomain = "i3 probe v1";
constexpr std::uint8_t kHasMembership = 1;

// Reads the header; a message of another type or with flags outside `allowed` fails.
std::uint8_t open(Reader& reader, Type type, std::uint8_t allowed = 0) {
  const Header header = Header::read(reader);
  if (header.type != type || header.kind != 0 || (header.flags & ~allowed) != 0) reader.fail();
  return header.flags;
}

void start(Writer& writer, Type type, std::uint8_t flags = 0) {
  Header{type, 0, flags}.write(writer);
}

void read_padding(Reader& reader) {
  for (std::uint8_t byte : reader.rest())
    if (byte != 0) reader.fail();
}

template <class Message>
std::optional<Message> done(const Reader& reader, Message message) {
  if (!reader.complete()) return std::nullopt;
  return message;
}

std::vector<std::uint8_t> probe_bytes(Bytes body) {
  std::vector<std::uint8_t> bytes(kProbeDomain.size() + body.size());
  Writer writer(bytes);
  writer.bytes(as_bytes(kProbeDomain));
  writer.bytes(body);
  return bytes;
}

}  // namespace

std::optional<Probe> Probe::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::probe);
  Probe probe{reader.u64()};
  read_padding(reader);
  if (message.size() != kSize) return std::nullopt;
  return done(reader, probe);
}

void Probe::write(Writer& writer) const {
  start(writer, Type::probe);
  writer.u64(nonce);
  writer.zeros(kSize - kHeaderSize - 8);
}

std::optional<ProbeReply> ProbeReply::parse(Bytes message) {
  Reader reader(message);
  const std::uint8_t flags = open(reader, Type::probe_reply, kHasMembership);
  ProbeReply reply;
  reply.nonce = reader.u64();
  reply.observed = read_endpoint(reader);
  reply.contact = NodeContact::read(reader);
  if (flags & kHasMembership) reply.membership = Membership::read(reader);
  reader.skip(64);
  return done(reader, std::move(reply));
}

bool ProbeReply::valid_signature(Bytes message, const PublicKey& node) {
  if (message.size() < kHeaderSize + 64) return false;
  Signature signature;
  std::copy(message.end() - 64, message.end(), signature.begin());
  const Bytes body = message.subspan(kHeaderSize, message.size() - kHeaderSize - 64);
  return node.verify(probe_bytes(body), signature);
}

void ProbeReply::write(Writer& writer, const Identity& node) const {
  const std::size_t begin = writer.size() + kHeaderSize;
  start(writer, Type::probe_reply, membership ? kHasMembership : 0);
  writer.u64(nonce);
  write_endpoint(writer, observed);
  contact.write(writer);
  if (membership) membership->write(writer);
  if (writer.ok()) writer.bytes(node.sign(probe_bytes(writer.written().subspan(begin))));
}

std::optional<Lookup> Lookup::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::lookup);
  Lookup lookup;
  lookup.nonce = reader.u64();
  lookup.position = RingId::read(reader);
  read_padding(reader);
  if (message.size() != kSize) return std::nullopt;
  return done(reader, lookup);
}

void Lookup::write(Writer& writer) const {
  start(writer, Type::lookup);
  writer.u64(nonce);
  position.write(writer);
  writer.zeros(kSize - kHeaderSize - 24);
}

std::optional<LookupReply> LookupReply::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::lookup_reply);
  LookupReply reply;
  reply.nonce = reader.u64();
  reply.position = RingId::read(reader);
  reply.contacts = read_contacts(reader, kMaxContacts);
  return done(reader, std::move(reply));
}

void LookupReply::write(Writer& writer) const {
  assert(contacts.size() <= kMaxContacts);
  start(writer, Type::lookup_reply);
  writer.u64(nonce);
  position.write(writer);
  write_contacts(writer, contacts);
}

std::optional<Refresh> Refresh::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::refresh);
  Refresh refresh;
  refresh.nonce = reader.u64();
  refresh.owner = PublicKey::read(reader);
  refresh.member = PublicKey::read(reader);
  refresh.token = reader.array<16>();
  read_padding(reader);
  if (message.size() != kSize) return std::nullopt;
  return done(reader, refresh);
}

void Refresh::write(Writer& writer) const {
  const std::size_t begin = writer.size();
  start(writer, Type::refresh);
  writer.u64(nonce);
  owner.write(writer);
  member.write(writer);
  writer.bytes(token);
  writer.zeros(kSize - (writer.size() - begin));
}

std::optional<Refreshed> Refreshed::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::refreshed);
  Refreshed refreshed;
  refreshed.nonce = reader.u64();
  refreshed.count = reader.u16();
  refreshed.lifetime_ms = reader.u32();
  refreshed.token = reader.array<16>();
  return done(reader, refreshed);
}

void Refreshed::write(Writer& writer) const {
  start(writer, Type::refreshed);
  writer.u64(nonce);
  writer.u16(count);
  writer.u32(lifetime_ms);
  writer.bytes(token);
}

std::optional<Refused> Refused::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::refused);
  Refused refused;
  refused.nonce = reader.u64();
  const std::uint8_t reason = reader.u8();
  if (reason < 1 || reason > 7) reader.fail();
  refused.reason = static_cast<Refusal>(reason);
  auto contacts = read_contacts(reader, 1);
  if (!contacts.empty()) refused.contact = contacts.front();
  return done(reader, std::move(refused));
}

void Refused::write(Writer& writer) const {
  start(writer, Type::refused);
  writer.u64(nonce);
  writer.u8(static_cast<std::uint8_t>(reason));
  writer.u8(contact ? 1 : 0);
  if (contact) contact->write(writer);
}

std::optional<Forwarded> Forwarded::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::forwarded);
  Forwarded forwarded;
  forwarded.nonce = reader.u64();
  forwarded.matches = reader.u8();
  forwarded.id = Id::read(reader);
  forwarded.contact = NodeContact::read(reader);
  return done(reader, std::move(forwarded));
}

void Forwarded::write(Writer& writer) const {
  start(writer, Type::forwarded);
  writer.u64(nonce);
  writer.u8(matches);
  id.write(writer);
  contact.write(writer);
}

std::optional<NotPresent> NotPresent::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::not_present);
  NotPresent absent;
  absent.nonce = reader.u64();
  absent.id = Id::read(reader);
  return done(reader, absent);
}

void NotPresent::write(Writer& writer) const {
  start(writer, Type::not_present);
  writer.u64(nonce);
  id.write(writer);
}

std::optional<Way> Way::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::way);
  Way way;
  way.nonce = reader.u64();
  way.id = Id::read(reader);
  way.label = Label::read(reader);
  return done(reader, way);
}

void Way::write(Writer& writer) const {
  start(writer, Type::way);
  writer.u64(nonce);
  id.write(writer);
  label.write(writer);
}

std::optional<NoLabel> NoLabel::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::no_label);
  NoLabel absent{Label::read(reader)};
  return done(reader, absent);
}

void NoLabel::write(Writer& writer) const {
  start(writer, Type::no_label);
  label.write(writer);
}

}  // namespace i3::wire
