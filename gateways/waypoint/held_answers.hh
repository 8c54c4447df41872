// Owns answers of the zone that wait for the kernel: a client that hears of a waypoint may send at
// once, and what the kernel makes of its first packet holds for all of that flow.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "dnsintercept/question_table.hh"
#include "overlay/base/time.hh"

namespace i3 {

// Pure. In the order in which they came; none waits longer than kLongest, and no more than kMost.
class HeldAnswers {
 public:
  static constexpr std::size_t kMost = 1024;
  static constexpr Duration kLongest = std::chrono::milliseconds(400);
  using Send = std::function<void(const DnsClient& client, Bytes message)>;

  explicit HeldAnswers(Send send) : send_(std::move(send)) {}

  // Until the kernel has the batch of that number (KernelNames::batch()).
  void hold(const DnsClient& client, Bytes message, std::uint64_t batch, TimePoint now);
  // The kernel has that batch, and so all before it.
  void known(std::uint64_t batch);
  void on_timer(TimePoint now);
  TimePoint next_deadline() const { return waiting_.empty() ? kNever : waiting_.front().until; }
  void clear() { waiting_.clear(); }

 private:
  struct Answer {
    DnsClient client;
    std::vector<std::uint8_t> message;
    std::uint64_t batch;
    TimePoint until;
  };
  void send_first();

  Send send_;
  std::deque<Answer> waiting_;  // batches only rise
};

}  // namespace i3
