#include "proxy/daemon/underlay.hh"

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

// A few batches a turn, so that the TUN and the timers get theirs under load.
void Underlay::receive() {
  for (int batch = 0; batch < kBatchesATurn; ++batch) {
    for (const UdpSocket::Datagram& datagram : socket_.receive())
      received_(datagram.from, datagram.bytes);
    turn_();
    if (!socket_.more()) return;
  }
}

void Underlay::send(const Endpoint& to, Bytes datagram) {
  socket_.send(to, datagram, lies_in(datagram, lent_));
}

}  // namespace i3
