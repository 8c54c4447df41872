#include "gateways/to_ip/permission.hh"

#include <algorithm>

#include "gateways/to_ip/literal.hh"

namespace i3 {
namespace {

using Ranges = std::vector<Ports::Range>;

bool names_address(const GatewayRule& rule, const IpAddress& address) {
  return std::any_of(rule.addresses.begin(), rule.addresses.end(), [&](const IpRange& range) {
    return range.first.is_v4() == address.is_v4() && range.contains(address);
  });
}

void add(Ranges& all, const Ports& ports) {
  if (ports.all()) all.push_back({0, 0xffff});
  all.insert(all.end(), ports.ranges().begin(), ports.ranges().end());
}

// By itself: a network that a reserved address lies in does not give it.
bool names_alone(const GatewayRule& rule, const IpAddress& address) {
  return std::any_of(rule.addresses.begin(), rule.addresses.end(), [&](const IpRange& range) {
    return range.first == address && range.last == address;
  });
}

// Sorted, and joined where they touch.
void merge(Ranges& ranges) {
  std::sort(ranges.begin(), ranges.end());
  Ranges merged;
  for (const Ports::Range& range : ranges) {
    if (!merged.empty() && range.first <= std::uint32_t{merged.back().last} + 1)
      merged.back().last = std::max(merged.back().last, range.last);
    else
      merged.push_back(range);
  }
  ranges = std::move(merged);
}

bool has(const Ranges& ranges, int port) {
  return std::any_of(ranges.begin(), ranges.end(), [port](const Ports::Range& range) {
    return range.first <= port && port <= range.last;
  });
}

bool wants(const GatewayRule& rule, Protocol protocol) {
  return (rule.protocols & static_cast<Protocols>(protocol)) != 0;
}

}  // namespace

bool Permissions::knows(const PublicKey& client) const {
  return std::any_of(settings_.rules.begin(), settings_.rules.end(),
                     [&](const GatewayRule& rule) { return rule.is_for(client); });
}

bool Permissions::gives(const GatewayRule& rule, const PublicKey& client,
                        std::string_view name) const {
  if (!rule.is_for(client)) return false;
  if (const auto literal = literal_address(name))
    return rule.addresses.empty() ? !rule.names : names_address(rule, *literal);
  return !rule.names || rule.names->matches(name);
}

bool Permissions::may_ask(const PublicKey& client, std::string_view name) const {
  return std::any_of(settings_.rules.begin(), settings_.rules.end(),
                     [&](const GatewayRule& rule) { return gives(rule, client, name); });
}

std::optional<NatOpens> Permissions::opens(const PublicKey& client, std::string_view name,
                                           const IpAddress& real) const {
  const bool reserved = !may_be_reached(real) || is_own_(real);
  NatOpens opens;
  bool any = false;
  for (const GatewayRule& rule : settings_.rules) {
    if (!gives(rule, client, name)) continue;
    const bool given =
        reserved ? names_alone(rule, real) : rule.addresses.empty() || names_address(rule, real);
    if (!given) continue;
    any = true;
    if (wants(rule, Protocol::tcp)) add(opens.tcp, rule.ports);
    if (wants(rule, Protocol::udp)) add(opens.udp, rule.ports);
    opens.icmp = opens.icmp || wants(rule, Protocol::icmp);
  }
  merge(opens.tcp);
  merge(opens.udp);
  if (!any || opens.tcp.size() > kMaximumNatRanges || opens.udp.size() > kMaximumNatRanges)
    return std::nullopt;
  return opens;
}

bool has_helper(const NatOpens& opens) {
  for (const int port : {21, 1720, 1723, 5060, 6667})
    if (has(opens.tcp, port)) return true;
  for (const int port : {69, 161, 1719, 5060})
    if (has(opens.udp, port)) return true;
  return false;
}

}  // namespace i3
