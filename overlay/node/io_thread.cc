#include "overlay/node/io_thread.hh"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <pthread.h>
#include <system_error>

namespace i3 {
namespace {

// So many looks before a thread sleeps, some tens of microseconds on x86: waking one costs more.
// Who looked in vain looks less the next time.
constexpr unsigned kMostLooks = 1024, kFewestLooks = 16;

void pause_a_little() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Until `value` is another than `old`; returns it.
std::uint32_t await_change(const std::atomic<std::uint32_t>& value, std::uint32_t old,
                           unsigned& looks) {
  for (unsigned look = 0; look < looks; ++look) {
    if (const auto now = value.load(std::memory_order_acquire); now != old) {
      looks = std::min(2 * looks, kMostLooks);
      return now;
    }
    pause_a_little();
  }
  looks = std::max(looks / 2, kFewestLooks);
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

bool IoThread::serve() {
  if (!thread_.joinable()) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    try {
      thread_ = std::thread([this] { work(); });
    } catch (const std::system_error&) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  return serves_ = thread_.joinable();
}

void IoThread::rest() {
  if (thread_.joinable()) wait(last());
  serves_ = false;
}

void IoThread::stop() {
  if (!thread_.joinable()) return;
  give(nullptr, nullptr);
  serves_ = false;
  thread_.join();
}

IoThread::Ticket IoThread::give(void (*run)(void*), void* what) {
  while (under_way() >= kMost)
    await_change(done_, static_cast<std::uint32_t>(given_here_) - std::uint32_t{kMost}, looks_);
  jobs_[given_here_ % kMost] = {run, what};
  // Sequentially consistent, as below: the store comes before notify_one() looks for who sleeps.
  given_.store(static_cast<std::uint32_t>(++given_here_));
  given_.notify_one();
  return given_here_;
}

void IoThread::wait(Ticket ticket) {
  for (std::uint32_t seen = done_.load(std::memory_order_acquire); !done(ticket);)
    seen = await_change(done_, seen, looks_);
}

void IoThread::work() {
  unsigned looks = kMostLooks;
  std::uint32_t at = done_.load(), given = at;
  for (;; ++at) {
    while (given == at) given = await_change(given_, given, looks);
    const Job job = jobs_[at % kMost];
    if (job.run != nullptr) job.run(job.what);
    done_.store(at + 1);
    done_.notify_one();
    if (job.run == nullptr) return;
  }
}

Duration IoThread::cpu_time() const {
  clockid_t clock;
  timespec spent{};
  // native_handle() is no const member.
  auto& thread = const_cast<std::thread&>(thread_);
  if (!thread.joinable() || pthread_getcpuclockid(thread.native_handle(), &clock) != 0 ||
      clock_gettime(clock, &spent) != 0)
    return {};
  return std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
}

}  // namespace i3
