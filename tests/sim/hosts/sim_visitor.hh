// Owns anonymous visits of a simulated host: a socket each, on the host's own machine.
#pragma once

#include "proxy/host/visits.hh"
#include "tests/sim/hosts/sim_host.hh"

namespace i3::sim {

class SimVisitor final : public VisitIo {
 public:
  // `base` is the host's own endpoint: visits take the ports above it.
  SimVisitor(SimNetwork& network, SimHost& host, const Endpoint& base, std::vector<VisitName> names,
             std::uint64_t seed);
  ~SimVisitor() override;

  Visits& visits() { return *visits_; }
  void send_udp(const std::string& name, std::uint16_t from_port, std::uint16_t to_port,
                const std::string& text, bool v6 = false);
  // Texts of UDP packets to `port`, and who they say they came from.
  std::vector<std::pair<IpAddress, std::string>> texts(std::uint16_t port) const;
  bool renew(const std::string& name);
  std::vector<std::vector<std::uint8_t>> received;
  // The endpoint of each socket opened so far, before its NAT; the first looks for relays.
  std::map<Socket, Endpoint> sockets;
  std::map<Socket, std::set<Endpoint>> sent_to;  // whom each spoke to

 private:
  bool open(Socket socket) override;
  void close(Socket socket) override;
  void send(Socket socket, const Endpoint& to, Bytes datagram) override;
  void visit_to_tun(Bytes packet) override;
  void arm();

  SimNetwork& network_;
  SimHost& host_;
  Endpoint base_;
  SeededRandom random_;
  Log log_;
  std::unique_ptr<Visits> visits_;
  SimNetwork::Timer timer_ = 0;
  TimePoint armed_ = kNever;
};

}  // namespace i3::sim
