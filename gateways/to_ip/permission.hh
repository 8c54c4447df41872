// Owns what the rules of an i3-to-IP gateway give to a client: which names it may ask for, which
// addresses they may lead to, and what may be opened there.
#pragma once

#include <functional>

#include "proxy/platform/nat.hh"
#include "proxy/settings/gateway_settings.hh"

namespace i3 {

class Permissions {
 public:
  // `is_own`: an address of this machine, or a virtual one. The settings are kept.
  Permissions(I3ToIpSettings settings, std::function<bool(const IpAddress&)> is_own)
      : settings_(std::move(settings)), is_own_(std::move(is_own)) {}

  // Whether any rule is about that client; all others learn nothing.
  bool knows(const PublicKey& client) const;
  // A name is given by a rule whose `names` has it, or that has none. One that spells an address
  // (literal.hh) is given by a rule whose `addresses` has that, or that has neither.
  bool may_ask(const PublicKey& client, std::string_view name) const;
  // What may be opened there under that name, `number` 0; nothing where the address is not given,
  // or is this machine's or reserved (nat.hh, may_be_reached) and no rule names it by itself.
  std::optional<NatOpens> opens(const PublicKey& client, std::string_view name,
                                const IpAddress& real) const;

 private:
  bool gives(const GatewayRule& rule, const PublicKey& client, std::string_view name) const;

  I3ToIpSettings settings_;
  std::function<bool(const IpAddress&)> is_own_;
};

// True where conntrack may expect a further connection, to another port: some port of a protocol
// with a helper is open (nat_table.cc). The kernel then decides.
bool has_helper(const NatOpens& opens);

}  // namespace i3
