#include "overlay/wire/insert.hh"

namespace i3::wire {
namespace {

// The bytes a signature covers: a domain and whatever `fill` writes, at most `Max` bytes.
template <std::size_t Max, class Fill>
auto with_signed_bytes(std::string_view domain, Fill fill) {
  std::array<std::uint8_t, Max> buffer;
  Writer writer(buffer);
  writer.bytes(as_bytes(domain));
  fill(writer);
  assert(writer.ok());
  return std::vector<std::uint8_t>(buffer.begin(),
                                   buffer.begin() + static_cast<std::ptrdiff_t>(writer.size()));
}

// As `suffix` but zero beyond its first `bits` bits.
Suffix cut(Suffix suffix, unsigned bits) {
  for (unsigned i = 0; i < suffix.size(); ++i) {
    const unsigned kept = bits > 8 * i ? std::min(bits - 8 * i, 8u) : 0;
    suffix[i] = static_cast<std::uint8_t>(suffix[i] & ~(0xffu >> kept));
  }
  return suffix;
}

auto delegation_bytes(const Delegation& delegation) {
  return with_signed_bytes<96>("i3 delegation v1", [&](Writer& writer) {
    delegation.member.write(writer);
    writer.u8(delegation.suffix_bits);
    writer.bytes(delegation.suffix);
    writer.u64(delegation.expiry);
  });
}

auto consent_bytes(const Id& id, const Id& source, std::uint64_t expiry) {
  return with_signed_bytes<96>("i3 consent v1", [&](Writer& writer) {
    id.write(writer);
    source.write(writer);
    writer.u64(expiry);
  });
}

auto insert_bytes(Bytes before_signature, const Endpoint& observed, RingId node) {
  return with_signed_bytes<64 + kMaxMessage>("i3 insert v1", [&](Writer& writer) {
    write_endpoint(writer, observed);
    node.write(writer);
    writer.bytes(before_signature);
  });
}

}  // namespace

Delegation Delegation::read(Reader& reader) {
  Delegation delegation;
  delegation.member = PublicKey::read(reader);
  delegation.suffix_bits = reader.u8();
  delegation.suffix = reader.array<16>();
  delegation.expiry = reader.u64();
  delegation.signature = reader.array<64>();
  if (delegation.suffix_bits > 128 ||
      cut(delegation.suffix, delegation.suffix_bits) != delegation.suffix)
    reader.fail();
  return delegation;
}

void Delegation::write(Writer& writer) const {
  member.write(writer);
  writer.u8(suffix_bits);
  writer.bytes(suffix);
  writer.u64(expiry);
  writer.bytes(signature);
}

Delegation Delegation::issue(const Identity& owner, const PublicKey& member, std::uint64_t expiry,
                             std::uint8_t suffix_bits, Suffix suffix) {
  assert(suffix_bits <= 128);
  Delegation delegation;
  delegation.member = member;
  delegation.suffix_bits = suffix_bits;
  delegation.suffix = cut(suffix, suffix_bits);
  delegation.expiry = expiry;
  delegation.signature = owner.sign(delegation_bytes(delegation));
  return delegation;
}

bool Delegation::valid(const PublicKey& owner, std::uint64_t wall) const {
  return wall < expiry && owner.verify(delegation_bytes(*this), signature);
}

bool Delegation::covers(const Id& id) const {
  Suffix own;
  std::copy(id.bytes.begin() + 16, id.bytes.end(), own.begin());
  return cut(own, suffix_bits) == suffix;
}

Consent Consent::read(Reader& reader) {
  Consent consent;
  consent.id = Id::read(reader);
  consent.owner = PublicKey::read(reader);
  consent.salt = reader.u32();
  consent.expiry = reader.u64();
  consent.signature = reader.array<64>();
  return consent;
}

void Consent::write(Writer& writer) const {
  id.write(writer);
  owner.write(writer);
  writer.u32(salt);
  writer.u64(expiry);
  writer.bytes(signature);
}

Consent Consent::issue(const Identity& owner, const Id& id, std::uint32_t salt, const Id& source,
                       std::uint64_t expiry) {
  return {id, owner.key(), salt, expiry, owner.sign(consent_bytes(id, source, expiry))};
}

bool Consent::valid(const Id& source, std::uint64_t wall) const {
  return wall < expiry && id.common_prefix(owner_prefix(owner, salt)) >= Id::kMinimumMatch &&
         owner.verify(consent_bytes(id, source, expiry), signature);
}

std::optional<Insert> Insert::parse(Bytes message) {
  Reader reader(message);
  const Header header = Header::read(reader);
  Insert insert;
  insert.exact = (header.flags & kExact) != 0;
  insert.remove = (header.flags & kRemove) != 0;
  insert.proof = (header.flags & kProof) != 0;
  insert.every_stop = (header.flags & kEveryStop) != 0;
  insert.nonce = reader.u64();
  insert.id = Id::read(reader);
  insert.owner = PublicKey::read(reader);
  insert.salt = reader.u32();
  insert.sequence = reader.u64();
  insert.lifetime_ms = reader.u32();
  insert.rate_pps = reader.u32();
  if (header.flags & kDelegation) insert.delegation = Delegation::read(reader);
  if (header.flags & kStack) {
    const std::size_t count = reader.u8();
    if (count == 0 || count > kMaxStack) return std::nullopt;
    for (std::size_t i = 0; i < count && reader.ok(); ++i)
      insert.stack.push_back(Consent::read(reader));
  }
  insert.cookie = reader.array<16>();
  insert.signature = reader.array<64>();
  const bool bad = header.type != Type::insert || header.kind != 0 || (header.flags & ~63) != 0 ||
                   (insert.every_stop && insert.stack.empty());
  if (!reader.complete() || bad) return std::nullopt;
  return insert;
}

void Insert::write(Writer& writer) const {
  assert(stack.size() <= kMaxStack);
  const int flags = (exact ? kExact : 0) | (remove ? kRemove : 0) | (delegation ? kDelegation : 0) |
                    (stack.empty() ? 0 : kStack) | (proof ? kProof : 0) |
                    (every_stop ? kEveryStop : 0);
  Header{Type::insert, 0, static_cast<std::uint8_t>(flags)}.write(writer);
  writer.u64(nonce);
  id.write(writer);
  owner.write(writer);
  writer.u32(salt);
  writer.u64(sequence);
  writer.u32(lifetime_ms);
  writer.u32(rate_pps);
  if (delegation) delegation->write(writer);
  if (!stack.empty()) writer.u8(static_cast<std::uint8_t>(stack.size()));
  for (const Consent& consent : stack) consent.write(writer);
  writer.bytes(cookie);
  writer.bytes(signature);
}

void Insert::write_proof(Writer& writer, const Identity& identity, const Cookie& from_challenge,
                         const Endpoint& observed, RingId node) {
  proof = true;
  cookie = from_challenge;
  signature = {};
  std::array<std::uint8_t, kMaxMessage> buffer;
  Writer unsigned_form(buffer);
  write(unsigned_form);
  assert(unsigned_form.ok());
  const Bytes before = unsigned_form.written().first(unsigned_form.size() - 64);
  signature = identity.sign(insert_bytes(before, observed, node));
  write(writer);
}

bool Insert::valid_signature(Bytes message, const Endpoint& observed, RingId node) const {
  if (message.size() < kMinSize || message.size() > kMaxMessage) return false;
  return member().verify(insert_bytes(message.first(message.size() - 64), observed, node),
                         signature);
}

std::optional<Challenge> Challenge::parse(Bytes message) {
  Reader reader(message);
  const Header header = Header::read(reader);
  Challenge challenge;
  challenge.nonce = reader.u64();
  challenge.cookie = reader.array<16>();
  challenge.observed = read_endpoint(reader);
  challenge.contact = NodeContact::read(reader);
  if (!reader.complete() || header.type != Type::challenge || header.kind || header.flags)
    return std::nullopt;
  return challenge;
}

void Challenge::write(Writer& writer) const {
  Header{Type::challenge, 0, 0}.write(writer);
  writer.u64(nonce);
  writer.bytes(cookie);
  write_endpoint(writer, observed);
  contact.write(writer);
}

std::optional<Inserted> Inserted::parse(Bytes message) {
  Reader reader(message);
  const Header header = Header::read(reader);
  Inserted inserted;
  inserted.nonce = reader.u64();
  inserted.id = Id::read(reader);
  inserted.label = Label::read(reader);
  inserted.lifetime_ms = reader.u32();
  inserted.token = reader.array<16>();
  inserted.replicas = read_contacts(reader, kMaxReplicas);
  if (!reader.complete() || header.type != Type::inserted || header.kind || header.flags)
    return std::nullopt;
  return inserted;
}

void Inserted::write(Writer& writer) const {
  assert(replicas.size() <= kMaxReplicas);
  Header{Type::inserted, 0, 0}.write(writer);
  writer.u64(nonce);
  id.write(writer);
  label.write(writer);
  writer.u32(lifetime_ms);
  writer.bytes(token);
  write_contacts(writer, replicas);
}

}  // namespace i3::wire
