// Owns what is gathered for one descriptor: it leaves with flush(), sent by whoever flushes or,
// while that one serves, by the second thread (io_thread.hh). The order of all flushes is kept
// either way.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <utility>

#include "overlay/node/io_thread.hh"

namespace i3 {

// A Batch has empty(), few() and flush(int fd), after which it is empty and may be filled again.
// Jobs must be done before an Outbox ends.
template <class Batch>
class Outbox {
 public:
  static constexpr std::size_t kBatches = 4;

  // `settled` is called for each batch that was sent, on the first thread, before it is filled
  // anew.
  Outbox(std::function<std::unique_ptr<Batch>()> make, std::function<void(Batch&)> settled)
      : make_(std::move(make)), settled_(std::move(settled)) {
    slots_[0].batch = make_();
  }
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  // From now on flush() gives to this thread while it serves; it must outlive the outbox.
  void use(IoThread& thread) { thread_ = &thread; }

  Batch& open() { return *slots_[at_].batch; }
  const Batch& open() const { return *slots_[at_].batch; }
  // Whether all of it has left when this returns.
  bool flush(int fd) {
    Slot& slot = slots_[at_];
    if (slot.batch->empty()) return true;
    if (thread_ == nullptr || !thread_->serves() || (thread_->idle() && slot.batch->few())) {
      settle_all();
      slot.batch->flush(fd);
      settled_(*slot.batch);
      return true;
    }
    slot.fd = fd;
    slot.given = true;
    slot.ticket = thread_->give(&Outbox::send, &slot);
    given_ = true;
    at_ = (at_ + 1) % kBatches;
    settle(slots_[at_]);
    if (!slots_[at_].batch) slots_[at_].batch = make_();
    return false;
  }

 private:
  struct Slot {
    std::unique_ptr<Batch> batch;
    int fd = -1;
    bool given = false;
    IoThread::Ticket ticket = 0;
  };

  static void send(void* what) {
    auto& slot = *static_cast<Slot*>(what);
    slot.batch->flush(slot.fd);
  }
  void settle(Slot& slot) {
    if (!std::exchange(slot.given, false)) return;
    thread_->wait(slot.ticket);
    settled_(*slot.batch);
  }
  // All of them have left.
  void settle_all() {
    if (!std::exchange(given_, false)) return;
    for (Slot& slot : slots_) settle(slot);
  }

  std::function<std::unique_ptr<Batch>()> make_;
  std::function<void(Batch&)> settled_;
  IoThread* thread_ = nullptr;
  std::array<Slot, kBatches> slots_;
  std::size_t at_ = 0;
  bool given_ = false;  // a slot may be under way or not settled
};

}  // namespace i3
