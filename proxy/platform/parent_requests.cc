// What a worker may ask, each checked as if an attacker had asked. docs/privileges.md
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "proxy/platform/host_files.hh"
#include "proxy/platform/parent_impl.hh"
#include "proxy/platform/platform_error.hh"
#include "proxy/platform/resident.hh"

namespace i3 {
namespace {

constexpr int kMessagesATurn = 64;  // then signals get their turn
constexpr std::uint16_t kLeastMtu = 1280;
// Shorter routes are how VPNs spell a default route; longer ones are networks somebody uses.
constexpr unsigned kShortestRealRoute = 8;

std::string errno_text(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

// Only what nobody can change any more, and cannot block: a sealed memfd.
bool is_sealed_memory(int fd) {
  int seals = ::fcntl(fd, F_GET_SEALS);
  constexpr int needed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
  struct stat status {};
  return seals >= 0 && (seals & needed) == needed && ::fstat(fd, &status) == 0 &&
         status.st_size >= 0 && static_cast<std::size_t>(status.st_size) <= kMaximumFileSize;
}

}  // namespace

void Parent::Impl::on_channel() {
  for (int i = 0; i < kMessagesATurn && channel; ++i) {
    Packet packet = receive_packet(channel.get());
    if (packet.state == Packet::State::none) return;
    if (packet.state == Packet::State::closed) {
      // The socket closes a moment before the end can be reaped.
      channel.reset();
      hung_up = std::chrono::steady_clock::now();
      return;
    }
    auto asked =
        packet.state == Packet::State::message ? BrokerRequest::parse(packet.bytes) : std::nullopt;
    if (!asked) return kill_worker("it sent what no worker sends");
    if (asked->kind == RequestKind::alive) {
      unanswered = 0;
      continue;
    }
    Answer given = answer(*asked, std::move(packet.fd));
    if (given.status == 1) log.warning("worker_refused", {{"reason", given.text}});
    BrokerNotice reply{NoticeKind::reply, asked->id, given.status, std::move(given.text)};
    if (!send_packet(channel.get(), reply.write(), given.fd.get()))
      return kill_worker("it does not read its answers");
  }
}

Parent::Impl::Answer Parent::Impl::answer(BrokerRequest& asked, UniqueFd fd) {
  try {
    switch (asked.kind) {
      case RequestKind::read_file:
        return give_file(asked.path);
      case RequestKind::replace_file:
        return take_file(asked.path, std::move(fd));
      case RequestKind::refresh_files:
        refresh_files();
        return fine();
      case RequestKind::open_state:
        return give_state();
      case RequestKind::add_route:
        return add_route(asked.prefix);
      case RequestKind::remove_route:
        return remove_route(asked.prefix);
      case RequestKind::set_mtu:
        return set_mtu(asked.mtu);
      case RequestKind::upstream_socket:
        return give_upstream_socket(asked.v6, asked.stream);
      case RequestKind::place_dns:
        return place_dns(asked);
      case RequestKind::update_nameservers:
        return update_nameservers(asked);
      case RequestKind::withdraw_dns:
        placement.reset();
        return fine();
      case RequestKind::nat_opens:
      case RequestKind::nat_names:
      case RequestKind::nat_retain:
        return change_nat(asked);
      case RequestKind::waypoint_names:
        return change_waypoints(asked);
      case RequestKind::ready:
        return on_ready();
      case RequestKind::alive:
        break;
    }
    return refused("unknown request");
  } catch (const std::exception& error) {
    return failed(error.what());
  }
}

const FileAccess* Parent::Impl::access_to(const std::string& path) const {
  auto found = std::find_if(request.files.begin(), request.files.end(),
                            [&](const FileAccess& file) { return file.path == path; });
  return found == request.files.end() ? nullptr : &*found;
}

void Parent::Impl::refresh_files() {
  if (!request.reread_files) return;
  try {
    std::vector<FileAccess> files = request.reread_files();
    if (!files.empty()) request.files = std::move(files);
    if (request.nat) nat_named = request.nat->named();
  } catch (const std::exception& error) {
    log.error("settings_refused", {{"reason", error.what()}});
  }
}

Parent::Impl::Answer Parent::Impl::give_file(const std::string& path) {
  if (!access_to(path)) return refused("the settings name no file " + path);
  UniqueFd fd = open_for_reading(path);
  if (!fd) return failed(errno_text(path));
  return {0, {}, std::move(fd)};
}

Parent::Impl::Answer Parent::Impl::take_file(const std::string& path, UniqueFd memory) {
  const FileAccess* file = access_to(path);
  if (!file || !file->replace) return refused("no worker may replace " + path);
  if (!memory || !is_sealed_memory(memory.get())) return refused("no sealed text for " + path);
  std::string text;
  if (!read_all(memory.get(), text)) return failed(errno_text("cannot read the new text"));
  if (file->names_files) {
    std::string why = request.refuse_replacement ? request.refuse_replacement(path, text)
                                                 : "it names files and is read-only";
    if (!why.empty()) return refused(path + ": " + why);
  }
  std::string why = replace_file(path, text);
  return why.empty() ? fine() : failed(why);
}

Parent::Impl::Answer Parent::Impl::give_state() {
  if (request.state_file.empty()) return refused("there is no state file");
  held.state = open_state_file(request.state_file);
  UniqueFd copy(::fcntl(held.state.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return failed(errno_text("descriptors"));
  return {0, {}, std::move(copy)};
}

// A taken-over worker must not draw the host's own networks, gateways or servers to itself.
std::string Parent::Impl::why_not_routed(const IpPrefix& prefix) {
  const IpAddress& address = prefix.address;
  if (held.tun_index == 0) return "there is no interface";
  if (prefix.length != (address.is_v4() ? 32u : 128u)) return "only single addresses";
  if (address.multicast())
    return for_one_link(address) ? address.text() + " is for one link only" : std::string();
  if (!address.is_private() || address.loopback() || address.multicast() || address.link_local())
    return address.text() + " is not a private address";
  for (const HostRoute& route : netlink.routes()) {
    bool covers = route.destination.is_v4() == address.is_v4() &&
                  route.destination.length >= kShortestRealRoute &&
                  route.destination.contains(address);
    if (covers && route.link != held.tun_index)
      return address.text() + " belongs to route " + route.destination.text();
    if (covers && route.local) return address.text() + " is this host's own";
  }
  return {};
}

Parent::Impl::Answer Parent::Impl::add_route(const IpPrefix& prefix) {
  auto known = std::find(held.routes.begin(), held.routes.end(), prefix);
  if (known != held.routes.end()) return fine();
  if (held.routes.size() >= kMaximumRoutes) return refused("too many routes");
  if (std::string why = why_not_routed(prefix); !why.empty()) return refused(why);
  const auto& own = prefix.is_v4() ? request.tun->ipv4 : request.tun->ipv6;
  netlink.add_route(held.tun_index, prefix,
                    own ? std::optional<IpAddress>(own->address) : std::nullopt);
  held.routes.push_back(prefix);
  return fine();
}

Parent::Impl::Answer Parent::Impl::remove_route(const IpPrefix& prefix) {
  auto known = std::find(held.routes.begin(), held.routes.end(), prefix);
  if (known == held.routes.end()) return refused("no route of a worker: " + prefix.text());
  netlink.remove_route(held.tun_index, prefix);
  held.routes.erase(known);
  return fine();
}

Parent::Impl::Answer Parent::Impl::set_mtu(std::uint16_t mtu) {
  if (mtu < kLeastMtu || held.tun_index == 0) return refused("MTU " + std::to_string(mtu));
  netlink.set_mtu(held.tun_index, mtu);
  held.mtu = mtu;
  return fine();
}

Parent::Impl::Answer Parent::Impl::give_upstream_socket(bool v6, bool stream) {
  int type = (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, type, 0));
  if (!fd) return failed(errno_text("socket"));
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &kBypassMark, sizeof kBypassMark) != 0)
    return failed(errno_text("SO_MARK"));
  return {0, {}, std::move(fd)};
}

Parent::Impl::Answer Parent::Impl::place_dns(const BrokerRequest& asked) {
  if (asked.mode == PlacementMode::resolv_conf && !request.dns.may_edit_resolv_conf)
    return refused("resolv.conf is edited only where the settings ask for it by name");
  auto answer_placed = [this] {
    return fine(std::string(name_of(placement->mode())) + ": " + placement->description());
  };
  bool same = placement && placed.mode == asked.mode && placed.domains == asked.domains &&
              placed.sees_every_query == asked.sees_every_query;
  if (same) {
    // As after a worker's death: without a moment in which names do not resolve.
    placement->update(asked.nameservers);
    return answer_placed();
  }
  PlacementRequest wanted;
  wanted.mode = asked.mode;
  wanted.routing_domains = asked.domains;
  wanted.sees_every_query = asked.sees_every_query;
  wanted.nameservers = asked.nameservers;
  wanted.link_name = held.tun_name;
  wanted.link_index = static_cast<int>(held.tun_index);
  for (const DnsPair& stub : held.stubs)
    (stub.address.is_v4() ? wanted.stub4 : wanted.stub6) = stub.address;
  for (const DnsPair& pair : held.loopback)
    (pair.address.is_v4() ? wanted.redirect_port4 : wanted.redirect_port6) = pair.udp.local.port;
  wanted.bypass_mark = kBypassMark;
  wanted.resolv_conf = request.dns.resolv_conf;
  placement.reset();
  placement = place(wanted, log);
  placed = asked;
  log.info("dns_placed", {{"how", placement->description()}});
  return answer_placed();
}

Parent::Impl::Answer Parent::Impl::update_nameservers(const BrokerRequest& asked) {
  if (!placement) return refused("DNS is not placed");
  placement->update(asked.nameservers);
  return fine();
}

// Where a gateway may never lead unless its settings say so by address: this machine, what lies
// next to it without an address of its own, clouds' metadata, groups; and our own addresses, round
// which packets would go in a circle, not even then.
std::string Parent::Impl::why_not_real(const IpAddress& real,
                                       const std::vector<HostAddress>& own_ones,
                                       const std::vector<IpPrefix>& tunnels) {
  const auto virtual_one = [&](const std::optional<TunAddress>& own) {
    return own && own->network().is_v4() == real.is_v4() && own->network().contains(real);
  };
  const auto holds = [&](const IpPrefix& network) { return network.contains(real); };
  if (real.unspecified() || real.multicast() ||
      std::any_of(tunnels.begin(), tunnels.end(), holds) || virtual_one(request.tun->ipv4) ||
      virtual_one(request.tun->ipv6))
    return real.text() + " leads nowhere";
  if (std::find(nat_named.begin(), nat_named.end(), real) != nat_named.end()) return {};
  if (!may_be_reached(real)) return real.text() + " is reserved, and no rule names it";
  for (const HostAddress& own : own_ones)
    if (own.address == real) return real.text() + " is this host's own, and no rule names it";
  return {};
}

Parent::Impl::Answer Parent::Impl::change_nat(const BrokerRequest& asked) {
  if (!nat) return refused("this daemon has no NAT");
  if (asked.kind == RequestKind::nat_retain) {
    nat->retain();
    return fine();
  }
  if (asked.kind == RequestKind::nat_opens)
    return nat->define(asked.opens) ? fine() : refused("too many sets of ports");
  const std::vector<HostAddress> own_ones = netlink.addresses();
  const std::vector<IpPrefix> tunnels = request.nat->tunnels(netlink.routes(), held.tun_index);
  for (const NatName& name : asked.nat_names) {
    const auto& own = name.inner.is_v4() ? request.tun->ipv4 : request.tun->ipv6;
    if (!own || !own->network().contains(name.inner) || name.inner == own->address)
      return refused(name.inner.text() + " is no virtual address to give");
    if (!name.real) continue;
    if (std::string why = why_not_real(*name.real, own_ones, tunnels); !why.empty())
      return refused(why);
  }
  std::string why = nat->set(asked.nat_names, netlink);
  return why.empty() ? fine() : failed(why);
}

// A waypoint leads into the overlay and nowhere else.
Parent::Impl::Answer Parent::Impl::change_waypoints(const BrokerRequest& asked) {
  if (!waypoints) return refused("this daemon has no waypoints");
  for (const WaypointName& name : asked.waypoint_names) {
    if (!waypoints->has(name.waypoint)) return refused(name.waypoint.text() + " is no waypoint");
    if (!name.target) continue;
    const auto& own = name.target->is_v4() ? request.tun->ipv4 : request.tun->ipv6;
    const bool routed =
        std::find(held.routes.begin(), held.routes.end(),
                  IpPrefix{*name.target, name.target->is_v4() ? 32u : 128u}) != held.routes.end();
    const bool virtual_one =
        own && *name.target != own->address && (own->network().contains(*name.target) || routed);
    if (!virtual_one) return refused(name.target->text() + " is no peer's virtual address");
  }
  std::string why = waypoints->set(asked.waypoint_names, netlink);
  return why.empty() ? fine() : failed(why);
}

Parent::Impl::Answer Parent::Impl::on_ready() {
  if (!ready) {
    ready = true;
    was_ready = true;
    next_question = std::chrono::steady_clock::now();
    log.info("ready", {{"pid", worker}});
    give_back_code();
    ::sd_notify(0, "READY=1");
  }
  return fine();
}

}  // namespace i3
