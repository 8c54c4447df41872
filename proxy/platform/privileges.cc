#include "proxy/platform/privileges.hh"

#include <cerrno>
#include <cstring>
#include <grp.h>
#include <memory>
#include <pwd.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/platform/platform_error.hh"

namespace i3 {
namespace {

struct CapFree {
  void operator()(void* caps) const { cap_free(caps); }
};
using Caps = std::unique_ptr<std::remove_pointer_t<cap_t>, CapFree>;

bool has(cap_t caps, cap_value_t value) {
  cap_flag_value_t flag = CAP_CLEAR;
  return caps && cap_get_flag(caps, value, CAP_EFFECTIVE, &flag) == 0 && flag == CAP_SET;
}

// TUN, routes, nftables, socket marks and buffers; port 53 of an address that comes later; other
// users' files, as configurations may be; a worker's user, its end, and its capability sets.
constexpr cap_value_t kParentKeeps[] = {CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_DAC_OVERRIDE,
                                        CAP_CHOWN,     CAP_FOWNER,           CAP_KILL,
                                        CAP_SETUID,    CAP_SETGID,           CAP_SETPCAP};

void no_core_dumps() {
  rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

}  // namespace

PlatformError system_error(const std::string& what, int error_number) {
  return PlatformError(what + ": " + std::strerror(error_number));
}

PlatformError lacks_privilege(const std::string& privilege, const std::string& purpose) {
  return PlatformError(
      "needs " + privilege + " to " + purpose + ": run as root, or grant the capability", 3);
}

bool has_capability(const char* name) {
  cap_value_t value = 0;
  Caps caps(cap_get_proc());
  return cap_from_name(name, &value) == 0 && has(caps.get(), value);
}

void confine_parent() {
  no_core_dumps();
  Caps now(cap_get_proc());
  Caps less(cap_init());
  if (!now || !less) return;
  for (cap_value_t value : kParentKeeps) {
    if (!has(now.get(), value)) continue;
    cap_set_flag(less.get(), CAP_PERMITTED, 1, &value, CAP_SET);
    cap_set_flag(less.get(), CAP_EFFECTIVE, 1, &value, CAP_SET);
  }
  cap_set_proc(less.get());
}

WorkerUser worker_user() {
  bool may_change = has_capability("CAP_SETUID") && has_capability("CAP_SETGID");
  if (!may_change && ::geteuid() != 0) return {::geteuid(), ::getegid(), false};
  if (!may_change)
    throw lacks_privilege("CAP_SETUID and CAP_SETGID", "run the worker as another user than root");
  for (const char* name : {"i3", "nobody"}) {
    const passwd* user = ::getpwnam(name);
    if (user && user->pw_uid != 0) return {user->pw_uid, user->pw_gid, true};
  }
  throw PlatformError("there is neither a user i3 nor nobody to run the worker as: make one");
}

const char* drop_everything(const WorkerUser& user) {
  ::umask(077);
  rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  bool bounded = true;
  for (int cap = 0; cap_get_bound(cap) >= 0; ++cap) bounded = cap_drop_bound(cap) == 0 && bounded;
  // Without CAP_SETPCAP the bounding set stays; no_new_privs below keeps it from mattering.
  if (!bounded && user.change) return "cannot empty the bounding set";
  if (user.change) {
    if (::setgroups(0, nullptr) != 0) return "cannot leave the supplementary groups";
    if (::setresgid(user.gid, user.gid, user.gid) != 0) return "cannot change the group";
    if (::setresuid(user.uid, user.uid, user.uid) != 0) return "cannot change the user";
  }
  Caps nothing(cap_init());
  if (!nothing || cap_set_proc(nothing.get()) != 0) return "cannot give the capabilities up";
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "cannot set no_new_privs";
  return nullptr;
}

}  // namespace i3
