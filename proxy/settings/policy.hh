// Owns the policy: which names go to the Internet, nowhere, or through a gateway (seed 001, 4.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/base/xml.hh"
#include "proxy/settings/address_book.hh"
#include "proxy/settings/name_pattern.hh"

namespace i3 {

enum class Via { ip, drop, gateway };

struct Decision {
  Via via = Via::ip;
  std::string gateway;  // name of the book's entry, where via is a gateway
  PublicKey gateway_key;
  bool operator==(const Decision&) const = default;
};

struct Route {
  std::string suffix;                  // either this: the name itself and all below it,
  std::optional<NamePattern> pattern;  // or this
  Decision decision;
  XmlPlace place;

  bool matches(std::string_view name) const;
};

class Policy {
 public:
  Policy() = default;
  explicit Policy(std::vector<Route> routes) : routes_(std::move(routes)) {}

  // First match decides; none: the Internet. Letter case and a final dot do not matter.
  Decision decide(std::string_view name) const;
  // Suffixes that a resolver must send our way: all but those of via="ip", for which the resolver
  // does by itself what we would (and below another suffix the query comes to us anyway).
  std::vector<std::string> routing_domains() const;
  // A regular expression can match any name, so every query has to pass us; one that only leads
  // to the Internet, where everything goes that nothing matches, does not need it.
  bool sees_every_query() const;

  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

// <policy> of `root`, or an empty one. ConfigError for a gateway that no book knows.
Policy read_policy(const XmlElement& root, const AddressBooks& books);

}  // namespace i3
