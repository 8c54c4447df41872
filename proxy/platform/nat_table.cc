#include "proxy/platform/nat_table.hh"

#include <algorithm>

#include "proxy/platform/platform_error.hh"

namespace i3 {
namespace {

// Protocols that name addresses or ports in their payload (seed 001, 4.4.1): conntrack's helpers.
struct Helper {
  const char* name;
  const char* protocol;
  unsigned port;
};
constexpr Helper kHelpers[] = {{"ftp", "tcp", 21},    {"sip", "tcp", 5060}, {"sip", "udp", 5060},
                               {"tftp", "udp", 69},   {"RAS", "udp", 1719}, {"Q.931", "tcp", 1720},
                               {"pptp", "tcp", 1723}, {"irc", "tcp", 6667}, {"snmp", "udp", 161}};

std::string element(const std::vector<Ports::Range>& ranges) {
  std::string text;
  for (const Ports::Range& range : ranges) {
    if (!text.empty()) text += ", ";
    text += std::to_string(range.first);
    if (range.last != range.first) text += '-' + std::to_string(range.last);
  }
  return text;
}

// As separate sentences, `add rule TABLE CHAIN` in front of each.
std::string rules_of(const NatOpens& opens, const std::string& front) {
  std::string text;
  if (!opens.tcp.empty()) text += front + "tcp dport { " + element(opens.tcp) + " } accept\n";
  if (!opens.udp.empty()) text += front + "udp dport { " + element(opens.udp) + " } accept\n";
  if (opens.icmp) {
    text += front + "icmp type echo-request accept\n";
    text += front + "icmpv6 type echo-request accept\n";
  }
  return text;
}

const char* family(const IpAddress& address) {
  return address.is_v4() ? "4" : "6";
}

}  // namespace

NatTable::NatTable(const std::string& tun_name, bool ipv6, std::unique_ptr<Forwarding> forwarding,
                   Log& log)
    : log_(log),
      tun_(tun_name),
      ipv6_(ipv6),
      table_("inet " + nft_table_name("i3_nat_", tun_name)),
      forwarding_(std::move(forwarding)) {
  if (!nft_.run(ruleset()))
    throw PlatformError("the gateway's NAT (nftables table " + table_ +
                        ") was refused: " + nft_.reason());
  add_helpers();
  log_.info("nat", {{"table", table_}});
}

NatTable::~NatTable() {
  if (!nft_.run("delete table " + table_))
    log_.warning("nat_left", {{"table", table_}, {"reason", nft_.reason()}});
}

// 1 what belongs to something that stands passes  2 what is open for the address passes, the rest
// is refused  3 real address  4 masquerade  5 no routing for others 6 the TUN's MTU for TCP,
// whatever the ends think
std::string NatTable::ruleset() const {
  const std::string in = "iifname \"" + tun_ + "\"", out = "oifname \"" + tun_ + "\"";
  const std::string size = std::to_string(kMaximumNatAddresses);
  return "create table " + table_ + " { flags owner; }\n" +  //
         "table " + table_ + " {\n  flags owner;\n" +        //
         "  map real4 { type ipv4_addr : ipv4_addr; size " + size + "; }\n" +
         "  map real6 { type ipv6_addr : ipv6_addr; size " + size + "; }\n" +
         "  chain helpers { }\n" + "  chain opens { }\n" +
         "  chain before { type filter hook prerouting priority mangle; policy accept;\n" +
         "    iifname != \"" + tun_ + "\" return\n" + "    fib daddr type local return\n" +
         "    ct state established,related accept\n" + "    ct state new jump helpers\n" +
         "    jump opens\n" + "    meta l4proto tcp reject with tcp reset\n" +
         "    reject with icmpx type admin-prohibited\n" + "  }\n" +
         "  chain real { type nat hook prerouting priority -105; policy accept;\n" + "    " + in +
         " dnat ip to ip daddr map @real4\n" + "    " + in + " dnat ip6 to ip6 daddr map @real6\n" +
         "  }\n" + "  chain after { type nat hook postrouting priority srcnat; policy accept;\n" +
         "    " + in + " oifname != \"" + tun_ + "\" masquerade\n" + "  }\n" +
         // Where forwarding was off, it is on for the gateway only.
         "  set opened4 { type ifname; }\n" +
         "  chain ours { type filter hook forward priority filter; policy accept;\n" +
         "    meta nfproto ipv4 iifname @opened4 iifname != \"" + tun_ + "\" oifname != \"" + tun_ +
         "\" drop\n" + "  }\n" +
         "  chain mss { type filter hook forward priority mangle; policy accept;\n" + "    " + in +
         " tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n" + "    " + out +
         " tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n" + "  }\n" + "}\n";
}

void NatTable::add_helpers() {
  std::string have, lack;
  for (const Helper& helper : kHelpers) {
    const std::string name =
        std::string("h_") + helper.protocol + '_' + std::to_string(helper.port);
    const std::string commands = "add ct helper " + table_ + ' ' + name + " { type \"" +
                                 helper.name + "\" protocol " + helper.protocol + "; }\n" +
                                 "add rule " + table_ + " helpers " + helper.protocol + " dport " +
                                 std::to_string(helper.port) + " ct helper set \"" + name + "\"\n";
    std::string& list = nft_.run(commands) ? have : lack;
    list += (list.empty() ? "" : ",") + std::string(helper.name) + '/' + helper.protocol;
  }
  log_.info("nat_helpers", {{"have", have}, {"kernel_lacks", lack}});
}

void NatTable::new_worker() {
  ++worker_;
  numbers_.clear();
}

// A set of the addresses that have these ports, and not one map from addresses to chains: with each
// change of such a map the kernel goes through all of it, to see that no chains go in a circle.
bool NatTable::define(const NatOpens& opens) {
  const std::string rules = rules_of(opens, "");
  auto known = chains_.find(rules);
  if (known == chains_.end()) {
    if (chains_.size() >= kMaximumNatOpens) return false;
    const std::string chain = std::to_string(chains_.size());
    std::string commands = "add chain " + table_ + " open_" + chain + "\n" +
                           rules_of(opens, "add rule " + table_ + " open_" + chain + ' ');
    for (const auto& [family, protocol] : {std::pair{"4", "ip"}, {"6", "ip6"}}) {
      const std::string set = std::string("at") + family + '_' + chain;
      commands += "add set " + table_ + ' ' + set + " { type ipv" + family + "_addr; }\n" +
                  "add rule " + table_ + " opens " + protocol + " daddr @" + set + " goto open_" +
                  chain + "\n";
    }
    if (!nft_.run(commands)) {
      log_.error("nat_ports_refused", {{"reason", nft_.reason()}});
      return false;
    }
    known = chains_.emplace(rules, chain).first;
  }
  numbers_[opens.number] = known->second;
  return true;
}

void NatTable::commands_for(std::string& commands, const IpAddress& inner, const Held* now,
                            const Held* before) const {
  const std::string real = table_ + " real" + family(inner),
                    at = table_ + " at" + family(inner) + '_';
  const std::string key = inner.text();
  if (before != nullptr)
    commands += "delete element " + real + " { " + key + " }\n" + "delete element " + at +
                before->chain + " { " + key + " }\n";
  if (now != nullptr)
    commands += "add element " + real + " { " + key + " : " + now->real.text() + " }\n" +
                "add element " + at + now->chain + " { " + key + " }\n";
}

std::string NatTable::set(const std::vector<NatName>& names, Netlink& netlink) {
  std::string commands;
  std::unordered_map<IpAddress, std::optional<Held>> changed;
  bool four = false, six = false;
  for (const NatName& name : names) {
    const auto known = names_.find(name.inner);
    const Held* before = known == names_.end() ? nullptr : &known->second;
    if (changed.contains(name.inner)) return "the same address twice";
    if (!name.real) {
      if (before != nullptr) commands_for(commands, name.inner, nullptr, before);
      changed[name.inner] = std::nullopt;
      continue;
    }
    const auto chain = numbers_.find(name.opens);
    if (chain == numbers_.end()) return "a number that was not defined";
    Held held{*name.real, chain->second, worker_};
    (name.real->is_v4() ? four : six) = true;
    const bool same = before != nullptr && before->real == held.real && before->chain == held.chain;
    if (!same) commands_for(commands, name.inner, &held, before);
    changed[name.inner] = std::move(held);
  }
  // One that is replaced has two places until the kernel has taken all.
  const auto added = std::count_if(changed.begin(), changed.end(),
                                   [](const auto& one) { return one.second.has_value(); });
  if (names_.size() + static_cast<std::size_t>(added) > kMaximumNatAddresses)
    return "too many addresses";
  if (six && !ipv6_) return "this host has no IPv6";
  if (four)
    if (std::string why = forwarding_->forward4(nft_, table_, netlink); !why.empty()) return why;
  if (six)
    if (std::string why = forwarding_->forward6(nft_, table_, tun_); !why.empty()) return why;
  if (!commands.empty() && !nft_.run(commands)) return nft_.reason();
  for (auto& [inner, held] : changed) {
    if (held)
      names_[inner] = std::move(*held);
    else
      names_.erase(inner);
  }
  return {};
}

void NatTable::retain() {
  std::string commands;
  std::vector<IpAddress> gone;
  for (const auto& [inner, held] : names_) {
    if (held.worker == worker_) continue;
    commands_for(commands, inner, nullptr, &held);
    gone.push_back(inner);
  }
  if (gone.empty() || !nft_.run(commands)) return;
  for (const IpAddress& inner : gone) names_.erase(inner);
  log_.info("nat_forgot", {{"addresses", gone.size()}});
}

}  // namespace i3
