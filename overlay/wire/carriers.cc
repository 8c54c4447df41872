#include "overlay/wire/carriers.hh"

namespace i3::wire {

std::optional<Labelled> Labelled::parse(Bytes message) {
  Reader reader(message);
  const Header header = Header::read(reader);
  Labelled labelled;
  labelled.kind = header.kind;
  labelled.label = Label::read(reader);
  if (!reader.ok() || header.type != Type::labelled || header.flags != 0) return std::nullopt;
  labelled.payload = reader.rest();
  return labelled;
}

void Labelled::write_front(Writer& writer, std::uint8_t kind, Label label) {
  Header{Type::labelled, kind, 0}.write(writer);
  label.write(writer);
}

std::optional<Direct> Direct::parse(Bytes message) {
  Reader reader(message);
  const Header header = Header::read(reader);
  if (!reader.ok() || header.type != Type::direct || header.flags != 0) return std::nullopt;
  return Direct{header.kind, reader.rest()};
}

void Direct::write_front(Writer& writer, std::uint8_t kind) {
  Header{Type::direct, kind, 0}.write(writer);
}

std::optional<IdPacket> IdPacket::parse(Bytes message) {
  Reader reader(message);
  const Header header = Header::read(reader);
  IdPacket packet;
  packet.kind = header.kind;
  packet.flags = header.flags;
  packet.hop_limit = reader.u8();
  packet.copies = reader.u8();
  packet.id_count = reader.u8();
  const std::uint8_t zero = reader.u8();
  packet.tag = reader.array<8>();
  packet.nonce = reader.u64();
  const bool bad = header.type != Type::packet || (header.flags & ~31) != 0 || zero != 0 ||
                   packet.id_count == 0 || packet.id_count > kMaxStack;
  if (!reader.ok() || bad) return std::nullopt;
  for (std::size_t i = 0; i < packet.id_count; ++i) packet.ids[i] = Id::read(reader);
  if (!reader.ok()) return std::nullopt;
  packet.payload = reader.rest();
  return packet;
}

void IdPacket::write_front(Writer& writer) const {
  assert(id_count >= 1 && id_count <= kMaxStack);
  Header{Type::packet, kind, flags}.write(writer);
  writer.u8(hop_limit);
  writer.u8(copies);
  writer.u8(static_cast<std::uint8_t>(id_count));
  writer.u8(0);
  writer.bytes(tag);
  writer.u64(nonce);
  for (std::size_t i = 0; i < id_count; ++i) ids[i].write(writer);
}

void IdPacket::write(Writer& writer) const {
  write_front(writer);
  writer.bytes(payload);
}

std::optional<Returned> Returned::parse(Bytes message) {
  Reader reader(message);
  const Header header = Header::read(reader);
  Returned returned;
  returned.kind = header.kind;
  returned.tag = reader.array<8>();
  if (!reader.ok() || header.type != Type::returned || header.flags != 0) return std::nullopt;
  returned.payload = reader.rest();
  return returned;
}

void Returned::write(Writer& writer) const {
  Header{Type::returned, kind, 0}.write(writer);
  writer.bytes(tag);
  writer.bytes(payload);
}

}  // namespace i3::wire
