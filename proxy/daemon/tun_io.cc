#include "proxy/daemon/tun_io.hh"

#include <cerrno>
#include <unistd.h>

#include "proxy/daemon/underlay.hh"
#include "proxy/platform/platform_error.hh"
#include "proxy/platform/tun.hh"

namespace i3 {

TunIo::TunIo(boost::asio::io_context& io, TunQueue queue,
             std::function<void(std::span<const Frame>)> captured, std::function<void()> turn)
    : tun_(io, queue.fd.release()),
      virtio_(queue.virtio_header),
      captured_(std::move(captured)),
      turn_(std::move(turn)),
      buffer_(VirtioHeader::kSize + 65536),
      udp_(virtio_ && enable_offloads(tun_.native_handle()).udp),
      writing_([this] { return std::make_unique<TunWriting>(virtio_, udp_); },
               [this](TunWriting& batch) { dropped_ += batch.take_dropped(); }) {
  gathered_.reserve(kGathered);
  wait();
}

void TunIo::use(IoThread& thread) {
  slots_.use(thread);
  writing_.use(thread);
}

void TunIo::wait() {
  tun_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                  [this](const boost::system::error_code& error) {
                    if (error) return;
                    read();
                    wait();
                  });
}

// After a batch of one packet the next first packet is sent before it is asked whether there are
// more: nobody waits for that question in a conversation of question and answer.
void TunIo::read() {
  int count = 0;
  for (std::size_t bytes = 0; count < kBatch && bytes < kMostBytes; ++count) {
    const std::size_t size = read_one();
    if (size == 0) break;
    bytes += size;
    if (count == 0 && alone_) end_turn();
  }
  alone_ = count <= 1;
  end_turn();
}

void TunIo::take_answer() {
  if (!std::exchange(wrote_, false)) return;
  if (in_vain_ >= kMostInVain && ++in_vain_ % kTryAgain != 0) return;
  if (read_one() == 0) {
    ++in_vain_;
    return;
  }
  in_vain_ = 0;
  end_turn();
}

std::size_t TunIo::read_one() {
  const std::size_t front = virtio_ ? VirtioHeader::kSize : 0;
  const ssize_t size = ::read(tun_.native_handle(), buffer_.data(), buffer_.size());
  // A device that was deleted is always ready and never reads.
  if (size < 0 && (errno == EBADFD || errno == EIO || errno == ENODEV))
    throw PlatformError("the network interface of this daemon was deleted");
  if (size < 0 || static_cast<std::size_t>(size) < front) return 0;
  const MutBytes all = MutBytes(buffer_).first(static_cast<std::size_t>(size));
  bytes_ += all.size();
  take(virtio_ ? VirtioHeader::read(all) : VirtioHeader{}, all.subspan(front));
  return all.size();
}

void TunIo::hand_over() {
  if (!gathered_.empty()) captured_(gathered_);
  gathered_.clear();
}

void TunIo::end_turn() {
  hand_over();
  turn_();
  slots_.next();
  used_ = 0;
}

// A packet of the tunnel's size goes on as it is, a super-packet as its segments.
void TunIo::take(const VirtioHeader& header, MutBytes packet) {
  if (!header.is_super()) {
    if (packet.size() > kLargest || !complete_checksum(header, packet)) {
      ++dropped_;
      return;
    }
    const Frame frame = slot(packet.size());
    std::copy(packet.begin(), packet.end(), frame.bytes().begin());
    gathered_.push_back(frame);
    return;
  }
  const auto segments = Segmenter::of(header, packet);
  if (!segments || segments->largest() > kLargest) {
    ++dropped_;
    return;
  }
  for (std::size_t i = 0; i < segments->count(); ++i) {
    const Frame frame = slot(segments->size(i));
    segments->write(i, frame.bytes());
    gathered_.push_back(frame);
  }
}

Frame TunIo::slot(std::size_t size) {
  if (used_ == kSlots)
    end_turn();
  else if (gathered_.size() == kGathered)
    hand_over();
  const MutBytes all = slots_.now().subspan(used_++ * kSlotSize, kSlotSize);
  return {all, Frame::kHeadroom, Frame::kHeadroom + size};
}

void TunIo::write(Bytes packet) {
  const bool lent = lies_in(packet, lent_);
  bytes_ += packet.size();
  if (!lent && !writing_.open().has_room(packet.size())) flush();
  if (!lent && packet.size() > TunWriting::kMostCopies) {
    ++dropped_;
    return;
  }
  writing_.open().add(packet, lent);
}

void TunIo::flush() {
  if (writing_.open().empty()) return;
  wrote_ = writing_.flush(tun_.native_handle());
}

}  // namespace i3
