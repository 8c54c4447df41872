// Owns what a middle-box needs of the system: the interfaces on which its packets can be looked at,
// the nftables table between them, and the program that looks. docs/middleboxes.md
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "overlay/base/log.hh"
#include "proxy/platform/inherited.hh"
#include "proxy/platform/netlink.hh"
#include "proxy/platform/request.hh"

namespace i3 {

class NftContext;

// Packets are written to `NAME` and so arrive from it, as from a wire: whoever listens there sees
// them. They go no further than a netdev table of ours, which is the last to see them: it drops
// them, or, `inline`, hands them to `NAME-out`, from which they are read again. So the kernel never
// routes, answers or tracks them, and rules of others on `NAME` can drop them before.
class Inspection {
 public:
  // Throws PlatformError, and leaves nothing behind.
  Inspection(const InspectRequest& request, Netlink& netlink, Log& log);
  ~Inspection();  // the kernel takes all away; the program is ended

  // Descriptors of NAME, and of NAME-out where there is one; they stay this object's.
  int entrance() const { return entrance_.get(); }
  int exit() const { return exit_.get(); }

  // The program is started, and again a second after its end. True if `pid` was it.
  void tend();
  bool ended(pid_t pid, int status);
  // When tend() has something to do.
  std::chrono::steady_clock::time_point next() const { return next_; }

 private:
  void start_program();

  InspectRequest request_;
  Log& log_;
  UniqueFd entrance_, exit_;
  std::unique_ptr<NftContext> nft_;
  pid_t program_ = -1;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace i3
