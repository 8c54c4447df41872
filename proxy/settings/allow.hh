// Owns inbound permission: who may open what on this host (DESIGN.md, decision 19).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "overlay/base/keys.hh"
#include "overlay/base/xml.hh"
#include "overlay/base/xml/values.hh"
#include "proxy/settings/address_book.hh"

namespace i3 {

// Bits of a set.
enum class Protocol : unsigned { tcp = 1, udp = 2, icmp = 4 };
using Protocols = unsigned;
inline constexpr Protocols kAllProtocols = 7;
constexpr Protocols operator|(Protocol a, Protocol b) {
  return static_cast<Protocols>(a) | static_cast<Protocols>(b);
}

// "tcp", "udp", "icmp" or several with commas.
std::optional<Protocols> parse_protocols(std::string_view text, std::string& why);
std::string protocols_text(Protocols protocols);

struct AllowRule {
  std::optional<PublicKey> from;  // nothing: anybody
  std::string from_text;          // as written
  Protocols protocols = kAllProtocols;
  Ports ports;
  XmlPlace place;
};

class AllowList {
 public:
  AllowList() = default;  // lets nobody in
  explicit AllowList(std::vector<AllowRule> rules) : rules_(std::move(rules)) {}

  // The middle-box through which all who come have to come, if any.
  std::optional<PublicKey> middlebox;
  // The same of a box that passes sealed packets on.
  std::optional<PublicKey> stack;

  // `port` is ignored for ICMP.
  bool allows(const PublicKey& from, Protocol protocol, std::uint16_t port) const;
  // True if any rule is about this peer: it is answered with a refusal instead of silence.
  bool knows(const PublicKey& from) const;
  const std::vector<AllowRule>& rules() const { return rules_; }

 private:
  std::vector<AllowRule> rules_;
};

// "*" (nothing), a name of the books, or a key. ConfigError at `element` if unknown.
struct Party {
  std::optional<PublicKey> key;
  std::string text;
};
Party read_party(const XmlElement& element, const char* attribute, const AddressBooks& books);

// protocol and ports of an element: without protocol, ports mean TCP and UDP, and nothing means
// everything.
void read_protocol_and_ports(const XmlElement& element, Protocols& protocols, Ports& ports);

// middlebox=".." of an element: an entry of the books or a key; nothing where it is empty.
std::optional<PublicKey> read_middlebox_of(const XmlElement& element, const AddressBooks& books);

std::optional<PublicKey> read_stack_of(const XmlElement& element, const AddressBooks& books);

// <inbound> of `root`, or an empty list.
AllowList read_inbound(const XmlElement& root, const AddressBooks& books);

}  // namespace i3
