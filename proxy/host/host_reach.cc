// The host's side of how it is reached: its NAT, and the nodes on the way to a peer.
#include "proxy/host/host.hh"

namespace i3 {

void Host::on_aside(const Endpoint& from, Bytes datagram) {
  if (ring_client_ && !stopping_) ring_client_->on_aside(from, datagram, parts_.clock.now());
}

void Host::check_nat(std::function<void()> done) {
  if (!ring_client_ || waiting_for_nat_.size() >= kMaxPings) return;
  waiting_for_nat_.push_back(std::move(done));
  ring_client_->check_nat(parts_.clock.now());
}

void Host::on_port_sample(const Endpoint& seen, TimePoint now) {
  peers_.each([&](Peer& peer) { direct_.port_sampled(peer, seen, now); });
}

void Host::trace(const PublicKey& target, TraceDone done) {
  if (!ring_client_) return done({});
  // The nodes on the way to a middle-box, where the sessions are with one.
  const Peer* peer = peers_.find(target);
  ring_client_->trace(public_id(peer != nullptr ? peer->partner : target), std::move(done),
                      parts_.clock.now());
}

void Host::on_observed_change(TimePoint now) {
  peers_.each([&](Peer& peer) { direct_.own_address_changed(peer, now); });
}

void Host::on_nat(TimePoint) {
  auto waiting = std::move(waiting_for_nat_);
  waiting_for_nat_.clear();
  for (const auto& done : waiting) done();
}

void Host::network_changed(std::vector<Endpoint> candidates, bool have_v4, bool have_v6) {
  const TimePoint now = parts_.clock.now();
  parts_.candidates = std::move(candidates);
  parts_.options.have_v4 = have_v4;
  parts_.options.have_v6 = have_v6;
  if (ring_client_) {
    std::vector<IpAddress> own;
    for (const Endpoint& candidate : parts_.candidates) own.push_back(candidate.address);
    ring_client_->set_own_addresses(std::move(own));
  }
  client_.set_families(have_v4, have_v6);
  client_.network_changed(now);
  peers_.each([&](Peer& peer) {
    direct_.restart(peer, now);
    // Of a visit nothing changed: its relay, ID and label are the same, and messages of all visits
    // at one moment would tell that they are one host's.
    if (peer.mine && !relayed_) paths_.trigger_changed(peer, now);
  });
}

}  // namespace i3
