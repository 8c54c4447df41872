// Owns when the NAT is looked at, of which address family, and which nodes help: what it is made of
// is nat_probe.hh's.
#pragma once

#include <array>
#include <deque>

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
      : core_(core),
        entries_(entries),
        cache_(cache),
        observations_(observations),
        probes_{NatProbe(core), NatProbe(core)} {}

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
  TimePoint deadline() const {
    return std::min({due_, probes_[0].deadline(), probes_[1].deadline()});
  }
  // Of IPv4 where it was found to work or IPv6 was not: most peers are met there.
  const NatReport& report() const { return probes_[main()].report(); }
  const NatReport& report(bool v4) const { return probes_[v4 ? 0 : 1].report(); }
  // A check is under way, of either family.
  bool running() const {
    return !to_check_.empty() || probes_[0].running() || probes_[1].running();
  }

 private:
  std::vector<Endpoint> helpers(bool v4);
  std::size_t main() const { return !probes_[0].report().udp && probes_[1].report().udp ? 1 : 0; }
  void begin(TimePoint now);
  void go_on(TimePoint now);
  void tell(TimePoint now);

  Core& core_;
  Entries& entries_;
  NodeCache& cache_;
  const Observations& observations_;
  // [0] IPv4. They share the second socket, so one works at a time.
  std::array<NatProbe, 2> probes_;
  std::deque<std::size_t> to_check_, to_measure_;  // each at most both
  TimePoint due_ = kNever;
  TimePoint told_{};  // the time of the latest report that the host was told of
};

}  // namespace i3::client
