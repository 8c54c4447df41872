#include "proxy/platform/sockets.hh"

#include <cerrno>
#include <cstring>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "proxy/platform/host_files.hh"
#include "proxy/platform/platform_error.hh"

namespace i3 {
namespace {

constexpr int kBufferBytes = 4 << 20;  // of each overlay socket: bursts of a whole GSO train
constexpr int kBacklog = 128;
constexpr int kPairAttempts = 32;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_system(const Endpoint& endpoint) {
  SocketAddress result;
  if (endpoint.address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    in.sin_addr.s_addr = htonl(endpoint.address.to_v4());
    std::memcpy(&result.storage, &in, sizeof in);
    result.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, endpoint.address.bytes.data(), 16);
    std::memcpy(&result.storage, &in, sizeof in);
    result.size = sizeof in;
  }
  return result;
}

std::uint16_t local_port(int fd) {
  SocketAddress local;
  local.size = sizeof local.storage;
  if (::getsockname(fd, local.get(), &local.size) != 0) return 0;
  if (local.storage.ss_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &local.storage, sizeof in);
    return ntohs(in.sin6_port);
  }
  sockaddr_in in{};
  std::memcpy(&in, &local.storage, sizeof in);
  return ntohs(in.sin_port);
}

bool is_any_v6(const IpAddress& address) {
  return !address.is_v4() && address.unspecified();
}

PlatformError explain_bind(const Endpoint& local, bool stream, const std::string& purpose,
                           int error) {
  const std::string what = std::string(stream ? "TCP" : "UDP") + " port " +
                           std::to_string(local.port) + " of " + local.address.text();
  if (error == EADDRINUSE)
    return PlatformError(what + " (" + purpose + ") is taken by another program");
  if (error == EADDRNOTAVAIL)
    return PlatformError(local.address.text() + " (" + purpose + ") is no address of this host");
  if (error == EACCES) return lacks_privilege("CAP_NET_BIND_SERVICE", "bind " + what);
  return system_error("cannot bind " + what + " (" + purpose + ")", error);
}

// 0, or errno.
int try_bind(const Endpoint& local, int type, BoundSocket& result) {
  int family = local.address.is_v4() ? AF_INET : AF_INET6;
  result.fd.reset(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!result.fd) return errno;
  int fd = result.fd.get();
  int on = 1;
  int only_v6 = is_any_v6(local.address) ? 0 : 1;
  if (family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
  // For TCP this passes over old connections only, never over a listener.
  if (type == SOCK_STREAM) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  SocketAddress address = to_system(local);
  if (::bind(fd, address.get(), address.size) != 0) return errno;
  if (type == SOCK_STREAM && ::listen(fd, kBacklog) != 0) return errno;
  result.local = {local.address, local_port(fd)};
  return 0;
}

BoundSocket bind_socket(Endpoint local, int type, const std::string& purpose) {
  BoundSocket result;
  int error = try_bind(local, type, result);
  if (is_any_v6(local.address) && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)) {
    local.address = IpAddress::v4(0);
    error = try_bind(local, type, result);
  }
  if (error != 0) throw explain_bind(local, type == SOCK_STREAM, purpose, error);
  return result;
}

void enlarge(int fd, int force, int ordinary) {
  if (::setsockopt(fd, SOL_SOCKET, force, &kBufferBytes, sizeof kBufferBytes) != 0)
    ::setsockopt(fd, SOL_SOCKET, ordinary, &kBufferBytes, sizeof kBufferBytes);
}

bool unix_address(const std::string& path, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  return true;
}

// Only a socket is taken away: whatever else stands there is somebody's.
void remove_stale_socket(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode))
    throw PlatformError(path + " is in the way of the control socket: it is not a socket");
  ::unlink(path.c_str());
}

void admit_group(const std::string& path, const std::string& name, Log& log) {
  if (name.empty()) return;
  const group* found = ::getgrnam(name.c_str());
  if (!found) {
    log.warning("no_control_group", {{"group", name}, {"effect", "only root may use the socket"}});
    return;
  }
  if (::chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0 ||
      ::chmod(path.c_str(), 0660) != 0)
    log.warning("control_group_refused", {{"group", name}, {"reason", std::strerror(errno)}});
}

}  // namespace

BoundSocket bind_udp(const Endpoint& local, const std::string& purpose) {
  BoundSocket result = bind_socket(local, SOCK_DGRAM, purpose);
  enlarge(result.fd.get(), SO_RCVBUFFORCE, SO_RCVBUF);
  enlarge(result.fd.get(), SO_SNDBUFFORCE, SO_SNDBUF);
  return result;
}

BoundSocket listen_tcp(const Endpoint& local, const std::string& purpose) {
  return bind_socket(local, SOCK_STREAM, purpose);
}

DnsPair bind_dns(const IpAddress& address, std::uint16_t port) {
  for (int attempt = 0;; ++attempt) {
    DnsPair pair{address, bind_socket({address, port}, SOCK_DGRAM, "DNS"), {}};
    int error = try_bind(pair.udp.local, SOCK_STREAM, pair.tcp);
    if (error == 0) return pair;
    bool again = port == 0 && error == EADDRINUSE && attempt < kPairAttempts;
    if (!again) throw explain_bind(pair.udp.local, true, "DNS", error);
  }
}

bool control_alive(const std::string& path) {
  sockaddr_un address;
  if (!unix_address(path, address)) return false;
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return true;
  return errno == EAGAIN;  // a listener whose queue is full
}

UniqueFd listen_control(const std::string& path, const std::string& group_name,
                        const std::string& program, Log& log) {
  sockaddr_un address;
  if (!unix_address(path, address))
    throw PlatformError("the control socket's path is longer than the system allows: " + path);
  if (control_alive(path))
    throw PlatformError("another " + program + " is running: it answers on " + path);
  make_folder_of(path);
  remove_stale_socket(path);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  mode_t before = ::umask(0177);
  int bound = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  int error = errno;
  ::umask(before);
  if (bound != 0 && error == EADDRINUSE)
    throw PlatformError("another " + program + " has just taken " + path);
  if (bound != 0) throw system_error("cannot make the control socket " + path, error);
  admit_group(path, group_name, log);
  if (::listen(fd.get(), kBacklog) != 0) throw system_error("cannot listen on " + path, errno);
  return fd;
}

}  // namespace i3
