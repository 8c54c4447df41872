// Owns what the settings say of groups, as the host's groups take it.
#pragma once

#include "proxy/host/groups.hh"
#include "proxy/settings/proxy_settings.hh"

namespace i3 {

// Names that go to the best member of a group.
std::vector<AnycastName> anycast_names_of(const ProxySettings& settings);
// Multicast groups that have an address.
std::vector<MulticastName> multicast_names_of(const ProxySettings& settings);
// The groups that the host with this key is a member of.
std::vector<Membership> memberships_of(const ProxySettings& settings, const PublicKey& own);
// What is wrong with <member> lines: of another host, run out, or soon.
std::vector<std::string> member_notes(const ProxySettings& settings, const PublicKey& own,
                                      WallTime wall);

}  // namespace i3
