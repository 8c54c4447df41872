// Owns the process's capabilities and user: what a parent must have, and how a worker loses all.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace i3 {

// By its name in capabilities(7), such as "CAP_NET_ADMIN".
bool has_capability(const char* name);

// The parent keeps only what it needs to undo and respawn, and leaves no core dumps with keys.
void confine_parent();

struct WorkerUser {
  uid_t uid = 0;
  gid_t gid = 0;
  bool change =
      false;  // false: the parent is unprivileged by itself and the worker shares its user
};
// User i3 where it exists, else nobody. PlatformError if this process is root without CAP_SETUID.
WorkerUser worker_user();

// In a child between fork and exec: no capability in any set, no_new_privs, that user, no
// supplementary groups, no core dumps. Returns what failed, or nullptr.
const char* drop_everything(const WorkerUser& user);

}  // namespace i3
