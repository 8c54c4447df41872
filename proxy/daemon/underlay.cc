#include "proxy/daemon/underlay.hh"

#include <array>
#include <memory>
#include <netinet/in.h>
#include <sys/socket.h>

namespace i3 {
namespace {

// The socket's own family: an IPv6 one takes IPv4 peers in mapped form, which is also ours.
socklen_t to_sockaddr(const Endpoint& endpoint, bool v4_only, sockaddr_storage& out) {
  if (v4_only) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr.s_addr = htonl(endpoint.address.to_v4());
    std::memcpy(&out, &address, sizeof address);
    return sizeof address;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  std::memcpy(&address.sin6_addr, endpoint.address.bytes.data(), 16);
  std::memcpy(&out, &address, sizeof address);
  return sizeof address;
}

Endpoint from_sockaddr(const sockaddr_storage& in) {
  Endpoint endpoint;
  if (in.ss_family == AF_INET) {
    sockaddr_in address;
    std::memcpy(&address, &in, sizeof address);
    endpoint.address = IpAddress::v4(ntohl(address.sin_addr.s_addr));
    endpoint.port = ntohs(address.sin_port);
  } else if (in.ss_family == AF_INET6) {
    sockaddr_in6 address;
    std::memcpy(&address, &in, sizeof address);
    std::memcpy(endpoint.address.bytes.data(), &address.sin6_addr, 16);
    endpoint.port = ntohs(address.sin6_port);
  }
  return endpoint;
}

}  // namespace

struct Underlay::Buffers {
  struct Side {
    std::array<mmsghdr, kBatch> headers{};
    std::array<iovec, kBatch> vectors{};
    std::array<sockaddr_storage, kBatch> addresses{};
    std::array<std::array<std::uint8_t, wire::kMaxMessage>, kBatch> bytes;

    Side() {
      for (std::size_t i = 0; i < kBatch; ++i) {
        vectors[i] = {bytes[i].data(), bytes[i].size()};
        headers[i].msg_hdr.msg_iov = &vectors[i];
        headers[i].msg_hdr.msg_iovlen = 1;
        headers[i].msg_hdr.msg_name = &addresses[i];
        headers[i].msg_hdr.msg_namelen = sizeof addresses[i];
      }
    }
  };
  Side in, out;
};

Underlay::Underlay(boost::asio::io_context& io, BoundSocket socket,
                   std::function<void(const Endpoint&, MutBytes)> received,
                   std::function<void()> turn)
    : local_(socket.local),
      socket_(io, socket.fd.release()),
      received_(std::move(received)),
      turn_(std::move(turn)),
      buffers_(std::make_unique<Buffers>()) {
  wait();
}

Underlay::~Underlay() = default;

void Underlay::wait() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (error) return;
                       receive();
                       turn_();
                       wait();
                     });
}

// A few batches a turn, so that the TUN and the timers get theirs under load.
void Underlay::receive() {
  Buffers::Side& in = buffers_->in;
  for (int turn = 0; turn < 4; ++turn) {
    for (mmsghdr& header : in.headers) header.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    const int count =
        recvmmsg(socket_.native_handle(), in.headers.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count <= 0) return;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      if ((in.headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        ++dropped_;  // longer than any message
        continue;
      }
      received_(from_sockaddr(in.addresses[i]), MutBytes(in.bytes[i]).first(in.headers[i].msg_len));
    }
    if (static_cast<std::size_t>(count) < kBatch) return;
  }
}

void Underlay::send(const Endpoint& to, Bytes datagram) {
  if (datagram.size() > wire::kMaxMessage || (is_v4_only() && !to.address.is_v4())) {
    ++dropped_;
    return;
  }
  if (queued_ == kBatch) flush();
  Buffers::Side& out = buffers_->out;
  std::copy(datagram.begin(), datagram.end(), out.bytes[queued_].begin());
  out.vectors[queued_].iov_len = datagram.size();
  out.headers[queued_].msg_hdr.msg_namelen = to_sockaddr(to, is_v4_only(), out.addresses[queued_]);
  ++queued_;
}

// Soft state needs no datagram to arrive, so what the kernel refuses is counted and forgotten.
void Underlay::flush() {
  std::size_t sent = 0;
  while (sent < queued_) {
    const int count = sendmmsg(socket_.native_handle(), buffers_->out.headers.data() + sent,
                               static_cast<unsigned>(queued_ - sent), MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
    } else {
      ++dropped_;
      ++sent;
    }
  }
  queued_ = 0;
}

}  // namespace i3
