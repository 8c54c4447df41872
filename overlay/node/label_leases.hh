// Owns the interface to whatever forwards labelled packets in a node's place, such as the kernel.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "overlay/base/endpoint.hh"
#include "overlay/base/time.hh"
#include "overlay/wire/carriers.hh"

namespace i3 {

// A lease is short, and is renewed while it is used; so whatever ends a trigger ends its lease.
class LabelLeases {
 public:
  virtual ~LabelLeases() = default;

  // The node just forwarded a packet with this label that came to `local`; from now on it may be
  // sent on from there to `target` by itself. Cheap where that is so already or cannot be.
  virtual void offer(wire::Label label, const Endpoint& local, const Endpoint& target,
                     TimePoint now) = 0;
  // Where a label leads by now; nothing if it does not, or packets must be looked at one by one.
  using Target = std::function<std::optional<Endpoint>(wire::Label)>;
  // Ends leases that are not so any more; renews those that are due and in use.
  virtual void review(TimePoint now, const Target& target) = 0;
  // Triggers may have changed: the next review is soon.
  virtual void hurry(TimePoint now) = 0;
  virtual TimePoint next_review() const = 0;  // kNever without leases
  virtual std::map<std::string, std::uint64_t, std::less<>> counters() const = 0;
};

}  // namespace i3
