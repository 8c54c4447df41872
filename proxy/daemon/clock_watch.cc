#include "proxy/daemon/clock_watch.hh"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

namespace i3 {
namespace {

Duration read_clock(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// One of them goes on while the machine sleeps, the other does not.
Duration time_asleep() {
  return read_clock(CLOCK_BOOTTIME) - read_clock(CLOCK_MONOTONIC);
}

}  // namespace

ClockWatch::ClockWatch(boost::asio::io_context& io, std::function<void(std::string_view)> jumped)
    : timer_(io), jumped_(std::move(jumped)), asleep_(time_asleep()) {
  const int fd = ::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0) return;
  timer_.assign(fd);
  arm();
  wait();
}

// Never fires by itself: the kernel cancels it when the clock is set and when the machine wakes.
void ClockWatch::arm() {
  itimerspec never{};
  never.it_value.tv_sec = static_cast<time_t>(1) << 40;
  ::timerfd_settime(timer_.native_handle(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                    nullptr);
}

void ClockWatch::wait() {
  timer_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      if (error) return;
                      std::uint64_t count = 0;
                      const bool set = ::read(timer_.native_handle(), &count, sizeof count) < 0 &&
                                       errno == ECANCELED;
                      arm();
                      wait();
                      if (slept())
                        jumped_("the machine slept");
                      else if (set)
                        jumped_("the clock was set");
                    });
}

bool ClockWatch::slept() {
  const Duration before = std::exchange(asleep_, time_asleep());
  return asleep_ - before > std::chrono::seconds(1);
}

void ClockWatch::fired(TimePoint due, TimePoint now) {
  if (slept())
    jumped_("the machine slept");
  else if (now - due > kLateTimer)
    jumped_("the process was stopped");
}

}  // namespace i3
