// Owns the second thread of a data path: it makes the system calls that the first one has prepared,
// in the order in which they were given, and nothing else.
//
// Whoever gives a job leaves what it refers to alone until the job is done (outbox.hh, banks.hh).
// All members are for the first thread only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

#include "overlay/base/time.hh"

namespace i3 {

class IoThread {
 public:
  using Ticket = std::uint64_t;  // jobs in the order of giving, from 1 on
  static constexpr std::size_t kMost = 16;

  IoThread() = default;
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;
  ~IoThread() { stop(); }

  // False where the system gives no thread. The first call starts it; it has no signals.
  bool serve();
  // Waits until all that was given is done; the thread sleeps from then on.
  void rest();
  // rest(), and ends the thread.
  void stop();
  bool serves() const { return serves_; }

  // Only while it serves; waits for room. `run` may not throw.
  Ticket give(void (*run)(void*), void* what);
  // Of the last job that was given.
  Ticket last() const { return given_here_; }
  bool done(Ticket ticket) const { return ticket <= given_here_ - under_way(); }
  bool idle() const { return done(given_here_); }
  void wait(Ticket ticket);
  // The processor's time that the thread took so far.
  Duration cpu_time() const;

 private:
  struct Job {
    void (*run)(void*) = nullptr;  // nothing: the thread ends
    void* what = nullptr;
  };
  void work();
  std::uint32_t under_way() const {
    return static_cast<std::uint32_t>(given_here_) - done_.load(std::memory_order_acquire);
  }

  std::array<Job, kMost> jobs_{};
  Ticket given_here_ = 0;
  // The low halves of tickets: what a thread can sleep on.
  alignas(64) std::atomic<std::uint32_t> given_{0};
  alignas(64) std::atomic<std::uint32_t> done_{0};
  unsigned looks_ = 1024;  // of the first thread, before it sleeps
  bool serves_ = false;
  std::thread thread_;
};

}  // namespace i3
