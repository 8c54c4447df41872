// Owns the time of a burst: one reading of the clock for all packets of one batch.
#pragma once

#include <optional>

#include "overlay/base/time.hh"

namespace i3 {

class BurstClock final : public Clock {
 public:
  // From now on now() says what the clock says now, until release(). Again: no effect.
  void hold() {
    if (!held_) held_ = clock_.now();
  }
  void release() { held_.reset(); }

  TimePoint now() const override { return held_ ? *held_ : clock_.now(); }
  WallTime wall() const override { return clock_.wall(); }

 private:
  SystemClock clock_;
  std::optional<TimePoint> held_;
};

}  // namespace i3
