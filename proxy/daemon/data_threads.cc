#include "proxy/daemon/data_threads.hh"

#include <array>
#include <charconv>
#include <ctime>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "overlay/base/control/socket.hh"

namespace i3 {
namespace {

constexpr double kTicksASecond = 100;  // USER_HZ

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Duration own_time() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
}

// The lines of the processors come first.
std::string read_stat() {
  const OwnedFd file(::open("/proc/stat", O_RDONLY | O_CLOEXEC));
  std::string text(16 * 1024, '\0');
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : 0;
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

template <class Number>
Number number(std::string_view text) {
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::uint64_t idle_ticks(std::string_view stat, const std::function<bool(unsigned)>& may_use) {
  std::uint64_t sum = 0;
  while (!stat.empty()) {
    const std::size_t end = stat.find('\n');
    if (end == std::string_view::npos) break;  // cut off
    std::string_view line = stat.substr(0, end);
    stat.remove_prefix(end + 1);
    const std::string_view name = next_word(line);
    if (!name.starts_with("cpu") || name.size() == 3) continue;
    if (!may_use(number<unsigned>(name.substr(3)))) continue;
    for (int field = 0; field < 3; ++field) next_word(line);  // user, nice, system
    sum += number<std::uint64_t>(next_word(line));            // idle
    sum += number<std::uint64_t>(next_word(line));            // waiting for a disk
  }
  return sum;
}

void DataThreads::set(std::optional<unsigned> wanted) {
  refused_ = false;
  choice_.set(wanted);
  if (wanted) apply(*wanted != 1, "settings");
}

void DataThreads::look(TimePoint now, std::uint64_t bytes) {
  const Duration window = now - looked_;
  if (window < ThreadChoice::kWindow) return;
  const Duration first = own_time(), second = second_.cpu_time();
  ThreadLoad load;
  load.first = seconds(first - first_time_) / seconds(window);
  load.second = seconds(second - second_time_) / seconds(window);
  load.bytes_a_second = static_cast<double>(bytes - bytes_) / seconds(window);
  looked_ = now;
  first_time_ = first;
  second_time_ = second;
  bytes_ = bytes;
  if (load.first >= ThreadChoice::kBusy && choice_.wants_spare(now)) load.spare = spare();
  apply(choice_.two(load, now), load.first >= ThreadChoice::kBusy ? "busy" : "calm");
}

// The first time after a pause says nothing.
double DataThreads::spare() {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return 0;
  const std::uint64_t ticks = idle_ticks(
      read_stat(), [&](unsigned cpu) { return cpu < CPU_SETSIZE && CPU_ISSET(cpu, &usable); });
  const Duration since = looked_ - std::exchange(idle_read_, looked_);
  const std::uint64_t before = std::exchange(idle_ticks_, ticks);
  // Nothing where it could not be read; less where a processor went.
  if (since > 2 * ThreadChoice::kWindow || before == 0 || ticks < before) return 0;
  return static_cast<double>(ticks - before) / kTicksASecond / seconds(since);
}

void DataThreads::apply(bool two, std::string_view why) {
  if (two == second_.serves() || (two && refused_)) return;
  if (!two) {
    second_.rest();
  } else if (!second_.serve()) {
    refused_ = true;
    log_.warning("second_thread_refused", {{"effect", "one thread does everything"}});
    return;
  }
  ++changes_;
  // Trials come and go; status says how many there are now.
  log_.debug("threads", {{"count", std::to_string(count())}, {"why", std::string(why)}});
}

}  // namespace i3
