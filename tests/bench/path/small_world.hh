// Owns the smallest overlay there is, in one process: one real node and two real hosts, with queues
// for networks.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>

#include "overlay/node/node_core.hh"
#include "proxy/host/host.hh"

namespace i3::bench {

// The machine's clock, which also jumps ahead so that nobody has to wait for a timer.
class JumpingClock final : public Clock {
 public:
  TimePoint now() const override { return real_.now() + ahead_; }
  WallTime wall() const override { return real_.wall() + static_cast<WallTime>(ahead_.count()); }
  void jump(Duration by) { ahead_ += by; }

 private:
  SystemClock real_;
  Duration ahead_{};
};

struct WorldPlan {
  bool shortcuts = false;  // may the hosts talk straight to each other
  bool aes = false;
  bool same_pool = true;                        // else every packet's addresses are rewritten
  std::uint32_t first_messages_a_second = 200;  // above that B demands cookies
};

class SmallWorld;

// One host. What it sends goes to the network, or with `held` into that list and nowhere else; the
// bytes there are those of the frame it was sent from.
class Machine final : private HostIo {
 public:
  Machine(SmallWorld& world, const Endpoint& address, std::unique_ptr<Identity> own)
      : at(address), identity(std::move(own)), world_(world) {}
  void make(HostSettings settings);

  const Endpoint at;
  const std::unique_ptr<Identity> identity;
  std::unique_ptr<Host> host;
  std::vector<MutBytes>* held = nullptr;
  MutBytes held_from;           // storage that held datagrams lie in
  std::size_t to_programs = 0;  // packets that reached local programs
  std::vector<std::uint8_t> last;
  std::function<void(Bytes)> on_program;                   // each of those packets, if set
  std::function<void(const Endpoint& to, Bytes)> on_send;  // each of its datagrams, if set
  std::string state;                                       // what the host's state log holds

 private:
  void send(const Endpoint& to, Bytes datagram) override;
  void to_tun(Bytes packet) override;
  void set_route(const VirtualIp&, bool) override {}
  void log_state(const std::string& line) override { state += line + '\n'; }

  SmallWorld& world_;
};

class SmallWorld final : private NodeIo {
 public:
  // Stands when A can seal for B, over the way of the plan. Throws when it never does.
  explicit SmallWorld(const WorldPlan& plan);

  // Lets queues and timers work until `enough`; false when `limit` passes before.
  bool run_until(const std::function<bool()>& enough, Duration limit);
  void send(const Endpoint& from, const Endpoint& to, Bytes datagram);

  Random& random() { return random_; }
  Log& log() { return log_; }
  Peer& b_at_a() { return *a.host->peers().find(b.identity->key()); }
  wire::Type carrier() const { return plan_.shortcuts ? wire::Type::direct : wire::Type::labelled; }
  // Where what A sends to B comes to B from.
  Endpoint seen_from() const { return plan_.shortcuts ? a.at : node_at_; }
  // Somebody on the way to B: sees each datagram before it, and true takes it out of the network.
  std::function<bool(const Endpoint& from, Bytes datagram)> before_b;
  // B starts anew, with what its state log holds; `clean`: as after an end in order.
  void restart_b(bool clean);
  // A packet of A's that is `size` bytes long, headers included.
  std::vector<std::uint8_t> packet(bool tcp, bool v6, std::size_t size);

  JumpingClock clock;

 private:
  struct Datagram {
    Endpoint from, to;
    std::vector<std::uint8_t> bytes;
  };

  HostSettings settings_of(bool first) const;
  bool ready();
  void send(const Endpoint& to, Bytes message) override { send(node_at_, to, message); }
  void deliver();
  bool step(TimePoint until);

  const WorldPlan plan_;
  const Endpoint node_at_ = *Endpoint::parse("203.0.113.7:5100");
  SeededRandom random_{1};
  Log log_;

 public:
  Machine a, b;

 private:
  std::unique_ptr<Identity> node_identity_;
  std::unique_ptr<NodeCore> node_;
  std::deque<Datagram> queue_;
};

}  // namespace i3::bench
