// Owns what a DNS name means on this host: own suffix, address book, key names, policies.
#pragma once

#include "dnsintercept/interceptor.hh"
#include "proxy/host/visits.hh"
#include "proxy/settings/policy.hh"

namespace i3 {

class Names final : public NameService {
 public:
  Names(Host& host, std::string suffix, Policy policy)
      : host_(host), suffix_(std::move(suffix)), policy_(std::move(policy)) {}

  NameAnswer resolve(std::string_view name, TimePoint now) override;
  std::optional<std::string> reverse(const IpAddress& virtual_address) override;
  bool owns(const IpAddress& address) override;

  // Names that are visited anonymously are its to answer.
  void set_visits(Visits* visits) { visits_ = visits; }
  // The name as visits know it, if it is one of theirs.
  std::optional<std::string> visit_name(std::string_view text) const;
  void set_policy(Policy policy) { policy_ = std::move(policy); }
  const Policy& policy() const { return policy_; }
  // `name` without the suffix, or nothing if it is not below it. The suffix alone is "".
  std::optional<std::string_view> below_suffix(std::string_view name) const;
  // With or without the suffix, a key or a name of the book, any letter case. Nothing for names
  // that are visited anonymously: whoever takes a key would speak to it openly.
  std::optional<PublicKey> key_of(std::string_view name) const;
  const std::string& suffix() const { return suffix_; }
  std::string full(std::string_view name) const { return std::string(name) + '.' + suffix_; }
  // Zones of the pools' addresses, for the resolver: "64.100.in-addr.arpa".
  std::vector<std::string> reverse_zones() const;

 private:
  std::string short_name(std::string_view text) const;

  Host& host_;
  std::string suffix_;
  Policy policy_;
  Visits* visits_ = nullptr;
};

}  // namespace i3
