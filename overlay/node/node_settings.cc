#include "overlay/node/node_settings.hh"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace i3 {
namespace {

[[noreturn]] void fail(const NodeSettings& settings, const std::string& what) {
  throw ConfigError((settings.file.empty() ? "--listen" : settings.file + ":1:1") + ": " + what);
}

void advertise(const NodeSettings& settings, const Endpoint& address, wire::NodeContact& contact) {
  auto& place = address.address.is_v4() ? contact.v4 : contact.v6;
  if (place && *place != address)
    fail(settings, "two advertised addresses of one family, " + place->text() + " and " +
                       address.text() + "; one of each family is allowed");
  place = address;
}

}  // namespace

TriggerLimits trigger_limits(const NodeSettings& settings) {
  TriggerLimits limits;
  limits.total = settings.triggers;
  limits.per_key = settings.triggers_per_key;
  // One address, or one site's worth of IPv6, never takes more than a part of the table.
  limits.per_prefix = std::max(settings.triggers / 64, settings.triggers_per_key);
  return limits;
}

NodeCoreSettings core_settings(const NodeSettings& settings) {
  NodeCoreSettings core;
  for (const NodeListen& listen : settings.listen) {
    if (listen.advertise)
      advertise(settings, *listen.advertise, core.contact);
    else if (!listen.address.address.unspecified() && listen.address.port != 0)
      advertise(settings, listen.address, core.contact);
    if (!listen.tls) continue;
    if (core.contact.tls_port != 0 && core.contact.tls_port != listen.tls->port)
      fail(settings, "two ports for TLS, " + std::to_string(core.contact.tls_port) + " and " +
                         std::to_string(listen.tls->port) + "; others are told of one");
    core.contact.tls_port = listen.tls->port;
  }
  if (!core.contact.v4 && !core.contact.v6 && settings.join.empty())
    fail(settings,
         "listens on every address and has nobody to ask which one others reach; give the address "
         "with --advertise ADDR:PORT (advertise= in <listen>), or a node to join");
  for (const EntryNode& entry : settings.join) core.join.push_back({entry.address, entry.key});
  core.chord.successors =
      std::min<std::size_t>(settings.successors, wire::StateBody::kMaxSuccessors);
  core.chord.replicas = std::min<std::size_t>(settings.replicas, wire::Inserted::kMaxReplicas);
  core.triggers = trigger_limits(settings);
  core.operator_key = settings.operator_key;
  if (settings.operator_key) core.membership = read_membership(settings.identity_file);
  return core;
}

std::optional<wire::Membership> read_membership(const std::string& identity_file) {
  const std::string path = identity_file + ".membership";
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::string text;
  file >> text;
  const auto bytes = from_base32(text);
  if (!bytes || bytes->size() != wire::Membership::kSize)
    throw ConfigError(path +
                      ":1:1: is no membership; the ring's operator makes one with "
                      "i3-node --issue-membership");
  Reader reader(*bytes);
  return wire::Membership::read(reader);
}

std::string membership_text(const wire::Membership& membership) {
  std::array<std::uint8_t, wire::Membership::kSize> bytes;
  Writer writer(bytes);
  membership.write(writer);
  return base32(bytes);
}

std::uint8_t next_place(const std::string& state_file, std::string& problem) {
  unsigned k = wire::NodeContact::kMaxK;
  if (std::ifstream file(state_file); file) {
    std::string name;
    if (!(file >> name >> k) || name != "k" || k > wire::NodeContact::kMaxK)
      k = wire::NodeContact::kMaxK;
  }
  const auto next = static_cast<std::uint8_t>((k + 1) % (wire::NodeContact::kMaxK + 1));
  save_place(state_file, next, problem);
  return next;
}

bool save_place(const std::string& state_file, std::uint8_t k, std::string& problem) {
  std::error_code error;
  const std::filesystem::path path(state_file);
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  const std::string fresh = state_file + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << "k " << static_cast<unsigned>(k) << '\n';
    if (!file.flush()) {
      problem = fresh + ": " + std::strerror(errno);
      return false;
    }
  }
  std::filesystem::rename(fresh, path, error);
  if (error) problem = state_file + ": " + error.message();
  return !error;
}

}  // namespace i3
