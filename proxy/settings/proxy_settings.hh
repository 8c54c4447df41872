// Owns the settings of a host's proxy: <i3-proxy> and the address books it names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/settings/address_book.hh"
#include "proxy/settings/allow.hh"
#include "proxy/settings/members.hh"
#include "proxy/settings/overlay_settings.hh"
#include "proxy/settings/policy.hh"

namespace i3 {

enum class Intercept { automatic, resolved, redirect, resolv_conf, none };
std::string_view name_of(Intercept intercept);

struct DnsSettings {
  std::string suffix = "i3";
  Intercept intercept = Intercept::automatic;
};

struct ProxySettings {
  std::string daemon = "proxy";  // or gateway, which is a proxy and more
  std::string file;
  std::string identity_file = "/var/lib/i3/identity.key";
  OverlaySettings overlay;
  TunSettings tun{"i3"};
  PoolSettings virtual_addresses;
  DnsSettings dns;
  AddressBooks books;
  Policy policy;
  AllowList inbound;
  std::vector<MemberEntry> members;  // of groups, this host
  StateSettings state{"/var/lib/i3/proxy.state", std::chrono::seconds(7200)};
  ControlSettings control{"/run/i3/proxy.sock", "i3", ""};
  std::optional<Endpoint> metrics;
  std::vector<std::string> warnings;  // to be logged: accepted, but worth knowing
};

// Reads the file and its books; a mistake anywhere throws ConfigError and nothing is kept.
ProxySettings load_proxy_settings(const std::string& path);
// The same from memory; `source` reads the books.
ProxySettings parse_proxy_settings(std::string text, const std::string& file,
                                   const FileSource& source);

}  // namespace i3
