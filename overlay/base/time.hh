// Owns the two kinds of time. Cores receive them as arguments; only drivers read a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace i3 {

using Duration = std::chrono::nanoseconds;

// Monotonic time, never set back, no meaning across restarts. Drivers fill it from
// std::chrono::steady_clock, simulators from their event queue.
struct MonotonicTime {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicTime, Duration>;
  static constexpr bool is_steady = true;
};
using TimePoint = MonotonicTime::time_point;
inline constexpr TimePoint kNever = TimePoint::max();

// Nanoseconds since 1970, as the host believes; may jump. Used only where two hosts or two runs
// of one host must compare times (replay stamps, expiry of signed records).
using WallTime = std::uint64_t;

// What a driver or a simulator gives to cores that need both.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual WallTime wall() const = 0;
};

// The machine's clocks. Only mains and drivers construct one.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override {
    return TimePoint(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
  }
  WallTime wall() const override {
    return static_cast<WallTime>(
        std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
            .count());
  }
};

}  // namespace i3
