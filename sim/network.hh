// Owns simulated time and a simulated IP network for real cores: latency, loss, partitions, NATs,
// machines that die. Nothing here knows what the datagrams mean.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/random.hh"
#include "overlay/base/time.hh"
#include "sim/nat.hh"

namespace i3::sim {

// I3_SIM_SEED from the environment, else `fallback`; says which.
std::uint64_t seed_or(std::uint64_t fallback);

// Discrete events in the order of their time, equal times in the order they were made, so that a
// run repeats from its seed. Callbacks may call anything here.
class SimNetwork final : public Clock {
 public:
  using Host = std::uint32_t;
  using Nat = std::uint32_t;
  using Timer = std::uint64_t;
  static constexpr Nat kNoNat = ~Nat{0};
  // `message` belongs to the callback for the call.
  using Receive = std::function<void(const Endpoint& from, const Endpoint& to, MutBytes message)>;

  explicit SimNetwork(std::uint64_t seed);

  TimePoint now() const override { return now_; }
  WallTime wall() const override;
  // Every host's idea of the time of day jumps.
  void shift_wall(std::chrono::nanoseconds by) { wall_shift_ += by; }
  Random& random() { return random_; }
  // A stream of its own for one core, so that one more core does not change all others.
  SeededRandom random_for(std::uint64_t who) const { return SeededRandom(seed_ * 1000003 + who); }

  // A machine on the public network, or behind a NAT.
  Host add_host();
  Host add_host(Nat behind);
  // Endpoint-independent mapping, address-and-port-dependent filtering (RFC 4787): what is often
  // called port-restricted. Mappings end `timeout` after the last packet out.
  Nat add_nat(const IpAddress& outside, Duration timeout = std::chrono::seconds(60));
  // Of any kind, with one or more outside addresses; behind another NAT, those are private to it.
  Nat add_nat(const NatKind& kind, std::vector<IpAddress> outside, Nat behind = kNoNat);
  // Forgets its mappings and goes on with other ports.
  void reboot(Nat nat);

  // Datagrams to `local` come to `receive`. Behind a NAT, `local` is a private address that only
  // hosts of the same NAT reach. Replaces an earlier one.
  void open(Host host, const Endpoint& local, Receive receive);
  void close(const Endpoint& local);
  // `from` should be open on `host`; it need not be, for forged source addresses.
  void send(Host host, const Endpoint& from, const Endpoint& to, Bytes message);

  // Never 0. Not called if the host dies first.
  Timer at(Host host, TimePoint when, std::function<void()> callback);
  // Of one that was called, cancelled or is 0: nothing.
  void cancel(Timer timer);

  // All its endpoints and timers are gone; what is on its way to it is lost.
  void kill(Host host);
  bool alive(Host host) const { return hosts_[host].alive; }

  // One way. The default is a distance between random places, 2 to 80 ms, with 10 % jitter.
  void set_latency(std::function<Duration(Host from, Host to)> latency) {
    latency_ = std::move(latency);
  }
  void set_loss(double probability) { loss_ = probability; }
  // Asked for each datagram before loss; true drops it. For partitions and broken pairs.
  void set_blocked(std::function<bool(Host from, Host to)> blocked) {
    blocked_ = std::move(blocked);
  }
  // Sees every datagram that is sent; true drops it. For losing one certain message.
  using Tap = std::function<bool(const Endpoint& from, const Endpoint& to, Bytes message)>;
  void set_tap(Tap tap) { tap_ = std::move(tap); }

  void run_until(TimePoint when);
  void run_for(Duration duration) { run_until(now_ + duration); }
  // Until `condition` holds, looking after every `step`; false if `limit` passed first.
  bool run_until(const std::function<bool()>& condition, Duration limit,
                 Duration step = std::chrono::milliseconds(100));

  struct Traffic {
    std::uint64_t packets = 0, bytes = 0;  // UDP payload
  };
  const Traffic& sent(Host host) const { return hosts_[host].sent; }
  const Traffic& received(Host host) const { return hosts_[host].received; }
  std::uint64_t lost() const { return lost_; }
  // Timers and arrivals so far.
  std::uint64_t happened() const { return happened_; }

 private:
  struct Machine {
    bool alive = true;
    Nat nat = kNoNat;
    double x = 0, y = 0;
    Traffic sent, received;
    std::vector<Endpoint> opened;
  };
  struct Open {
    Host host;
    std::shared_ptr<const Receive> receive;
  };
  using OpenTable = std::unordered_map<Endpoint, Open>;
  // A network behind a NAT, or the public one.
  struct Place {
    std::optional<NatBox> box;  // none: public
    std::vector<IpAddress> outside;
    Nat beyond = kNoNat;
    OpenTable open;
    std::map<IpAddress, Nat> nats;  // whose outside is here
  };
  // What happens: a timer's callback, or a datagram that arrives. Kept and used again, so that a
  // datagram costs no allocation once the simulation has warmed up.
  struct Event {
    std::uint32_t generation = 0;  // of this place, so that old timers' names mean nothing
    bool waiting = false;
    Host host = 0;
    std::function<void()> run;  // a timer, or nothing
    Endpoint from, to;
    OpenTable* table = nullptr;
    std::vector<std::uint8_t> message;
  };
  struct Due {
    TimePoint when;
    std::uint64_t order;
    std::uint32_t event;
    std::uint32_t generation;
    bool operator>(const Due& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };

  Duration latency(Host from, Host to);
  Place& place(Nat nat) { return nat == kNoNat ? public_ : nats_[nat]; }
  // A datagram that is in that network: for somebody there, for a NAT there, or on its way out.
  void travel(Host from_host, const Endpoint& from, const Endpoint& to, Nat where, Bytes message);
  // A datagram before the outside of that NAT.
  void enter(Host from_host, const Endpoint& from, const Endpoint& to, Nat nat, Bytes message);
  void transmit(Host from_host, Host to_host, const Endpoint& from, const Endpoint& to,
                Bytes message, OpenTable& table);
  std::uint32_t allocate(TimePoint when, Host host);
  void release(std::uint32_t event);
  void run_event(std::uint32_t event);
  void arrive(const Endpoint& from, const Endpoint& to, Host host, OpenTable& table,
              std::vector<std::uint8_t>& message);

  std::uint64_t seed_;
  SeededRandom random_;
  TimePoint now_{std::chrono::hours(1)};
  std::chrono::nanoseconds wall_shift_{0};
  std::uint64_t order_ = 0;
  std::uint64_t happened_ = 0;
  std::vector<Due> due_;  // a heap, the next one first
  std::deque<Event> events_;
  std::vector<std::uint32_t> free_events_;
  std::vector<Machine> hosts_;
  std::deque<Place> nats_;  // events point into them
  Place public_;
  std::function<Duration(Host, Host)> latency_;
  std::function<bool(Host, Host)> blocked_;
  Tap tap_;
  double loss_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace i3::sim
