// Owns noticing that time jumped: the machine slept, the process was stopped, or somebody set the
// clock. What was agreed with nodes and peers before may have run out meanwhile.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <string_view>

#include "overlay/base/time.hh"

namespace i3 {

class ClockWatch {
 public:
  // `jumped` is told why, from the event loop. Without a timer of the kernel (an old one) only
  // fired() notices anything.
  ClockWatch(boost::asio::io_context& io, std::function<void(std::string_view)> jumped);

  // A timer that was to fire at `due` fires now: far too late means that the process was stopped,
  // or the machine slept, for sleep does not count as time here.
  void fired(TimePoint due, TimePoint now);

 private:
  void arm();
  void wait();
  bool slept();

  boost::asio::posix::stream_descriptor timer_;
  std::function<void(std::string_view)> jumped_;
  Duration asleep_{};  // since the machine started
};

inline constexpr Duration kLateTimer = std::chrono::seconds(2);

}  // namespace i3
