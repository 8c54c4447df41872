// Owns the worker's requests to its parent: the few things that need a privilege.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dnsintercept/placement.hh"
#include "overlay/base/endpoint.hh"
#include "overlay/base/xml/values.hh"
#include "proxy/platform/nat.hh"
#include "proxy/platform/unique_fd.hh"
#include "proxy/platform/waypoint_names.hh"

namespace i3 {

enum class BrokerStatus : std::uint8_t {
  ok = 0,
  refused = 1,    // not among what a worker may ask for
  failed = 2,     // tried; the text says why
  no_answer = 3,  // made here: the parent did not answer in time, or is gone
};

struct BrokerReply {
  BrokerStatus status = BrokerStatus::no_answer;
  std::string text;  // a file's contents, or one line why it failed
  UniqueFd fd;       // for requests that give a descriptor

  bool ok() const { return status == BrokerStatus::ok; }
};

// Each request exists as a call that waits for the answer (at start, or where 100 us do no harm:
// the parent answers from its poll loop; never longer than `timeout`), and with a handler that is
// called exactly once, from the io_context, after attach(); it is dropped uncalled if the broker
// ends first. Single-threaded. While it is attached it also answers the parent, which kills a
// worker that was ready and then did not run its io_context for PlatformRequest::hang_after.
class Broker {
 public:
  using Done = std::function<void(BrokerReply)>;
  static constexpr std::size_t kMaximumPending = 128;  // further requests fail at once

  // Takes the descriptor that receive_inherited() read from.
  explicit Broker(UniqueFd fd, std::chrono::milliseconds timeout = std::chrono::seconds(10));
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // Handlers and events come from this context from now on; it must outlive the broker.
  void attach(boost::asio::io_context& io);

  // Events from the parent; set them before attach().
  std::function<void()> on_reload;       // SIGHUP
  std::function<void()> on_shutdown;     // end within 2 s: save state and return from main
  std::function<void()> on_parent_gone;  // default: ends the process at once

  // Files of PlatformRequest::files; at most 16 MiB. reply.text is the whole file.
  BrokerReply read_file(const std::string& path);
  // Atomic: a reader sees the old text or the new one. Mode and owner stay; a new file is 0644.
  BrokerReply replace_file(const std::string& path, const std::string& text);
  // The files that the settings name by now become allowed; called before a reload's read_file.
  BrokerReply refresh_files();
  // The state file, opened again: after it was replaced.
  BrokerReply open_state();

  // Routes to the TUN, /32 and /128 only, private addresses that no other route of the host
  // covers more narrowly than its default route. Adding twice is fine.
  BrokerReply add_route(const IpPrefix& prefix);
  BrokerReply remove_route(const IpPrefix& prefix);
  BrokerReply set_mtu(std::uint16_t mtu);  // 1280 to 65535

  // A socket whose packets pass the nftables redirect of DNS: what the stub asks real servers
  // with. Non-blocking, unbound. `v6` and `stream` choose the kind.
  BrokerReply upstream_socket(bool v6, bool stream);

  // Puts the host's resolver towards the stub; ask once the stub answers. Of the request the parent
  // takes mode, routing_domains (at most 200), sees_every_query and nameservers; the rest it knows
  // better. Replaces an earlier placement, which ends first; the same one again only gets the
  // nameservers. It goes when the parent ends, and while no worker can be kept alive. reply.text is
  // "MODE: description".
  BrokerReply place_dns(const PlacementRequest& request);
  BrokerReply update_nameservers(const std::vector<IpAddress>& nameservers);
  BrokerReply withdraw_dns();

  // Of a gateway's NAT (nat.hh): defines a number for this worker, gives or takes the meaning of
  // addresses, at most kMaximumNatNames at once, and forgets all that this worker did not give.
  BrokerReply nat_opens(const NatOpens& opens);
  BrokerReply nat_retain();
  void async_nat_names(const std::vector<NatName>& names, Done done);

  // Of a gateway's waypoints (waypoint_names.hh): at most kMaximumWaypointNames at once.
  void async_waypoint_names(const std::vector<WaypointName>& names, Done done);

  // Once: names resolve and the host can be reached. Told to the service manager.
  BrokerReply ready();

  void async_read_file(const std::string& path, Done done);
  void async_replace_file(const std::string& path, const std::string& text, Done done);
  void async_refresh_files(Done done);
  void async_add_route(const IpPrefix& prefix, Done done);
  void async_remove_route(const IpPrefix& prefix, Done done);
  void async_set_mtu(std::uint16_t mtu, Done done);
  void async_upstream_socket(bool v6, bool stream, Done done);
  void async_place_dns(const PlacementRequest& request, Done done);
  void async_update_nameservers(const std::vector<IpAddress>& nameservers, Done done);
  void async_withdraw_dns(Done done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // a wait of the io_context may outlive the broker
};

}  // namespace i3
