#include "proxy/settings/allow.hh"

#include <algorithm>

namespace i3 {
namespace {

constexpr std::pair<std::string_view, Protocol> kProtocolNames[] = {
    {"tcp", Protocol::tcp}, {"udp", Protocol::udp}, {"icmp", Protocol::icmp}};

PublicKey key_of_box(const XmlElement& element, const char* attribute, const AddressBooks& books) {
  if (const auto key = books.key_of(*element.find(attribute))) return *key;
  element.fail_value(attribute, "is in no address book; allowed are a name from there, or a key");
}

}  // namespace

std::optional<Protocols> parse_protocols(std::string_view text, std::string& why) {
  Protocols result = 0;
  for (;;) {
    const std::size_t comma = text.find(',');
    Protocols bit = 0;
    for (const auto& [name, protocol] : kProtocolNames)
      if (text.substr(0, comma) == name) bit = static_cast<Protocols>(protocol);
    if (bit == 0) {
      why = "is unknown; allowed are tcp, udp, icmp, or several of them with commas";
      return std::nullopt;
    }
    result |= bit;
    if (comma == std::string_view::npos) return result;
    text.remove_prefix(comma + 1);
  }
}

std::string protocols_text(Protocols protocols) {
  std::string result;
  for (const auto& [name, protocol] : kProtocolNames) {
    if ((protocols & static_cast<Protocols>(protocol)) == 0) continue;
    if (!result.empty()) result += ',';
    result += name;
  }
  return result;
}

bool AllowList::allows(const PublicKey& from, Protocol protocol, std::uint16_t port) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const AllowRule& rule) {
    return (!rule.from || *rule.from == from) &&
           (rule.protocols & static_cast<Protocols>(protocol)) != 0 &&
           (protocol == Protocol::icmp || rule.ports.contains(port));
  });
}

bool AllowList::knows(const PublicKey& from) const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [&](const AllowRule& rule) { return !rule.from || *rule.from == from; });
}

Party read_party(const XmlElement& element, const char* attribute, const AddressBooks& books) {
  Party party{std::nullopt, element.required(attribute)};
  if (party.text == "*") return party;
  party.key = books.key_of(party.text);
  if (!party.key)
    element.fail_value(attribute,
                       "is in no address book; allowed are a name from there, a key, or *");
  return party;
}

void read_protocol_and_ports(const XmlElement& element, Protocols& protocols, Ports& ports) {
  ports = element.value("ports", parse_ports).value_or(Ports());
  const auto given = element.value("protocol", parse_protocols);
  protocols = given.value_or(ports.all() ? kAllProtocols : Protocol::tcp | Protocol::udp);
  if (!ports.all() && given == static_cast<Protocols>(Protocol::icmp))
    element.fail_value("ports", "has no meaning for protocol=\"icmp\"; remove it");
}

std::optional<PublicKey> read_middlebox_of(const XmlElement& element, const AddressBooks& books) {
  const auto box = element.find("middlebox");
  if (!box || box->empty()) return std::nullopt;
  const BookEntry* entry = books.find(*box);
  if (entry != nullptr && entry->kind == EntryKind::group && entry->mode == GroupMode::multicast)
    element.fail_value("middlebox", "is a multicast group; a group of middle-boxes is anycast");
  return key_of_box(element, "middlebox", books);
}

std::optional<PublicKey> read_stack_of(const XmlElement& element, const AddressBooks& books) {
  const auto box = element.find("stack");
  if (!box || box->empty()) return std::nullopt;
  const BookEntry* entry = books.find(*box);
  if (entry != nullptr && entry->kind == EntryKind::group)
    element.fail_value("stack", "is a group; a pass is made for one box");
  return key_of_box(element, "stack", books);
}

AllowList read_inbound(const XmlElement& root, const AddressBooks& books) {
  const auto element = root.child("inbound");
  if (!element) return {};
  element->expect({"middlebox", "stack"}, {"allow*"});
  std::vector<AllowRule> rules;
  for (const XmlElement& allow : element->children()) {
    allow.expect({"from", "protocol", "ports"});
    AllowRule rule;
    Party party = read_party(allow, "from", books);
    rule.from = party.key;
    rule.from_text = std::move(party.text);
    rule.place = allow.place();
    read_protocol_and_ports(allow, rule.protocols, rule.ports);
    rules.push_back(std::move(rule));
  }
  AllowList list(std::move(rules));
  list.middlebox = read_middlebox_of(*element, books);
  list.stack = read_stack_of(*element, books);
  if (list.stack && list.middlebox)
    element->fail_value("stack", "and middlebox cannot both be on the way; remove one of them");
  return list;
}

}  // namespace i3
