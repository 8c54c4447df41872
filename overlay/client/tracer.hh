// Owns following an ID through the ring, node by node, as its packets would go.
#pragma once

#include <vector>

#include "overlay/client/core.hh"
#include "overlay/wire/reach.hh"

namespace i3::client {

// Asks the entry node where it would send a packet for the ID, then the node that this names, and
// so on, up to the owner. What is measured is each node's own round trip from here.
class Tracer {
 public:
  static constexpr std::size_t kMaxTraces = 16;
  static constexpr std::size_t kMaxHops = 48;
  static constexpr unsigned kTries = 4;

  explicit Tracer(Core& core) : core_(core) {}

  // `done` is called once: at the owner, or where the way ends without it.
  void start(const Id& id, const Endpoint& first, TraceDone done, TimePoint now);
  // False: unsolicited.
  bool on_reply(const Endpoint& from, const wire::StepReply& reply, TimePoint now);
  void on_timer(TimePoint now);
  TimePoint deadline() const;

 private:
  struct Trace {
    Id id;
    std::uint64_t nonce = 0;
    Endpoint at;
    unsigned tries = 0;
    TimePoint sent{}, next{};
    std::vector<TraceHop> hops;
    TraceDone done;
  };

  void ask(Trace& trace, TimePoint now);
  void go_on(Trace& trace, const wire::StepReply& reply, TimePoint now);
  void finish_ended();

  Core& core_;
  std::vector<Trace> traces_;
};

}  // namespace i3::client
