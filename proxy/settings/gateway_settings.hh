// Owns the settings of a gateway: <i3-gateway>, its kinds, and the address books it names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/settings/address_book.hh"
#include "proxy/settings/allow.hh"
#include "proxy/settings/members.hh"
#include "proxy/settings/name_pattern.hh"
#include "proxy/settings/overlay_settings.hh"

namespace i3 {

// What one client may reach through an i3-to-IP gateway.
struct GatewayRule {
  std::optional<PublicKey> client;  // nothing: anybody
  std::string client_text;
  std::optional<NamePattern> names;  // nothing: every name
  std::vector<IpRange> addresses;    // empty: every address
  Protocols protocols = kAllProtocols;
  Ports ports;
  XmlPlace place;

  bool is_for(const PublicKey& key) const { return !client || *client == key; }
};

struct I3ToIpSettings {
  std::optional<Endpoint> resolver;    // nothing: the system's
  std::vector<GatewayRule> rules;      // empty: nobody gets through
  std::optional<PublicKey> middlebox;  // clients have to come through it; nothing: none

  bool may_resolve(const PublicKey& client, std::string_view name) const;
  // `name` is the one the client asked for; both it and the address have to be allowed.
  bool may_open(const PublicKey& client, std::string_view name, const IpAddress& address,
                Protocol protocol, std::uint16_t port) const;
};

// One of the zone's nameservers; the addresses count for names inside the zone.
struct NameServerSettings {
  std::string name;
  std::vector<IpAddress> addresses;
};

struct IpToI3Settings {
  std::string zone = "i3";
  std::optional<Endpoint> listen;               // nothing: no DNS server
  std::vector<Endpoint> also_listen;            // further addresses of it
  std::vector<NameServerSettings> nameservers;  // never empty with `listen`
  std::string contact;                          // as a DNS name; empty: hostmaster in the zone
  std::string default_name;  // whom a client gets that names nobody; empty: nobody
  std::vector<IpRange> waypoints4;
  std::optional<IpPrefix> waypoints6;
  Ports ports;                            // of TCP that the waypoints take
  std::optional<PublicKey> waypoints_at;  // the machine that has them, if it is another one
  std::optional<PublicKey> dns_at;        // the machine with the zone, which says what it gave

  std::vector<Endpoint> listens() const {
    std::vector<Endpoint> all = also_listen;
    if (listen) all.insert(all.begin(), *listen);
    return all;
  }
};

struct MiddleboxSettings {
  std::string tun = "i3-inspect";
  std::string program;                // empty: none; {tun} stands for the interface's name
  bool inline_ = false;               // packets go on only where the interface lets them
  std::string plugins;                // socket for plug-ins; empty: none
  std::vector<std::string> demanded;  // plug-ins without whose verdict nothing passes
  std::optional<PublicKey> alert;     // who hears alerts, by syslog; nothing: the log alone
  bool anybody_in_books = true;       // no <allow>: whoever is in the address books
  std::vector<Party> clients;

  bool admits(const PublicKey& client, const AddressBooks& books) const;
};

// Who may have sealed packets passed on, and how much of that.
struct RelayUser {
  PublicKey key;
  ByteRate rate;
};
struct RelaySettings {
  ByteRate rate;                 // of all together
  std::vector<RelayUser> users;  // those that <allow> names, else all hosts of the books
};

struct GatewaySettings {
  std::string file;
  std::string identity_file = "/var/lib/i3/gateway.key";
  OverlaySettings overlay;
  TunSettings tun{"i3-gateway"};
  PoolSettings virtual_addresses;
  std::optional<I3ToIpSettings> i3_to_ip;
  std::optional<IpToI3Settings> ip_to_i3;
  std::optional<MiddleboxSettings> middlebox;
  std::optional<RelaySettings> relay;
  AddressBooks books;
  std::vector<MemberEntry> members;  // of groups, this gateway
  StateSettings state{"/var/lib/i3/gateway.state", std::chrono::seconds(7200)};
  ControlSettings control{"/run/i3/gateway.sock", "i3", ""};
  std::optional<Endpoint> metrics;
  std::vector<std::string> warnings;
};

GatewaySettings load_gateway_settings(const std::string& path);
GatewaySettings parse_gateway_settings(std::string text, const std::string& file,
                                       const FileSource& source);

}  // namespace i3
