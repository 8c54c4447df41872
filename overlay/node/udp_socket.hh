// Owns one UDP socket of a node: batches of datagrams in and out.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unordered_map>
#include <vector>

#include "overlay/base/control/socket.hh"
#include "overlay/base/endpoint.hh"
#include "overlay/node/banks.hh"
#include "overlay/node/outbox.hh"
#include "overlay/node/udp_sending.hh"

namespace i3 {

// what() is one line: the address, what is wrong, and what to do. `privilege` tells a missing one.
class SocketError : public std::runtime_error {
 public:
  SocketError(const std::string& text, bool lacks_privilege)
      : std::runtime_error(text), privilege(lacks_privilege) {}
  bool privilege;
};

class UdpSocket {
 public:
  static constexpr std::size_t kBatch = 32;
  // No message is longer; what is longer is cut off on receipt, and so is malformed.
  static constexpr std::size_t kLongest = 2049;

  struct Options {
    // A socket on all addresses answers each correspondent from the address that it came to, since
    // only that address is one that it, and the NAT before it, expects.
    bool answer_from_where_it_came = true;
  };

  // A bound socket, of which open_lane() can be asked. `::` serves IPv4 as well where `dual` is
  // set.
  static OwnedFd bind(const Endpoint& address, bool dual);

  // Takes over a bound datagram socket of either family; throws SocketError.
  explicit UdpSocket(OwnedFd fd) : UdpSocket(std::move(fd), Options{}) {}
  UdpSocket(OwnedFd fd, Options options);
  // While that thread serves it sends what is flushed, and receive() fills other storage than what
  // was lent of the last one. It must outlive the socket and have no job left when the socket ends.
  void use(IoThread& thread);
  // This machine's addresses changed: what came to one of them is no longer answered from it, for
  // from an address that is gone nothing leaves.
  void forget_own_addresses() { came_to_.clear(); }

  // From now on what keeps going what stands, labelled packets and refreshes, waits in a queue of
  // its own in the kernel, which nothing else fills. False where the system gives none.
  bool open_lane();
  bool has_lane() const { return static_cast<bool>(lane_); }
  int lane_fd() const { return lane_.get(); }

  int fd() const { return fd_.get(); }
  const Endpoint& local() const { return local_; }
  bool reaches(const IpAddress& address) const { return address.is_v4() ? !v6_ || dual_ : v6_; }
  bool v4() const { return !v6_ || dual_; }
  bool v6() const { return v6_; }

  // What up to kBatch reads give: the kernel may hand over several datagrams of one sender with one
  // (UDP_GRO, Linux 5.0). Their bytes stay valid until the next receive().
  struct Datagram {
    Endpoint from;
    MutBytes bytes;
    std::optional<IpAddress> came_to;  // where that is looked at
  };
  std::span<const Datagram> receive() { return receive(fd_.get()); }
  std::span<const Datagram> receive_lane() { return receive(lane_.get()); }
  // The last receive() filled its batch: there may be more.
  bool more() const { return filled_; }
  // Where received bytes lie.
  Bytes storage() const { return received_into_.all(); }

  // What is sent to its sender meanwhile leaves from where it came to, whatever else came in that
  // sender's name; nothing ends that. The datagram is borrowed.
  void answering(const Datagram* datagram) { answered_ = datagram; }
  // The sender of that datagram proved that it is there: from now on no datagram that bears its
  // address changes where it is answered from, until it proves itself at another.
  void vouch();
  // The local address that this correspondent is answered from; nothing where the kernel chooses.
  std::optional<IpAddress> local_for(const Endpoint& correspondent) const {
    if (!local_.address.unspecified()) return local_.address;
    auto known = came_to_.find(correspondent);
    return known == came_to_.end() ? std::nullopt : std::optional(known->second.address);
  }

  // Sent at the next flush(). With `borrow` the bytes are not copied and must last until then.
  void send(const Endpoint& to, Bytes bytes, bool borrow);
  void flush();
  std::uint64_t send_failures() const { return failures_ + unsendable_; }

 private:
  static constexpr std::size_t kBuffer = 65536;  // the longest super-packet
  static constexpr std::size_t kMaxCameTo = 65'536;

  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int))> bytes{};
  };
  // What the kernel says beside the bytes.
  struct Ancillary {
    std::optional<IpAddress> came_to;
    std::size_t each = 0;  // size of each datagram but the last; 0: there is one
  };
  static Ancillary ancillary(const msghdr& header);
  std::span<const Datagram> receive(int fd);
  void prepare(int fd) const;
  struct CameTo {
    IpAddress address;
    bool vouched = false;
  };
  void remember(const Endpoint& from, const CameTo& came_to);
  void sent(UdpSending& batch);
  std::optional<IpAddress> source_for(const Endpoint& to) const;
  void write_source(const std::optional<IpAddress>& source, UdpRoute& route) const;

  OwnedFd fd_, lane_;
  Endpoint local_;
  bool v6_ = false;
  bool dual_ = false;
  bool wildcard_ = false;  // and answers from where it came
  std::unordered_map<Endpoint, CameTo> came_to_;
  std::size_t vouched_ = 0;  // of them
  const Datagram* answered_ = nullptr;
  Banks received_into_{kBatch * kBuffer};
  std::vector<Control> controls_;
  std::vector<sockaddr_storage> senders_;
  std::vector<iovec> receive_vectors_;
  std::vector<mmsghdr> receive_headers_;
  std::vector<Datagram> received_;
  bool filled_ = false;
  Outbox<UdpSending> sending_;
  Endpoint last_to_;  // of the datagram added last
  std::optional<IpAddress> last_source_;
  bool last_answers_ = false;  // its source is where a datagram under way came to
  std::uint64_t failures_ = 0, unsendable_ = 0;
};

}  // namespace i3
