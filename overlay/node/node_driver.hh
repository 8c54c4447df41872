// Owns a node's sockets and timer: runs a NodeCore on an io_context.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <vector>

#include "overlay/node/label_leases.hh"
#include "overlay/node/node_core.hh"
#include "overlay/node/udp_socket.hh"

namespace i3 {

// Somebody else who brings datagrams to the core and takes those that go back: tunnels over TLS.
class SideDoor {
 public:
  virtual ~SideDoor() = default;
  // True if the datagram is for one of its own.
  virtual bool take(const Endpoint& to, Bytes message) = 0;
  virtual std::vector<Endpoint> listening() const = 0;
  virtual std::size_t tunnels() const = 0;
  virtual void add_counters(std::map<std::string, std::uint64_t, std::less<>>& all) const = 0;
};

// Everything happens on the io_context's one thread. References given must outlive the driver.
class NodeDriver final : private NodeIo {
 public:
  // `sockets`: bound UDP sockets, at least one, best one of each family; made by UdpSocket::bind or
  // by a privileged parent. `settings.have_v4/have_v6` are set from them. With several sockets of a
  // family the answer to a datagram leaves by the socket that it came in by.
  NodeDriver(boost::asio::io_context& context, NodeCoreSettings settings,
             std::vector<OwnedFd> sockets, const Identity& identity, Random& random, Clock& clock,
             Log& log);
  ~NodeDriver() override;
  NodeDriver(const NodeDriver&) = delete;
  NodeDriver& operator=(const NodeDriver&) = delete;

  // Before start(): labelled packets may take that way. Goes with the driver.
  void use(std::unique_ptr<LabelLeases> leases) { leases_ = std::move(leases); }
  void start();
  // Tells the ring and stops; the core stays readable.
  void leave();

  NodeCore& core() { return core_; }
  const NodeCore& core() const { return core_; }
  // The addresses that the sockets are bound to.
  std::vector<Endpoint> listening() const;
  // A socket that sends to that address's family is there.
  bool sends_to(const IpAddress& address) const;
  // `door` is asked about each datagram before it is sent, until it is set to none.
  void set_side_door(SideDoor* door) { door_ = door; }
  const SideDoor* side_door() const { return door_; }
  // A datagram of the side door's; after a batch of them, settle().
  void inject(const Endpoint& from, MutBytes message);
  void settle();
  // The core's counters and those of the sockets.
  std::map<std::string, std::uint64_t, std::less<>> counters() const;
  TimePoint now() const { return clock_.now(); }
  // Called when the node's k changed, for whoever keeps it across restarts.
  std::function<void(std::uint8_t k)> on_place;

 private:
  struct Port {
    Port(boost::asio::io_context& context, OwnedFd fd, bool second);
    bool other;  // by which hosts learn what their NATs do
    UdpSocket socket;
    boost::asio::posix::stream_descriptor readiness;
    std::optional<boost::asio::posix::stream_descriptor> lane;  // of the socket's
  };

  void send(const Endpoint& to, Bytes message) override;
  std::uint16_t other_port(const IpAddress& family) override;
  void send_other(const Endpoint& to, Bytes message) override;
  void open_other_ports(boost::asio::io_context& context);
  Port* port_for(const IpAddress& address);
  void wait(Port& port);
  void wait_for_lane(Port& port);
  void receive(Port& port, std::span<const UdpSocket::Datagram> batch);
  void offer_lease(Port& port, const UdpSocket::Datagram& datagram, const Endpoint& to,
                   TimePoint now);
  void review_leases(TimePoint now);
  void flush();
  void arm_timer();
  void tell_place();

  Clock& clock_;
  Log& log_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::unique_ptr<LabelLeases> leases_;
  SideDoor* door_ = nullptr;
  Port* current_ = nullptr;  // whose datagram is being handled
  NodeCore core_;
  boost::asio::steady_timer timer_;
  TimePoint armed_ = kNever;
  std::uint8_t told_k_ = 0;
  bool stopped_ = false;
};

// True if an interface of this machine has the address.
bool is_local_address(const IpAddress& address);

}  // namespace i3
