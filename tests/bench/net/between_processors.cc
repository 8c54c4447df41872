// Measures what it takes to hand one cache line from one processor to another: two threads that
// answer each other, each on a processor of its own. Prints nanoseconds, one way.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <sched.h>
#include <thread>

namespace {

constexpr int kTimes = 500'000;
alignas(64) std::atomic<int> line{0};

void stay_on(unsigned processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  sched_setaffinity(0, sizeof set, &set);
}

void await(int value) {
  while (line.load(std::memory_order_acquire) != value) {
  }
}

}  // namespace

int main() {
  std::thread other([] {
    stay_on(1);
    for (int i = 0; i < kTimes; ++i) {
      await(2 * i + 1);
      line.store(2 * i + 2, std::memory_order_release);
    }
  });
  stay_on(0);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kTimes; ++i) {
    line.store(2 * i + 1, std::memory_order_release);
    await(2 * i + 2);
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  other.join();
  std::printf("%.1f\n", took.count() / kTimes / 2);
}
