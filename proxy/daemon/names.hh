// Owns what a DNS name means on this host: own suffix, address book, key names, policies.
#pragma once

#include <functional>

#include "dnsintercept/interceptor.hh"
#include "proxy/host/groups.hh"
#include "proxy/host/visits.hh"
#include "proxy/settings/policy.hh"

namespace i3 {

class Names final : public NameService {
 public:
  Names(Host& host, std::string suffix, Policy policy);

  NameAnswer resolve(std::string_view name, TimePoint now) override;
  std::optional<std::string> reverse(const IpAddress& virtual_address) override;
  bool owns(const IpAddress& address) override;

  // A gateway has a question that was to be told later. Set before the first resolve().
  std::function<void()> asked;
  // The answer to what resolve() called `pending`.
  std::function<void(std::uint64_t number, const NameAnswer& answer)> complete;
  // The same for others than the interceptor: `done` is called once, perhaps at once.
  void look_up(std::string_view name, TimePoint now, std::function<void(const NameAnswer&)> done);
  // The gateway, or the group of them, that a name is asked of, and what it is asked for there.
  struct Behind {
    PublicKey gateway;
    std::string name;
  };
  std::optional<Behind> behind(std::string_view name) const;

  // Names that are visited anonymously are its to answer.
  void set_visits(Visits* visits) { visits_ = visits; }
  // Names of groups are its to answer.
  void set_groups(Groups* groups);
  // The name as groups know it, by name or by the group's key, if it is one of theirs.
  std::optional<std::string> group_name(std::string_view text) const;
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

  // In lower case, without the suffix.
  std::string short_name(std::string_view text) const;

 private:
  static std::optional<Behind> by_policy(const Decision& decision, std::string_view name);
  static constexpr std::size_t kMaxWaiting = 64;

  NameAnswer ask(const Behind& behind, TimePoint now);
  void told(std::uint64_t number, const GatewayAnswer& answer);
  std::string name_behind(const std::string& name, const std::string& gateway) const;
  std::optional<PublicKey> gateway_named(std::string_view name) const;

  Host& host_;
  std::string suffix_;
  Policy policy_;
  Visits* visits_ = nullptr;
  struct Waiting {
    std::uint64_t number;
    std::function<void(const NameAnswer&)> done;
  };
  std::vector<Waiting> waiting_;  // at most kMaxWaiting
  Groups* groups_ = nullptr;
};

}  // namespace i3
