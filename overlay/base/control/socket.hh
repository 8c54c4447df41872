// Owns making the listening control socket: stale ones removed, rights set, a second instance told.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "overlay/base/control/control.hh"
#include "overlay/base/log.hh"

namespace i3 {

// A file descriptor, closed at the end.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd();

  int get() const { return fd_; }
  int release();
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Listens at `path` with mode 0660 and `group` (by name; a missing one is logged as a warning and
// leaves the socket to its owner). Makes the folders above. Throws ControlBusy if somebody answers
// there, ControlError for the rest. A socket that nobody answers at is replaced.
OwnedFd open_control_socket(const std::string& path, const std::string& group, Log& log);

// Takes the socket away at the end; call in the process that made it. Anything else that stands
// there stays.
void remove_control_socket(const std::string& path);

// Who is at the other end of a connected socket.
struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};
std::optional<PeerCredentials> peer_credentials(int fd);
// root, this process's own user, or a member of `group` (primary or supplementary).
bool may_control(int fd, const std::string& group);

}  // namespace i3
