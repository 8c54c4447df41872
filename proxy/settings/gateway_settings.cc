#include "proxy/settings/gateway_settings.hh"

#include <algorithm>

namespace i3 {
namespace {

GatewayRule read_rule(const XmlElement& element, const AddressBooks& books) {
  element.expect({"client", "names", "addresses", "protocol", "ports"});
  GatewayRule rule;
  Party party = read_party(element, "client", books);
  rule.client = party.key;
  rule.client_text = std::move(party.text);
  rule.names = element.value("names", NamePattern::parse);
  rule.addresses = element.value("addresses", parse_ip_ranges).value_or(std::vector<IpRange>());
  rule.place = element.place();
  read_protocol_and_ports(element, rule.protocols, rule.ports);
  return rule;
}

I3ToIpSettings read_i3_to_ip(const XmlElement& element, const AddressBooks& books) {
  element.expect({"resolver", "middlebox"}, {"allow*"});
  I3ToIpSettings settings;
  if (const auto resolver = element.find("resolver"); resolver && *resolver != "system") {
    std::string why;
    settings.resolver = parse_endpoint(*resolver, false, 53, why);
    if (!settings.resolver) element.fail_value("resolver", why + ", or system");
  }
  settings.middlebox = read_middlebox_of(element, books);
  for (const XmlElement& allow : element.children())
    settings.rules.push_back(read_rule(allow, books));
  return settings;
}

// "hostmaster@example.org" as the name that an SOA record has for it.
std::optional<std::string> contact_name(std::string_view text, std::string& why) {
  const std::size_t at = text.find('@');
  const std::string_view box = text.substr(0, at);
  if (at == text.npos || box.empty() || box.find('.') != box.npos) {
    why = "is no mail address without a dot before the @, such as hostmaster@example.org";
    return std::nullopt;
  }
  return domain_name(std::string(box) + '.' + std::string(text.substr(at + 1)), why);
}

std::vector<IpAddress> single_addresses(const XmlElement& element, const char* attribute) {
  std::vector<IpAddress> addresses;
  for (const IpRange& range :
       element.value(attribute, parse_ip_ranges).value_or(std::vector<IpRange>())) {
    if (range.first != range.last)
      element.fail_value(attribute, "has a range; write single addresses with commas between");
    addresses.push_back(range.first);
  }
  return addresses;
}

// Where none is written: one inside the zone, at the address that is listened on.
void read_nameservers(const XmlElement& element, IpToI3Settings& settings) {
  const auto inside = [&](const std::string& name) { return name.ends_with('.' + settings.zone); };
  for (const XmlElement& server : element.children("nameserver")) {
    server.expect({"name", "addresses"});
    NameServerSettings read{server.required_domain("name"), single_addresses(server, "addresses")};
    if (inside(read.name) == read.addresses.empty())
      server.fail_value("name", read.addresses.empty()
                                    ? "is inside the zone: say its addresses"
                                    : "is outside the zone, which cannot say its addresses");
    settings.nameservers.push_back(std::move(read));
  }
  if (!settings.nameservers.empty() || !settings.listen) return;
  std::vector<IpAddress> addresses;
  for (const Endpoint& listen : settings.listens())
    if (!listen.address.unspecified()) addresses.push_back(listen.address);
  if (addresses.empty())
    element.fail("with listen on every address the zone needs a <nameserver name=\"ns1." +
                 settings.zone + "\" addresses=\"...\"/>");
  settings.nameservers.push_back({"ns1." + settings.zone, std::move(addresses)});
}

void read_waypoints(const XmlElement& element, IpToI3Settings& settings) {
  settings.waypoints4 =
      element.value("waypoints4", parse_ip_ranges).value_or(std::vector<IpRange>());
  for (const IpRange& range : settings.waypoints4)
    if (!range.first.is_v4())
      element.fail_value("waypoints4", "has an IPv6 address; those go into waypoints6");
  settings.waypoints6 = element.value("waypoints6", parse_prefix);
  if (settings.waypoints6 && settings.waypoints6->is_v4())
    element.fail_value("waypoints6", "is an IPv4 network; those go into waypoints4");
  // Fewer bits of hash are too easily the same for two keys.
  if (settings.waypoints6 && settings.waypoints6->length > 80)
    element.fail_value("waypoints6", "is too small; allowed are networks up to /80");
  settings.ports = element.value("ports", parse_ports).value_or(Ports());
}

IpToI3Settings read_ip_to_i3(const XmlElement& element, const AddressBooks& books) {
  element.expect({"zone", "listen", "waypoints4", "waypoints6", "ports", "contact", "default",
                  "waypoints-at", "dns-at"},
                 {"listen*", "nameserver*"});
  IpToI3Settings settings;
  if (element.find("zone")) settings.zone = element.required_domain("zone");
  settings.listen = element.endpoint("listen", false, 53);
  for (const XmlElement& listen : element.children("listen")) {
    listen.expect({"address"});
    const auto address = listen.endpoint("address", false, 53);
    if (!address) listen.fail_value("address", "is missing");
    (settings.listen ? settings.also_listen.emplace_back() : settings.listen.emplace()) = *address;
  }
  read_waypoints(element, settings);
  read_nameservers(element, settings);
  settings.contact = element.value("contact", contact_name).value_or("hostmaster." + settings.zone);
  if (element.find("default")) settings.default_name = element.required_domain("default");
  if (!settings.default_name.empty() && !books.key_of(settings.default_name))
    element.fail_value("default", "is in no address book");
  for (const auto& [attribute, key] :
       {std::pair{"waypoints-at", &settings.waypoints_at}, std::pair{"dns-at", &settings.dns_at}})
    if (element.find(attribute)) {
      *key = read_party(element, attribute, books).key;
      if (!*key) element.fail_value(attribute, "must be one machine");
    }
  if (settings.waypoints_at && (!settings.listen || settings.dns_at))
    element.fail("waypoints-at is for the machine with the zone: it needs listen, and no dns-at");
  return settings;
}

MiddleboxSettings read_middlebox(const XmlElement& element, const AddressBooks& books) {
  element.expect({"tun", "program", "mode", "plugins", "alert"}, {"allow*", "plugin*"});
  MiddleboxSettings settings;
  settings.tun = element.value("tun", interface_name).value_or(settings.tun);
  settings.inline_ = element.one_of<bool>("mode", {{"passive", false}, {"inline", true}}, false);
  if (settings.inline_ && settings.tun.size() > 11)
    element.fail_value("tun",
                       "is too long: mode=\"inline\" makes a second interface, with -out "
                       "behind the name, and 15 characters are the most");
  settings.program = element.text_or("program", "");
  if (!settings.program.empty() && settings.program[0] != '/')
    element.fail_value("program", "does not begin with an absolute path");
  settings.plugins = element.path_or("plugins", "");
  if (const auto alert = element.find("alert"); alert && !alert->empty()) {
    settings.alert = books.key_of(*alert);
    if (!settings.alert)
      element.fail_value("alert", "is in no address book; allowed are a name from there, or a key");
  }
  for (const XmlElement& plugin : element.children("plugin")) {
    plugin.expect({"name"});
    plugin.required("name");
    settings.demanded.push_back(plugin.text_or("name", ""));
  }
  if (!settings.demanded.empty() && settings.plugins.empty())
    element.fail("a <plugin> needs a socket to come by; write plugins=\"/run/i3/inspect.sock\"");
  for (const XmlElement& allow : element.children("allow")) {
    allow.expect({"client"});
    settings.clients.push_back(read_party(allow, "client", books));
    settings.anybody_in_books = false;
  }
  return settings;
}

// A burst of a tenth of a second where none is written; the largest packet always has room.
ByteRate read_byte_rate(const XmlElement& element, const char* rate, const char* burst) {
  constexpr std::uint64_t kLeastBurst = 32 * 1024;
  ByteRate read;
  read.per_second = element.value(rate, parse_rate).value_or(0);
  const auto given = element.value(burst, parse_size);
  if (given && read.per_second == 0)
    element.fail_value(burst, std::string("has no meaning without ") + rate);
  if (given && *given < kLeastBurst)
    element.fail_value(burst, "is less than 32kB, which a few packets fill");
  read.burst = given.value_or(std::max(read.per_second / 10, kLeastBurst));
  return read;
}

RelaySettings read_relay(const XmlElement& element, const AddressBooks& books) {
  element.expect({"rate", "burst", "client-rate", "client-burst"}, {"allow*"});
  RelaySettings settings;
  settings.rate = read_byte_rate(element, "rate", "burst");
  const ByteRate each = read_byte_rate(element, "client-rate", "client-burst");
  for (const XmlElement& allow : element.children("allow")) {
    allow.expect({"client", "rate", "burst"});
    const Party party = read_party(allow, "client", books);
    if (!party.key)
      allow.fail_value("client",
                       "is not possible here: what is sealed shows only whose pass it has, and a "
                       "pass can be checked only by the key; name the clients");
    const ByteRate own = read_byte_rate(allow, "rate", "burst");
    settings.users.push_back({*party.key, own.per_second == 0 ? each : own});
  }
  if (!settings.users.empty()) return settings;
  for (const BookEntry* entry : books.entries())
    if (entry->kind == EntryKind::host || entry->kind == EntryKind::gateway)
      settings.users.push_back({entry->key, each});
  return settings;
}

}  // namespace

bool I3ToIpSettings::may_resolve(const PublicKey& client, std::string_view name) const {
  return std::any_of(rules.begin(), rules.end(), [&](const GatewayRule& rule) {
    return rule.is_for(client) && (!rule.names || rule.names->matches(name));
  });
}

bool I3ToIpSettings::may_open(const PublicKey& client, std::string_view name,
                              const IpAddress& address, Protocol protocol,
                              std::uint16_t port) const {
  return std::any_of(rules.begin(), rules.end(), [&](const GatewayRule& rule) {
    const bool there =
        rule.addresses.empty() ||
        std::any_of(rule.addresses.begin(), rule.addresses.end(), [&](const IpRange& range) {
          return range.first.is_v4() == address.is_v4() && range.contains(address);
        });
    return rule.is_for(client) && (!rule.names || rule.names->matches(name)) && there &&
           (rule.protocols & static_cast<Protocols>(protocol)) != 0 &&
           (protocol == Protocol::icmp || rule.ports.contains(port));
  });
}

bool MiddleboxSettings::admits(const PublicKey& client, const AddressBooks& books) const {
  if (anybody_in_books) return books.find(client) != nullptr;
  return std::any_of(clients.begin(), clients.end(),
                     [&](const Party& party) { return !party.key || *party.key == client; });
}

GatewaySettings load_gateway_settings(const std::string& path) {
  return parse_gateway_settings(read_config_file(path), path, read_config_file);
}

GatewaySettings parse_gateway_settings(std::string text, const std::string& file,
                                       const FileSource& source) {
  const auto document = XmlDocument::parse(std::move(text), file);
  const XmlElement root = document->root("i3-gateway");
  root.expect(
      {}, {"identity", "overlay", "tun", "virtual-addresses", "i3-to-ip", "ip-to-i3", "middlebox",
           "relay", "address-book*", "member*", "state", "control", "metrics"});
  GatewaySettings settings;
  settings.file = file;
  settings.identity_file = read_identity(root, settings.identity_file);
  settings.overlay = read_overlay(root, settings.warnings);
  settings.tun = read_tun(root, settings.tun.name);
  settings.virtual_addresses = read_pool(root);
  settings.books = read_books(root, source);
  if (const auto element = root.child("i3-to-ip"))
    settings.i3_to_ip = read_i3_to_ip(*element, settings.books);
  if (const auto element = root.child("ip-to-i3"))
    settings.ip_to_i3 = read_ip_to_i3(*element, settings.books);
  if (const auto element = root.child("middlebox"))
    settings.middlebox = read_middlebox(*element, settings.books);
  if (const auto element = root.child("relay"))
    settings.relay = read_relay(*element, settings.books);
  if (!settings.i3_to_ip && !settings.ip_to_i3 && !settings.middlebox && !settings.relay)
    root.fail("a gateway needs at least one of <i3-to-ip>, <ip-to-i3>, <middlebox>, <relay>");
  settings.members = read_members(root, settings.books);
  settings.state = read_state(root, settings.state.file);
  settings.control = read_control(root, settings.control.socket);
  settings.metrics = read_metrics(root);
  return settings;
}

}  // namespace i3
