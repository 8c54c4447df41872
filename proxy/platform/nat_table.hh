// Owns the nftables table of a gateway: inner addresses are translated to real ones and back, and
// only what is open for an address gets through. It lives in the parent, so a worker's death breaks
// no connection, and belongs to the parent's netlink socket, so the kernel removes it with that.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>

#include "dnsintercept/nft_context.hh"
#include "proxy/platform/forwarding.hh"
#include "proxy/platform/nat.hh"
#include "proxy/platform/netlink.hh"

namespace i3 {

class NatTable {
 public:
  // Throws PlatformError if nftables refuses. Helpers of conntrack that the kernel lacks are left
  // out, and named in the log.
  NatTable(const std::string& tun_name, bool ipv6, std::unique_ptr<Forwarding> forwarding,
           Log& log);
  ~NatTable();

  // Numbers of an earlier worker mean nothing to the next one.
  void new_worker();
  // False where there are too many different ones.
  bool define(const NatOpens& opens);
  // All or nothing; empty, or why not. Switches forwarding on where the addresses lie.
  std::string set(const std::vector<NatName>& names, Netlink& netlink);
  // Forgets what the present worker did not set.
  void retain();

 private:
  struct Held {
    IpAddress real;
    std::string chain;
    unsigned worker = 0;
  };

  std::string ruleset() const;
  void add_helpers();
  void commands_for(std::string& commands, const IpAddress& inner, const Held* now,
                    const Held* before) const;

  Log& log_;
  std::string tun_;
  bool ipv6_;
  std::string table_;
  NftContext nft_;
  std::unique_ptr<Forwarding> forwarding_;
  unsigned worker_ = 0;
  std::map<std::uint16_t, std::string> numbers_;  // to one of chains_, of the present worker
  std::map<std::string, std::string> chains_;     // rules to the number of their chain and sets
  std::unordered_map<IpAddress, Held> names_;     // by inner address
};

}  // namespace i3
