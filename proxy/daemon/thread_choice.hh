// Owns the decision whether a data path runs on one thread or on two. Pure.
//
// Two are tried where one is not enough (it has been busy for a while) and the machine has a
// processor to spare, and kept where they carried more; a trial in vain is repeated ever more
// rarely. One is enough again once both together have little to do.
#pragma once

#include <optional>

#include "overlay/base/time.hh"

namespace i3 {

// Of a stretch of time that just ended. Times of processors are in processors: 1.0 is one, fully
// busy.
struct ThreadLoad {
  double first = 0;   // the thread that does everything, or all but the sending
  double second = 0;  // the other one
  double spare = 0;   // of the processors that this process may use
  double bytes_a_second = 0;
};

class ThreadChoice {
 public:
  static constexpr Duration kWindow = std::chrono::milliseconds(100);  // between two looks
  static constexpr double kBusy = 0.85;         // of one processor: it is what bounds the traffic
  static constexpr double kSpare = 0.3;         // enough to try
  static constexpr double kRepays = 1.1;        // bytes with two, against bytes with one
  static constexpr double kCalm = 0.6;          // of one processor, both threads together
  static constexpr unsigned kWindows = 3;       // that are compared
  static constexpr unsigned kCalmWindows = 10;  // after so many there is one thread again
  static constexpr Duration kFirstRest = std::chrono::seconds(1);
  static constexpr Duration kLongestRest = std::chrono::seconds(64);

  // Nothing: by load. Anything but 1 is two.
  void set(std::optional<unsigned> wanted) { wanted_ = wanted; }
  // Whether `spare` of the next load will be looked at.
  bool wants_spare(TimePoint now) const {
    return !wanted_ && state_ == State::one && now + kWindows * kWindow >= rests_until_;
  }
  // Once a window, or later where there was no traffic; returns whether there are two from now on.
  bool two(const ThreadLoad& load, TimePoint now);

 private:
  enum class State { one, trying, two };

  void look_for_load(const ThreadLoad& load, TimePoint now);
  void judge(const ThreadLoad& load, TimePoint now);
  void back_to_one();

  std::optional<unsigned> wanted_;
  State state_ = State::one;
  unsigned windows_ = 0;  // in a row: busy ones, of the trial, calm ones
  double bytes_ = 0;      // a second, summed over them
  double with_one_ = 0;
  Duration rest_ = kFirstRest;
  TimePoint rests_until_{};
};

}  // namespace i3
