#include "proxy/platform/conflicts.hh"

#include <algorithm>
#include <map>
#include <memory>
#include <nftables/libnftables.h>
#include <nlohmann/json.hpp>

#include "proxy/platform/netlink.hh"

namespace i3 {
namespace {

// One conflict is enough to say no, and a line should be readable.
constexpr std::size_t kEnough = 3;

const IpPrefix kSharedAddressSpace{IpAddress::v4(0x64400000), 10};  // RFC 6598; Tailscale's range

bool inside(const IpPrefix& network, const IpPrefix& pool) {
  return network.is_v4() == pool.is_v4() && network.length >= pool.length &&
         pool.contains(network.address);
}

bool overlap(const IpPrefix& a, const IpPrefix& b) {
  return inside(a, b) || inside(b, a);
}

class Nftables {
 public:
  Nftables() : context_(nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free) {
    if (!context_) return;
    nft_ctx_buffer_output(context_.get());
    nft_ctx_buffer_error(context_.get());
    nft_ctx_output_set_flags(context_.get(), NFT_CTX_OUTPUT_JSON);
  }

  // The JSON answer; discarded where nftables is missing, refuses, or finds nothing.
  nlohmann::json ask(const char* command) {
    if (!context_ || nft_run_cmd_from_buffer(context_.get(), command) != 0) return discarded();
    const char* output = nft_ctx_get_output_buffer(context_.get());
    return output ? nlohmann::json::parse(output, nullptr, false) : discarded();
  }

 private:
  static nlohmann::json discarded() { return nlohmann::json::value_t::discarded; }
  std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> context_;
};

bool tailscale_filter_present(const std::vector<HostLink>& links) {
  for (const HostLink& link : links)
    if (link.name.starts_with("tailscale")) return true;
  Nftables nftables;
  return !nftables.ask("list chain ip filter ts-input").is_discarded();
}

std::string phrase(const HostRoute& route, const std::map<unsigned, std::string>& names) {
  auto name = names.find(route.link);
  std::string result = (route.local ? "address " : "route ") +
                       (route.local ? route.destination.address.text() : route.destination.text());
  return name == names.end() ? result : result + " dev " + name->second;
}

}  // namespace

std::vector<std::string> pool_conflicts(const IpPrefix& pool, const std::string& own_tun) {
  Netlink netlink;
  std::vector<HostLink> links = netlink.links();
  std::map<unsigned, std::string> names;
  for (const HostLink& link : links) names[link.index] = link.name;

  std::vector<std::string> conflicts;
  for (const HostRoute& route : netlink.routes()) {
    auto name = names.find(route.link);
    bool own = name != names.end() && name->second == own_tun;
    if (own || !inside(route.destination, pool)) continue;
    std::string text = phrase(route, names);
    bool known = std::find(conflicts.begin(), conflicts.end(), text) != conflicts.end();
    if (!known && conflicts.size() < kEnough) conflicts.push_back(std::move(text));
  }
  if (overlap(pool, kSharedAddressSpace) && tailscale_filter_present(links) &&
      conflicts.size() < kEnough)
    conflicts.push_back("Tailscale's packet filter, which drops 100.64.0.0/10");
  return conflicts;
}

IpPrefix first_free_pool(const std::vector<IpPrefix>& pools, const std::string& own_tun) {
  for (const IpPrefix& pool : pools)
    if (pool_conflicts(pool, own_tun).empty()) return pool;
  return pools.front();
}

std::vector<std::string> dropping_firewalls() {
  std::vector<std::string> found;
  Nftables nftables;
  nlohmann::json answer = nftables.ask("list chains");
  if (!answer.is_object() || !answer.contains("nftables")) return found;
  for (const auto& entry : answer["nftables"]) {
    if (!entry.is_object() || !entry.contains("chain")) continue;
    const auto& chain = entry["chain"];
    bool drops = chain.value("hook", "") == "input" && chain.value("policy", "") == "drop";
    std::string table = chain.value("table", "");
    if (drops && !table.starts_with("i3"))
      found.push_back("table " + chain.value("family", "") + " " + table + ", chain " +
                      chain.value("name", ""));
  }
  return found;
}

}  // namespace i3
