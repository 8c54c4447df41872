#include "gateways/waypoint/held_answers.hh"

namespace i3 {

void HeldAnswers::hold(const DnsClient& client, Bytes message, std::uint64_t batch, TimePoint now) {
  if (waiting_.size() >= kMost) send_first();
  waiting_.push_back({client, {message.begin(), message.end()}, batch, now + kLongest});
}

void HeldAnswers::known(std::uint64_t batch) {
  while (!waiting_.empty() && waiting_.front().batch <= batch) send_first();
}

void HeldAnswers::on_timer(TimePoint now) {
  while (!waiting_.empty() && waiting_.front().until <= now) send_first();
}

void HeldAnswers::send_first() {
  const Answer first = std::move(waiting_.front());
  waiting_.pop_front();
  send_(first.client, first.message);
}

}  // namespace i3
