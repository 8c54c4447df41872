#include "proxy/daemon/underlay.hh"

#include <algorithm>

namespace i3 {

Underlay::Underlay(boost::asio::io_context& io, BoundSocket socket,
                   std::function<void(const Endpoint&, MutBytes)> received,
                   std::function<void()> turn, UdpSocket::Options options)
    : socket_(OwnedFd(socket.fd.release()), options),
      readiness_(io, socket_.fd()),
      received_(std::move(received)),
      turn_(std::move(turn)) {
  wait();
}

Underlay::~Underlay() {
  // The descriptor is the socket's to close.
  boost::system::error_code ignored;
  readiness_.cancel(ignored);
  readiness_.release();
}

void Underlay::wait() {
  readiness_.async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        receive();
        wait();
      });
}

// A few batches and not too many bytes, so that the TUN and the timers get theirs under load. What
// is for one program goes to it while it has room, not all at the end: it may be as busy as we are.
// Room is a matter of packets; large ones are a stream's, most likely, and merge the better the
// more of them come together.
void Underlay::receive() {
  std::size_t bytes = 0, small = 0;
  for (int batch = 0; batch < kBatchesATurn; ++batch) {
    const Datagrams all = socket_.receive();
    few_ = all.size() <= kFew;
    for (std::size_t at = 0; at < all.size(); at += kTogether) {
      const Datagrams some = all.subspan(at, std::min(kTogether, all.size() - at));
      take(some);
      for (const UdpSocket::Datagram& datagram : some) {
        bytes += datagram.bytes.size();
        bytes_ += datagram.bytes.size();
        small += datagram.bytes.size() < kSmall;
      }
      if (small < kSmallATurn) continue;
      small = 0;
      turn_();
    }
    turn_();
    if (!socket_.more() || bytes >= kMostBytes) return;
  }
}

void Underlay::take(Datagrams datagrams) {
  const auto other = [&](const UdpSocket::Datagram& one) {
    return one.from != datagrams.front().from;
  };
  // One sender's are one conversation, most likely, whose keys are in the caches by then.
  if (expect && std::any_of(datagrams.begin(), datagrams.end(), other)) expect(datagrams);
  for (const UdpSocket::Datagram& datagram : datagrams) received_(datagram.from, datagram.bytes);
}

void Underlay::send(const Endpoint& to, Bytes datagram) {
  bytes_ += datagram.size();
  socket_.send(to, datagram, lies_in(datagram, lent_));
}

}  // namespace i3
