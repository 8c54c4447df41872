#include "proxy/platform/waypoint_table.hh"

#include <algorithm>

#include "proxy/platform/platform_error.hh"

namespace i3 {
namespace {

std::string listed(const std::vector<IpRange>& ranges) {
  std::string text;
  for (const IpRange& range : ranges) text += (text.empty() ? "" : ", ") + range.text();
  return text;
}

std::string map_of(const WaypointName& name) {
  if (!name.waypoint.is_v4()) return "named6";
  return !name.window ? "bound4" : name.client.is_v4() ? "asked4" : "window4";
}
std::string key_of(const WaypointName& name) {
  if (!name.client.is_v4()) return name.waypoint.text();
  return name.client.text() + " . " + name.waypoint.text();
}

constexpr char kFour[] = "ip daddr @waypoints4 ";

// UDP flows and pings that a window may open, a second and at once: of one network that asked, and
// of all others together.
constexpr char kOpenings[] = "limit rate over 100/second burst 200 packets";

}  // namespace

WaypointTable::WaypointTable(WaypointRequest request, Places places, Log& log)
    : log_(log),
      request_(std::move(request)),
      places_(std::move(places)),
      table_("inet " + nft_table_name("i3_way_", places_.tun)),
      forwarding_(std::make_unique<Forwarding>(request_.forwarding_record, log)) {
  if (!nft_.run(ruleset()))
    throw PlatformError("the gateway's waypoints (nftables table " + table_ +
                        ") were refused: " + nft_.reason());
  log_.info("waypoints", {{"table", table_}});
}

WaypointTable::~WaypointTable() {
  if (!nft_.run("delete table " + table_))
    log_.warning("waypoints_left", {{"table", table_}, {"reason", nft_.reason()}});
}

// What stays this host's, though it comes to a waypoint.
std::string WaypointTable::mine() const {
  std::string rules;
  for (const Endpoint& listen : request_.listen) {
    std::string to = listen.address.is_v4() ? "ip daddr " : "ip6 daddr ";
    to = listen.address.unspecified() ? "" : to + listen.address.text() + " ";
    rules += "    " + to + "meta l4proto { tcp, udp } th dport " + std::to_string(listen.port) +
             " return\n";
  }
  for (const std::uint16_t port : places_.udp)
    rules += "    udp dport " + std::to_string(port) + " return\n";
  return rules;
}

std::string WaypointTable::way() const {
  std::string rules = "    iifname \"" + places_.tun + "\" return\n" + mine();
  const std::string ports =
      request_.ports.all() ? "meta l4proto tcp" : "tcp dport { " + request_.ports.text() + " }";
  if (four()) {
    rules += "    " + std::string(kFour) + ports + " dnat ip to " + places_.listener4.text() + "\n";
    for (const char* what : {"meta l4proto udp ", "icmp type echo-request "}) {
      const std::string match = "    " + std::string(kFour) + what;
      rules += match + "dnat ip to ip saddr . ip daddr map @bound4\n" + match + "jump unbound\n";
    }
  }
  if (request_.prefix6 && places_.listener6.port != 0) {
    const std::string six = "    ip6 daddr " + request_.prefix6->text() + " ";
    rules += six + ports + " dnat ip6 to " + places_.listener6.text() + "\n" + six +
             "meta l4proto udp dnat ip6 to ip6 daddr map @named6\n" + six +
             "icmpv6 type echo-request dnat ip6 to ip6 daddr map @named6\n";
  }
  return rules;
}

// What means nothing is said so, and is not this host's own to answer.
std::string WaypointTable::own() const {
  if (!four() || !request_.ports.all()) return {};
  const std::string match = "    " + std::string(kFour);
  return mine() + "    ct state established,related return\n" + match +
         "icmp type echo-request reject with icmp host-unreachable\n" + match +
         "meta l4proto udp reject with icmp port-unreachable\n";
}

std::string WaypointTable::after() const {
  const std::string out = "    ct status dnat oifname \"" + places_.tun + "\" ";
  std::string rules;
  if (places_.listener4.port != 0)
    rules += out + "meta nfproto ipv4 snat ip to " + places_.listener4.address.text() + "\n";
  if (places_.listener6.port != 0)
    rules += out + "meta nfproto ipv6 snat ip6 to " + places_.listener6.address.text() + "\n";
  return rules;
}

// 1 the host's own DNS server and overlay port pass  2 TCP to the listener, whatever the waypoint
// means: the handshake comes before that  3 UDP and echo requests by what it means to that client,
// else by the window that is open  4 under our own virtual address into the TUN  5 no way through
// for what means nothing, and none to this host itself
std::string WaypointTable::ruleset() const {
  const std::string size = "; size " + std::to_string(kMaximumWaypointsHeld) + "; }\n";
  const std::string pair4 = " { type ipv4_addr . ipv4_addr : ipv4_addr" + size;
  const std::string network = "ip saddr & 255.255.255.0";
  const std::string waypoints =
      request_.ranges4.empty() ? "" : " elements = { " + listed(request_.ranges4) + " };";
  const std::string unknown = request_.prefix6 && places_.listener6.port != 0
                                  ? "    ip6 daddr " + request_.prefix6->text() +
                                        " reject with icmpv6 type addr-unreachable\n"
                                  : "";
  return "create table " + table_ + " { flags owner; }\n" +  //
         "table " + table_ + " {\n  flags owner;\n" +
         "  set waypoints4 { type ipv4_addr; flags interval; auto-merge;" + waypoints + " }\n" +
         "  map bound4" + pair4 + "  map asked4" + pair4 +  //
         "  map window4 { type ipv4_addr : ipv4_addr" + size +
         "  map named6 { type ipv6_addr : ipv6_addr" + size +
         "  set opening { type ipv4_addr; flags dynamic; timeout 10s; size 65536; }\n" +
         "  chain unbound {\n" + "    " + network + " . ip daddr @asked4 update @opening { " +
         network + " " + kOpenings + " } drop\n" + "    dnat ip to " + network +
         " . ip daddr map @asked4\n" + "    ip daddr @window4 " + kOpenings + " drop\n" +
         "    dnat ip to ip daddr map @window4\n" + "  }\n" +
         "  chain way { type nat hook prerouting priority -106; policy accept;\n" + way() +
         "  }\n" + "  chain after { type nat hook postrouting priority 95; policy accept;\n" +
         after() + "  }\n" +
         "  chain own { type filter hook input priority filter; policy accept;\n" + own() +
         "  }\n" + "  set opened4 { type ifname; }\n" +
         "  chain ours { type filter hook forward priority filter; policy accept;\n" + unknown +
         "    meta nfproto ipv4 iifname @opened4 iifname != \"" + places_.tun + "\" oifname != \"" +
         places_.tun + "\" drop\n" + "  }\n" + "}\n";
}

bool WaypointTable::has(const IpAddress& waypoint) const {
  if (!waypoint.is_v4()) return request_.prefix6 && request_.prefix6->contains(waypoint);
  return std::any_of(request_.ranges4.begin(), request_.ranges4.end(),
                     [&](const IpRange& range) { return range.contains(waypoint); });
}

void WaypointTable::new_worker() {
  if (held_.empty()) return;
  held_.clear();
  std::string commands;
  for (const char* map : {"bound4", "asked4", "window4", "named6"})
    commands += "flush map " + table_ + ' ' + map + '\n';
  nft_.run(commands);
}

std::string WaypointTable::set(const std::vector<WaypointName>& names, Netlink& netlink) {
  std::string commands;
  std::unordered_map<std::string, std::string> changed;
  bool four = false, six = false;
  for (const WaypointName& name : names) {
    const std::string map = map_of(name), key = key_of(name), place = map + ' ' + key;
    if (changed.contains(place)) return "the same waypoint twice";
    const auto known = held_.find(place);
    const std::string before = known == held_.end() ? "" : known->second;
    const std::string target = name.target ? name.target->text() : "";
    if (before == target) continue;
    if (!before.empty()) commands += "delete element " + table_ + ' ' + map + " { " + key + " }\n";
    if (!target.empty()) {
      commands += "add element " + table_ + ' ' + map + " { " + key + " : " + target + " }\n";
      (name.waypoint.is_v4() ? four : six) = true;
    }
    changed.emplace(place, target);
  }
  // One that is replaced has two places until the kernel has taken all.
  const auto added = std::count_if(changed.begin(), changed.end(),
                                   [](const auto& one) { return !one.second.empty(); });
  if (held_.size() + static_cast<std::size_t>(added) > kMaximumWaypointsHeld)
    return "too many waypoints";
  if (four)
    if (std::string why = forwarding_->forward4(nft_, table_, netlink); !why.empty()) return why;
  if (six)
    if (std::string why = forwarding_->forward6(nft_, table_, places_.tun); !why.empty())
      return why;
  if (!commands.empty() && !nft_.run(commands)) return nft_.reason();
  for (const auto& [place, target] : changed) {
    if (target.empty())
      held_.erase(place);
    else
      held_[place] = target;
  }
  return {};
}

}  // namespace i3
