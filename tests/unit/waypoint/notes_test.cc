#include <doctest/doctest.h>

#include "overlay/wire/waypoint_notes.hh"
#include "proxy/platform/broker_messages.hh"

using namespace i3;

namespace {

template <class Note>
std::vector<std::uint8_t> bytes_of(const Note& note) {
  std::vector<std::uint8_t> buffer(512);
  Writer writer(buffer);
  note.write(writer);
  buffer.resize(writer.size());
  return buffer;
}

// Every shorter and one longer message is refused, or means the same bytes.
template <class Note>
void check_exact(const std::vector<std::uint8_t>& bytes, bool open_end) {
  for (std::size_t size = 0; size < bytes.size(); ++size)
    if (const auto note = Note::parse(Bytes(bytes).first(size))) {
      CHECK(open_end);
      CHECK(bytes_of(*note).size() == size);
    }
  auto longer = bytes;
  longer.push_back('a');
  CHECK(Note::parse(longer).has_value() == open_end);
}

}  // namespace

TEST_CASE("a note about a client comes through as it was, of exactly its length") {
  const wire::ClientNote note{6, 22, 51812, *Endpoint::parse("198.51.100.70:40112")};
  const auto bytes = bytes_of(note);
  CHECK(bytes.size() == 24);
  const auto read = wire::ClientNote::parse(bytes);
  REQUIRE(read);
  CHECK(read->client == note.client);
  CHECK(read->own_port == 22);
  CHECK(read->gateway_port == 51812);
  check_exact<wire::ClientNote>(bytes, false);
}

TEST_CASE("a note about a waypoint comes through as it was, and names nothing odd") {
  const wire::WaypointNote note{IpAddress::v4(0xcb007109), IpAddress::v4(1), "home.lab"};
  const auto bytes = bytes_of(note);
  const auto read = wire::WaypointNote::parse(bytes);
  REQUIRE(read);
  CHECK(read->waypoint == note.waypoint);
  CHECK(read->name == "home.lab");
  check_exact<wire::WaypointNote>(bytes, true);
  for (const char wrong : {' ', '\n', 'H', '\x7f'}) {
    auto changed = bytes;
    changed.back() = static_cast<std::uint8_t>(wrong);
    CHECK_FALSE(wire::WaypointNote::parse(changed));
  }
}

TEST_CASE("a request about waypoints says one family throughout") {
  BrokerRequest request;
  request.kind = RequestKind::waypoint_names;
  const IpAddress four = IpAddress::v4(0xcb007109), six = *IpAddress::parse("2001:db8:7::1");
  const auto survives = [&](const WaypointName& name) {
    request.waypoint_names = {name};
    const auto read = BrokerRequest::parse(request.write());
    return read && read->waypoint_names == request.waypoint_names;
  };
  CHECK(survives({IpAddress::v4(1), four, IpAddress::v4(0x64400001)}));
  CHECK(survives({IpAddress::v4(1), four, std::nullopt}));
  CHECK(survives({{}, six, *IpAddress::parse("fd5f::1")}));
  CHECK_FALSE(survives({IpAddress::v4(1), four, *IpAddress::parse("fd5f::1")}));
  CHECK_FALSE(survives({IpAddress::v4(1), six, std::nullopt}));
  CHECK_FALSE(survives({{}, four, std::nullopt}));
  CHECK(survives({{}, four, IpAddress::v4(0x64400001), true}));
  CHECK(survives({IpAddress::v4(0xc6336400), four, std::nullopt, true}));
  CHECK_FALSE(survives({{}, six, *IpAddress::parse("fd5f::1"), true}));
  request.waypoint_names.clear();
  CHECK_FALSE(BrokerRequest::parse(request.write()));
}
