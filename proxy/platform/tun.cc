#include "proxy/platform/tun.hh"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "proxy/platform/platform_error.hh"
#include "proxy/platform/privileges.hh"

namespace i3 {
namespace {

constexpr const char* kDevice = "/dev/net/tun";
constexpr int kVirtioHeaderSize = 10;

PlatformError explain_open(int error) {
  if (error == EACCES || error == EPERM)
    return lacks_privilege(has_capability("CAP_NET_ADMIN") ? "CAP_DAC_OVERRIDE" : "CAP_NET_ADMIN",
                           std::string("open ") + kDevice);
  if (error == ENOENT || error == ENODEV || error == ENXIO)
    return PlatformError(std::string("no ") + kDevice +
                         ": load the kernel's module tun, or let the container have the device");
  return system_error(std::string("cannot open ") + kDevice, error);
}

PlatformError explain_create(const std::string& name, int error) {
  if (error == EBUSY || error == EEXIST || (error == EINVAL && if_nametoindex(name.c_str()) != 0))
    return PlatformError("interface " + name +
                         " exists already: another i3-proxy, or choose another name in <tun>");
  if (error == EPERM) return lacks_privilege("CAP_NET_ADMIN", "make the interface " + name);
  return system_error("cannot make the interface " + name, error);
}

UniqueFd open_queue(const TunOptions& options) {
  UniqueFd fd(::open(kDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd) throw explain_open(errno);
  ifreq request{};
  std::memcpy(request.ifr_name, options.name.data(), options.name.size());
  unsigned flags = IFF_TUN | IFF_NO_PI;
  if (options.virtio_header) flags |= IFF_VNET_HDR;
  // A persistent TUN of that name, free for anybody, is not ours to take over.
  if (options.queues > 1)
    flags |= IFF_MULTI_QUEUE;
  else
    flags |= IFF_TUN_EXCL;
  request.ifr_flags = static_cast<short>(flags);
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) throw explain_create(options.name, errno);
  int header = kVirtioHeaderSize;
  if (options.virtio_header && ::ioctl(fd.get(), TUNSETVNETHDRSZ, &header) != 0)
    throw system_error("cannot set the virtio header of " + options.name, errno);
  return fd;
}

}  // namespace

TunDevice open_tun(const TunOptions& options) {
  if (options.name.empty() || options.name.size() >= IFNAMSIZ)
    throw PlatformError("an interface's name has 1 to 15 characters, not \"" + options.name + "\"");
  if (if_nametoindex(options.name.c_str()) != 0) throw explain_create(options.name, EEXIST);
  TunDevice device{options.name, 0, {}};
  for (unsigned i = 0; i < options.queues; ++i) device.queues.push_back(open_queue(options));
  device.index = if_nametoindex(options.name.c_str());
  if (device.index == 0) throw system_error("interface " + options.name + " vanished", errno);
  return device;
}

TunOffloads enable_offloads(int queue) {
#ifndef TUN_F_USO4
  constexpr unsigned TUN_F_USO4 = 0x20, TUN_F_USO6 = 0x40;
#endif
  constexpr unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (::ioctl(queue, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0) return {true, true};
  return {::ioctl(queue, TUNSETOFFLOAD, tcp) == 0, false};
}

}  // namespace i3
