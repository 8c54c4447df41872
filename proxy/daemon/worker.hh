// Owns the worker process of i3-proxy: one event loop around one Host. It has no privilege; what
// needs one is asked of the parent by the Broker (docs/privileges.md).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "dnsintercept/dns_server.hh"
#include "dnsintercept/placement.hh"
#include "dnsintercept/resolver_watch.hh"
#include "overlay/base/control/metrics_server.hh"
#include "overlay/base/control/server.hh"
#include "proxy/daemon/aside_socket.hh"
#include "proxy/daemon/burst_clock.hh"
#include "proxy/daemon/clock_watch.hh"
#include "proxy/daemon/data_threads.hh"
#include "proxy/daemon/embedded_node.hh"
#include "proxy/daemon/joined_groups.hh"
#include "proxy/daemon/names.hh"
#include "proxy/daemon/state_file.hh"
#include "proxy/daemon/transports.hh"
#include "proxy/daemon/tun_io.hh"
#include "proxy/daemon/virtual_networks.hh"
#include "proxy/daemon/visit_sockets.hh"
#include "proxy/daemon/worker_extension.hh"
#include "proxy/daemon/worker_groups.hh"
#include "proxy/platform/broker.hh"
#include "proxy/platform/netlink.hh"
#include "proxy/settings/proxy_settings.hh"

namespace i3 {

// What status says about DNS.
struct DnsState {
  std::string mode = "none";
  std::string description;
  std::string server;
};

class Worker final : public HostIo {
 public:
  // `fd` is the descriptor from the parent, `networks` those that it chose. Throws what a wrong
  // configuration or a broken parent throws.
  // `extension`: what the daemon does beside a proxy's work; may be null.
  Worker(int fd, const std::string& config, const VirtualNetworks& networks, Log& log,
         std::unique_ptr<WorkerExtension> extension = nullptr);
  ~Worker() override;

  // Until the parent says that it is over.
  void run();

  // For the commands of the control socket, and for the extension.
  Host& host() { return *host_; }
  Visits& visits() { return *visits_; }
  const VisitSockets& visit_sockets() const { return *visit_sockets_; }
  Groups& groups() { return *groups_; }
  Names& names() { return *names_; }
  Broker& broker() { return *broker_; }
  const ProxySettings& settings() const { return settings_; }
  const DnsState& dns() const { return dns_state_; }
  const Inherited& inherited() const { return inherited_; }
  EmbeddedNode* node() { return node_.get(); }
  // Others rely on the node inside, or may.
  bool node_is_used() const { return node_ && (invited_ || node_->has_guests()); }
  void note_invited() { invited_ = true; }
  DnsServer* dns_server() { return dns_.get(); }
  Clock& clock() { return clock_; }
  TimePoint started() const { return started_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  boost::asio::io_context& io() { return io_; }
  Log& log() { return log_; }
  Random& random() { return random_; }
  WorkerExtension* extension() { return extension_.get(); }
  const std::vector<Endpoint>& candidates() const { return candidates_; }
  const Transports& transports() const { return *transports_; }
  const DataThreads& threads() const { return threads_; }
  bool have_v4() const { return have_v4_; }
  bool have_v6() const { return have_v6_; }
  // Sends what a command caused and sets the timer.
  void after_command() { turn(); }
  std::uint64_t dropped_by_kernel() const {
    return transports_->dropped() + tun_->dropped() + visit_sockets_->dropped();
  }
  // A packet for the kernel; a line for the state log.
  void write_to_tun(Bytes packet) { tun_->write(packet); }
  void append_state(const std::string& line) { log_state(line); }
  // Reads configuration and books again. Throws ConfigError, and nothing has changed then. Returns
  // what is accepted but worth knowing.
  std::vector<std::string> reload();

 private:
  // HostIo
  void send(const Endpoint& to, Bytes datagram) override;
  void to_tun(Bytes packet) override;
  void set_route(const VirtualIp& address, bool present) override;
  void log_state(const std::string& line) override;
  void people_changed() override;
  std::optional<std::uint16_t> open_aside() override;
  void send_aside(const Endpoint& to, Bytes datagram) override { aside_.send(to, datagram); }
  void close_aside() override { aside_.close(); }

  ProxySettings read_settings();
  HostSettings host_settings(std::string_view state);
  std::vector<EntryNode> entry_nodes() const;
  void read_underlay();
  void make_node();
  void make_visits();
  void make_groups();
  void set_groups();
  void set_group_routes();
  void captured(std::span<const Frame> frames);
  std::vector<std::string> notes() const;
  void make_transports();
  std::vector<TunnelTarget> tunnel_targets() const;
  void tell_underlay();
  void tell_visits();
  VisitTunnels::Events visit_tunnels();
  void watch_underlay();
  void underlay_changed();
  void time_jumped(std::string_view why);
  void start_dns();
  void place_dns();
  void set_upstreams();
  void start_control();
  void turn();
  void arm();
  std::vector<IpPrefix> other_networks() const;
  std::string state_lines() const;
  void stop();
  void finish_when_stopped();

  Log& log_;
  std::unique_ptr<WorkerExtension> extension_;
  BurstClock clock_;  // held from a batch's first packet to the end of its turn
  SystemRandom random_;
  std::string config_;
  VirtualNetworks networks_;
  TimePoint started_;
  Inherited inherited_;
  std::unique_ptr<Broker> broker_;
  ProxySettings settings_;
  std::vector<std::string> warnings_;
  std::unique_ptr<Identity> identity_;
  boost::asio::io_context io_{1};
  boost::asio::steady_timer timer_{io_};
  boost::asio::steady_timer underlay_timer_{io_};
  TimePoint armed_ = kNever;
  std::vector<Endpoint> candidates_;  // own underlay addresses with our port
  bool have_v4_ = true, have_v6_ = true;
  std::unique_ptr<StateFile> state_;
  BoundSocket node_socket_;  // kept, so that the node can be made anew with other addresses
  std::unique_ptr<EmbeddedNode> node_;
  bool invited_ = false;  // somebody was told of our own node
  std::unique_ptr<Host> host_;
  std::unique_ptr<Groups> groups_;
  std::unique_ptr<JoinedGroups> joined_;
  std::vector<IpPrefix> group_routes_;
  AsideSocket aside_;
  DataThreads threads_{log_};  // before what it sends for
  std::unique_ptr<Underlay> underlay_;
  std::unique_ptr<Transports> transports_;
  std::unique_ptr<TunIo> tun_;
  std::unique_ptr<VisitSockets> visit_sockets_;
  std::unique_ptr<Visits> visits_;
  std::unique_ptr<Names> names_;
  std::unique_ptr<DnsServer> dns_;
  std::unique_ptr<ResolverWatch> resolver_;
  DnsState dns_state_;
  NetlinkWatch watch_;
  std::unique_ptr<boost::asio::posix::stream_descriptor> watch_descriptor_;
  std::unique_ptr<ClockWatch> clock_watch_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<MetricsServer> metrics_;
  bool stopping_ = false;
};

TransportChoice::Mode mode_of(Transport transport);
// What the settings ask for that this version does not do; said in status.
std::vector<std::string> unsupported(const ProxySettings& settings);
std::string unsupported(const BookEntry& entry);
// The key of the box that an entry names, if it names one.
std::optional<PublicKey> key_of_box(const std::string& name, const AddressBooks& books);
// The host's side of the settings: whom it knows, and who may come in.
Directory directory_of(const ProxySettings& settings);
std::vector<Allow> allow_of(const ProxySettings& settings);
// Entries that are contacted under a fresh identity.
std::vector<VisitName> visits_of(const ProxySettings& settings);

}  // namespace i3
