#include "proxy/daemon/parent_request.hh"

#include "overlay/base/random.hh"
#include "proxy/daemon/ports.hh"
#include "proxy/packet/address_pool.hh"
#include "proxy/platform/conflicts.hh"
#include "proxy/platform/platform_error.hh"

namespace i3 {
namespace {

std::vector<FileAccess> files_of(const ProxySettings& settings, const std::string& config) {
  std::vector<FileAccess> files{{config, true, true}};
  for (const AddressBook& book : settings.books.books())
    files.push_back({book.file(), true, false});
  if (!settings.state.file.empty()) files.push_back({settings.state.file, true, false});
  return files;
}

std::vector<std::string> names_of(const std::vector<FileAccess>& files) {
  std::vector<std::string> names;
  for (const FileAccess& file : files) names.push_back(file.path);
  return names;
}

// A worker that was taken over may change names, rules and entry nodes, but not which files and
// sockets the daemon has.
std::string refuse(const SettingsReader& read, const ProxySettings& before, const std::string& path,
                   const std::string& text) {
  try {
    const ProxySettings after = read(text, path, read_config_file);
    const bool same = names_of(files_of(before, path)) == names_of(files_of(after, path)) &&
                      before.identity_file == after.identity_file &&
                      before.control.socket == after.control.socket &&
                      before.control.group == after.control.group &&
                      before.metrics == after.metrics;
    return same ? "" : "it names other files, another key or another socket than before";
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

VirtualNetworks choose_networks(const ProxySettings& settings) {
  const IpPrefix& wanted = settings.virtual_addresses.ipv4;
  const std::string& own = settings.tun.name;
  const IpPrefix ipv6 = first_free_pool(prefixes_of_ipv6(), own);
  if (!settings.virtual_addresses.chosen) return {first_free_pool(pools_of_ipv4(), own), ipv6};
  const auto conflicts = pool_conflicts(wanted, own);
  if (!conflicts.empty())
    throw PlatformError("the pool " + wanted.text() + " collides with " + conflicts.front() +
                        ": choose another one in <virtual-addresses ipv4=\"...\"/>");
  return {wanted, ipv6};
}

PlatformRequest parent_request(const ProxySettings& settings, const std::string& config,
                               const VirtualNetworks& networks,
                               const std::array<std::uint8_t, 32>& seed,
                               const SettingsReader& read) {
  const Identity identity(seed);
  SystemRandom random;
  const IpPrefix& pool = networks.ipv4;
  AddressPool addresses({pool, networks.ipv6, {}, 16, 4}, random);
  const AddressPool::Entry* own = addresses.add_own(public_id(identity.key()));
  if (own == nullptr) throw PlatformError("the pool " + pool.text() + " has no free address");
  PlatformRequest request;
  request.tun = TunRequest{};
  request.tun->name = settings.tun.name;
  request.tun->virtio_header = true;
  if (settings.tun.mtu) request.tun->mtu = static_cast<std::uint16_t>(*settings.tun.mtu);
  request.tun->ipv4 = TunAddress{own->ipv4.address(), pool.length};
  request.tun->ipv6 = TunAddress{own->ipv6.address(), networks.ipv6.length};
  request.tun->host_addresses = {addresses.stub4().address(), addresses.stub6().address()};
  request.udp_listen = {settings.overlay.listen};
  if (settings.overlay.own_node) request.udp_listen.push_back({IpAddress{}, kNodePort});
  if (settings.metrics) request.tcp_listen = {*settings.metrics};
  request.dns.stubs = request.tun->host_addresses;
  request.dns.loopback = settings.dns.intercept == Intercept::automatic ||
                         settings.dns.intercept == Intercept::redirect;
  request.dns.may_edit_resolv_conf = settings.dns.intercept == Intercept::resolv_conf;
  request.control_socket = settings.control.socket;
  request.control_group = settings.control.group;
  request.state_file = settings.state.file;
  request.files = files_of(settings, config);
  request.reread_files = [config, read] {
    return files_of(read(read_config_file(config), config, read_config_file), config);
  };
  request.refuse_replacement = [settings, config, read](const std::string& path,
                                                        const std::string& text) {
    return path == config ? refuse(read, settings, path, text) : std::string();
  };
  request.seed = seed;
  return request;
}

}  // namespace i3
