// Owns the process that the user started: it holds what must not be lost or left behind, and keeps
// a worker alive. It reads nothing that came from the network. docs/privileges.md
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "overlay/base/log.hh"
#include "proxy/platform/request.hh"

namespace i3 {

class Parent {
 public:
  // Acquires everything the request names, or throws PlatformError and leaves nothing behind.
  // From here on SIGTERM, SIGINT, SIGHUP and SIGCHLD are blocked in the calling thread; call before
  // any other thread is started. `worker_argv` is the command line of a worker, the program's name
  // first; "--worker" and a descriptor's number are put at its end, and /proc/self/exe is executed.
  // `log` must outlive the parent.
  Parent(PlatformRequest request, std::vector<std::string> worker_argv, Log& log);
  ~Parent();  // puts everything back; run() has done so already
  Parent(const Parent&) = delete;
  Parent& operator=(const Parent&) = delete;

  // Until SIGTERM or SIGINT (0), or until the first worker ends with an exit code of its own before
  // it was ready (that code). Everything is undone by then. A worker that dies otherwise is
  // replaced at once; after five deaths in ten seconds the resolver is put back and the next one
  // waits 1 s, then 2 s, up to 30 s.
  int run();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// Removes what a parent that was killed left: a socket that nobody listens on, our lines in
// resolv.conf (everything else the kernel removed). False if something of ours stays, or is still
// running.
bool clean_up_leftovers(const std::string& control_socket, const std::string& resolv_conf,
                        Log& log);

}  // namespace i3
