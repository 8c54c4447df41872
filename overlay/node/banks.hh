// Owns storage that is lent to what is flushed: a few banks in turn where a second thread sends, so
// that one is filled while others are still being sent.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "overlay/base/bytes.hh"
#include "overlay/node/io_thread.hh"

namespace i3 {

class Banks {
 public:
  static constexpr std::size_t kBanks = 4;

  // Bytes of one bank. What is never filled takes no memory.
  explicit Banks(std::size_t size) : size_(size), bytes_(new std::uint8_t[kBanks * size]) {}
  void use(IoThread& thread) { thread_ = &thread; }

  MutBytes now() const { return {bytes_.get() + at_ * size_, size_}; }
  // All that lent from the bank was flushed: one to fill anew, the same where nothing of it is
  // under way any more.
  MutBytes next() {
    if (thread_ == nullptr || thread_->idle()) return now();
    tickets_[at_] = thread_->last();
    at_ = (at_ + 1) % kBanks;
    thread_->wait(tickets_[at_]);
    return now();
  }
  Bytes all() const { return {bytes_.get(), kBanks * size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::uint8_t[]> bytes_;
  IoThread* thread_ = nullptr;
  std::array<IoThread::Ticket, kBanks> tickets_{};
  std::size_t at_ = 0;
};

}  // namespace i3
