#include "proxy/daemon/names.hh"

#include <algorithm>

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

NameAnswer of(const GatewayAnswer& answer) {
  NameAnswer told;
  told.kind = answer.rcode == 0 ? NameAnswer::Kind::known : NameAnswer::Kind::failed;
  told.rcode = static_cast<Rcode>(answer.rcode);
  if (answer.ipv4) told.ipv4 = answer.ipv4->address().to_v4();
  if (answer.ipv6) told.ipv6 = answer.ipv6->address().bytes;
  return told;
}

// Gateways are asked for addresses only; and who asks for the name of an address would tell them
// whom this host speaks to.
bool is_reverse(std::string_view name) {
  return name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa");
}

// A group's name is the address that programs join and send to.
NameAnswer multicast(const IpAddress& address) {
  NameAnswer answer;
  answer.kind = NameAnswer::Kind::known;
  if (address.is_v4())
    answer.ipv4 = address.to_v4();
  else
    answer.ipv6 = address.bytes;
  return answer;
}

NameAnswer plain(NameAnswer::Kind kind) {
  NameAnswer answer;
  answer.kind = kind;
  return answer;
}

}  // namespace

Names::Names(Host& host, std::string suffix, Policy policy)
    : host_(host), suffix_(std::move(suffix)), policy_(std::move(policy)) {
  host_.gateway_names().answered = [this](std::uint64_t number, const GatewayAnswer& answer) {
    told(number, answer);
  };
}

void Names::set_groups(Groups* groups) {
  groups_ = groups;
  groups_->names().behind().answered = [this](std::uint64_t number, const GatewayAnswer& answer) {
    told(number, answer);
  };
}

void Names::told(std::uint64_t number, const GatewayAnswer& answer) {
  const NameAnswer told = of(answer);
  if (complete) complete(number, told);
  const auto later = std::stable_partition(waiting_.begin(), waiting_.end(),
                                           [&](const auto& one) { return one.number != number; });
  std::vector<Waiting> due(std::make_move_iterator(later), std::make_move_iterator(waiting_.end()));
  waiting_.erase(later, waiting_.end());
  for (const Waiting& one : due) one.done(told);
}

std::optional<std::string_view> Names::below_suffix(std::string_view name) const {
  if (name == suffix_) return std::string_view{};
  if (name.size() <= suffix_.size() + 1 || !name.ends_with(suffix_) ||
      name[name.size() - suffix_.size() - 1] != '.')
    return std::nullopt;
  return name.substr(0, name.size() - suffix_.size() - 1);
}

// "10-20-0-5.corp-gateway.i3" or "www.corp.example.corp-gateway.i3"; else what the policy says.
std::optional<Names::Behind> Names::behind(std::string_view name) const {
  if (auto own = below_suffix(name)) {
    for (std::size_t dot = own->find('.'); dot != own->npos; dot = own->find('.', dot + 1)) {
      const auto gateway = gateway_named(own->substr(dot + 1));
      if (gateway && wire::NameQuestion::fits(own->substr(0, dot)))
        return Behind{*gateway, std::string(own->substr(0, dot))};
    }
    return std::nullopt;
  }
  return by_policy(policy_.decide(name), name);
}

// An entry of the books that is a gateway, or a group that the policy treats as one.
std::optional<PublicKey> Names::gateway_named(std::string_view name) const {
  const KnownHost* known = host_.directory().by_name(name);
  if (known != nullptr) return known->gateway ? std::optional(known->key) : std::nullopt;
  const auto group = groups_ != nullptr ? groups_->names().key_of(name) : std::nullopt;
  if (!group) return std::nullopt;
  for (const Route& route : policy_.routes())
    if (route.decision.via == Via::gateway && route.decision.gateway_key == *group) return group;
  return std::nullopt;
}

std::optional<Names::Behind> Names::by_policy(const Decision& decision, std::string_view name) {
  if (decision.via != Via::gateway || is_reverse(name) || !wire::NameQuestion::fits(name))
    return std::nullopt;
  return Behind{decision.gateway_key, std::string(name)};
}

NameAnswer Names::ask(const Behind& behind, TimePoint now) {
  NameAnswer failed = plain(NameAnswer::Kind::failed);
  if (behind.gateway == host_.key()) return failed;
  std::variant<GatewayAnswer, std::uint64_t> said;
  if (groups_ != nullptr && groups_->names().is_group(behind.gateway)) {
    said = groups_->names().behind().ask(behind.gateway, behind.name, now);
  } else {
    Peer* gateway = host_.meet(behind.gateway);
    if (gateway == nullptr) return failed;
    said = host_.gateway_names().ask(*gateway, behind.name, now);
  }
  if (const auto* answer = std::get_if<GatewayAnswer>(&said)) return of(*answer);
  NameAnswer later = plain(NameAnswer::Kind::pending);
  later.handle = std::get<std::uint64_t>(said);
  if (asked) asked();
  return later;
}

void Names::look_up(std::string_view name, TimePoint now,
                    std::function<void(const NameAnswer&)> done) {
  NameAnswer answer = resolve(name, now);
  if (answer.kind != NameAnswer::Kind::pending) return done(answer);
  if (waiting_.size() >= kMaxWaiting) return done(plain(NameAnswer::Kind::failed));
  waiting_.push_back({answer.handle, std::move(done)});
}

NameAnswer Names::resolve(std::string_view name, TimePoint now) {
  if (auto own = below_suffix(name)) {
    if (own->empty()) return plain(NameAnswer::Kind::known);  // exists, and has no address
    if (visits_ != nullptr && visits_->has(*own)) {
      const auto met = visits_->meet(*own);
      return met ? known(met->ipv4, met->ipv6) : plain(NameAnswer::Kind::known);
    }
    if (const auto group = group_name(name)) {
      if (const auto address = groups_->multicast().address_of(*group)) return multicast(*address);
      const auto met = groups_->names().meet(*group);
      return met ? known(met->ipv4, met->ipv6) : plain(NameAnswer::Kind::known);
    }
    auto key = host_.key_of(*own);
    if (!key) {
      const auto asked_there = behind(name);
      return asked_there ? ask(*asked_there, now) : plain(NameAnswer::Kind::unknown);
    }
    if (*key == host_.key()) return known(host_.own4(), host_.own6());
    const Peer* peer = host_.meet(*key);
    return peer == nullptr ? plain(NameAnswer::Kind::known) : known(peer->ipv4, peer->ipv6);
  }
  const Decision decision = policy_.decide(name);
  switch (decision.via) {
    case Via::ip:
      return plain(NameAnswer::Kind::not_ours);
    case Via::gateway:
      if (const auto asked_there = by_policy(decision, name)) return ask(*asked_there, now);
      break;
    case Via::drop:
      break;
  }
  return plain(NameAnswer::Kind::drop);
}

std::optional<std::string> Names::reverse(const IpAddress& virtual_address) {
  auto name = visits_ != nullptr ? visits_->name_at(virtual_address) : std::nullopt;
  if (!name && groups_ != nullptr) name = groups_->names().name_at(virtual_address);
  if (!name && groups_ != nullptr) name = groups_->multicast().name_at(virtual_address);
  if (const auto* behind =
          groups_ != nullptr ? groups_->names().behind().at(virtual_address) : nullptr;
      behind && !name)
    return name_behind(behind->name, groups_->names().name_of(behind->group).value_or(""));
  if (const auto* there = host_.gateway_names().at(virtual_address); there && !name)
    return name_behind(there->name, host_.directory().name_of(there->gateway));
  if (!name) name = host_.name_at(virtual_address);
  if (!name) return std::nullopt;
  return full(*name);
}

// One without a dot is an address there, or a name of the gateway's own.
std::string Names::name_behind(const std::string& name, const std::string& gateway) const {
  return name.find('.') != name.npos ? name : full(name + '.' + gateway);
}

bool Names::owns(const IpAddress& address) {
  return host_.owns(address);
}

std::optional<PublicKey> Names::key_of(std::string_view text) const {
  if (visit_name(text)) return std::nullopt;
  return host_.key_of(short_name(text));
}

std::optional<std::string> Names::group_name(std::string_view text) const {
  if (groups_ == nullptr) return std::nullopt;
  std::string name = short_name(text);
  if (groups_->names().has(name) || groups_->multicast().address_of(name)) return name;
  if (name.size() != PublicKey::kTextSize) return std::nullopt;
  const auto key = PublicKey::from_text(name);
  return key ? groups_->names().name_of(*key) : std::nullopt;
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
  const std::string digits = hex(Bytes(host_.pool().ipv6().address.bytes).first(6));
  std::string zone;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) zone += {*digit, '.'};
  zones.push_back(zone + "ip6.arpa");
  return zones;
}

}  // namespace i3
