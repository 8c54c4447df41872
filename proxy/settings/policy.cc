#include "proxy/settings/policy.hh"

#include <algorithm>

namespace i3 {
namespace {

bool is_below(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) &&
         (name.size() == suffix.size() || name[name.size() - suffix.size() - 1] == '.');
}

Decision read_via(const XmlElement& element, const AddressBooks& books) {
  const std::string via = element.text_or("via", "ip");
  if (via == "ip") return {};
  if (via == "drop") return {Via::drop, "", {}};
  const BookEntry* gateway = books.find(via);
  if (!gateway)
    element.fail_value("via",
                       "is in no address book; allowed are ip, drop, or the name of a gateway");
  if (gateway->kind == EntryKind::group && gateway->mode == GroupMode::multicast)
    element.fail_value("via", "is a multicast group; a group of gateways is mode=\"anycast\"");
  return {Via::gateway, gateway->name, gateway->key};
}

Route read_route(const XmlElement& element, const AddressBooks& books) {
  element.expect({"suffix", "match", "via"});
  Route route;
  route.place = element.place();
  if (element.find("suffix").has_value() == element.find("match").has_value())
    element.fail("<route> needs either suffix=\"...\" or match=\"...\", one of both");
  if (element.find("suffix")) {
    route.suffix = element.required_domain("suffix");
  } else {
    element.required("match");
    route.pattern = element.value("match", NamePattern::parse);
  }
  route.decision = read_via(element, books);
  return route;
}

}  // namespace

bool Route::matches(std::string_view name) const {
  return pattern ? pattern->matches(name) : is_below(name, suffix);
}

Decision Policy::decide(std::string_view name) const {
  std::string plain = lower_case(name);
  if (plain.ends_with('.')) plain.pop_back();
  for (const Route& route : routes_)
    if (route.matches(plain)) return route.decision;
  return {};
}

std::vector<std::string> Policy::routing_domains() const {
  std::vector<std::string> domains;
  for (const Route& route : routes_) {
    if (route.pattern || route.decision.via == Via::ip) continue;
    if (std::find(domains.begin(), domains.end(), route.suffix) == domains.end())
      domains.push_back(route.suffix);
  }
  return domains;
}

bool Policy::sees_every_query() const {
  return std::any_of(routes_.begin(), routes_.end(), [](const Route& route) {
    return route.pattern && route.decision.via != Via::ip;
  });
}

Policy read_policy(const XmlElement& root, const AddressBooks& books) {
  const auto element = root.child("policy");
  if (!element) return {};
  element->expect({}, {"route*"});
  std::vector<Route> routes;
  for (const XmlElement& route : element->children()) routes.push_back(read_route(route, books));
  return Policy(std::move(routes));
}

}  // namespace i3
