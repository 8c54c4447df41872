#include "proxy/platform/forwarding.hh"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "proxy/platform/host_files.hh"

namespace i3 {
namespace {

constexpr char kSwitches[] = "/proc/sys/net/";
constexpr char kAll6[] = "ipv6/conf/all/forwarding";

std::string read_switch(const std::string& key) {
  std::ifstream file(kSwitches + key);
  std::string value;
  std::getline(file, value);
  return value;
}

bool write_switch(const std::string& key, const std::string& value) {
  std::ofstream file(kSwitches + key);
  file << value << '\n';
  file.flush();
  return file.good();
}

// Only what this class writes.
bool is_ours(const std::string& key) {
  const bool forwarding = key.ends_with("/forwarding");
  const bool advertisements = key.starts_with("ipv6/conf/") && key.ends_with("/accept_ra");
  return (forwarding || advertisements) && key.find("..") == std::string::npos &&
         (key.starts_with("ipv4/conf/") || key.starts_with("ipv6/conf/"));
}

}  // namespace

Forwarding::Forwarding(std::string record, Log& log) : record_(std::move(record)), log_(log) {
  make_folder_of(record_);
  restore_forwarding(record_, log_);
}

Forwarding::~Forwarding() {
  put_back();
}

std::string Forwarding::set(const std::string& key, const std::string& value, NftContext& nft,
                            const std::string& guard) {
  const std::string now = read_switch(key);
  if (now == value) return {};
  if (!guard.empty() && !guarded_.contains(key)) {
    if (!nft.run(guard)) return nft.reason();
    guarded_.insert(key);
  }
  if (!before_.contains(key)) {
    std::string text;
    auto all = before_;
    all[key] = now;
    for (const auto& [name, old] : all) text += name + ' ' + old + '\n';
    if (std::string why = replace_file(record_, text); !why.empty())
      return record_ + " cannot be written: " + why;
    before_ = std::move(all);
  }
  if (!write_switch(key, value)) return std::string(kSwitches) + key + " cannot be written";
  log_.info("forwarding", {{"switch", key}, {"was", now}, {"is", value}});
  return {};
}

// All that are up: answers come in where questions leave, which is the routes' to say and may
// change.
std::string Forwarding::forward4(NftContext& nft, const std::string& table, Netlink& netlink) {
  for (const HostLink& link : netlink.links()) {
    if (link.loopback || !link.up) continue;
    const std::string guard = "add element " + table + " opened4 { \"" + link.name + "\" }";
    if (std::string why = set("ipv4/conf/" + link.name + "/forwarding", "1", nft, guard);
        !why.empty())
      return why;
  }
  return {};
}

std::string Forwarding::forward6(NftContext& nft, const std::string& table,
                                 const std::string& tun) {
  if (read_switch(kAll6) == "1") return {};
  std::error_code ignored;
  const std::filesystem::path folder(std::string(kSwitches) + "ipv6/conf");
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string interface = entry.path().filename();
    if (interface == "all" || interface == "default") continue;
    const std::string key = "ipv6/conf/" + interface + "/accept_ra";
    if (read_switch(key) != "1") continue;
    if (std::string why = set(key, "2", nft, {}); !why.empty()) return why;
  }
  return set(kAll6, "1", nft,
             "add rule " + table + " ours meta nfproto ipv6 iifname != \"" + tun +
                 "\" oifname != \"" + tun + "\" drop");
}

void Forwarding::put_back() {
  if (before_.empty()) return;
  before_.clear();
  restore_forwarding(record_, log_);
}

// The common switch first, for it sets those of all interfaces.
bool restore_forwarding(const std::string& record, Log& log) {
  std::ifstream file(record);
  if (!file) return true;
  std::map<std::string, std::string> before;
  std::string key, value;
  while (file >> key >> value)
    if (is_ours(key) && value.size() == 1) before[key] = value;
  bool all = true;
  const auto write = [&](const std::string& name, const std::string& old) {
    if (read_switch(name).empty() || read_switch(name) == old) return;  // gone, or as it was
    all = write_switch(name, old) && all;
  };
  if (const auto common = before.find(kAll6); common != before.end())
    write(common->first, common->second);
  for (const auto& [name, old] : before) write(name, old);
  if (all && ::unlink(record.c_str()) == 0) log.info("forwarding_restored", {{"from", record}});
  if (!all) log.error("forwarding_left", {{"see", record}});
  return all;
}

}  // namespace i3
