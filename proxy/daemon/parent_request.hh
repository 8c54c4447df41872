// Owns turning a proxy's settings into what its parent process acquires.
#pragma once

#include "proxy/daemon/virtual_networks.hh"
#include "proxy/platform/request.hh"
#include "proxy/settings/proxy_settings.hh"

namespace i3 {

// The networks in use: the pool of the settings, or, where they leave the choice, one that nothing
// else on this host uses; and an IPv6 prefix that no other daemon here has. PlatformError if a pool
// that was asked for collides.
VirtualNetworks choose_networks(const ProxySettings& settings);

// Reads the settings of a daemon, of which the host's part is returned.
using SettingsReader = std::function<ProxySettings(std::string text, const std::string& file,
                                                   const FileSource& source)>;

// `config` is the settings' file; `seed` the host's key.
PlatformRequest parent_request(const ProxySettings& settings, const std::string& config,
                               const VirtualNetworks& networks,
                               const std::array<std::uint8_t, 32>& seed,
                               const SettingsReader& read);

}  // namespace i3
