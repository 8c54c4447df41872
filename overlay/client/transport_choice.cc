#include "overlay/client/transport_choice.hh"

#include <algorithm>

namespace i3 {
namespace {

// Between the rounds of a proof: close together at first, then ever further.
Duration pause_after(unsigned probes) {
  if (probes <= 4) return std::chrono::milliseconds(250);
  if (probes <= 10) return std::chrono::seconds(1);
  return std::chrono::seconds(5);
}

}  // namespace

void TransportChoice::start(TimePoint now) {
  way_ = mode_ == Mode::tls ? Way::tls : Way::udp;
  prove(now);
  settle(now);
}

void TransportChoice::network_changed(TimePoint now) {
  needed_ = kRounds;
  linger_until_ = TimePoint::min();
  start(now);
}

void TransportChoice::set_mode(Mode mode, TimePoint now) {
  if (mode == mode_) return;
  mode_ = mode;
  start(now);
}

void TransportChoice::prove(TimePoint now) {
  state_ = State::proving;
  since_ = last_doubt_ = now;
  probes_ = 0;
  next_probe_ = now;
  unheard_since_ = kNever;
}

void TransportChoice::become_good(TimePoint now) {
  if (way_ == Way::tls) {
    returned_ = now;
    linger_until_ = now + kLinger;
  }
  state_ = State::good;
  way_ = Way::udp;
  since_ = now;
  answered_once_ = true;
  next_probe_ = now + kQuietCheck;
  unheard_since_ = kNever;
}

void TransportChoice::become_blocked(TimePoint now) {
  const bool lasted =
      way_ != Way::udp || returned_ == TimePoint::min() || now > returned_ + kLasted;
  if (way_ == Way::udp) needed_ = lasted ? kRounds : std::min(needed_ * 2, kMostRounds);
  state_ = State::blocked;
  way_ = Way::tls;
  since_ = now;
  next_probe_ = now + (tunnel_ ? kAskBlocked : kAskWithoutTunnel);
}

void TransportChoice::udp_answered(TimePoint now) {
  udp_received();
  if (mode_ != Mode::automatic) return;
  if (state_ == State::proving || (way_ == Way::tls && !tunnel_)) {
    become_good(now);
  } else if (state_ == State::blocked) {
    state_ = State::returning;
    since_ = now;
    good_rounds_ = 0;
    heard_this_round_ = true;
    next_probe_ = now + kRound;
  } else {
    heard_this_round_ = true;
  }
  settle(now);
}

void TransportChoice::tunnel_opened(TimePoint now) {
  tunnel_ = true;
  settle(now);
}

void TransportChoice::tunnel_lost(TimePoint now) {
  tunnel_ = false;
  if (mode_ == Mode::automatic && way_ == Way::tls && state_ == State::blocked)
    next_probe_ = std::min(next_probe_, now);
  settle(now);
}

// When silence begins to count as doubt.
TimePoint TransportChoice::doubt_at() const {
  if (unheard_since_ == kNever) return kNever;
  TimePoint at = unheard_since_ + kSilence;
  if (last_doubt_ != TimePoint::min()) at = std::max(at, last_doubt_ + kDoubtAtMostEvery);
  return at;
}

TimePoint TransportChoice::deadline() const {
  if (mode_ != Mode::automatic) return kNever;
  TimePoint next = next_probe_;
  if (state_ == State::good) {
    next = std::min(next, doubt_at());
    if (wants_tunnel_) next = std::min(next, linger_until_);
  } else if (state_ == State::proving) {
    if (!wants_tunnel_) next = std::min(next, since_ + kDialAfter);
    if (tunnel_) next = std::min(next, since_ + kPatience);
  }
  return next;
}

bool TransportChoice::on_timer(TimePoint now) {
  if (mode_ != Mode::automatic) return false;
  // A quiet check is a doubt like any other: an answer ends it at once.
  if (state_ == State::good && (now >= doubt_at() || now >= next_probe_)) prove(now);
  bool probe = false;
  if (now >= next_probe_) {
    probe = true;
    if (state_ == State::returning) {
      if (heard_this_round_ && ++good_rounds_ >= needed_) {
        become_good(now);
        probe = false;
      } else if (!heard_this_round_) {
        become_blocked(now);
      } else {
        next_probe_ = now + kRound;
      }
      heard_this_round_ = false;
    } else if (state_ == State::blocked) {
      next_probe_ = now + (tunnel_ ? kAskBlocked : kAskWithoutTunnel);
    } else {
      next_probe_ = now + pause_after(++probes_);
    }
  }
  settle(now);
  return probe;
}

void TransportChoice::settle(TimePoint now) {
  if (mode_ != Mode::automatic) {
    wants_tunnel_ = mode_ == Mode::tls;
    return;
  }
  if (state_ == State::proving && tunnel_ && now >= since_ + kPatience) become_blocked(now);
  switch (state_) {
    case State::good:
      wants_tunnel_ = now < linger_until_;
      break;
    case State::proving:
      wants_tunnel_ = wants_tunnel_ || now >= since_ + kDialAfter;
      break;
    default:
      wants_tunnel_ = true;
  }
}

std::string_view TransportChoice::reason() const {
  if (mode_ == Mode::udp) return "transport=\"udp\" in <overlay>";
  if (mode_ == Mode::tls) return "transport=\"tls\" in <overlay>";
  switch (state_) {
    case State::good:
      return "nodes answer over UDP";
    case State::proving:
      return answered_once_ ? "UDP fell silent, and TLS does not get through so far"
                            : "no node has answered over UDP yet";
    case State::blocked:
      return "no node answers over UDP, TLS gets through";
    case State::returning:
      return "UDP answers again and is being watched";
  }
  return {};
}

}  // namespace i3
