// Owns fragments that overtook the first one of their packet, which alone says what conversation
// they belong to: a few, for a moment, as they came. Nothing is put together here.
#pragma once

#include <vector>

#include "overlay/base/time.hh"
#include "proxy/packet/ip_packet.hh"

namespace i3 {

class EarlyFragments {
 public:
  static constexpr std::size_t kMost = 64;       // in all
  static constexpr std::size_t kMostOfOne = 16;  // to or from one address
  static constexpr std::size_t kMostBytes = 96 << 10;
  // Ways differ by less, and a receiver waits for the rest of a packet much longer.
  static constexpr Duration kFor = std::chrono::milliseconds(500);

  enum class Way : std::uint8_t { out, in };
  struct Held {
    Way way{};
    IpAddress remote;
    std::uint32_t id = 0;
    std::uint8_t protocol = 0;
    std::vector<std::uint8_t> bytes;
    TimePoint until{};
  };

  // False, and nothing is kept, where there is no room.
  bool hold(Way way, const IpAddress& remote, const IpView& fragment, TimePoint now);
  // Those of the packet that this first fragment begins, in the order in which they came.
  std::vector<Held> take(Way way, const IpAddress& remote, const IpView& first);
  // Those whose first one did not come.
  std::vector<Held> expired(TimePoint now);
  TimePoint next_deadline() const { return held_.empty() ? kNever : held_.front().until; }
  bool empty() const { return held_.empty(); }

 private:
  std::vector<Held> held_;  // oldest first
  std::size_t bytes_ = 0;
};

}  // namespace i3
