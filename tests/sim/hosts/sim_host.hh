// Owns a real Host on a simulated machine: its TUN is a list of packets.
#pragma once

#include <memory>

#include "proxy/host/groups.hh"
#include "sim/sim_ring.hh"

namespace i3::sim {

struct HostPlan {
  std::string name;
  std::vector<KnownHost> book;
  std::vector<Allow> allow;
  std::vector<EntryNode> entries;
  IpPrefix pool{IpAddress::v4(0x64400000), 10};
  bool shortcuts = true;
  std::optional<PublicKey> inbound_box;   // everybody has to come through it
  std::optional<PublicKey> inbound_stop;  // the same of a box for sealed packets
  Edge* edge = nullptr;                   // of a gateway; outlives the host
  std::string state;  // of an earlier life; with "clean" at its end if that ended in order
};

// One life of one host. Destroying it is kill -9; a new one with the same seed and the state that
// the first one logged is its next life.
class SimHost final : public HostIo {
 public:
  SimHost(SimNetwork& network, SimNetwork::Host machine, const Endpoint& at, std::uint64_t number,
          HostPlan plan);
  ~SimHost() override;

  Host& host() { return *host_; }
  Groups& groups() { return *groups_; }
  const PublicKey& key() const { return identity_->key(); }
  SimNetwork::Host machine() const { return machine_; }
  const std::string& state() const { return state_; }
  // What a DNS answer would say.
  VirtualIp address_of(const PublicKey& key, bool v6 = false);

  // A local program sends; the packet is whole, checksums right.
  void send_udp(const PublicKey& to, std::uint16_t from_port, std::uint16_t to_port,
                const std::string& text);
  void send_packet(std::vector<std::uint8_t> packet);
  void send_syn(const PublicKey& to, std::uint16_t port);
  // To any address, from this host's own.
  void send_udp_to(const IpAddress& to, std::uint16_t from_port, std::uint16_t to_port,
                   const std::string& text);
  // From any address to that peer's, as what a gateway's kernel brings back.
  void send_udp_from(const IpAddress& from, const PublicKey& to, std::uint16_t from_port,
                     std::uint16_t to_port, const std::string& text);
  void stop();
  // After a call of host() that may have set a time.
  void arm();
  // After a call that may have set something going.
  void turn() { arm(); }

  // What local programs received.
  std::vector<std::vector<std::uint8_t>> received;
  // Texts of the UDP packets among them to `port`.
  std::vector<std::string> texts(std::uint16_t port) const;
  // ICMP host unreachable among them.
  std::size_t unreachables() const;
  std::size_t resets() const;

 private:
  // The driver sends from the storage of what came in, at the end of the turn and without a copy.
  struct Handed {
    Bytes where;
    std::vector<std::uint8_t> what;
  };
  void note_handed(Bytes bytes);
  // Throws where any of it is another by now.
  void end_turn();

  void send(const Endpoint& to, Bytes datagram) override;
  void to_tun(Bytes packet) override;
  void set_route(const VirtualIp& address, bool present) override;
  void log_state(const std::string& line) override;
  std::optional<std::uint16_t> open_aside() override;
  void send_aside(const Endpoint& to, Bytes message) override;
  void close_aside() override;

  SimNetwork& network_;
  SimNetwork::Host machine_;
  Endpoint at_;
  Endpoint aside_;  // the second socket, each time at another port
  std::uint16_t next_aside_ = 50000;
  SeededRandom random_;
  std::unique_ptr<Identity> identity_;
  Log log_;
  std::string state_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<Groups> groups_;
  Bytes lent_;  // storage of what came in
  std::vector<Handed> handed_;
  SimNetwork::Timer timer_ = 0;
  TimePoint armed_ = kNever;
};

// The key that SimHost number `number` has.
PublicKey key_of_host(std::uint64_t number);
std::unique_ptr<Identity> identity_of_host(std::uint64_t number);

// Three nodes, and hosts A and B each behind a NAT of its own, who know each other; B lets A in.
class SmallWorld {
 public:
  explicit SmallWorld(std::uint64_t seed);

  HostPlan plan_of(const std::string& name) const;
  std::unique_ptr<SimHost> make(const std::string& name, HostPlan plan);
  // Until both are reachable.
  bool ready();
  // `from` says `text` every half second until `to` has it; false after `limit`.
  bool gets_through(SimHost& from, SimHost& to, const std::string& text, Duration limit);
  // The same, said once.
  bool hears(SimHost& from, SimHost& to, const std::string& text, Duration limit);

  SimNetwork network;
  SimRing ring{network};
  std::unique_ptr<SimHost> a, b;

 private:
  SimNetwork::Nat nat_a_, nat_b_;
  SimNetwork::Host machine_a_, machine_b_;
};

}  // namespace i3::sim
