// Owns when the NAT is looked at, and which nodes help: what it is made of is nat_probe.hh's.
#pragma once

#include "overlay/client/entries.hh"
#include "overlay/client/nat_probe.hh"
#include "overlay/client/observations.hh"

namespace i3::client {

class NatCheck {
 public:
  static constexpr Duration kSettles = std::chrono::milliseconds(300);
  static constexpr Duration kAfterChange = std::chrono::seconds(2);
  static constexpr Duration kNobody =
      std::chrono::seconds(10);  // before nodes are looked for again
  static constexpr Duration kEvery = std::chrono::hours(1);

  NatCheck(Core& core, Entries& entries, NodeCache& cache, const Observations& observations)
      : core_(core), entries_(entries), cache_(cache), observations_(observations), probe_(core) {}

  // The host became reachable: once, unless it was checked since the last change.
  void soon(TimePoint now);
  // Our addresses, or what nodes see of them, changed.
  void changed(TimePoint now);
  void now(TimePoint now);
  // The port of a new binding; the host is told.
  void sample(TimePoint now);
  void stop();

  void on_message(wire::Type type, Bytes message, bool aside, TimePoint now);
  void on_timer(TimePoint now);
  TimePoint deadline() const { return std::min(due_, probe_.deadline()); }
  const NatReport& report() const { return probe_.report(); }

 private:
  std::vector<Endpoint> helpers();
  void tell(TimePoint now);

  Core& core_;
  Entries& entries_;
  NodeCache& cache_;
  const Observations& observations_;
  NatProbe probe_;
  TimePoint due_ = kNever;
  TimePoint told_{};  // the time of the report that the host was told of
};

}  // namespace i3::client
