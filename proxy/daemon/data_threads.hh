// Owns the threads of a data path: the second one, and when it serves (thread_choice.hh).
#pragma once

#include <functional>
#include <string_view>

#include "overlay/base/log.hh"
#include "overlay/node/io_thread.hh"
#include "proxy/daemon/thread_choice.hh"

namespace i3 {

class DataThreads {
 public:
  explicit DataThreads(Log& log) : log_(log) {}

  IoThread& second() { return second_; }
  void set(std::optional<unsigned> wanted);
  std::uint64_t changes() const { return changes_; }
  unsigned count() const { return second_.serves() ? 2 : 1; }
  // Between two turns of the first thread; `bytes` is all that it carried so far. Looks at clocks
  // ten times a second at most, and at the machine's processors only while the first thread is
  // busy.
  void look(TimePoint now, std::uint64_t bytes);
  // For good.
  void stop() {
    refused_ = true;
    second_.stop();
  }

 private:
  void apply(bool two, std::string_view why);
  double spare();

  Log& log_;
  IoThread second_;
  ThreadChoice choice_;
  bool refused_ = false;  // there is no second thread to be had
  TimePoint looked_{};
  Duration first_time_{}, second_time_{};
  std::uint64_t bytes_ = 0;
  std::uint64_t changes_ = 0;
  std::uint64_t idle_ticks_ = 0;
  TimePoint idle_read_{};
};

// Time for which the processors that this process may run on had nothing to do since the machine
// started, in hundredths of a second, summed over them. `stat` is the text of /proc/stat (proc(5)).
std::uint64_t idle_ticks(std::string_view stat, const std::function<bool(unsigned)>& may_use);

}  // namespace i3
