#include "proxy/daemon/thread_choice.hh"

#include <algorithm>

namespace i3 {

bool ThreadChoice::two(const ThreadLoad& load, TimePoint now) {
  if (wanted_) {
    back_to_one();
    return *wanted_ != 1;
  }
  switch (state_) {
    case State::one:
      look_for_load(load, now);
      break;
    case State::trying:
      judge(load, now);
      break;
    case State::two:
      windows_ = load.first + load.second < kCalm ? windows_ + 1 : 0;
      if (windows_ >= kCalmWindows) back_to_one();
      break;
  }
  return state_ != State::one;
}

void ThreadChoice::look_for_load(const ThreadLoad& load, TimePoint now) {
  if (load.first < kBusy || load.spare < kSpare || !wants_spare(now)) return back_to_one();
  bytes_ += load.bytes_a_second;
  if (++windows_ < kWindows || now < rests_until_) return;
  with_one_ = bytes_ / windows_;
  back_to_one();
  if (with_one_ > 0) state_ = State::trying;  // else it is busy with something else
}

// The first window is of the change.
void ThreadChoice::judge(const ThreadLoad& load, TimePoint now) {
  if (load.first + load.second < kCalm) {  // the traffic went, which says nothing
    rests_until_ = now + kFirstRest;
    return back_to_one();
  }
  if (windows_++ == 0) return;
  bytes_ += load.bytes_a_second;
  if (windows_ <= kWindows) return;
  const bool repays = bytes_ / kWindows >= kRepays * with_one_;
  rests_until_ = now + rest_;
  rest_ = repays ? kFirstRest : std::min(2 * rest_, kLongestRest);
  back_to_one();
  if (repays) state_ = State::two;
}

void ThreadChoice::back_to_one() {
  state_ = State::one;
  windows_ = 0;
  bytes_ = 0;
}

}  // namespace i3
