#include "dnsintercept/udp_listener.hh"

#include <boost/system/system_error.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace i3 {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr int kReadsPerWake = 64;
constexpr std::size_t kMaxQuestion = 4096;  // over UDP; the rest is cut off and then malformed

Endpoint endpoint_from(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    const auto& four = reinterpret_cast<const sockaddr_in&>(storage);
    return {IpAddress::v4(ntohl(four.sin_addr.s_addr)), ntohs(four.sin_port)};
  }
  const auto& six = reinterpret_cast<const sockaddr_in6&>(storage);
  Endpoint result{{}, ntohs(six.sin6_port)};
  std::copy_n(six.sin6_addr.s6_addr, 16, result.address.bytes.begin());
  return result;
}

// On an IPv6 socket an IPv4 peer is written in its mapped form, which is how IpAddress holds it.
socklen_t fill(sockaddr_storage& storage, const Endpoint& endpoint, bool six_socket) {
  storage = {};
  if (!six_socket) {
    auto& four = reinterpret_cast<sockaddr_in&>(storage);
    four.sin_family = AF_INET;
    four.sin_port = htons(endpoint.port);
    four.sin_addr.s_addr = htonl(endpoint.address.to_v4());
    return sizeof four;
  }
  auto& six = reinterpret_cast<sockaddr_in6&>(storage);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(endpoint.port);
  std::copy(endpoint.address.bytes.begin(), endpoint.address.bytes.end(), six.sin6_addr.s6_addr);
  return sizeof six;
}

IpAddress destination_of(msghdr& header) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      return IpAddress::v4(ntohl(info.ipi_addr.s_addr));
    }
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      IpAddress address;
      std::copy_n(info.ipi6_addr.s6_addr, 16, address.bytes.begin());
      return address;
    }
  }
  return {};
}

template <class Info>
void put_control(msghdr& header, int level, int type, const Info& info) {
  header.msg_controllen = CMSG_SPACE(sizeof info);
  cmsghdr* control = CMSG_FIRSTHDR(&header);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(control), &info, sizeof info);
}

}  // namespace

UdpListener::UdpListener(asio::io_context& io, int descriptor, Question question)
    : stream_(io, descriptor), question_(std::move(question)), buffer_(kMaxQuestion) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  const int on = 1;
  bool good = ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
              (own.ss_family == AF_INET || own.ss_family == AF_INET6);
  six_ = own.ss_family == AF_INET6;
  wildcard_ = good && endpoint_from(own).address.unspecified();
  if (good && wildcard_) {
    good = six_ ? ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0
                : ::setsockopt(descriptor, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0;
  }
  if (!good)
    throw boost::system::system_error(errno, boost::system::system_category(), "DNS UDP socket");
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

void UdpListener::start() {
  wait();
}

void UdpListener::wait() {
  stream_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](error_code error) {
                       if (error || !self->stream_.is_open()) return;
                       for (int i = 0; i < kReadsPerWake && self->stream_.is_open(); ++i)
                         if (!self->read_one()) break;
                       if (self->stream_.is_open()) self->wait();
                     });
}

bool UdpListener::read_one() {
  sockaddr_storage from{};
  iovec part{buffer_.data(), buffer_.size()};
  alignas(cmsghdr)
      std::array<char, CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo))>
          control{};
  msghdr header{};
  header.msg_name = &from;
  header.msg_namelen = sizeof from;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (wildcard_) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
  }
  const ssize_t size = ::recvmsg(stream_.native_handle(), &header, MSG_DONTWAIT);
  if (size < 0) return errno == EINTR || errno == ECONNREFUSED;
  question_(endpoint_from(from), wildcard_ ? destination_of(header) : IpAddress{},
            Bytes(buffer_).first(static_cast<std::size_t>(size)));
  return true;
}

void UdpListener::send(const Endpoint& peer, const IpAddress& local, Bytes message) {
  if (!stream_.is_open()) return;
  sockaddr_storage to;
  iovec part{const_cast<std::uint8_t*>(message.data()), message.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
  msghdr header{};
  header.msg_name = &to;
  header.msg_namelen = fill(to, peer, six_);
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (wildcard_ && !local.unspecified()) {
    header.msg_control = control.data();
    if (peer.address.is_v4()) {
      in_pktinfo info{};
      info.ipi_spec_dst.s_addr = htonl(local.to_v4());
      header.msg_controllen = control.size();
      put_control(header, IPPROTO_IP, IP_PKTINFO, info);
    } else {
      in6_pktinfo info{};
      std::copy(local.bytes.begin(), local.bytes.end(), info.ipi6_addr.s6_addr);
      header.msg_controllen = control.size();
      put_control(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
  }
  ::sendmsg(stream_.native_handle(), &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void UdpListener::close() {
  error_code ignored;
  stream_.close(ignored);
}

}  // namespace i3
