// Owns the messages between worker and parent: one request, one reply, events. docs/privileges.md
// has the table. The parent trusts none of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "dnsintercept/placement.hh"
#include "overlay/base/bytes.hh"
#include "overlay/base/xml/values.hh"
#include "proxy/platform/nat.hh"
#include "proxy/platform/unique_fd.hh"
#include "proxy/platform/waypoint_names.hh"

namespace i3 {

enum class RequestKind : std::uint8_t {
  read_file = 1,
  replace_file = 2,
  refresh_files = 3,
  open_state = 4,
  add_route = 5,
  remove_route = 6,
  set_mtu = 7,
  upstream_socket = 8,
  place_dns = 9,
  update_nameservers = 10,
  withdraw_dns = 11,
  ready = 12,
  alive = 13,  // the answer to an `are_you_alive`; not answered itself
  // Of a gateway: nat.hh.
  nat_opens = 14,
  nat_names = 15,
  nat_retain = 16,
  waypoint_names = 17,  // waypoint_names.hh
};

inline constexpr std::size_t kMaximumBrokerMessage = 65536;
inline constexpr std::size_t kMaximumPath = 4095;
inline constexpr std::size_t kMaximumDomains = 200;
inline constexpr std::size_t kMaximumBrokerNameservers = 8;
inline constexpr std::size_t kMaximumReplyText = 1024;

// | kind 1 | id 4 | body |. Bodies: path (length 2, bytes); prefix (address 16, length 1); mtu (2);
// socket (v6 1, stream 1); place_dns (mode 1, sees_every_query 1, nameservers, domain count 2, each
// length 1 and bytes); nameservers (count 1, each 16); nothing.
struct BrokerRequest {
  RequestKind kind{};
  std::uint32_t id = 0;
  std::string path;
  IpPrefix prefix;
  std::uint16_t mtu = 0;
  bool v6 = false;
  bool stream = false;
  PlacementMode mode = PlacementMode::automatic;
  bool sees_every_query = false;
  std::vector<IpAddress> nameservers;
  std::vector<std::string> domains;
  NatOpens opens;
  std::vector<NatName> nat_names;
  std::vector<WaypointName> waypoint_names;

  // Nothing unless the message is exactly one request with values in range.
  static std::optional<BrokerRequest> parse(Bytes message);
  // Empty if it is larger than a message may be.
  std::vector<std::uint8_t> write() const;
};

enum class NoticeKind : std::uint8_t {
  reply = 0x80,
  reload = 0x90,
  shutdown = 0x91,
  are_you_alive = 0x92,
};

// | kind 1 | for a reply: id 4, status 1, text to the end |
struct BrokerNotice {
  NoticeKind kind{};
  std::uint32_t id = 0;
  std::uint8_t status = 0;
  std::string text;

  static std::optional<BrokerNotice> parse(Bytes message);
  std::vector<std::uint8_t> write() const;
};

// One packet of the socket between the two, with at most one descriptor.
struct Packet {
  enum class State { none, closed, broken, message } state = State::none;
  std::vector<std::uint8_t> bytes;
  UniqueFd fd;
};
Packet receive_packet(int socket);  // does not wait
// The descriptors that came with a received message, each of them owned.
std::vector<UniqueFd> received_descriptors(msghdr& message);
// Does not wait; false if the other end is gone or does not read.
bool send_packet(int socket, Bytes message, int fd = -1);

}  // namespace i3
