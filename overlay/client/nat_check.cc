#include "overlay/client/nat_check.hh"

namespace i3::client {

void NatCheck::soon(TimePoint now) {
  if (!report().checked && !running()) due_ = std::min(due_, now + kSettles);
}

void NatCheck::changed(TimePoint now) {
  due_ = now + kAfterChange;
}

void NatCheck::now(TimePoint now) {
  if (!running()) due_ = now;
}

void NatCheck::sample(TimePoint now) {
  NatProbe& probe = probes_[main()];
  if (running() || probe.report().port_step == 0) return;
  // What the other one measures has the second socket.
  probes_[1 - main()].stop();
  to_measure_.clear();
  probe.sample(now);
}

void NatCheck::stop() {
  for (NatProbe& probe : probes_) probe.stop();
  to_check_.clear();
  to_measure_.clear();
  due_ = kNever;
}

// The nearest live nodes at different addresses of the family; others that we have heard of where
// there are too few.
std::vector<Endpoint> NatCheck::helpers(bool v4) {
  auto all = entries_.status();
  std::erase_if(all, [](const EntryStatus& entry) { return !entry.alive; });
  std::sort(all.begin(), all.end(),
            [](const EntryStatus& a, const EntryStatus& b) { return a.rtt < b.rtt; });
  std::vector<Endpoint> chosen;
  const auto fits = [&](const Endpoint& address) {
    return !address.address.loopback() && address.address.is_v4() == v4 &&
           std::none_of(chosen.begin(), chosen.end(),
                        [&](const Endpoint& one) { return one.address == address.address; });
  };
  // Of a node that is known by the other family's address, its own of this one.
  const auto of_family = [&](const wire::NodeContact& contact) {
    const auto& address = v4 ? contact.v4 : contact.v6;
    return address && core_.usable(*address) && fits(*address) ? address : std::nullopt;
  };
  for (const EntryStatus& entry : all)
    if (chosen.size() < NatProbe::kMostNodes && fits(entry.address))
      chosen.push_back(entry.address);
  while (chosen.size() < NatProbe::kMostNodes) {
    const auto more = cache_.next(
        [&](const wire::NodeContact& contact) { return of_family(contact).has_value(); });
    if (!more) break;
    chosen.push_back(*of_family(*more));
  }
  return chosen;
}

// 1 both families that we have, IPv4 first  2 how long their bindings last, which takes minutes
void NatCheck::begin(TimePoint now) {
  for (NatProbe& probe : probes_) probe.stop();
  to_check_.clear();
  to_measure_.clear();
  const bool have[] = {core_.options.have_v4, core_.options.have_v6};
  bool anybody = false;
  for (std::size_t i = 0; i < probes_.size(); ++i)
    if (have[i]) {
      to_check_.push_back(i);
      anybody = anybody || !helpers(i == 0).empty();
    } else {
      probes_[i].forget();
    }
  due_ = now + (anybody ? kEvery : kNobody);
}

void NatCheck::go_on(TimePoint now) {
  if (!probes_[0].idle() || !probes_[1].idle()) return;
  if (!to_check_.empty()) {
    const std::size_t which = to_check_.front();
    to_check_.pop_front();
    const Observed seen = observations_.summary();
    to_measure_.push_back(which);
    probes_[which].start(helpers(which == 0), (which == 0 ? seen.v4 : seen.v6).endpoint, now);
    return go_on(now);
  }
  if (to_measure_.empty()) return;
  const std::size_t which = to_measure_.front();
  to_measure_.pop_front();
  probes_[which].measure_lifetime(now);
  go_on(now);
}

void NatCheck::on_timer(TimePoint now) {
  for (NatProbe& probe : probes_)
    if (now >= probe.deadline()) probe.on_timer(now);
  if (now >= due_) begin(now);
  go_on(now);
  tell(now);
}

void NatCheck::on_message(wire::Type type, Bytes message, bool aside, TimePoint now) {
  bool taken = false;
  if (type == wire::Type::reach_seen) {
    const auto seen = wire::ReachSeen::parse(message);
    for (NatProbe& probe : probes_) taken = taken || (seen && probe.on_seen(*seen, aside, now));
  } else if (type == wire::Type::reached) {
    const auto reached = wire::Reached::parse(message);
    for (NatProbe& probe : probes_)
      taken = taken || (reached && probe.on_reached(*reached, aside, now));
  }
  if (!taken) ++core_.counters.unsolicited;
  go_on(now);
  tell(now);
}

void NatCheck::tell(TimePoint now) {
  for (NatProbe& probe : probes_)
    if (const auto sample = probe.take_sample()) core_.events.on_port_sample(*sample, now);
  // A binding of either family ends a conversation when it ends.
  core_.keep_alive = std::min(report(true).keep_alive(), report(false).keep_alive());
  const TimePoint latest = std::max(report(true).at, report(false).at);
  if (running() || latest == told_ || latest == TimePoint{}) return;
  told_ = latest;
  core_.events.on_nat(now);
}

}  // namespace i3::client
