#include "gateways/host_part.hh"

namespace i3 {
namespace {

AllowRule session_for(const std::optional<PublicKey>& key, std::string text, XmlPlace place) {
  AllowRule rule;
  rule.from = key;
  rule.from_text = std::move(text);
  rule.protocols = 0;
  rule.place = std::move(place);
  return rule;
}

}  // namespace

ProxySettings host_part(const GatewaySettings& settings) {
  ProxySettings host;
  host.daemon = "gateway";
  host.file = settings.file;
  host.identity_file = settings.identity_file;
  host.overlay = settings.overlay;
  host.tun = settings.tun;
  host.virtual_addresses = settings.virtual_addresses;
  host.dns.intercept = Intercept::none;
  host.books = settings.books;
  host.members = settings.members;
  host.state = settings.state;
  host.control = settings.control;
  host.metrics = settings.metrics;
  host.warnings = settings.warnings;
  std::vector<AllowRule> rules;
  if (settings.i3_to_ip)
    for (const GatewayRule& rule : settings.i3_to_ip->rules)
      rules.push_back(session_for(rule.client, rule.client_text, rule.place));
  // The machine with the zone says what it gave; nothing else of it passes.
  if (settings.ip_to_i3 && settings.ip_to_i3->dns_at)
    rules.push_back(session_for(settings.ip_to_i3->dns_at, {}, {}));
  if (settings.middlebox) {
    for (const Party& client : settings.middlebox->clients)
      rules.push_back(session_for(client.key, client.text, {}));
    if (settings.middlebox->anybody_in_books)
      for (const BookEntry* entry : settings.books.entries())
        rules.push_back(session_for(entry->key, entry->name, entry->place));
  }
  host.inbound = AllowList(std::move(rules));
  if (settings.i3_to_ip) host.inbound.middlebox = settings.i3_to_ip->middlebox;
  return host;
}

}  // namespace i3
