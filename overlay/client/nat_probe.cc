#include "overlay/client/nat_probe.hh"

namespace i3 {

std::string_view name_of(NatDependence dependence) {
  switch (dependence) {
    case NatDependence::none:
      return "endpoint-independent";
    case NatDependence::address:
      return "address-dependent";
    case NatDependence::address_and_port:
      return "address-and-port-dependent";
    case NatDependence::unknown:
      break;
  }
  return "unknown";
}

std::string_view NatReport::name() const {
  if (!checked || !udp) return "unknown";
  if (!translated)
    return filtering == NatDependence::none      ? "none"
           : filtering == NatDependence::unknown ? "none"
                                                 : "firewall";
  if (mapping == NatDependence::unknown) return "unknown";
  if (mapping != NatDependence::none) return "symmetric";
  switch (filtering) {
    case NatDependence::none:
      return "full-cone";
    case NatDependence::address:
      return "address-restricted";
    case NatDependence::address_and_port:
      return "port-restricted";
    case NatDependence::unknown:
      break;
  }
  return "unknown";
}

Duration NatReport::keep_alive() const {
  constexpr Duration kLeast = std::chrono::seconds(2), kMost = std::chrono::seconds(10);
  if (!checked || !binding_ends) return kMost;
  return std::clamp<Duration>(binding_lasts * 7 / 10, kLeast, kMost);
}

namespace client {
namespace {

constexpr Duration kApart = std::chrono::milliseconds(250);
constexpr unsigned kTries = 3;
constexpr std::array<Duration, 4> kSilences{std::chrono::seconds(5), std::chrono::seconds(10),
                                            std::chrono::seconds(20), std::chrono::seconds(40)};
constexpr int kLongestStep = 8;

}  // namespace

void NatProbe::start(std::vector<Endpoint> nodes, std::optional<Endpoint> main, TimePoint now) {
  stop();
  if (nodes.size() > kMostNodes) nodes.resize(kMostNodes);
  nodes_ = std::move(nodes);
  main_ = main;
  if (nodes_.empty()) return no_answer(now);
  const auto port = core_.events.open_aside();
  if (!port) return;
  local_port_ = *port;
  fresh_ = NatReport{};
  by_other_port_.reset();
  by_others_.clear();
  from_other_port_ = from_other_node_ = lifetime_ = false;
  node_ = 0;
  enter(Phase::meet, now);
}

void NatProbe::sample(TimePoint now) {
  if (running() || nodes_.empty()) return;
  stop();
  if (!core_.events.open_aside()) return;
  node_ = 0;
  enter(Phase::sample, now);
}

void NatProbe::no_answer(TimePoint now) {
  fresh_ = NatReport{};
  fresh_.checked = true;
  fresh_.at = now;
  report_ = fresh_;
  stop();
}

void NatProbe::stop() {
  if (phase_ != Phase::idle) core_.events.close_aside();
  phase_ = Phase::idle;
  next_ = kNever;
}

bool NatProbe::own(const Endpoint& endpoint) const {
  const auto& own = core_.own_addresses;
  return endpoint.port == local_port_ &&
         std::find(own.begin(), own.end(), endpoint.address) != own.end();
}

void NatProbe::ask(const Endpoint& node, wire::ReachHow how, bool aside) {
  wire::Reach reach;
  reach.how = how;
  reach.nonce = nonce_;
  if (how != wire::ReachHow::seen) {
    reach.target = first_.observed;
    reach.cookie = first_.cookie;
  }
  if (!aside) {
    core_.send(node, reach);
    return;
  }
  std::array<std::uint8_t, wire::Reach::kSize> buffer;
  Writer writer(buffer);
  reach.write(writer);
  core_.events.send_aside(node, writer.written());
}

void NatProbe::enter(Phase phase, TimePoint now) {
  phase_ = phase;
  nonce_ = core_.nonce();
  tries_ = 0;
  repeat(now);
}

// Sends what the phase asks, once more.
void NatProbe::repeat(TimePoint now) {
  ++tries_;
  if (tries_ == 1) sent_ = now;
  next_ = now + std::max<Duration>(kApart, rtt_ * 3 / 2);
  switch (phase_) {
    case Phase::meet:
    case Phase::others:
    case Phase::sample:
      return ask(nodes_[node_], wire::ReachHow::seen, true);
    case Phase::filter:
      if (first_.other_port != 0) ask(nodes_[node_], wire::ReachHow::other_port, true);
      if (first_.other_node) ask(nodes_[node_], wire::ReachHow::other_node, true);
      return;
    case Phase::other_port:
      return ask({nodes_[0].address, first_.other_port}, wire::ReachHow::seen, true);
    case Phase::ask:
      return ask(nodes_[node_], wire::ReachHow::same, false);
    case Phase::hairpin: {
      // Each opens the NAT's filter for the other, if there is a way at all.
      std::array<std::uint8_t, 16> buffer;
      Writer writer(buffer);
      wire::Reached{wire::ReachHow::same, nonce_}.write(writer);
      core_.events.send_aside(*main_, writer.written());
      core_.send(first_.observed, wire::Reached{wire::ReachHow::same, nonce_});
      return;
    }
    case Phase::wait:
    case Phase::idle:
      return;
  }
}

bool NatProbe::on_seen(const wire::ReachSeen& seen, bool aside, TimePoint now) {
  if (!aside || seen.nonce != nonce_ || !seen.observed.valid()) return false;
  if (phase_ == Phase::sample) {
    sampled_ = seen.observed;
    stop();
    return true;
  }
  if (phase_ == Phase::meet) {
    first_ = seen;
    rtt_ = now - sent_;
    if (lifetime_) {
      phase_ = Phase::wait;
      next_ = now + kSilences[silence_];
      return true;
    }
    // The first node that answers is the first one.
    std::swap(nodes_[0], nodes_[node_]);
    node_ = 0;
    enter(Phase::filter, now);
    return true;
  }
  if (phase_ == Phase::other_port) {
    by_other_port_ = seen.observed;
  } else if (phase_ == Phase::others) {
    by_others_.push_back(seen.observed);
  } else {
    return false;
  }
  ended(now);
  return true;
}

bool NatProbe::on_reached(const wire::Reached& reached, bool aside, TimePoint now) {
  if (reached.nonce != nonce_) return false;
  if (phase_ == Phase::hairpin) {
    fresh_.hairpin = true;
    finish(now);
    return true;
  }
  if (phase_ == Phase::ask && aside) {
    conclude_lifetime(true, now);
    return true;
  }
  if (phase_ != Phase::filter || !aside) return false;
  if (reached.how == wire::ReachHow::other_port) from_other_port_ = true;
  if (reached.how == wire::ReachHow::other_node) from_other_node_ = true;
  if (from_other_node_) ended(now);
  return true;
}

void NatProbe::on_timer(TimePoint now) {
  if (now < next_) return;
  if (phase_ == Phase::wait) return enter(Phase::ask, now);
  if (tries_ < kTries) return repeat(now);
  ended(now);
}

// A phase is over, with or without an answer.
void NatProbe::ended(TimePoint now) {
  next_ = kNever;
  switch (phase_) {
    case Phase::meet:
      if (lifetime_) return stop();
      if (++node_ < nodes_.size()) return enter(Phase::meet, now);
      return no_answer(now);
    case Phase::filter:
      conclude_filter();
      if (first_.other_port != 0) return enter(Phase::other_port, now);
      [[fallthrough]];
    case Phase::other_port:
    case Phase::others:
      if (++node_ < nodes_.size()) return enter(Phase::others, now);
      conclude_mapping();
      if (fresh_.translated && main_ && main_->address == first_.observed.address)
        return enter(Phase::hairpin, now);
      return finish(now);
    case Phase::hairpin:
      fresh_.hairpin = false;
      return finish(now);
    case Phase::ask:
      return conclude_lifetime(false, now);
    case Phase::sample:
      return stop();
    case Phase::wait:
    case Phase::idle:
      return;
  }
}

// Silence says something only where somebody could have answered.
void NatProbe::conclude_filter() {
  if (from_other_node_)
    fresh_.filtering = NatDependence::none;
  else if (from_other_port_ && first_.other_node)
    fresh_.filtering = NatDependence::address;
  else if (first_.other_port != 0 && first_.other_node)
    fresh_.filtering = NatDependence::address_and_port;
}

void NatProbe::conclude_mapping() {
  fresh_.translated = !own(first_.observed);
  fresh_.preserves_port = first_.observed.port == local_port_;
  const auto differs = [&](const Endpoint& seen) { return seen != first_.observed; };
  const bool other_address = std::any_of(by_others_.begin(), by_others_.end(), differs);
  const bool other_port = by_other_port_ && differs(*by_other_port_);
  if (!fresh_.translated) {
    fresh_.mapping = NatDependence::none;
  } else if (other_address || other_port) {
    const bool same_for_one_address = by_other_port_ && !other_port;
    fresh_.mapping =
        same_for_one_address ? NatDependence::address : NatDependence::address_and_port;
  } else if (!by_others_.empty()) {
    fresh_.mapping = NatDependence::none;
  }
  std::vector<int> ports{first_.observed.port};
  if (by_other_port_ && other_port) ports.push_back(by_other_port_->port);
  for (const Endpoint& seen : by_others_) {
    ports.push_back(seen.port);
    fresh_.several_addresses = fresh_.several_addresses || seen.address != first_.observed.address;
  }
  if (fresh_.mapping == NatDependence::none || ports.size() < 3) return;
  const int step = ports[1] - ports[0];
  for (std::size_t i = 2; i < ports.size(); ++i)
    if (ports[i] - ports[i - 1] != step) return;
  if (step != 0 && std::abs(step) <= kLongestStep) fresh_.port_step = step;
}

void NatProbe::finish(TimePoint now) {
  fresh_.checked = fresh_.udp = true;
  fresh_.observed = first_.observed;
  fresh_.at = now;
  report_ = fresh_;
  core_.log.info("nat", {{"family", first_.observed.address.is_v4() ? "ipv4" : "ipv6"},
                         {"kind", report_.name()},
                         {"mapping", name_of(report_.mapping)},
                         {"filtering", name_of(report_.filtering)},
                         {"observed", first_.observed.text()}});
  stop();
}

void NatProbe::measure_lifetime(TimePoint now) {
  silence_ = 0;
  if (report_.udp && (report_.translated || report_.name() == "firewall")) begin_lifetime(now);
}

// A new binding towards the first node, then silence on it.
void NatProbe::begin_lifetime(TimePoint now) {
  const auto port = core_.events.open_aside();
  if (!port) return;
  lifetime_ = true;
  node_ = 0;
  enter(Phase::meet, now);
}

void NatProbe::conclude_lifetime(bool alive, TimePoint now) {
  stop();
  if (!alive) {
    report_.binding_ends = kSilences[silence_];
    core_.log.info(
        "nat_binding_short",
        {{"seconds",
          std::chrono::duration_cast<std::chrono::seconds>(*report_.binding_ends).count()}});
    return;
  }
  report_.binding_lasts = kSilences[silence_];
  if (++silence_ < kSilences.size()) begin_lifetime(now);
}

}  // namespace client
}  // namespace i3
