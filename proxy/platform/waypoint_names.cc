#include "proxy/platform/waypoint_names.hh"

namespace i3 {

std::vector<WaypointName> read_waypoint_names(Reader& reader) {
  std::size_t count = reader.u16();
  if (count == 0 || count > kMaximumWaypointNames) reader.fail();
  std::vector<WaypointName> names;
  for (; count > 0 && reader.ok(); --count) {
    WaypointName name;
    name.client = IpAddress::v6(reader.array<16>());
    name.waypoint = IpAddress::v6(reader.array<16>());
    const std::uint8_t has = reader.u8();
    const IpAddress target = IpAddress::v6(reader.array<16>());
    if (has == 1) name.target = target;
    const std::uint8_t window = reader.u8();
    name.window = window == 1;
    const bool four = name.waypoint.is_v4(), everybody = name.client == IpAddress{};
    const bool client = four ? name.client.is_v4() || (name.window && everybody) : everybody;
    const bool good = has <= 1 && window <= 1 && client && (four || !name.window) &&
                      (has == 1 ? target.is_v4() == four : target == IpAddress{});
    if (!good) reader.fail();
    names.push_back(name);
  }
  return names;
}

void write_waypoint_names(Writer& writer, const std::vector<WaypointName>& names) {
  writer.u16(static_cast<std::uint16_t>(names.size()));
  for (const WaypointName& name : names) {
    writer.bytes(name.client.bytes);
    writer.bytes(name.waypoint.bytes);
    writer.u8(name.target ? 1 : 0);
    writer.bytes(name.target.value_or(IpAddress{}).bytes);
    writer.u8(name.window ? 1 : 0);
  }
}

}  // namespace i3
