// Owns a simulated ring and hosts behind NATs of any kind.
#pragma once

#include "tests/sim/hosts/sim_host.hh"

namespace i3::sim {

// How a host is connected to the Internet.
struct Connection {
  std::string name;   // as in the table
  std::string found;  // what netcheck has to say of it
  bool own_nat = true;
  NatKind kind;
  bool carrier = false;  // a carrier's NAT with a pool of addresses lies beyond
};

const std::vector<Connection>& connections();
// Can packets of the two pass straight, by what RFC 4787 says of their kinds?
bool theory_allows_direct(const Connection& a, const Connection& b);

class NatWorld {
 public:
  NatWorld(std::uint64_t seed, const Connection& a, const Connection& b);

  bool ready();
  // A says something until B has it; then both talk for so long.
  bool talk(Duration limit);
  void go_on(Duration duration);
  // The longest time that one of them heard nothing, while both talk for so long.
  Duration longest_silence(Duration duration);
  // A host behind that NAT, or behind a home router of its own with that outside address there.
  std::unique_ptr<SimHost> behind(int number, SimNetwork::Nat nat, std::vector<IpAddress> home);
  const Peer& b_at_a() { return *a->host().peers().find(b->key()); }
  const Peer& a_at_b() { return *b->host().peers().find(a->key()); }
  bool direct() { return b_at_a().direct.active && a_at_b().direct.active; }

  SimNetwork network;
  SimRing ring{network};
  SimNetwork::Nat nat_a = SimNetwork::kNoNat, nat_b = SimNetwork::kNoNat;
  std::unique_ptr<SimHost> a, b;

 private:
  std::unique_ptr<SimHost> make(int number, const Connection& how, SimNetwork::Nat& nat);
  std::unique_ptr<SimHost> host(int number, SimNetwork::Host machine, const Endpoint& at);
};

}  // namespace i3::sim
