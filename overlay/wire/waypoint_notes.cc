#include "overlay/wire/waypoint_notes.hh"

#include <algorithm>

namespace i3::wire {
namespace {

bool plain(std::string_view name) {
  return !name.empty() && name.size() <= WaypointNote::kMaxName &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c < 0x7f && !(c >= 'A' && c <= 'Z'); });
}

}  // namespace

std::optional<ClientNote> ClientNote::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (reader.u8() != static_cast<std::uint8_t>(kClientNote)) return std::nullopt;
  ClientNote note;
  note.protocol = reader.u8();
  note.own_port = reader.u16();
  note.gateway_port = reader.u16();
  note.client.address = IpAddress::v6(reader.array<16>());
  note.client.port = reader.u16();
  if (!reader.complete() || note.client.address.unspecified()) return std::nullopt;
  return note;
}

void ClientNote::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>(kClientNote));
  writer.u8(protocol);
  writer.u16(own_port);
  writer.u16(gateway_port);
  writer.bytes(client.address.bytes);
  writer.u16(client.port);
}

std::optional<WaypointNote> WaypointNote::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (reader.u8() != static_cast<std::uint8_t>(kWaypointNote)) return std::nullopt;
  WaypointNote note;
  note.waypoint = IpAddress::v4(reader.u32());
  note.asker = IpAddress::v6(reader.array<16>());
  note.name = as_text(reader.rest());
  if (!reader.ok() || !plain(note.name)) return std::nullopt;
  return note;
}

void WaypointNote::write(Writer& writer) const {
  assert(plain(name) && waypoint.is_v4());
  writer.u8(static_cast<std::uint8_t>(kWaypointNote));
  writer.u32(waypoint.to_v4());
  writer.bytes(asker.bytes);
  writer.bytes(as_bytes(name));
}

}  // namespace i3::wire
