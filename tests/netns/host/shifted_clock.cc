// A library for LD_PRELOAD that sets one program's clocks, for the time of day belongs to the whole
// machine: CLOCK_REALTIME and CLOCK_BOOTTIME run ahead by the two numbers of nanoseconds in the
// file that I3_TEST_CLOCKS names, and a timer that asks to be cancelled when the clock is set, as
// the kernel does then and after sleep, is cancelled whenever that file is written.
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

namespace {

struct Ahead {
  std::int64_t realtime = 0, boottime = 0;
};
const Ahead* ahead = nullptr;
int watching = -1;  // stands for the timer

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

[[gnu::constructor]] void open_clocks() {
  const char* path = std::getenv("I3_TEST_CLOCKS");
  const int fd = path ? ::open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void* mapped = ::mmap(nullptr, sizeof(Ahead), PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  if (mapped != MAP_FAILED) ahead = static_cast<const Ahead*>(mapped);
}

std::int64_t ahead_of(clockid_t clock) {
  if (ahead == nullptr) return 0;
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) return ahead->realtime;
  return clock == CLOCK_BOOTTIME ? ahead->boottime : 0;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static const auto real = next<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, time);
  if (const std::int64_t by = ahead_of(clock); result == 0 && by != 0) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    const std::int64_t sum = time->tv_sec * kSecond + time->tv_nsec + by;
    time->tv_sec = sum / kSecond;
    time->tv_nsec = sum % kSecond;
  }
  return result;
}

int gettimeofday(timeval* time, void*) noexcept {
  timespec exact{};
  clock_gettime(CLOCK_REALTIME, &exact);
  time->tv_sec = exact.tv_sec;
  time->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec exact{};
  clock_gettime(CLOCK_REALTIME, &exact);
  if (out != nullptr) *out = exact.tv_sec;
  return exact.tv_sec;
}

int timerfd_create(int clock, int flags) noexcept {
  static const auto real = next<int (*)(int, int)>("timerfd_create");
  const char* path = std::getenv("I3_TEST_CLOCKS");
  if (clock != CLOCK_REALTIME || path == nullptr) return real(clock, flags);
  watching = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  ::inotify_add_watch(watching, path, IN_CLOSE_WRITE);
  return watching;
}

int timerfd_settime(int fd, int flags, const itimerspec* to, itimerspec* before) noexcept {
  static const auto real =
      next<int (*)(int, int, const itimerspec*, itimerspec*)>("timerfd_settime");
  return fd == watching && fd >= 0 ? 0 : real(fd, flags, to, before);
}

ssize_t read(int fd, void* into, size_t size) {
  static const auto real = next<ssize_t (*)(int, void*, size_t)>("read");
  if (fd != watching || fd < 0) return real(fd, into, size);
  char events[1024];
  if (real(fd, events, sizeof events) <= 0) return -1;
  errno = ECANCELED;
  return -1;
}
}
