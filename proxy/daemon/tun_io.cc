#include "proxy/daemon/tun_io.hh"

#include <unistd.h>

namespace i3 {

TunIo::TunIo(boost::asio::io_context& io, UniqueFd tun, std::function<void(Frame)> captured,
             std::function<void()> turn)
    : tun_(io, tun.release()),
      captured_(std::move(captured)),
      turn_(std::move(turn)),
      storage_(Frame::kHeadroom + 65536 + Frame::kTailroom) {
  wait();
}

void TunIo::wait() {
  tun_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                  [this](const boost::system::error_code& error) {
                    if (error) return;
                    read();
                    turn_();
                    wait();
                  });
}

void TunIo::read() {
  for (int count = 0; count < kBatch; ++count) {
    const ssize_t size = ::read(tun_.native_handle(), storage_.data() + Frame::kHeadroom, 65536);
    if (size <= 0) return;
    captured_({storage_, Frame::kHeadroom, Frame::kHeadroom + static_cast<std::size_t>(size)});
  }
}

void TunIo::write(Bytes packet) {
  if (::write(tun_.native_handle(), packet.data(), packet.size()) < 0) ++dropped_;
}

}  // namespace i3
