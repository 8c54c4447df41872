#include "proxy/daemon/worker_groups.hh"

#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

constexpr WallTime kDay = 86'400'000'000'000ull;

}  // namespace

std::vector<AnycastName> anycast_names_of(const ProxySettings& settings) {
  std::vector<AnycastName> names;
  for (const BookEntry* entry : settings.books.entries())
    if (entry->kind == EntryKind::group && entry->mode == GroupMode::anycast)
      names.push_back({entry->name, {entry->key, entry->prefer.suffix, entry->prefer.bits}});
  return names;
}

std::vector<MulticastName> multicast_names_of(const ProxySettings& settings) {
  std::vector<MulticastName> names;
  for (const BookEntry* entry : settings.books.entries())
    if (entry->kind == EntryKind::group && entry->mode == GroupMode::multicast && entry->address)
      names.push_back({entry->name, entry->key, entry->secret, *entry->address});
  return names;
}

std::vector<Membership> memberships_of(const ProxySettings& settings, const PublicKey& own) {
  std::vector<Membership> memberships;
  for (const MemberEntry& member : settings.members)
    if (member.token.delegation.member == own)
      memberships.push_back({member.name, member.token.group, member.token.delegation});
  return memberships;
}

std::vector<std::string> member_notes(const ProxySettings& settings, const PublicKey& own,
                                      WallTime wall) {
  std::vector<std::string> notes;
  const auto note = [&](const MemberEntry& member, const std::string& what) {
    notes.push_back(member.place.text() + ": the delegation for group " + member.name + ' ' + what);
  };
  for (const MemberEntry& member : settings.members) {
    const wire::Delegation& delegation = member.token.delegation;
    if (delegation.member != own)
      note(member,
           "is for another host, " + delegation.member.text() + "; this one is " + own.text());
    else if (delegation.expiry <= wall)
      note(member, "ran out; ask for another one");
    else if (delegation.expiry - wall < 7 * kDay)
      note(member, "runs out in " + std::to_string((delegation.expiry - wall) / kDay) +
                       " days; ask for another one");
  }
  return notes;
}

void Worker::make_groups() {
  groups_ = std::make_unique<Groups>(*host_, clock_, random_, log_,
                                     [this](Bytes packet) { tun_->write(packet); });
  joined_ = std::make_unique<JoinedGroups>(io_, inherited_.tun_name,
                                           [this](const std::vector<IpAddress>& addresses) {
                                             groups_->multicast().set_joined(addresses);
                                             turn();
                                           });
  for (const IpPrefix& route : inherited_.routes)
    if (route.address.multicast()) group_routes_.push_back(route);
  set_groups();
}

void Worker::set_groups() {
  groups_->names().set_names(anycast_names_of(settings_));
  groups_->set_memberships(memberships_of(settings_, identity_->key()));
  groups_->multicast().set_names(multicast_names_of(settings_));
  set_group_routes();
}

// Programs that name no interface join and send where the address is routed.
void Worker::set_group_routes() {
  std::vector<IpPrefix> wanted;
  for (const MulticastName& group : multicast_names_of(settings_))
    wanted.push_back({group.address, group.address.is_v4() ? 32u : 128u});
  const auto change = [&](const IpPrefix& route, bool add) {
    BrokerReply reply = add ? broker_->add_route(route) : broker_->remove_route(route);
    if (!reply.ok())
      log_.warning("route_refused", {{"address", route.text()}, {"reason", reply.text}});
  };
  for (const IpPrefix& route : group_routes_)
    if (std::find(wanted.begin(), wanted.end(), route) == wanted.end()) change(route, false);
  for (const IpPrefix& route : wanted)
    if (std::find(group_routes_.begin(), group_routes_.end(), route) == group_routes_.end())
      change(route, true);
  group_routes_ = std::move(wanted);
}

void Worker::captured(std::span<const Frame> frames) {
  clock_.hold();
  host_->expect(frames);
  for (const Frame& frame : frames) {
    if (!groups_->multicast().empty() && is_membership_report(frame.bytes())) joined_->reported();
    if (!groups_->on_tun(frame) && !visits_->on_tun(frame)) host_->on_tun(frame);
  }
}

// What works, but not for long, or for somebody else.
std::vector<std::string> Worker::notes() const {
  std::vector<std::string> notes = unsupported(settings_);
  for (std::string& note : member_notes(settings_, identity_->key(), clock_.wall()))
    notes.push_back(std::move(note));
  return notes;
}

}  // namespace i3
