#include "gateways/waypoint/kernel_names.hh"

namespace i3 {

// All or nothing holds for a request, so after a refusal its names are sent one by one: then the
// one that is refused is known.
void KernelNames::flush() {
  if (!sent_.empty() || waiting_.empty()) return;
  const std::size_t most = alone_ > 0 ? 1 : kMaximumWaypointNames;
  while (!waiting_.empty() && sent_.size() < most) {
    sent_.push_back(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
  }
  if (alone_ > 0) --alone_;
  ++started_;
  send_(sent_, [this](bool ok, const std::string& why) { answered(ok, why); });
}

void KernelNames::answered(bool ok, const std::string& why) {
  const std::vector<WaypointName> sent = std::move(sent_);
  sent_.clear();
  if (!ok && sent.size() == 1) refused_(sent.front(), why);
  if (!ok && sent.size() > 1) {
    // What was said since counts more.
    for (const WaypointName& name : sent) waiting_.try_emplace(key_of(name), name);
    alone_ = waiting_.size();
  }
  known(started_);
  flush();
}

}  // namespace i3
