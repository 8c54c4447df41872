// Owns finding out what kind of NAT is before this host: from a socket of its own, whose bindings
// nobody else has opened, and with the help of nodes that answer from elsewhere.
#pragma once

#include <utility>
#include <vector>

#include "overlay/client/core.hh"
#include "overlay/wire/reach.hh"

namespace i3::client {

// 1 meet: where does the first node see the new socket?  2 filter: does an answer come in from that
// node's other port, and from another node?  3 mapping: where do that other port and further nodes
// see it?  4 hairpin  5 lifetime: does an answer come in after 5, 10, 20, 40 s of silence?
// 1 to 4 take about two seconds, and then the report counts; 5 goes on behind it where it is asked
// for. One probe looks at one address family.
class NatProbe {
 public:
  static constexpr std::size_t kMostNodes = 3;

  explicit NatProbe(Core& core) : core_(core) {}

  // `nodes`: at different addresses of one family, nearest first. `main`: where nodes see the main
  // socket. A check under way is begun anew. Does nothing where the driver has no second socket.
  void start(std::vector<Endpoint> nodes, std::optional<Endpoint> main, TimePoint now);
  // Which port does a new binding get now? For hosts whose ports come in order; nothing while a
  // check is under way.
  void sample(TimePoint now);
  std::optional<Endpoint> take_sample() { return std::exchange(sampled_, std::nullopt); }
  // The nodes are silent, all of them.
  void no_answer(TimePoint now);
  // How long a binding lasts, after a check that found something that keeps any.
  void measure_lifetime(TimePoint now);
  void stop();
  bool idle() const { return phase_ == Phase::idle; }
  bool running() const { return phase_ != Phase::idle && phase_ < Phase::wait; }

  // `aside`: it came to the second socket. False: unsolicited.
  bool on_seen(const wire::ReachSeen& seen, bool aside, TimePoint now);
  bool on_reached(const wire::Reached& reached, bool aside, TimePoint now);
  void on_timer(TimePoint now);
  TimePoint deadline() const { return next_; }

  const NatReport& report() const { return report_; }
  // There is no such family any more.
  void forget() {
    stop();
    report_ = NatReport{};
  }

 private:
  enum class Phase { idle, meet, filter, other_port, others, hairpin, wait, ask, sample };

  void enter(Phase phase, TimePoint now);
  void repeat(TimePoint now);
  void ended(TimePoint now);
  void conclude_filter();
  void conclude_mapping();
  void finish(TimePoint now);
  void begin_lifetime(TimePoint now);
  void conclude_lifetime(bool alive, TimePoint now);
  void ask(const Endpoint& node, wire::ReachHow how, bool aside);
  bool own(const Endpoint& endpoint) const;

  Core& core_;
  Phase phase_ = Phase::idle;
  NatReport report_;
  NatReport fresh_;
  std::vector<Endpoint> nodes_;
  std::optional<Endpoint> main_;
  std::size_t node_ = 0;  // that is asked
  std::uint16_t local_port_ = 0;
  std::uint64_t nonce_ = 0;
  unsigned tries_ = 0;
  TimePoint next_ = kNever;
  TimePoint sent_{};
  Duration rtt_{};
  wire::ReachSeen first_;
  std::optional<Endpoint> by_other_port_;
  std::vector<Endpoint> by_others_;
  bool from_other_port_ = false, from_other_node_ = false;
  bool lifetime_ = false;  // what is met now is a binding to be measured
  std::size_t silence_ = 0;
  std::optional<Endpoint> sampled_;
};

}  // namespace i3::client
