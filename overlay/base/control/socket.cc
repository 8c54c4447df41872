#include "overlay/base/control/socket.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace i3 {
namespace {

constexpr int kBacklog = 16;

sockaddr_un socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    throw ControlError("control socket " + path + ": the path is too long; 107 bytes are allowed");
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw ControlError("control socket " + path + ": " + what + ": " + std::strerror(errno));
}

std::optional<gid_t> group_id(const std::string& group) {
  if (group.empty()) return std::nullopt;
  std::vector<char> buffer(4096);
  struct group entry {};
  struct group* found = nullptr;
  int error = 0;
  while ((error = ::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found)) ==
             ERANGE &&
         buffer.size() < (1u << 20))
    buffer.resize(buffer.size() * 2);
  if (error != 0 || !found) return std::nullopt;
  return entry.gr_gid;
}

// Removes a socket that nobody answers at; anything else in its place stays and is an error.
void remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode))
    throw ControlError("control socket " + path +
                       ": something else is there; remove it or choose another path");
  OwnedFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) fail(path, "cannot be examined");
  const int result =
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (result == 0 || errno == EAGAIN)
    throw ControlBusy("another one is running: it answers at " + path);
  if (errno != ECONNREFUSED && errno != ENOENT) fail(path, "cannot be examined");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail(path, "the old one cannot be removed");
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}

int OwnedFd::release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

// 1 folders  2 stale socket away  3 bind, closed to others  4 listen  5 group  6 open to the group
// A client never meets a socket that is open to everybody, and a second instance that starts at the
// same time has only an instant to take ours for a stale one.
OwnedFd open_control_socket(const std::string& path, const std::string& group, Log& log) {
  const sockaddr_un address = socket_address(path);
  std::error_code error;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error)
    throw ControlError("control socket " + path +
                       ": its folder cannot be made: " + error.message());
  const auto gid = group_id(group);
  remove_stale(path, address);

  OwnedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) fail(path, "cannot be made");
  const mode_t mask = ::umask(0177);
  const int bound =
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(mask);
  if (bound != 0 && errno == EADDRINUSE)
    throw ControlBusy("another one is running: it has just taken " + path);
  if (bound != 0) fail(path, "cannot be made");
  if (::listen(socket.get(), kBacklog) != 0) fail(path, "cannot be listened at");
  if (gid) {
    if (::chown(path.c_str(), static_cast<uid_t>(-1), *gid) != 0)
      log.warning("control_group",
                  {{"socket", path}, {"group", group}, {"error", std::strerror(errno)}});
  } else if (!group.empty()) {
    log.warning("control_group_missing",
                {{"socket", path},
                 {"group", group},
                 {"effect", "only root and the daemon's user may use it"}});
  }
  if (::chmod(path.c_str(), 0660) != 0) fail(path, "its rights cannot be set");
  return socket;
}

void remove_control_socket(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
}

std::optional<PeerCredentials> peer_credentials(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

bool may_control(int fd, const std::string& group) {
  const auto peer = peer_credentials(fd);
  if (!peer) return false;
  if (peer->uid == 0 || peer->uid == ::geteuid()) return true;
  const auto gid = group_id(group);
  if (!gid) return false;
  if (peer->gid == *gid) return true;
  std::vector<gid_t> groups(64);
  socklen_t size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int result = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  if (result != 0 && errno == ERANGE) {
    groups.resize(size / sizeof(gid_t));
    result = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  }
  if (result != 0) return false;
  groups.resize(size / sizeof(gid_t));
  return std::find(groups.begin(), groups.end(), *gid) != groups.end();
}

}  // namespace i3
