// Owns the buffer a packet travels in: room in front for headers and behind for the tag, so that it
// is sealed and sent without being copied.
#pragma once

#include "overlay/base/bytes.hh"
#include "overlay/session/sessions.hh"
#include "overlay/wire/carriers.hh"

namespace i3 {

// A view of caller-owned storage; `begin` to `end` is what counts at this stage of the way: the IP
// packet first, then the session message around it, then the datagram.
struct Frame {
  // Before an IP packet: the carrier's front and the session's header. Behind it: the tag.
  static constexpr std::size_t kHeadroom = 64;
  static constexpr std::size_t kTailroom = 32;
  static_assert(kHeadroom >= wire::kLabelledSize + kTransportHeader);

  MutBytes storage;
  std::size_t begin = 0;
  std::size_t end = 0;

  MutBytes bytes() const { return storage.subspan(begin, end - begin); }
  std::size_t size() const { return end - begin; }
  void grow_front(std::size_t size) {
    assert(size <= begin);
    begin -= size;
  }
  void grow_back(std::size_t size) {
    assert(size <= storage.size() - end);
    end += size;
  }
};

// A frame with storage of its own, for control messages and parked packets.
class OwnFrame {
 public:
  explicit OwnFrame(Bytes packet) : storage_(Frame::kHeadroom + packet.size() + Frame::kTailroom) {
    std::copy(packet.begin(), packet.end(), storage_.begin() + Frame::kHeadroom);
  }
  Frame frame() { return {storage_, Frame::kHeadroom, storage_.size() - Frame::kTailroom}; }

 private:
  std::vector<std::uint8_t> storage_;
};

}  // namespace i3
