#include "overlay/node/udp_socket.hh"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>

namespace i3 {
namespace {

constexpr int kKernelBuffer = 4 << 20;

[[noreturn]] void fail(const std::string& where, const char* what, int error) {
  std::string text = where + ": " + what + ": " + std::strerror(error);
  if (error == EADDRINUSE) text += "; another program uses this port, stop it or choose another";
  if (error == EADDRNOTAVAIL) text += "; no interface of this machine has this address";
  throw SocketError(text, error == EACCES || error == EPERM);
}

Endpoint from_sockaddr(const sockaddr_storage& address) {
  Endpoint endpoint;
  if (address.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    endpoint.address = IpAddress::v4(ntohl(in.sin_addr.s_addr));
    endpoint.port = ntohs(in.sin_port);
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &address, sizeof in);
    std::memcpy(endpoint.address.bytes.data(), &in.sin6_addr, 16);
    endpoint.port = ntohs(in.sin6_port);
  }
  return endpoint;
}

socklen_t make_sockaddr(const Endpoint& endpoint, bool v6, sockaddr_storage& out) {
  out = {};
  if (!v6) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    in.sin_addr.s_addr = htonl(endpoint.address.to_v4());
    std::memcpy(&out, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(endpoint.port);
  std::memcpy(&in.sin6_addr, endpoint.address.bytes.data(), 16);
  std::memcpy(&out, &in, sizeof in);
  return sizeof in;
}

}  // namespace

OwnedFd UdpSocket::bind(const Endpoint& address, bool dual) {
  const bool v6 = !address.address.is_v4();
  OwnedFd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) fail(address.text(), "no socket", errno);
  if (v6) {
    const int only = dual ? 0 : 1;
    if (setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0)
      fail(address.text(), "cannot set IPV6_V6ONLY", errno);
  }
  sockaddr_storage storage;
  const socklen_t size = make_sockaddr(address, v6, storage);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0)
    fail(address.text(), "cannot listen", errno);
  return fd;
}

UdpSocket::UdpSocket(OwnedFd fd)
    : fd_(std::move(fd)),
      receive_buffer_(kBatch * kBuffer),
      senders_(kBatch),
      receive_vectors_(kBatch),
      receive_headers_(kBatch),
      send_buffer_(kBatch * kBuffer),
      send_headers_(kBatch) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  int type = 0;
  socklen_t type_size = sizeof type;
  if (getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0 ||
      getsockopt(fd_.get(), SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 || type != SOCK_DGRAM)
    fail("socket", "is no bound UDP socket", errno);
  local_ = from_sockaddr(storage);
  v6_ = storage.ss_family == AF_INET6;
  if (v6_) {
    int only = 1;
    socklen_t only_size = sizeof only;
    getsockopt(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, &only_size);
    dual_ = only == 0;
  }
  wildcard_ = local_.address.unspecified();
  if (wildcard_) {
    const int on = 1;
    setsockopt(fd_.get(), v6_ ? IPPROTO_IPV6 : IPPROTO_IP, v6_ ? IPV6_RECVPKTINFO : IP_PKTINFO, &on,
               sizeof on);
    controls_.resize(kBatch);
  }
  fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
  // As much as the kernel allows; less is not an error.
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &kKernelBuffer, sizeof kKernelBuffer);
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &kKernelBuffer, sizeof kKernelBuffer);
  for (std::size_t i = 0; i < kBatch; ++i)
    receive_vectors_[i] = {receive_buffer_.data() + i * kBuffer, kBuffer};
  received_.reserve(kBatch);
  outgoing_.reserve(kBatch);
}

std::span<const UdpSocket::Datagram> UdpSocket::receive() {
  received_.clear();
  for (std::size_t i = 0; i < kBatch; ++i) {
    receive_headers_[i] = {};
    receive_headers_[i].msg_hdr.msg_name = &senders_[i];
    receive_headers_[i].msg_hdr.msg_namelen = sizeof senders_[i];
    receive_headers_[i].msg_hdr.msg_iov = &receive_vectors_[i];
    receive_headers_[i].msg_hdr.msg_iovlen = 1;
    if (!wildcard_) continue;
    receive_headers_[i].msg_hdr.msg_control = controls_[i].bytes.data();
    receive_headers_[i].msg_hdr.msg_controllen = controls_[i].bytes.size();
  }
  // An ICMP error of an earlier datagram comes back as a failed call; the next one goes on.
  int count = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    count = recvmmsg(fd_.get(), receive_headers_.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count >= 0 || errno == EAGAIN || errno == EWOULDBLOCK) break;
  }
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    received_.push_back(
        {from_sockaddr(senders_[at]),
         MutBytes(receive_buffer_).subspan(at * kBuffer, receive_headers_[at].msg_len)});
    if (wildcard_) remember(received_.back().from, receive_headers_[at].msg_hdr);
  }
  return received_;
}

void UdpSocket::remember(const Endpoint& from, const msghdr& header) {
  std::optional<IpAddress> local;
  msghdr copy = header;
  for (cmsghdr* part = CMSG_FIRSTHDR(&copy); part != nullptr; part = CMSG_NXTHDR(&copy, part)) {
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      local = IpAddress::v4(ntohl(info.ipi_addr.s_addr));
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      local.emplace();
      std::memcpy(local->bytes.data(), &info.ipi6_addr, 16);
    }
  }
  if (!local || local->multicast()) return;
  if (auto known = came_to_.find(from); known != came_to_.end()) {
    known->second = *local;
    return;
  }
  if (came_to_.size() >= kMaxCameTo) came_to_.clear();  // whoever speaks again is known again
  came_to_.emplace(from, *local);
}

// How many bytes of `control` count; 0 where the kernel may choose the source.
std::size_t UdpSocket::write_source(const Endpoint& to, Control& control) const {
  if (!wildcard_) return 0;
  auto known = came_to_.find(to);
  if (known == came_to_.end()) return 0;
  msghdr header{};
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  if (v6_) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, known->second.bytes.data(), 16);
    part->cmsg_level = IPPROTO_IPV6;
    part->cmsg_type = IPV6_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(part), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  in_pktinfo info{};
  info.ipi_spec_dst.s_addr = htonl(known->second.to_v4());
  part->cmsg_level = IPPROTO_IP;
  part->cmsg_type = IP_PKTINFO;
  part->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(part), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

void UdpSocket::send(const Endpoint& to, Bytes bytes, bool borrow) {
  if (bytes.size() > kBuffer) return;
  if (outgoing_.size() == kBatch) flush();
  Outgoing out;
  out.address_size = make_sockaddr(to, v6_, out.address);
  out.control_size = write_source(to, out.control);
  if (borrow) {
    out.data = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  } else {
    std::uint8_t* copy = send_buffer_.data() + send_used_;
    std::copy(bytes.begin(), bytes.end(), copy);
    send_used_ += bytes.size();
    out.data = {copy, bytes.size()};
  }
  outgoing_.push_back(out);
}

// A full socket buffer drops what is left, as a full queue in the network would; a destination that
// cannot be reached costs only its own datagram.
void UdpSocket::flush() {
  for (std::size_t i = 0; i < outgoing_.size(); ++i) {
    send_headers_[i] = {};
    send_headers_[i].msg_hdr.msg_name = &outgoing_[i].address;
    send_headers_[i].msg_hdr.msg_namelen = outgoing_[i].address_size;
    send_headers_[i].msg_hdr.msg_iov = &outgoing_[i].data;
    send_headers_[i].msg_hdr.msg_iovlen = 1;
    if (outgoing_[i].control_size == 0) continue;
    send_headers_[i].msg_hdr.msg_control = outgoing_[i].control.bytes.data();
    send_headers_[i].msg_hdr.msg_controllen = outgoing_[i].control_size;
  }
  std::size_t done = 0;
  while (done < outgoing_.size()) {
    const int sent = sendmmsg(fd_.get(), send_headers_.data() + done,
                              static_cast<unsigned>(outgoing_.size() - done), MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      send_failures_ += outgoing_.size() - done;
      break;
    }
    ++send_failures_;
    ++done;
  }
  outgoing_.clear();
  send_used_ = 0;
}

}  // namespace i3
