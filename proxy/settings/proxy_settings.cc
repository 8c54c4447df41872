#include "proxy/settings/proxy_settings.hh"

namespace i3 {
namespace {

DnsSettings read_dns(const XmlElement& root) {
  DnsSettings dns;
  const auto element = root.child("dns");
  if (!element) return dns;
  element->expect({"suffix", "intercept"});
  if (element->find("suffix")) dns.suffix = element->required_domain("suffix");
  dns.intercept = element->one_of<Intercept>("intercept",
                                             {{"auto", Intercept::automatic},
                                              {"resolved", Intercept::resolved},
                                              {"redirect", Intercept::redirect},
                                              {"resolv.conf", Intercept::resolv_conf},
                                              {"none", Intercept::none}},
                                             Intercept::automatic);
  return dns;
}

void warn_of_unseen_queries(ProxySettings& settings) {
  if (!settings.policy.sees_every_query() || settings.dns.intercept != Intercept::resolved) return;
  for (const Route& route : settings.policy.routes())
    if (route.pattern && route.decision.via != Via::ip)
      settings.warnings.push_back(route.place.text() +
                                  ": with intercept=\"resolved\" this expression sees only names "
                                  "below a suffix of the policy; choose auto or redirect");
}

}  // namespace

std::string_view name_of(Intercept intercept) {
  switch (intercept) {
    case Intercept::automatic:
      return "auto";
    case Intercept::resolved:
      return "resolved";
    case Intercept::redirect:
      return "redirect";
    case Intercept::resolv_conf:
      return "resolv.conf";
    case Intercept::none:
      return "none";
  }
  return "auto";
}

ProxySettings load_proxy_settings(const std::string& path) {
  return parse_proxy_settings(read_config_file(path), path, read_config_file);
}

ProxySettings parse_proxy_settings(std::string text, const std::string& file,
                                   const FileSource& source) {
  const auto document = XmlDocument::parse(std::move(text), file);
  const XmlElement root = document->root("i3-proxy");
  root.expect({}, {"identity", "overlay", "tun", "virtual-addresses", "dns", "address-book*",
                   "policy", "inbound", "member*", "state", "control", "metrics"});
  ProxySettings settings;
  settings.file = file;
  settings.identity_file = read_identity(root, settings.identity_file);
  settings.overlay = read_overlay(root, settings.warnings);
  settings.tun = read_tun(root, settings.tun.name);
  settings.virtual_addresses = read_pool(root);
  settings.dns = read_dns(root);
  settings.books = read_books(root, source);
  settings.policy = read_policy(root, settings.books);
  settings.inbound = read_inbound(root, settings.books);
  settings.members = read_members(root, settings.books);
  settings.state = read_state(root, settings.state.file);
  settings.control = read_control(root, settings.control.socket);
  settings.metrics = read_metrics(root);
  warn_of_unseen_queries(settings);
  return settings;
}

}  // namespace i3
