// Owns the kernel's forwarding switches as a gateway needs them, and puts them back.
#pragma once

#include <map>
#include <set>
#include <string>

#include "dnsintercept/nft_context.hh"
#include "overlay/base/log.hh"
#include "proxy/platform/netlink.hh"

namespace i3 {

// IPv4 is switched on by interface. IPv6 has one switch for all; interfaces that live by router
// advertisements keep listening to them.
// What the switches were is written to a file first: a process that was killed cannot put them
// back, and the next one must not take its settings for the host's.
class Forwarding {
 public:
  // `record`: where that is written; one that an earlier process left counts, and is undone first.
  Forwarding(std::string record, Log& log);
  ~Forwarding();  // puts everything back
  Forwarding(const Forwarding&) = delete;
  Forwarding& operator=(const Forwarding&) = delete;

  // From and to every interface that is up. What is switched on here would forward for everybody:
  // its drop rule in `table` (the set opened4, the chain ours) stands first. Empty, or why not;
  // asked again it goes on where it failed, and sees interfaces that came since.
  std::string forward4(NftContext& nft, const std::string& table, Netlink& netlink);
  std::string forward6(NftContext& nft, const std::string& table, const std::string& tun);

 private:
  // `guard` is an nftables command that must have succeeded before the switch is turned.
  std::string set(const std::string& key, const std::string& value, NftContext& nft,
                  const std::string& guard);
  void put_back();

  std::string record_;
  Log& log_;
  std::map<std::string, std::string> before_;  // path below /proc/sys/net, value
  std::set<std::string> guarded_;              // paths whose guard stands
};

// What a killed gateway left of it.
bool restore_forwarding(const std::string& record, Log& log);

}  // namespace i3
