#include "proxy/daemon/group_json.hh"

#include "proxy/daemon/commands.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

constexpr WallTime kSecond = 1'000'000'000ull;

Json member_json(Worker& worker, const AnycastMember& member, TimePoint now) {
  const bool fails = member.doubted != TimePoint{} || member.lost_until > now;
  return {{"key", member.key.text()},
          {"name", worker.host().directory().name_of(member.key)},
          {"rtt_ms", to_ms(member.rtt)},
          {"common_bits", member.common},
          {"state", fails ? "silent" : "there"}};
}

const HeldStatus* place_of(const std::vector<HeldStatus>& held, const Membership& membership) {
  const Id id = anycast_place(membership.group, membership.delegation);
  for (const HeldStatus& one : held)
    if (one.id == id && one.owner == membership.group) return &one;
  return nullptr;
}

}  // namespace

Json groups_json(Worker& worker) {
  Json rows = Json::array();
  const TimePoint now = worker.clock().now();
  for (const AnycastNames::Status& name : worker.groups().names().status()) {
    Json members = Json::array();
    for (const AnycastMember& member : name.members)
      members.push_back(member_json(worker, member, now));
    rows.push_back({{"name", name.name},
                    {"mode", "anycast"},
                    {"key", name.key.text()},
                    {"ipv4", name.ipv4.text()},
                    {"ipv6", name.ipv6.text()},
                    {"member", name.member ? Json(name.member->text()) : Json()},
                    {"members", members},
                    {"conversations", name.flows}});
  }
  for (const Multicast::Status& group : worker.groups().multicast().status()) {
    const Json address = group.address.text();
    rows.push_back({{"name", group.name},
                    {"mode", "multicast"},
                    {"key", group.key.text()},
                    {"ipv4", group.address.is_v4() ? address : Json()},
                    {"ipv6", group.address.is_v4() ? Json() : address},
                    {"joined", group.joined},
                    {"members", group.members},
                    {"parts", std::size_t{1} << group.level},
                    {"senders", group.senders},
                    {"sent", group.sent},
                    {"received", group.received}});
  }
  return rows;
}

Json memberships_json(Worker& worker) {
  Json rows = Json::array();
  const std::vector<HeldStatus> held = worker.host().client().held();
  const WallTime wall = worker.clock().wall();
  for (const Membership& one : worker.groups().memberships()) {
    const HeldStatus* place = place_of(held, one);
    const bool stands = place != nullptr && place->places > 0;
    const WallTime left = one.delegation.expiry > wall ? one.delegation.expiry - wall : 0;
    rows.push_back({{"name", one.name},
                    {"key", one.group.text()},
                    {"stands", stands},
                    {"node", stands ? Json(place->address.text()) : Json()},
                    {"trouble", place != nullptr ? text_or_null(place->trouble) : Json()},
                    {"expires_s", left / kSecond}});
  }
  return rows;
}

void add_group_triggers(Worker& worker, Json& rows) {
  const auto name_of = [&](const PublicKey& group) {
    for (const Membership& one : worker.groups().memberships())
      if (one.group == group) return one.name;
    for (const Multicast::Status& one : worker.groups().multicast().status())
      if (one.owner == group) return one.name;
    return group.text();
  };
  for (const HeldStatus& held : worker.host().client().held()) {
    const bool stands = held.places > 0;
    rows.push_back({{"id", held.id.hex()},
                    {"kind", "group"},
                    {"owner", held.owner.text()},
                    {"peer", name_of(held.owner)},
                    {"stands", stands},
                    {"target", nullptr},
                    {"node", stands ? Json(held.address.text()) : Json()},
                    {"nodes", stands ? Json::array({held.address.text()}) : Json::array()},
                    {"expires_s", nullptr},
                    {"packets", nullptr},
                    {"trouble", text_or_null(held.trouble)}});
  }
}

Json stands_for(Worker& worker, const PublicKey& key) {
  Json names = Json::array();
  for (const AnycastNames::Status& name : worker.groups().names().status())
    if (name.member == key) names.push_back(name.name);
  return names;
}

}  // namespace i3
