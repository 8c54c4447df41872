#include "overlay/node/udp_socket.hh"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/udp.h>

#include "overlay/wire/header.hh"

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

namespace {

OwnedFd bound(const Endpoint& address, bool dual, bool shared) {
  const bool v6 = !address.address.is_v4();
  OwnedFd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) fail(address.text(), "no socket", errno);
  if (v6) {
    const int only = dual ? 0 : 1;
    if (setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0)
      fail(address.text(), "cannot set IPV6_V6ONLY", errno);
  }
  const int on = 1;
  if (shared && setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
    fail(address.text(), "cannot set SO_REUSEPORT", errno);
  sockaddr_storage storage;
  const socklen_t size = make_sockaddr(address, v6, storage);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0)
    fail(address.text(), "cannot listen", errno);
  return fd;
}

}  // namespace

// One that shares its port would not notice another program there, so one that does not is first.
OwnedFd UdpSocket::bind(const Endpoint& address, bool dual) {
  OwnedFd alone = bound(address, dual, false);
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(alone.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0)
    fail(address.text(), "has no name", errno);
  const Endpoint local{address.address, from_sockaddr(storage).port};
  alone = OwnedFd();
  return bound(local, dual, true);
}

UdpSocket::UdpSocket(OwnedFd fd, Options options)
    : fd_(std::move(fd)),
      controls_(kBatch),
      senders_(kBatch),
      receive_vectors_(kBatch),
      receive_headers_(kBatch),
      sending_([] { return std::make_unique<UdpSending>(kLongest); },
               [this](UdpSending& batch) { sent(batch); }) {
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
  wildcard_ = options.answer_from_where_it_came && local_.address.unspecified();
  prepare(fd_.get());
  received_.reserve(4 * kBatch);
}

void UdpSocket::use(IoThread& thread) {
  received_into_.use(thread);
  sending_.use(thread);
}

void UdpSocket::prepare(int fd) const {
  const int on = 1;
  if (wildcard_)
    setsockopt(fd, v6_ ? IPPROTO_IPV6 : IPPROTO_IP, v6_ ? IPV6_RECVPKTINFO : IP_PKTINFO, &on,
               sizeof on);
  // Without it each datagram comes by itself.
  setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  // As much as the kernel allows; less is not an error.
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kKernelBuffer, sizeof kKernelBuffer);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kKernelBuffer, sizeof kKernelBuffer);
}

// The second socket of the port; a program in the kernel, which sees the datagram from its header
// on, says which of the two one goes to.
bool UdpSocket::open_lane() {
  constexpr auto kLabelled = static_cast<std::uint32_t>(wire::Type::labelled);
  constexpr auto kRefresh = static_cast<std::uint32_t>(wire::Type::refresh);
  std::array<sock_filter, 5> program{{BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1),
                                      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kLabelled, 1, 0),
                                      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kRefresh, 0, 1),
                                      BPF_STMT(BPF_RET | BPF_K, 1), BPF_STMT(BPF_RET | BPF_K, 0)}};
  const sock_fprog filter{program.size(), program.data()};
  try {
    OwnedFd second = bound(local_, dual_, true);
    if (setsockopt(second.get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) != 0)
      return false;
    prepare(second.get());
    lane_ = std::move(second);
    return true;
  } catch (const SocketError&) {
    return false;  // the port was bound by somebody who shares it with nobody
  }
}

std::span<const UdpSocket::Datagram> UdpSocket::receive(int fd) {
  received_.clear();
  const MutBytes room = received_into_.next();
  for (std::size_t i = 0; i < kBatch; ++i) {
    receive_vectors_[i] = {room.data() + i * kBuffer, kBuffer};
    msghdr& header = receive_headers_[i].msg_hdr;
    header.msg_name = &senders_[i];
    header.msg_namelen = sizeof senders_[i];
    header.msg_iov = &receive_vectors_[i];
    header.msg_iovlen = 1;
    header.msg_control = controls_[i].bytes.data();
    header.msg_controllen = controls_[i].bytes.size();
  }
  // An ICMP error of an earlier datagram comes back as a failed call; the next one goes on.
  int count = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    count = recvmmsg(fd, receive_headers_.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count >= 0 || errno == EAGAIN || errno == EWOULDBLOCK) break;
  }
  filled_ = count == static_cast<int>(kBatch);
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const Endpoint from = from_sockaddr(senders_[at]);
    const Ancillary said = ancillary(receive_headers_[at].msg_hdr);
    if (wildcard_ && said.came_to) remember(from, {*said.came_to, false});
    MutBytes all = room.subspan(at * kBuffer, receive_headers_[at].msg_len);
    const std::size_t each = said.each == 0 ? all.size() : said.each;
    do {
      const MutBytes one = all.first(std::min(each, all.size()));
      all = all.subspan(one.size());
      received_.push_back({from, one.first(std::min(one.size(), kLongest)),
                           wildcard_ ? said.came_to : std::nullopt});
    } while (!all.empty());
  }
  return received_;
}

UdpSocket::Ancillary UdpSocket::ancillary(const msghdr& header) {
  Ancillary result;
  msghdr copy = header;
  for (cmsghdr* part = CMSG_FIRSTHDR(&copy); part != nullptr; part = CMSG_NXTHDR(&copy, part)) {
    if (part->cmsg_level == SOL_UDP && part->cmsg_type == UDP_GRO) {
      int size = 0;
      std::memcpy(&size, CMSG_DATA(part), sizeof size);
      if (size > 0) result.each = static_cast<std::size_t>(size);
    } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      result.came_to = IpAddress::v4(ntohl(info.ipi_addr.s_addr));
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      result.came_to.emplace();
      std::memcpy(result.came_to->bytes.data(), &info.ipi6_addr, 16);
    }
  }
  return result;
}

// Anybody can send in anybody's name, so this is a guess until vouch().
void UdpSocket::remember(const Endpoint& from, const CameTo& came_to) {
  if (came_to.address.multicast()) return;
  if (auto known = came_to_.find(from); known != came_to_.end()) {
    if (came_to.vouched && !known->second.vouched) ++vouched_;
    if (came_to.vouched || !known->second.vouched) known->second = came_to;
    return;
  }
  // Whoever speaks again is known again; who proved himself is not crowded out by who did not.
  // Each sweep makes room for half of the table at least, so none comes soon after another.
  if (came_to_.size() >= kMaxCameTo) {
    if (vouched_ > kMaxCameTo / 2) {
      came_to_.clear();
      vouched_ = 0;
    } else {
      std::erase_if(came_to_, [](const auto& one) { return !one.second.vouched; });
    }
  }
  came_to_.emplace(from, came_to);
  if (came_to.vouched) ++vouched_;
}

void UdpSocket::vouch() {
  if (answered_ != nullptr && answered_->came_to)
    remember(answered_->from, {*answered_->came_to, true});
}

// Nothing where the kernel may choose.
std::optional<IpAddress> UdpSocket::source_for(const Endpoint& to) const {
  if (!wildcard_) return std::nullopt;
  if (answered_ != nullptr && answered_->from == to && answered_->came_to &&
      !answered_->came_to->multicast())
    return answered_->came_to;
  const auto known = came_to_.find(to);
  return known == came_to_.end() ? std::nullopt : std::optional(known->second.address);
}

void UdpSocket::write_source(const std::optional<IpAddress>& source, UdpRoute& route) const {
  if (!source) return;
  msghdr header{};
  header.msg_control = route.source.bytes.data();
  header.msg_controllen = route.source.bytes.size();
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  if (v6_) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, source->bytes.data(), 16);
    part->cmsg_level = IPPROTO_IPV6;
    part->cmsg_type = IPV6_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(part), &info, sizeof info);
    route.source_size = CMSG_SPACE(sizeof info);
    return;
  }
  in_pktinfo info{};
  info.ipi_spec_dst.s_addr = htonl(source->to_v4());
  part->cmsg_level = IPPROTO_IP;
  part->cmsg_type = IP_PKTINFO;
  part->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(part), &info, sizeof info);
  route.source_size = CMSG_SPACE(sizeof info);
}

void UdpSocket::send(const Endpoint& to, Bytes bytes, bool borrow) {
  if (bytes.size() > kLongest || !reaches(to.address)) {
    ++unsendable_;
    return;
  }
  if (sending_.open().full()) flush();
  // Bulk to one place costs no look-up of its source.
  const bool answers = answered_ != nullptr && answered_->from == to;
  UdpSending& batch = sending_.open();
  const bool again = !batch.empty() && to == last_to_;
  if (again && !answers && !last_answers_) return batch.add_same_route(bytes, borrow);
  const auto source = source_for(to);
  if (again && source == last_source_) return batch.add_same_route(bytes, borrow);
  UdpRoute route;
  route.address_size = make_sockaddr(to, v6_, route.address);
  write_source(source, route);
  last_to_ = to;
  last_source_ = source;
  last_answers_ = answers;
  batch.add(route, bytes, borrow);
}

void UdpSocket::flush() {
  sending_.flush(fd_.get());
}

void UdpSocket::sent(UdpSending& batch) {
  failures_ += batch.take_failures();
  for (const sockaddr_storage& to : batch.take_stale_sources())
    if (const auto known = came_to_.find(from_sockaddr(to)); known != came_to_.end()) {
      if (known->second.vouched) --vouched_;
      came_to_.erase(known);
    }
}

}  // namespace i3
