#include "proxy/daemon/names.hh"

#include "proxy/settings/address_book.hh"

namespace i3 {
namespace {

NameAnswer known(const VirtualIp& ipv4, const VirtualIp& ipv6) {
  NameAnswer answer;
  answer.kind = NameAnswer::Kind::known;
  answer.ipv4 = ipv4.address().to_v4();
  answer.ipv6 = ipv6.address().bytes;
  return answer;
}

NameAnswer plain(NameAnswer::Kind kind) {
  NameAnswer answer;
  answer.kind = kind;
  return answer;
}

}  // namespace

std::optional<std::string_view> Names::below_suffix(std::string_view name) const {
  if (name == suffix_) return std::string_view{};
  if (name.size() <= suffix_.size() + 1 || !name.ends_with(suffix_) ||
      name[name.size() - suffix_.size() - 1] != '.')
    return std::nullopt;
  return name.substr(0, name.size() - suffix_.size() - 1);
}

NameAnswer Names::resolve(std::string_view name, TimePoint) {
  if (auto own = below_suffix(name)) {
    if (own->empty()) return plain(NameAnswer::Kind::known);  // exists, and has no address
    if (visits_ != nullptr && visits_->has(*own)) {
      const auto met = visits_->meet(*own);
      return met ? known(met->ipv4, met->ipv6) : plain(NameAnswer::Kind::known);
    }
    auto key = host_.key_of(*own);
    if (!key) return plain(NameAnswer::Kind::unknown);
    if (*key == host_.key()) return known(host_.own4(), host_.own6());
    const Peer* peer = host_.meet(*key);
    return peer == nullptr ? plain(NameAnswer::Kind::known) : known(peer->ipv4, peer->ipv6);
  }
  switch (policy_.decide(name).via) {
    case Via::ip:
      return plain(NameAnswer::Kind::not_ours);
    case Via::drop:
    case Via::gateway:
      break;
  }
  return plain(NameAnswer::Kind::drop);
}

std::optional<std::string> Names::reverse(const IpAddress& virtual_address) {
  auto name = visits_ != nullptr ? visits_->name_at(virtual_address) : std::nullopt;
  if (!name) name = host_.name_at(virtual_address);
  if (!name) return std::nullopt;
  return full(*name);
}

bool Names::owns(const IpAddress& address) {
  return host_.owns(address);
}

std::optional<PublicKey> Names::key_of(std::string_view text) const {
  if (visit_name(text)) return std::nullopt;
  return host_.key_of(short_name(text));
}

std::optional<std::string> Names::visit_name(std::string_view text) const {
  std::string name = short_name(text);
  if (visits_ == nullptr || !visits_->has(name)) return std::nullopt;
  return name;
}

std::string Names::short_name(std::string_view text) const {
  std::string name = lower_case(text);
  if (!name.empty() && name.back() == '.') name.pop_back();
  if (auto own = below_suffix(name)) return std::string(*own);
  return name;
}

std::vector<std::string> Names::reverse_zones() const {
  std::vector<std::string> zones;
  const IpPrefix& pool = host_.pool().ipv4();
  const unsigned octets = pool.length <= 8 ? 1 : pool.length <= 16 ? 2 : 3;
  const std::uint32_t step = 1u << (32 - 8 * octets);
  const std::uint32_t count = 1u << (8 * octets - pool.length);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t base = pool.address.to_v4() + i * step;
    std::string zone;
    for (unsigned octet = octets; octet-- > 0;)
      zone += std::to_string(base >> (24 - 8 * octet) & 255) + '.';
    zones.push_back(zone + "in-addr.arpa");
  }
  const std::string digits = hex(Bytes(virtual_ipv6_prefix().address.bytes).first(6));
  std::string zone;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) zone += {*digit, '.'};
  zones.push_back(zone + "ip6.arpa");
  return zones;
}

}  // namespace i3
