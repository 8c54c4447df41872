// Owns the datagrams that one UDP socket is about to send: runs of equal size to one address leave
// as one super-packet (UDP_SEGMENT, Linux 4.18), all of them with one system call.
#pragma once

#include <array>
#include <memory>
#include <netinet/in.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "overlay/base/bytes.hh"

namespace i3 {

// A socket address and the control data that names the source to send from, if any.
struct UdpRoute {
  sockaddr_storage address{};
  socklen_t address_size = 0;
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(std::uint16_t))>
        bytes{};
  };
  Control source;
  std::size_t source_size = 0;
};

class UdpSending {
 public:
  static constexpr std::size_t kMost = 128;

  explicit UdpSending(std::size_t largest);

  bool full() const { return count_ == kMost; }
  bool empty() const { return count_ == 0; }
  bool few() const { return count_ <= 2; }  // question and answer, not bulk
  // Not when full. With `borrow` the bytes are not copied and must last until flush().
  void add(const UdpRoute& route, Bytes bytes, bool borrow);
  // The same route as the datagram before; not when empty.
  void add_same_route(Bytes bytes, bool borrow);
  // Sends all; what the kernel refuses is counted and forgotten.
  void flush(int fd);
  std::uint64_t take_failures() { return std::exchange(failures_, 0); }
  // To whom sending from the given source failed, since that address is gone; forgotten then.
  std::vector<sockaddr_storage> take_stale_sources() { return std::exchange(stale_sources_, {}); }

 private:
  struct Run {
    std::size_t first = 0, count = 0;
    std::size_t route = 0;
  };

  void place(Bytes bytes, bool borrow);
  std::size_t gather(std::size_t first) const;
  void prepare(mmsghdr& message, const Run& run, UdpRoute::Control& control);
  void send_singly(int fd, const Run& run);
  bool send_one(int fd, const Run& run);

  std::size_t largest_;
  std::unique_ptr<std::uint8_t[]> storage_;  // takes memory once bytes are copied into it
  std::size_t used_ = 0;
  std::vector<UdpRoute> routes_;  // at most kMost, each for the datagrams that follow it
  std::array<std::size_t, kMost> route_of_{};
  std::array<iovec, kMost> data_{};
  std::size_t count_ = 0;
  std::vector<Run> runs_;
  std::vector<mmsghdr> messages_;
  std::vector<UdpRoute::Control> controls_;
  bool segmentation_ = true;  // until the kernel refuses it
  std::vector<sockaddr_storage> stale_sources_;
  std::uint64_t failures_ = 0;
};

}  // namespace i3
