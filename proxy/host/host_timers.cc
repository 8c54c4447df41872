// The host's time-driven side: silence, rekeying, idle peers, greetings after a restart, pings.
#include "proxy/host/host.hh"

namespace i3 {

TimePoint Host::next_deadline() const {
  if (stopping_) return client_.next_deadline();
  TimePoint next =
      std::min({peers_.next_deadline(), client_.next_deadline(), sessions_.next_deadline(),
                next_sweep_, next_greeting_, quiet_at_, gateway_names_.next_deadline(),
                moves_.next_deadline(), public_lead_.next_deadline()});
  for (const Ping& ping : pings_) next = std::min(next, ping.deadline);
  return next;
}

void Host::on_timer() {
  const TimePoint now = parts_.clock.now();
  if (now >= client_.next_deadline()) client_.on_timer(now, parts_.clock.wall());
  if (stopping_) return;
  peers_.due(now, [&](Peer& peer) { on_peer_timer(peer, now); });
  if (now >= sessions_.next_deadline()) sessions_.expire(now);
  if (now >= quiet_at_) check_quiet(now);
  if (now >= moves_.next_deadline()) moves_.on_timer(now);
  if (now >= next_greeting_) greet(now);
  if (now >= next_sweep_) sweep(now);
  gateway_names_.on_timer(now);
  public_lead_.on_timer(now);
  finish_pings(now);
}

void Host::woke_up() {
  network_changed(parts_.candidates, parts_.options.have_v4, parts_.options.have_v6);
  const TimePoint now = parts_.clock.now();
  std::size_t greeted = 0;
  peers_.each([&](Peer& peer) {
    if (now > peer.last_used + kGreetIfUsed || !peer.ever_ready) return;
    if (++greeted <= kGreetedAtOnce) rendezvous_.contact_after_jump(peer, now);
  });
}

void Host::check_quiet(TimePoint now) {
  quiet_at_ = kNever;
  if (now < heard_by_node_ + kQuiet) {
    quiet_at_ = heard_by_node_ + kQuiet;
  } else {
    client_.verify(now);
  }
}

void Host::on_peer_timer(Peer& peer, TimePoint now) {
  rendezvous_.on_timer(peer, now);
  paths_.on_timer(peer, now);
  direct_.on_timer(peer, now);
  nodes_.on_timer(peer, now);
  sizes_.on_timer(peer, now);
  if (now >= peer.keepalive_at) {
    courier_.send_control(peer, {}, now);
    peer.keepalive_at = kNever;
  }
  check_silence(peer, now);
  const bool in_use = now < peer.last_used + std::chrono::seconds(180);
  if (in_use && sessions_.wants_rekey(peer.handle, now)) rendezvous_.contact(peer, now);
  reschedule(peer, now);
}

void Host::check_silence(Peer& peer, TimePoint now) {
  if (peer.unanswered_since == kNever) return;
  if (now >= peer.unanswered_since + kSuspectAfter) {
    direct_.suspect(peer, now);
    client_.verify(now);
  }
  // A middle-box that has a stand-in is tried earlier.
  const bool replaceable = peer.partner != peer.key && boxes_.replaceable(peer);
  if (now < peer.unanswered_since + (replaceable ? kSuspectAfter : kContactAfter)) return;
  // Counted anew: while the handshake is under way nothing else is to be done.
  peer.unanswered_since = kNever;
  rendezvous_.contact(peer, now, true);
}

void Host::reschedule(Peer& peer, TimePoint now) {
  TimePoint next =
      std::min({paths_.next_deadline(peer), direct_.next_deadline(peer), nodes_.next_deadline(peer),
                sizes_.next_deadline(peer), peer.keepalive_at});
  if (peer.contact.active) next = std::min(next, peer.contact.next_try);
  if (peer.unanswered_since != kNever)
    next = std::min(next, now >= peer.unanswered_since + kSuspectAfter
                              ? peer.unanswered_since + kContactAfter
                              : peer.unanswered_since + kSuspectAfter);
  if (sessions_.can_seal(peer.handle, now) && now < peer.last_used + std::chrono::seconds(180))
    next = std::min(next, now + std::chrono::seconds(5));  // rekeying is due some time
  peers_.schedule(peer, next);
}

// Removes what nobody used for long and writes down what is in use.
void Host::sweep(TimePoint now) {
  next_sweep_ = now + kSweepEvery;
  sweep_legs(now);
  std::vector<Peer*> idle;
  peers_.each([&](Peer& peer) {
    if (peer.leg) return;
    if (peer.last_used > peer.logged_use + std::chrono::seconds(60)) log_peer(peer, now);
    if (now > peer.last_used + parts_.options.idle && !directory_.knows(peer.key) &&
        peer.key != key())
      idle.push_back(&peer);
    // A name stays; the trigger in the network is for those who talk.
    if (now > peer.last_used + parts_.options.idle && directory_.knows(peer.key) && peer.mine) {
      rendezvous_.forget(peer);
      client_.release(*peer.mine, now);
      peer.mine.reset();
      TriggerMoves::forget(client_, peer, now);
    }
  });
  for (Peer* peer : idle) remove(*peer);
  gateway_names_.sweep(now);
  leg_names_.sweep(now, parts_.options.idle);
  parts_.io.log_state(client_line(client_.save()));
}

void Host::greet(TimePoint now) {
  next_greeting_ = kNever;
  if (!client_.ready()) return;  // on_ready comes back here
  while (!to_greet_.empty()) {
    Peer* peer = peers_.find(to_greet_.front());
    to_greet_.pop_front();
    if (peer == nullptr || sessions_.can_seal(peer->handle, now)) continue;
    rendezvous_.contact(*peer, now);
    break;
  }
  if (!to_greet_.empty()) next_greeting_ = now + kGreetEvery;
}

void Host::remove(Peer& peer) {
  rendezvous_.forget(peer);
  if (peer.mine) client_.release(*peer.mine, parts_.clock.now());
  TriggerMoves::forget(client_, peer, parts_.clock.now());
  if (peer.needs_route) parts_.io.set_route(peer.ipv4, false);
  parts_.io.log_state("gone " + peer.key.text());
  peers_.remove(peer);
}

void Host::drop(Peer& peer) {
  const TimePoint now = parts_.clock.now();
  const std::uint8_t close = static_cast<std::uint8_t>(wire::Control::close);
  courier_.send_control(peer, Bytes(&close, 1), now);
  rendezvous_.forget(peer);
  if (peer.mine) client_.release(*peer.mine, now);
  peer.mine.reset();
  TriggerMoves::forget(client_, peer, now);
  peer.mine_acknowledged = true;
  peer.direct = DirectPaths{};
  peer.forget_return_path();
  peer.unconfirmed.clear();
  peer.parked.clear();
  peer.parked_bytes = 0;
  peer.unanswered_since = peer.keepalive_at = kNever;
  peer.barred_until = now + kBarredFor;
}

void Host::log_peer(Peer& peer, TimePoint now) {
  const AddressPool::Entry* entry = pool_.find(public_id(peer.key));
  if (entry == nullptr || peer.leg) return;
  PeerRecord record;
  record.key = peer.key;
  record.ipv4 = peer.ipv4;
  record.ipv6 = peer.ipv6;
  record.standing = entry->standing;
  record.name = peer.name;
  const Duration ago = now - std::min(peer.last_used, now);
  record.used = parts_.clock.wall() -
                static_cast<WallTime>(std::min<Duration>(ago, parts_.options.idle).count());
  peer.logged_use = peer.last_used;
  parts_.io.log_state(record.line());
}

std::string Host::state_lines() const {
  std::string lines = "start\n";
  const TimePoint now = parts_.clock.now();
  peers_.each([&](Peer& peer) {
    const AddressPool::Entry* entry = pool_.find(public_id(peer.key));
    if (entry == nullptr || peer.leg) return;
    const Duration ago =
        std::min<Duration>(now - std::min(peer.last_used, now), parts_.options.idle);
    PeerRecord record{peer.key,
                      peer.ipv4,
                      peer.ipv6,
                      entry->standing,
                      parts_.clock.wall() - static_cast<WallTime>(ago.count()),
                      peer.name};
    lines += record.line() + '\n';
  });
  lines += believed_.lines();
  for (const StampEntry& entry : gate_.entries()) lines += stamp_line(entry) + '\n';
  return lines + gateway_names_.state_lines(now) + client_line(client_.save()) + '\n';
}

std::string Host::path_text(const Peer& peer) const {
  if (peer.direct.active) return "direct " + peer.direct.active->text();
  if (peer.stop) return "relay " + directory_.name_of(*peer.stop);
  if (peer.their_stop) return "relay " + peer.their_stop->hex().substr(0, 32);
  if (const auto* at = peer.current()) {
    auto endpoint = at->node.reachable(parts_.options.have_v4, parts_.options.have_v6);
    return "node " + (endpoint ? *endpoint : at->node.primary()).text();
  }
  return "overlay " + (peer.theirs.id == Id{} ? public_id(peer.partner) : peer.theirs.id).hex();
}

void Host::ping(const PublicKey& target, Duration timeout,
                std::function<void(const PingResult&)> done) {
  const TimePoint now = parts_.clock.now();
  Peer* peer = meet(target);
  if (peer == nullptr || pings_.size() >= kMaxPings)
    return done({false, {}, {}, peer == nullptr ? "no free virtual address" : "too many pings"});
  pings_.push_back({target, parts_.random.u64(), now, now + timeout, false, std::move(done)});
  if (sessions_.can_seal(peer->handle, now)) {
    send_ping(pings_.back(), *peer, now);
  } else {
    rendezvous_.contact(*peer, now);
  }
}

void Host::send_ping(Ping& ping, Peer& peer, TimePoint now) {
  ping.sent = now;
  ping.out = true;
  std::array<std::uint8_t, 16> storage;
  Writer writer(storage);
  wire::NonceControl{wire::Control::ping, ping.nonce}.write(writer);
  courier_.send_control(peer, writer.written(), now);
}

void Host::pings_ready(Peer& peer, TimePoint now) {
  const bool stands = sessions_.can_seal(peer.handle, now);
  for (Ping& ping : pings_) {
    if (ping.key != peer.key || !ping.done || peer.leg) continue;
    if (stands && !ping.out) send_ping(ping, peer, now);
    if (stands || now >= peer.absent_until) continue;
    ping.done({false, {}, {}, peer.absent_reason});
    ping.done = nullptr;
  }
}

void Host::nudge(Peer& peer) {
  const TimePoint now = parts_.clock.now();
  if (!sessions_.can_seal(peer.handle, now)) return rendezvous_.contact(peer, now);
  std::array<std::uint8_t, 16> storage;
  Writer writer(storage);
  wire::NonceControl{wire::Control::ping, parts_.random.u64()}.write(writer);
  courier_.send_control(peer, writer.written(), now);
}

void Host::suspect(Peer& peer) {
  rendezvous_.contact(peer, parts_.clock.now(), true);
}

void Host::finish_pings(TimePoint now) {
  std::erase_if(pings_, [&](Ping& ping) {
    if (!ping.done) return true;
    if (now < ping.deadline) return false;
    auto done = std::move(ping.done);
    ping.done = nullptr;
    done({false, {}, {}, "no answer in time"});
    return true;
  });
}

}  // namespace i3
