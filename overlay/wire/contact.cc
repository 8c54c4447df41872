#include "overlay/wire/contact.hh"

namespace i3::wire {
namespace {
constexpr std::uint8_t kHasV4 = 0x08, kHasV6 = 0x10, kHasTls = 0x20;

std::array<std::uint8_t, 12 + 32 + 8> membership_bytes(const PublicKey& member,
                                                       std::uint64_t expiry) {
  std::array<std::uint8_t, 52> bytes;
  Writer writer(bytes);
  writer.bytes(as_bytes("i3 member v1"));
  member.write(writer);
  writer.u64(expiry);
  return bytes;
}
}  // namespace

Endpoint read_endpoint(Reader& reader) {
  Endpoint endpoint;
  endpoint.address.bytes = reader.array<16>();
  endpoint.port = reader.u16();
  return endpoint;
}

void write_endpoint(Writer& writer, const Endpoint& endpoint) {
  writer.bytes(endpoint.address.bytes);
  writer.u16(endpoint.port);
}

NodeContact NodeContact::read(Reader& reader) {
  NodeContact contact;
  contact.key = PublicKey::read(reader);
  const std::uint8_t places = reader.u8();
  contact.k = places & 7;
  if (places & kHasV4) {
    Endpoint endpoint{IpAddress::v4(reader.u32()), 0};
    endpoint.port = reader.u16();
    contact.v4 = endpoint;
  }
  if (places & kHasV6) contact.v6 = read_endpoint(reader);
  if (places & kHasTls) contact.tls_port = reader.u16();
  const bool bad = (places & 0xc0) != 0 || (!contact.v4 && !contact.v6) ||
                   (contact.v4 && !contact.v4->valid()) ||
                   (contact.v6 && (!contact.v6->valid() || contact.v6->address.is_v4())) ||
                   ((places & kHasTls) != 0 && contact.tls_port == 0);
  if (bad) reader.fail();
  return contact;
}

void NodeContact::write(Writer& writer) const {
  key.write(writer);
  writer.u8(static_cast<std::uint8_t>(k | (v4 ? kHasV4 : 0) | (v6 ? kHasV6 : 0) |
                                      (tls_port != 0 ? kHasTls : 0)));
  if (v4) {
    writer.u32(v4->address.to_v4());
    writer.u16(v4->port);
  }
  if (v6) write_endpoint(writer, *v6);
  if (tls_port != 0) writer.u16(tls_port);
}

RingId NodeContact::ring_id() const {
  IpAddress prefix = primary().address;
  std::fill(prefix.bytes.begin() + (prefix.is_v4() ? 15 : 6), prefix.bytes.end(), std::uint8_t{0});
  auto hash = blake2b<16>("i3 ring id", {key.bytes, prefix.bytes, Bytes(&k, 1)});
  Reader reader(hash);
  return RingId::read(reader);
}

std::optional<Endpoint> NodeContact::reachable(bool have_v4, bool have_v6) const {
  if (v4 && have_v4) return v4;
  if (v6 && have_v6) return v6;
  return std::nullopt;
}

std::vector<NodeContact> read_contacts(Reader& reader, std::size_t max) {
  const std::size_t count = reader.u8();
  std::vector<NodeContact> contacts;
  if (count > max) {
    reader.fail();
    return contacts;
  }
  for (std::size_t i = 0; i < count && reader.ok(); ++i)
    contacts.push_back(NodeContact::read(reader));
  return contacts;
}

void write_contacts(Writer& writer, const std::vector<NodeContact>& contacts) {
  assert(contacts.size() < 256);
  writer.u8(static_cast<std::uint8_t>(contacts.size()));
  for (const NodeContact& contact : contacts) contact.write(writer);
}

Membership Membership::read(Reader& reader) {
  Membership membership;
  membership.expiry = reader.u64();
  membership.signature = reader.array<64>();
  return membership;
}

void Membership::write(Writer& writer) const {
  writer.u64(expiry);
  writer.bytes(signature);
}

Membership Membership::issue(const Identity& operator_key, const PublicKey& member,
                             std::uint64_t expiry) {
  return {expiry, operator_key.sign(membership_bytes(member, expiry))};
}

bool Membership::valid(const PublicKey& operator_key, const PublicKey& member,
                       std::uint64_t wall) const {
  return wall < expiry && operator_key.verify(membership_bytes(member, expiry), signature);
}

}  // namespace i3::wire
