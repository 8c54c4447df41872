#include "overlay/node/kernel/kernel_relay.hh"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <linux/if_link.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_set>

#include "overlay/node/kernel/lease.h"
#include "overlay/node/kernel/relay_program.hh"

namespace i3 {
namespace {

// BPF_TCX_INGRESS of Linux 6.6, which the headers of the build may be too old for.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);

i3_label key_of(wire::Label label) {
  return {htonl(label.slot), htonl(label.secret)};
}

std::uint64_t nanoseconds(TimePoint time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

bool is_ethernet_and_up(const char* name) {
  const OwnedFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (!socket || ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0 ||
      (request.ifr_flags & IFF_UP) == 0)
    return false;
  return ioctl(socket.get(), SIOCGIFHWADDR, &request) == 0 &&
         request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

bool has_device(const char* name) {
  return access(("/sys/class/net/" + std::string(name) + "/device").c_str(), F_OK) == 0;
}

[[noreturn]] void fail(const std::string& what, int error) {
  std::string text = what + ": " + std::strerror(error);
  if (error == EPERM || error == EACCES) text += "; it needs CAP_BPF and CAP_NET_ADMIN";
  throw KernelRelayError(text);
}

}  // namespace

void KernelRelay::Close::operator()(bpf_object* object) const {
  bpf_object__close(object);
}

// 1 load  2 find its parts  3 attach
KernelRelay::KernelRelay(XdpOn xdp) : xdp_(xdp) {
  libbpf_set_print(nullptr);
  const Bytes program = relay_program();
  object_.reset(bpf_object__open_mem(program.data(), program.size(), nullptr));
  if (!object_) fail("the relay program cannot be read", errno);
  bpf_program* at_xdp = bpf_object__find_program_by_name(object_.get(), "i3_relay_xdp");
  bpf_program__set_autoload(at_xdp, xdp != XdpOn::none);
  if (const int error = bpf_object__load(object_.get()); error != 0)
    fail("the kernel does not take the relay program", -error);
  program_ = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), "i3_relay"));
  if (xdp != XdpOn::none) xdp_program_ = bpf_program__fd(at_xdp);
  leases_map_ = bpf_object__find_map_fd_by_name(object_.get(), "leases");
  counts_map_ = bpf_object__find_map_fd_by_name(object_.get(), "counts");
  assert(program_ >= 0 && leases_map_ >= 0 && counts_map_ >= 0);
  const int error = attach();
  if (!attached_.empty()) return;
  if (error == EINVAL) throw KernelRelayError("it needs Linux 6.6, which has TCX links");
  if (error != 0) fail("cannot attach to an interface", error);
  throw KernelRelayError("no Ethernet interface is up");
}

KernelRelay::~KernelRelay() = default;

// The first error, where there was one.
int KernelRelay::attach() {
  struct if_nameindex* all = if_nameindex();
  if (all == nullptr) return errno;
  int error = 0;
  std::unordered_set<unsigned> there;
  for (const struct if_nameindex* each = all; each->if_index != 0; ++each) {
    there.insert(each->if_index);
    if (attached_.contains(each->if_index) || !is_ethernet_and_up(each->if_name)) continue;
    OwnedFd link(bpf_link_create(program_, static_cast<int>(each->if_index), kTcxIngress, nullptr));
    if (link)
      attached_.emplace(each->if_index, Attached{each->if_name, std::move(link),
                                                 attach_xdp(each->if_index, each->if_name)});
    else if (error == 0)
      error = errno;
  }
  if_freenameindex(all);
  std::erase_if(attached_, [&](const auto& one) { return !there.contains(one.first); });
  return error;
}

// In the driver or not at all: behind the driver TC does the same for less.
OwnedFd KernelRelay::attach_xdp(unsigned index, const char* name) {
  if (xdp_ == XdpOn::none || (xdp_ == XdpOn::devices && !has_device(name))) return {};
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
  OwnedFd link(bpf_link_create(xdp_program_, static_cast<int>(index), BPF_XDP, &options));
  if (!link && xdp_refusals_.size() < kMostRefusals)
    xdp_refusals_.push_back(std::string(name) + ": " + std::strerror(errno));
  return link;
}

std::vector<std::string> KernelRelay::interfaces() const {
  std::vector<std::string> names;
  for (const auto& [index, attached] : attached_) names.push_back(attached.name);
  return names;
}

std::vector<std::string> KernelRelay::xdp_interfaces() const {
  std::vector<std::string> names;
  for (const auto& [index, attached] : attached_)
    if (attached.xdp_link) names.push_back(attached.name);
  return names;
}

std::optional<Hop> KernelRelay::hop_of(const Way& way, TimePoint now) {
  const auto attached = attached_.find(way.out);
  if (attached == attached_.end() || !attached->second.xdp_link) return std::nullopt;
  if (neighbours_.size() >= kMostNeighbours) neighbours_.clear();
  Neighbour& neighbour = neighbours_[{way.out, way.next_hop}];
  if (now >= neighbour.until) {
    neighbour.hop = hop_towards(way);
    neighbour.until = now + (neighbour.hop ? kNeighbourFor : kUnknownFor);
  }
  return neighbour.hop;
}

bool KernelRelay::write(wire::Label label, const Lease& lease, TimePoint now, std::uint64_t used) {
  const i3_label key = key_of(label);
  i3_lease value{};
  value.label = key;
  value.expires = nanoseconds(now + kLease);
  value.used = used;
  std::copy(lease.local.address.bytes.begin(), lease.local.address.bytes.end(), value.local);
  std::copy(lease.target.address.bytes.begin(), lease.target.address.bytes.end(), value.target);
  value.local_port = htons(lease.local.port);
  value.target_port = htons(lease.target.port);
  const auto& hop = lease.way.next_hop;
  if (!hop.unspecified()) std::copy(hop.bytes.begin(), hop.bytes.end(), value.next_hop);
  value.out = lease.way.out;
  if (const auto known = hop_of(lease.way, now)) {
    std::copy(known->neighbour.begin(), known->neighbour.end(), value.hop.neighbour);
    std::copy(known->own.begin(), known->own.end(), value.hop.own);
    value.hop_known = 1;
  }
  return bpf_map_update_elem(leases_map_, &key, &value, BPF_ANY) == 0;
}

std::optional<std::uint64_t> KernelRelay::last_used(wire::Label label) const {
  const i3_label key = key_of(label);
  i3_lease value{};
  if (bpf_map_lookup_elem(leases_map_, &key, &value) != 0) return std::nullopt;
  return value.used;
}

// None where it is not through an interface that the program sits on.
Way KernelRelay::way_to(const Endpoint& local, const Endpoint& target) const {
  const Way way = way_towards(local.address, target.address);
  return attached_.contains(way.out) ? way : Way{};
}

// 1 nothing to do  2 a way  3 the kernel's table
void KernelRelay::offer(wire::Label label, const Endpoint& local, const Endpoint& target,
                        TimePoint now) {
  if (local.address.is_v4() != target.address.is_v4() || local.address.unspecified()) return;
  const auto known = leases_.find(label);
  if (known != leases_.end()) {
    if (known->second.renewed + kRenewEvery > now) return;
  } else if (leases_.size() >= kMostLeases || !may_ask(label, now)) {
    return;
  }
  if (now >= next_attach_) {
    attach();
    next_attach_ = now + kRouteFor;
  }
  Lease lease{local, target, way_to(local, target), now + kRouteFor, now};
  if (lease.way.out == 0 || !write(label, lease, now, nanoseconds(now))) {
    if (known != leases_.end()) {
      end(label);
      leases_.erase(known);
    }
    impossible_.insert_or_assign(label, now + kRouteFor);
    return;
  }
  impossible_.erase(label);
  leases_.insert_or_assign(label, lease);
  next_review_ = std::min(next_review_, now + kRenewEvery);
}

// False for a label that had no way of late, and between two looks when there are many of those.
bool KernelRelay::may_ask(wire::Label label, TimePoint now) {
  if (const auto known = impossible_.find(label); known != impossible_.end())
    return known->second <= now;
  if (impossible_.size() < kMostImpossible) return true;
  if (now < next_ask_) return false;
  next_ask_ = now + kAskApart;
  std::erase_if(impossible_, [&](const auto& entry) { return entry.second <= now; });
  if (impossible_.size() >= kMostImpossible) impossible_.erase(impossible_.begin());
  return true;
}

void KernelRelay::hurry(TimePoint now) {
  next_review_ = std::min(next_review_, now + kHurry);
}

void KernelRelay::end(wire::Label label) {
  const i3_label key = key_of(label);
  bpf_map_delete_elem(leases_map_, &key);
}

// False when the lease is to end: unused, or without a way.
bool KernelRelay::renew(wire::Label label, Lease& lease, TimePoint now) {
  const auto used = last_used(label);
  if (!used || *used + static_cast<std::uint64_t>(std::chrono::nanoseconds(kForgetUnused).count()) <
                   nanoseconds(now))
    return false;
  if (now >= lease.route_until) {
    lease.way = way_to(lease.local, lease.target);
    lease.route_until = now + kRouteFor;
    if (lease.way.out == 0) return false;
  }
  lease.renewed = now;
  return write(label, lease, now, *used);
}

void KernelRelay::review(TimePoint now, const Target& target) {
  for (auto at = leases_.begin(); at != leases_.end();) {
    auto& [label, lease] = *at;
    const auto leads_to = target(label);
    bool keep = leads_to && *leads_to == lease.target;
    if (keep && now >= lease.renewed + kRenewEvery) keep = renew(label, lease, now);
    if (keep) {
      ++at;
      continue;
    }
    end(label);
    at = leases_.erase(at);
  }
  next_review_ = leases_.empty() ? kNever : now + kRenewEvery;
}

std::map<std::string, std::uint64_t, std::less<>> KernelRelay::counters() const {
  std::map<std::string, std::uint64_t, std::less<>> all;
  const int processors = libbpf_num_possible_cpus();
  std::vector<std::uint64_t> values(static_cast<std::size_t>(std::max(processors, 1)));
  const std::pair<__u32, const char*> names[] = {{I3_FORWARDED, "kernel_relayed_packets"},
                                                 {I3_FORWARDED_BYTES, "kernel_relayed_bytes"},
                                                 {I3_FORWARDED_AT_XDP, "kernel_relayed_at_xdp"},
                                                 {I3_PASSED_UP, "kernel_passed_up"}};
  for (const auto& [index, name] : names) {
    std::uint64_t sum = 0;
    if (bpf_map_lookup_elem(counts_map_, &index, values.data()) == 0)
      for (const std::uint64_t value : values) sum += value;
    all[name] = sum;
  }
  all["kernel_leases"] = leases_.size();
  return all;
}

}  // namespace i3
