// Owns a real Host on a simulated machine whose program sends numbered packets and answers those
// that come.
#pragma once

#include "proxy/host/host.hh"
#include "sim/network.hh"

namespace i3::sim {

class Talker final : private HostIo {
 public:
  // Number n listens at an address of its own. It knows `partner` by its number and lets everybody
  // in; all its traffic goes through nodes, for it allows no shortcuts. With `near_nodes` it looks
  // for near ones.
  Talker(SimNetwork& network, std::uint64_t number, std::uint64_t partner,
         std::vector<EntryNode> entries, bool near_nodes = true);
  ~Talker() override;

  // One packet of 64 bytes of payload to the partner; it is answered with its number.
  void say();
  bool ready() { return host_->client().ready(); }
  Client& client() { return host_->client(); }
  SimNetwork::Host machine() const { return machine_; }

  std::uint32_t said() const { return said_; }
  // The partner's packets that came: how many different ones, the longest silence between two since
  // restart_silence(), and who brought the last one.
  std::uint64_t heard() const { return heard_; }
  std::uint64_t answered() const { return answered_; }
  TimePoint said_at() const { return said_at_; }  // the last one
  TimePoint heard_at() const { return last_heard_; }
  Duration longest_silence() const { return std::max(silence_, network_.now() - last_heard_); }
  void restart_silence();
  const Endpoint& brought_by() const { return brought_by_; }

 private:
  void send(const Endpoint& to, Bytes datagram) override;
  void to_tun(Bytes packet) override;
  void set_route(const VirtualIp&, bool) override {}
  void log_state(const std::string&) override {}
  void send_udp(bool answer, std::uint32_t number);
  void arm();

  SimNetwork& network_;
  SimNetwork::Host machine_;
  Endpoint at_;
  SeededRandom random_;
  std::unique_ptr<Identity> identity_;
  PublicKey partner_;
  Log log_;
  std::unique_ptr<Host> host_;
  SimNetwork::Timer timer_ = 0;
  TimePoint armed_ = kNever;
  std::uint32_t said_ = 0;
  TimePoint said_at_{};
  std::vector<bool> heard_numbers_, answered_numbers_;
  std::uint64_t heard_ = 0, answered_ = 0;
  TimePoint last_heard_;
  Duration silence_{};
  Endpoint from_, brought_by_;
};

}  // namespace i3::sim
