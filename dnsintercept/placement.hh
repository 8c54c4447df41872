// Owns putting the stub into the host's resolver and out again. Runs in the privileged parent and
// parses nothing that comes from the network.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/log.hh"

namespace i3 {

enum class PlacementMode { automatic, resolved, redirect, resolv_conf, none };
// As the configuration writes them: auto, resolved, redirect, resolv.conf, none.
std::optional<PlacementMode> placement_mode_from(std::string_view text);
std::string_view name_of(PlacementMode mode);

struct PlacementRequest {
  PlacementMode mode = PlacementMode::automatic;
  std::string link_name;  // of the TUN device; also names the nftables table
  int link_index = 0;     // for resolved
  // Where the stub listens on port 53 (resolved, resolv.conf).
  std::optional<IpAddress> stub4;
  std::optional<IpAddress> stub6;
  // For resolved. The name service must never say not_ours for a name below one of these: it would
  // be asked in a circle.
  std::vector<std::string> routing_domains;  // "i3", "corp.example", "64.100.in-addr.arpa"
  bool sees_every_query = false;             // a policy is a bare regular expression
  // The stub's listeners on 127.0.0.1 and ::1 (redirect); 0 for a family without one.
  std::uint16_t redirect_port4 = 0;
  std::uint16_t redirect_port6 = 0;
  std::uint32_t bypass_mark = 0;       // of the sockets to upstream servers; not 0 for redirect
  std::vector<IpAddress> nameservers;  // of the host, without the stub
  std::string resolv_conf = "/etc/resolv.conf";
};

// One way of being in the resolver's path, for as long as the object lives.
class Placement {
 public:
  Placement() = default;
  Placement(const Placement&) = delete;
  Placement& operator=(const Placement&) = delete;
  virtual ~Placement() = default;  // undoes it

  virtual PlacementMode mode() const = 0;  // never automatic
  // One sentence for status.
  virtual std::string description() const = 0;
  // The host's servers changed. Throws std::runtime_error as place() does; the old state stays.
  virtual void update(const std::vector<IpAddress>& nameservers) = 0;
};

// Throws std::runtime_error with a plain sentence when it cannot be done; nothing is left behind.
// `log` must outlive the placement. Waits, three seconds at most, for systemd-resolved to use the
// link, which must be up and have the stub's address.
std::unique_ptr<Placement> place(const PlacementRequest& request, Log& log);

// What automatic comes to here: resolved if it is on the bus, answers for resolv.conf, and need
// not see every query; else redirect. Where resolved is there and every query must be seen, place()
// does both, since some programs ask resolved without going through port 53.
PlacementMode automatic_mode(const PlacementRequest& request);

// Removes lines that a killed i3-proxy left in resolv.conf. True if there was one.
bool cleanup_resolv_conf(const std::string& path);

}  // namespace i3
