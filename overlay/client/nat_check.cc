#include "overlay/client/nat_check.hh"

namespace i3::client {

void NatCheck::soon(TimePoint now) {
  if (!probe_.report().checked && !probe_.running()) due_ = std::min(due_, now + kSettles);
}

void NatCheck::changed(TimePoint now) {
  due_ = now + kAfterChange;
}

void NatCheck::now(TimePoint now) {
  if (!probe_.running()) due_ = now;
}

void NatCheck::sample(TimePoint now) {
  probe_.sample(now);
}

void NatCheck::stop() {
  probe_.stop();
  due_ = kNever;
}

// The nearest live nodes at different addresses of one family; others that we have heard of where
// there are too few.
std::vector<Endpoint> NatCheck::helpers() {
  auto all = entries_.status();
  std::erase_if(all, [](const EntryStatus& entry) { return !entry.alive; });
  std::sort(all.begin(), all.end(),
            [](const EntryStatus& a, const EntryStatus& b) { return a.rtt < b.rtt; });
  std::vector<Endpoint> chosen;
  const auto fits = [&](const Endpoint& address) {
    return !address.address.loopback() &&
           std::none_of(chosen.begin(), chosen.end(), [&](const Endpoint& one) {
             return one.address == address.address ||
                    one.address.is_v4() != address.address.is_v4();
           });
  };
  for (const EntryStatus& entry : all)
    if (chosen.size() < NatProbe::kMostNodes && fits(entry.address))
      chosen.push_back(entry.address);
  while (!chosen.empty() && chosen.size() < NatProbe::kMostNodes) {
    const auto more = cache_.next([&](const wire::NodeContact& contact) {
      const auto address = core_.reachable(contact);
      return address && fits(*address);
    });
    if (!more) break;
    chosen.push_back(*core_.reachable(*more));
  }
  return chosen;
}

void NatCheck::on_timer(TimePoint now) {
  if (now >= probe_.deadline()) probe_.on_timer(now);
  core_.keep_alive = probe_.report().keep_alive();
  tell(now);
  if (now < due_) return;
  auto nodes = helpers();
  due_ = now + (nodes.empty() ? kNobody : kEvery);
  const Observed seen = observations_.summary();
  const bool v4 = !nodes.empty() && nodes.front().address.is_v4();
  probe_.start(std::move(nodes), v4 ? seen.v4.endpoint : seen.v6.endpoint, now);
  tell(now);
}

void NatCheck::on_message(wire::Type type, Bytes message, bool aside, TimePoint now) {
  bool taken = false;
  if (type == wire::Type::reach_seen) {
    const auto seen = wire::ReachSeen::parse(message);
    taken = seen && probe_.on_seen(*seen, aside, now);
  } else if (type == wire::Type::reached) {
    const auto reached = wire::Reached::parse(message);
    taken = reached && probe_.on_reached(*reached, aside, now);
  }
  if (!taken) ++core_.counters.unsolicited;
  tell(now);
}

void NatCheck::tell(TimePoint now) {
  if (const auto sample = probe_.take_sample()) core_.events.on_port_sample(*sample, now);
  if (!probe_.report().checked || probe_.report().at == told_) return;
  told_ = probe_.report().at;
  core_.keep_alive = probe_.report().keep_alive();
  core_.events.on_nat(now);
}

}  // namespace i3::client
