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
  element.expect({"resolver"}, {"allow*"});
  I3ToIpSettings settings;
  if (const auto resolver = element.find("resolver"); resolver && *resolver != "system") {
    std::string why;
    settings.resolver = parse_endpoint(*resolver, false, 53, why);
    if (!settings.resolver) element.fail_value("resolver", why + ", or system");
  }
  for (const XmlElement& allow : element.children())
    settings.rules.push_back(read_rule(allow, books));
  return settings;
}

IpToI3Settings read_ip_to_i3(const XmlElement& element) {
  element.expect({"zone", "listen", "waypoints4", "waypoints6"});
  IpToI3Settings settings;
  if (element.find("zone")) settings.zone = element.required_domain("zone");
  settings.listen = element.endpoint("listen", false, 53);
  settings.waypoints4 =
      element.value("waypoints4", parse_ip_ranges).value_or(std::vector<IpRange>());
  for (const IpRange& range : settings.waypoints4)
    if (!range.first.is_v4())
      element.fail_value("waypoints4", "has an IPv6 address; those go into waypoints6");
  settings.waypoints6 = element.value("waypoints6", parse_prefix);
  if (settings.waypoints6 && settings.waypoints6->is_v4())
    element.fail_value("waypoints6", "is an IPv4 network; those go into waypoints4");
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
  root.expect({}, {"identity", "overlay", "tun", "virtual-addresses", "i3-to-ip", "ip-to-i3",
                   "middlebox", "address-book*", "state", "control", "metrics"});
  GatewaySettings settings;
  settings.file = file;
  settings.identity_file = read_identity(root, settings.identity_file);
  settings.overlay = read_overlay(root, settings.warnings);
  settings.tun = read_tun(root, settings.tun.name);
  settings.virtual_addresses = read_pool(root);
  settings.books = read_books(root, source);
  if (const auto element = root.child("i3-to-ip"))
    settings.i3_to_ip = read_i3_to_ip(*element, settings.books);
  if (const auto element = root.child("ip-to-i3")) settings.ip_to_i3 = read_ip_to_i3(*element);
  if (const auto element = root.child("middlebox"))
    settings.middlebox = read_middlebox(*element, settings.books);
  if (!settings.i3_to_ip && !settings.ip_to_i3 && !settings.middlebox)
    root.fail("a gateway needs at least one of <i3-to-ip>, <ip-to-i3>, <middlebox>");
  settings.state = read_state(root, settings.state.file);
  settings.control = read_control(root, settings.control.socket);
  settings.metrics = read_metrics(root);
  return settings;
}

}  // namespace i3
