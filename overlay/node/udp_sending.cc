#include "overlay/node/udp_sending.hh"

#include <cerrno>
#include <netinet/udp.h>

namespace i3 {
namespace {
constexpr std::size_t kMaxSegments = 64;       // UDP_MAX_SEGMENTS of older kernels
constexpr std::size_t kMaxSuperBytes = 65000;  // of one super-packet, below what UDP can say
}  // namespace

UdpSending::UdpSending(std::size_t largest)
    : largest_(largest),
      storage_(new std::uint8_t[kMost * largest]),
      messages_(kMost),
      controls_(kMost) {
  routes_.reserve(kMost);
  runs_.reserve(kMost);
}

void UdpSending::add(const UdpRoute& route, Bytes bytes, bool borrow) {
  routes_.push_back(route);
  place(bytes, borrow);
}

void UdpSending::add_same_route(Bytes bytes, bool borrow) {
  assert(!routes_.empty());
  place(bytes, borrow);
}

void UdpSending::place(Bytes bytes, bool borrow) {
  assert(!full() && bytes.size() <= largest_);
  route_of_[count_] = routes_.size() - 1;
  auto* at = const_cast<std::uint8_t*>(bytes.data());  // sendmmsg only reads
  if (!borrow) {
    at = storage_.get() + used_;
    std::copy(bytes.begin(), bytes.end(), at);
    used_ += bytes.size();
  }
  data_[count_++] = {at, bytes.size()};
}

// How many datagrams from `first` on make one super-packet: all of one size but a shorter last.
std::size_t UdpSending::gather(std::size_t first) const {
  const std::size_t each = data_[first].iov_len;
  if (!segmentation_ || each == 0) return 1;
  std::size_t bytes = each, count = 1;
  while (first + count < count_ && count < kMaxSegments) {
    const std::size_t next = first + count, size = data_[next].iov_len;
    if (route_of_[next] != route_of_[first] || size > each || size == 0 ||
        bytes + size > kMaxSuperBytes)
      break;
    ++count;
    bytes += size;
    if (size < each) break;
  }
  return count;
}

void UdpSending::prepare(mmsghdr& message, const Run& run, UdpRoute::Control& control) {
  UdpRoute& route = routes_[run.route];
  message = {};
  message.msg_hdr.msg_name = &route.address;
  message.msg_hdr.msg_namelen = route.address_size;
  message.msg_hdr.msg_iov = &data_[run.first];
  message.msg_hdr.msg_iovlen = run.count;
  std::size_t size = route.source_size;
  if (size != 0) std::copy_n(route.source.bytes.begin(), size, control.bytes.begin());
  if (run.count > 1) {
    const auto each = static_cast<std::uint16_t>(data_[run.first].iov_len);
    cmsghdr part{};
    part.cmsg_level = SOL_UDP;
    part.cmsg_type = UDP_SEGMENT;
    part.cmsg_len = CMSG_LEN(sizeof each);
    std::memcpy(control.bytes.data() + size, &part, sizeof part);
    std::memcpy(control.bytes.data() + size + CMSG_LEN(0), &each, sizeof each);
    size += CMSG_SPACE(sizeof each);
  }
  if (size == 0) return;
  message.msg_hdr.msg_control = control.bytes.data();
  message.msg_hdr.msg_controllen = size;
}

// A full socket buffer drops what is left, as a full queue in the network would; a destination that
// cannot be reached costs only its own datagrams.
void UdpSending::flush(int fd) {
  runs_.clear();
  for (std::size_t at = 0; at < count_; at += runs_.back().count) {
    runs_.push_back({at, gather(at), route_of_[at]});
    prepare(messages_[runs_.size() - 1], runs_.back(), controls_[runs_.size() - 1]);
  }
  std::size_t done = 0;
  while (done < runs_.size()) {
    const int sent = sendmmsg(fd, messages_.data() + done,
                              static_cast<unsigned>(runs_.size() - done), MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      for (; done < runs_.size(); ++done) failures_ += runs_[done].count;
      break;
    }
    send_singly(fd, runs_[done]);
    ++done;
  }
  routes_.clear();
  count_ = 0;
  used_ = 0;
}

// Refused: the kernel or the path takes no super-packet, or the source is no address of this
// machine any more; then the kernel chooses one.
void UdpSending::send_singly(int fd, const Run& run) {
  if (run.count > 1 && (errno == EOPNOTSUPP || errno == ENOPROTOOPT)) segmentation_ = false;
  for (std::size_t i = 0; i < run.count; ++i) {
    if (send_one(fd, {run.first + i, 1, run.route})) continue;
    UdpRoute& route = routes_[run.route];
    if (route.source_size != 0 && (errno == EINVAL || errno == EADDRNOTAVAIL)) {
      route.source_size = 0;
      stale_sources_.push_back(route.address);
      if (send_one(fd, {run.first + i, 1, run.route})) continue;
    }
    ++failures_;
  }
}

bool UdpSending::send_one(int fd, const Run& run) {
  mmsghdr message;
  UdpRoute::Control control;
  prepare(message, run, control);
  return sendmsg(fd, &message.msg_hdr, MSG_DONTWAIT) >= 0;
}

}  // namespace i3
