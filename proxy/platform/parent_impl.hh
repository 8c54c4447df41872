// Owns the parent's state; parent.cc drives it, parent_requests.cc answers the worker.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <signal.h>

#include "dnsintercept/placement.hh"
#include "proxy/platform/broker_messages.hh"
#include "proxy/platform/inherited.hh"
#include "proxy/platform/inspection.hh"
#include "proxy/platform/nat_table.hh"
#include "proxy/platform/netlink.hh"
#include "proxy/platform/parent.hh"
#include "proxy/platform/privileges.hh"
#include "proxy/platform/waypoint_table.hh"

namespace i3 {

// Of the sockets that ask real DNS servers, so that the redirect lets them pass.
inline constexpr std::uint32_t kBypassMark = 0x69330001;
inline constexpr std::size_t kMaximumRoutes = 1024;

struct Parent::Impl {
  using SteadyTime = std::chrono::steady_clock::time_point;

  PlatformRequest request;
  std::vector<std::string> worker_argv;
  Log& log;

  // Acquired by the constructor, in this order; given back in the reverse one.
  sigset_t old_signals{};
  UniqueFd executable;
  UniqueFd signals;
  WorkerUser user;
  Netlink netlink;
  Inherited held;
  bool control_bound = false;
  std::unique_ptr<Inspection> inspection;
  bool plugins_bound = false;

  std::unique_ptr<NatTable> nat;
  std::vector<IpAddress> nat_named;
  std::unique_ptr<WaypointTable> waypoints;
  std::unique_ptr<Placement> placement;
  BrokerRequest placed;  // what it was made of

  pid_t worker = -1;
  UniqueFd channel;  // to the worker
  SteadyTime born;
  SteadyTime hung_up;      // when the worker closed the channel
  bool was_ready = false;  // any worker
  bool ready = false;      // the present one
  int unanswered = 0;      // questions whether it is alive
  SteadyTime next_question;
  std::deque<SteadyTime> deaths;
  std::chrono::seconds pause{0};
  SteadyTime respawn_at;
  bool ending = false;
  int exit_code = 0;

  Impl(PlatformRequest asked, std::vector<std::string> argv, Log& logger);
  ~Impl();

  // parent.cc
  void acquire();
  void acquire_tun();
  void acquire_dns();
  void acquire_inspection();
  void acquire_waypoints();
  void spawn();
  [[noreturn]] void become_worker(int socket, pid_t parent);
  int timeout_ms() const;
  int worker_timeout_ms() const;
  void on_signals();
  void on_worker_end(int status);
  void reap(bool wait);
  void reap_program();
  void ask_whether_alive();
  void kill_worker(const char* reason);
  void stop_worker();
  void undo();
  void notify(NoticeKind kind);

  // parent_requests.cc
  void on_channel();
  void refresh_files();
  std::string why_not_real(const IpAddress& real, const std::vector<HostAddress>& own_ones,
                           const std::vector<IpPrefix>& tunnels);

 private:
  struct Answer {
    std::uint8_t status = 0;
    std::string text;
    UniqueFd fd;
  };
  static Answer fine(std::string text = {}) { return {0, std::move(text), {}}; }
  static Answer refused(std::string why) { return {1, std::move(why), {}}; }
  static Answer failed(std::string why) { return {2, std::move(why), {}}; }

  Answer answer(BrokerRequest& asked, UniqueFd fd);
  const FileAccess* access_to(const std::string& path) const;
  Answer give_file(const std::string& path);
  Answer take_file(const std::string& path, UniqueFd text);
  Answer give_state();
  Answer add_route(const IpPrefix& prefix);
  Answer remove_route(const IpPrefix& prefix);
  Answer set_mtu(std::uint16_t mtu);
  Answer give_upstream_socket(bool v6, bool stream);
  Answer place_dns(const BrokerRequest& asked);
  Answer update_nameservers(const BrokerRequest& asked);
  Answer change_nat(const BrokerRequest& asked);
  Answer change_waypoints(const BrokerRequest& asked);
  Answer on_ready();
  std::string why_not_routed(const IpPrefix& prefix);
};

}  // namespace i3
