// Owns one UDP socket of a node: batches of datagrams in and out.
#pragma once

#include <array>
#include <functional>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unordered_map>
#include <vector>

#include "overlay/base/control/socket.hh"
#include "overlay/base/endpoint.hh"

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
  // Room for one byte more than the longest message, so that a longer one shows.
  static constexpr std::size_t kBuffer = 2049;

  // A bound socket. `::` serves IPv4 as well where `dual` is set.
  static OwnedFd bind(const Endpoint& address, bool dual);

  // Takes over a bound datagram socket of either family; throws SocketError.
  explicit UdpSocket(OwnedFd fd);

  int fd() const { return fd_.get(); }
  const Endpoint& local() const { return local_; }
  bool reaches(const IpAddress& address) const { return address.is_v4() ? !v6_ || dual_ : v6_; }
  bool v4() const { return !v6_ || dual_; }
  bool v6() const { return v6_; }

  // Up to kBatch datagrams. Their bytes stay valid until the next receive().
  struct Datagram {
    Endpoint from;
    MutBytes bytes;
  };
  std::span<const Datagram> receive();

  // Sent at the next flush(). With `borrow` the bytes are not copied and must last until then.
  void send(const Endpoint& to, Bytes bytes, bool borrow);
  void flush();
  std::uint64_t send_failures() const { return send_failures_; }

 private:
  // Control data of one datagram: the local address that it came to, or is to leave from.
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo))> bytes{};
  };
  struct Outgoing {
    sockaddr_storage address;
    socklen_t address_size;
    iovec data;
    Control control;
    std::size_t control_size;
  };
  void remember(const Endpoint& from, const msghdr& header);
  std::size_t write_source(const Endpoint& to, Control& control) const;

  OwnedFd fd_;
  Endpoint local_;
  bool v6_ = false;
  bool dual_ = false;
  // Of a socket on all addresses: where each correspondent reached us. It is answered from there,
  // since only that address is one that it, and the NAT before it, expects.
  bool wildcard_ = false;
  static constexpr std::size_t kMaxCameTo = 65'536;
  std::unordered_map<Endpoint, IpAddress> came_to_;
  std::vector<Control> controls_;
  std::vector<std::uint8_t> receive_buffer_;
  std::vector<sockaddr_storage> senders_;
  std::vector<iovec> receive_vectors_;
  std::vector<mmsghdr> receive_headers_;
  std::vector<Datagram> received_;
  std::vector<std::uint8_t> send_buffer_;
  std::size_t send_used_ = 0;
  std::vector<Outgoing> outgoing_;
  std::vector<mmsghdr> send_headers_;
  std::uint64_t send_failures_ = 0;
};

}  // namespace i3
