// Owns the one rate limit: so many a second, so many at once.
#pragma once

#include <algorithm>

#include "overlay/base/time.hh"

namespace i3 {

// Starts full. Pure: `now` comes from the caller, and a `now` before the last one adds nothing.
class TokenBucket {
 public:
  // `per_second` > 0; `burst` >= 1 is the most that can be saved up.
  TokenBucket(double per_second, double burst)
      : per_second_(per_second), burst_(burst), tokens_(burst) {}

  // Takes `count` tokens if there are as many; else takes none.
  bool take(TimePoint now, double count = 1) {
    refill(now);
    if (tokens_ < count) return false;
    tokens_ -= count;
    return true;
  }

 private:
  void refill(TimePoint now) {
    if (started_ && now > last_) {
      const double elapsed = std::chrono::duration<double>(now - last_).count();
      tokens_ = std::min(burst_, tokens_ + elapsed * per_second_);
    }
    if (!started_ || now > last_) last_ = now;
    started_ = true;
  }

  double per_second_;
  double burst_;
  double tokens_;
  TimePoint last_{};
  bool started_ = false;
};

}  // namespace i3
