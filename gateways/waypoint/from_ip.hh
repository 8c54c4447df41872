// Owns an IP-to-i3 gateway (seed 001, 4.4.2 and appendix): its zone answers with waypoints, and
// what comes to a waypoint goes on to the name that the client meant.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unordered_set>

#include "dnsintercept/dns_listeners.hh"
#include "gateways/from_ip/waypoints.hh"
#include "gateways/from_ip/waypoints6.hh"
#include "gateways/from_ip/zone.hh"
#include "gateways/kind.hh"
#include "gateways/waypoint/held_answers.hh"
#include "gateways/waypoint/kernel_names.hh"
#include "gateways/waypoint/visitor.hh"

namespace i3 {

class Worker;

// A question: zone.hh asks look_up() what the name means; for an A record a waypoint's window
// opens, here or, by a note, at the machine that has them. A connection: the kernel sends it to our
// listener whatever the waypoint means; visitor.hh finds the name and connects. UDP and echo
// requests: the kernel alone, by the table that kernel_names.hh keeps; an answer with a waypoint
// waits until its window is in there.
class FromIp final : public GatewayKind, private ZoneNames, private VisitorHall {
 public:
  static constexpr std::size_t kMaxVisitors = 16384;
  static constexpr std::size_t kMaxVisitorsOfOne = 1024;  // /32, /56

  FromIp(Worker& worker, const IpToI3Settings& settings);
  ~FromIp() override;

  bool on_control(Peer& peer, Bytes plaintext, TimePoint now) override;
  void start() override;
  void stop() override;
  void reloaded(const GatewaySettings& settings) override;
  void flush() override;
  TimePoint next_deadline() const override {
    return std::min({next_sweep_, waypoints_.next_shut(), held_.next_deadline()});
  }
  void on_timer() override;
  void add_status(Json& status) override;
  void add_metrics(MetricsText& text) override;

 private:
  struct Door {
    explicit Door(boost::asio::io_context& io) : acceptor(io), pause(io) {}
    boost::asio::ip::tcp::acceptor acceptor;
    boost::asio::steady_timer pause;
  };

  // ZoneNames
  ZoneMeaning look_up(std::string_view name, std::uint16_t type, const DnsClient& client,
                      TimePoint now) override;
  // VisitorHall
  std::string name_of_host(const std::string& host) override;
  std::string default_name() override { return settings_.default_name; }
  void find(const std::string& name, bool four,
            std::function<void(std::optional<IpAddress>)> done) override;
  void connected(const Endpoint& client, const Endpoint& server, std::uint16_t port,
                 const std::string& name) override;
  void ended(std::uint64_t number) override;

  void adopt(const IpToI3Settings& settings);
  // Whether the overlay has that name, without its suffix; its key where it is a host's own.
  bool exists(std::string_view name, std::optional<PublicKey>& key);
  std::optional<IpAddress> give(std::string_view name, const DnsClient& client, bool& over_tcp,
                                TimePoint now);
  void tell_waypoint(const IpAddress& waypoint, std::string_view name, const IpAddress& asker);
  void open_doors();
  void accept(const std::shared_ptr<Door>& door);
  void welcome(boost::asio::ip::tcp::socket socket);
  std::string bound_name(const IpAddress& client, const IpAddress& waypoint);
  void answer(const DnsClient& client, Bytes message);
  void tell_kernel();
  void tell_window(const Waypoints::Window& window);
  void keep_session();

  Worker& worker_;
  IpToI3Settings settings_;
  bool waypoints_here_;
  std::unordered_set<std::string> above_;  // names that only have names below them
  Waypoints waypoints_;
  std::optional<Waypoints6> waypoints6_;
  std::unique_ptr<Zone> zone_;
  std::unique_ptr<DnsListeners> dns_;
  std::vector<std::shared_ptr<Door>> doors_;
  KernelNames kernel_;
  HeldAnswers held_;
  std::vector<std::uint8_t> scratch_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Visitor>> visitors_;
  std::unordered_map<IpAddress, std::size_t> visitors_of_;
  std::uint64_t last_number_ = 0;
  TimePoint next_sweep_ = kNever;
  VisitorCounters counters_;
  std::uint64_t notes_sent_ = 0, notes_taken_ = 0, notes_refused_ = 0, shared_ = 0;
  bool stopped_ = false;
  bool gave_waypoint_ = false;  // in the answer that is being made
};

}  // namespace i3
