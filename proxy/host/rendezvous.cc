#include "proxy/host/rendezvous.hh"

#include "proxy/host/paths.hh"
#include "proxy/host/state.hh"
#include "proxy/packet/icmp.hh"

namespace i3 {

Rendezvous::Rendezvous(HostParts& parts, Courier& courier, Paths& paths)
    : parts_(parts), courier_(courier), paths_(paths), unreachables_(100, 200) {}

Verdict Rendezvous::park(Peer& peer, Bytes packet, TimePoint now) {
  peer.wanted = true;
  if (peer.parked.size() >= Peer::kMaxParked ||
      peer.parked_bytes + packet.size() > Peer::kMaxParkedBytes) {
    contact(peer, now);
    return Verdict::park_full;
  }
  peer.parked.emplace_back(packet.begin(), packet.end());
  peer.parked_bytes += packet.size();
  contact(peer, now);
  return Verdict::parked;
}

void Rendezvous::contact(Peer& peer, TimePoint now, bool from_silence) {
  Contact contact;
  contact.from_silence = from_silence;
  begin(peer, std::move(contact), now);
}

void Rendezvous::contact_after_jump(Peer& peer, TimePoint now) {
  Contact contact;
  contact.after_jump = true;
  begin(peer, std::move(contact), now);
  peer.contact.after_jump = true;
}

void Rendezvous::begin(Peer& peer, Contact contact, TimePoint now) {
  if (peer.contact.active) return;
  settle(peer, now);
  peer.contact = std::move(contact);
  peer.contact.active = true;
  peer.contact.started = now;
  attempt(peer, now);
}

void Rendezvous::begin_anew(Peer& peer, TimePoint now) {
  if (!peer.contact.active) return;
  const bool from_silence = peer.contact.from_silence;
  end(peer);
  contact(peer, now, from_silence);
}

void Rendezvous::trigger_changed(Peer& peer, TimePoint now) {
  Contact& contact = peer.contact;
  if (!contact.active) return;
  // A first message that left without saying where we are reached, or that names nothing but what
  // ran out while we slept, is hard to answer.
  const wire::ReturnPath path = parts_.client.path(*peer.mine);
  const bool told =
      std::any_of(path.nodes.begin(), path.nodes.end(), [&](const wire::ReturnPath::At& at) {
        const auto& nodes = contact.told.nodes;
        return std::find(nodes.begin(), nodes.end(), at) != nodes.end();
      });
  if (contact.tries > 0 && !told && !path.nodes.empty()) {
    contact.renew = true;
    contact.acknowledged = kNever;
    contact.first_sent = now;
    attempt(peer, now);
  } else if (contact.tries == 0) {
    attempt(peer, now);
  }
}

void Rendezvous::on_timer(Peer& peer, TimePoint now) {
  if (peer.contact.active && now >= peer.contact.next_try) attempt(peer, now);
}

// The peer answers to the trigger that our hello names, so it is worth a moment's wait.
bool Rendezvous::waiting_for_trigger(const Peer& peer, TimePoint now) const {
  return peer.contact.tries == 0 && now < peer.contact.started + std::chrono::seconds(2) &&
         parts_.client.path(*peer.mine).nodes.empty();
}

TimePoint Rendezvous::end_of_patience(const Contact& contact) const {
  const TimePoint silent =
      std::min(contact.first_sent, contact.started + kPatienceSilent / 2) + kPatienceSilent;
  if (contact.acknowledged == kNever) return silent;
  return std::min(silent, contact.acknowledged + kPatienceAcknowledged);
}

bool Rendezvous::has_trigger(Peer& peer, TimePoint now) {
  if (!peer.mine) peer.mine = parts_.client.take_private(now);
  if (*peer.mine == Id{}) peer.mine.reset();  // none is free: the next try asks again
  return peer.mine.has_value();
}

void Rendezvous::attempt(Peer& peer, TimePoint now) {
  Contact& contact = peer.contact;
  // The peer's own handshake was faster, or the old session still serves: nobody is waiting.
  if (contact.tries > 0 && !contact.after_jump && peer.last_received > contact.started &&
      (peer.direct.active || peer.current() != nullptr || peer.by_stops()) &&
      parts_.sessions.can_seal(peer.handle, now)) {
    end(peer);
    return flush(peer, now);
  }
  if (peer.partner != peer.key && !peer.leg) {
    const PublicKey before = peer.partner;
    if (contact.tries >= kDoubtedAfter) doubted(peer, now);
    if (peer.no_box || contact.tries >= kDoubtedAfter) settle(peer, now);
    // Its new partner is met anew.
    if (peer.partner != before) return this->contact(peer, now);
    if (peer.no_box && now >= contact.started + kPatienceNoBox)
      return give_up(peer, "no middle-box of its group answers", now);
  }
  if (now >= end_of_patience(contact))
    return give_up(peer,
                   contact.acknowledged != kNever ? "its node forwards, but it does not answer"
                                                  : "no answer from the overlay",
                   now);
  const bool wait = peer.no_box || !has_trigger(peer, now) || waiting_for_trigger(peer, now);
  if (!wait) {
    std::array<std::uint8_t, Frame::kHeadroom + kMaxFirstMessage + 512> storage;
    const MutBytes room = MutBytes(storage).subspan(Frame::kHeadroom);
    const std::size_t size = write_first(peer, room, now);
    if (size > 0) send_first(peer, {storage, Frame::kHeadroom, Frame::kHeadroom + size}, now);
    if (contact.tries++ == 0) contact.first_sent = now;
  }
  // Slower after two seconds: nobody is waiting at a prompt for those.
  const Duration pause = wait ? kRetry / 4 : contact.tries <= 10 ? kRetry : 3 * kRetry;
  contact.next_try = std::min(now + pause, end_of_patience(contact));
  // The second public ID has a moment of its own.
  if (const TimePoint second = contact.started + kSecondPublicAfter; now < second)
    contact.next_try = std::min(contact.next_try, second);
  parts_.peers.schedule(peer, contact.next_try);
}

std::size_t Rendezvous::write_first(Peer& peer, MutBytes out, TimePoint now) {
  if (peer.contact.tries > 0 && !peer.contact.renew)
    if (std::size_t size = parts_.sessions.repeat(peer.handle, SessionKind::first, out, now))
      return size;
  peer.contact.renew = false;
  wire::Hello hello = paths_.hello(peer);
  add_box(peer, hello);
  peer.mine_told = peer.contact.told = paths_.own_path(peer);
  std::array<std::uint8_t, kMaxHandshakePayload> payload;
  Writer bare(payload);
  hello.write(bare);
  peer.contact.early_offered = false;
  if (!peer.parked.empty() &&
      bare.size() + kFirstOverhead + peer.parked.front().size() <= kMaxFirstMessage) {
    hello.early = peer.parked.front();
    peer.contact.early_offered = true;
  }
  Writer writer(payload);
  hello.write(writer);
  const std::uint64_t stamp =
      parts_.options.relayed ? parts_.stamps.count() : parts_.stamps.next(parts_.clock.wall());
  return parts_.sessions.initiate(peer.handle, peer.partner, kNoPsk, stamp, writer.written(), out,
                                  now);
}

void Rendezvous::send_first(Peer& peer, Frame frame, TimePoint now) {
  const Contact& contact = peer.contact;
  const bool by_stops = peer.by_stops() && peer.theirs.id != Id{};
  const bool known_way = peer.ever_ready && (peer.current() != nullptr || by_stops);
  // Where it was last reached, for a new key of a running conversation; its public trigger as
  // well once that went unanswered.
  if (known_way && contact.tries < 10) courier_.send_by_node(peer, SessionKind::first, frame, now);
  if (known_way && contact.tries < 1 && !contact.after_jump) return;
  const bool first_gone = (contact.not_present & 1) != 0;
  const bool second_gone = (contact.not_present & 2) != 0;
  if (!first_gone) send_to_public(peer, 0, frame.bytes(), now);
  const bool late = now >= contact.started + kSecondPublicAfter;
  if (!second_gone && (late || first_gone)) send_to_public(peer, 1, frame.bytes(), now);
}

void Rendezvous::send_to_public(Peer& peer, std::size_t which, Bytes message, TimePoint now) {
  const std::uint64_t nonce =
      courier_.send_to_public(peer, which, SessionKind::first, message, now);
  if (nonce == 0) return;
  nonces_[nonce] = {peer.handle, which};
  peer.contact.nonces.push_back(nonce);
}

void Rendezvous::end(Peer& peer) {
  for (std::uint64_t nonce : peer.contact.nonces) nonces_.erase(nonce);
  peer.contact = Contact{};
}

void Rendezvous::on_forwarded(std::uint64_t nonce, TimePoint now) {
  auto found = nonces_.find(nonce);
  if (found == nonces_.end()) return;
  Peer* peer = parts_.peers.at(found->second.peer);
  if (peer == nullptr || !peer->contact.active || peer->contact.acknowledged != kNever) return;
  // Who was not told where we are reached cannot answer yet.
  if (peer->contact.told.nodes.empty()) return;
  peer->contact.acknowledged = now;
  peer->contact.next_try = std::min(peer->contact.next_try, end_of_patience(peer->contact));
  parts_.peers.schedule(*peer, peer->contact.next_try);
}

void Rendezvous::on_not_present(std::uint64_t nonce, TimePoint now) {
  auto found = nonces_.find(nonce);
  if (found == nonces_.end()) return;
  Peer* peer = parts_.peers.at(found->second.peer);
  if (peer == nullptr || !peer->contact.active) return;
  Contact& contact = peer->contact;
  // Nodes speak of the first ID only.
  if (peer->stop) return give_up(*peer, "the box on its way is not connected to the overlay", now);
  const std::uint8_t bit = found->second.which == 1 ? 2 : 1;
  if ((contact.not_present & bit) != 0) return;
  contact.not_present |= bit;
  if (contact.not_present == 3) return give_up(*peer, "it is not connected to the overlay", now);
  attempt(*peer, now);
}

void Rendezvous::give_up(Peer& peer, std::string reason, TimePoint now) {
  // The ring may be confused; the session is not.
  if (!peer.contact.from_silence && parts_.sessions.can_seal(peer.handle, now)) {
    end(peer);
    return flush(peer, now);
  }
  end(peer);
  if (other_way(peer, now)) return contact(peer, now);
  peer.absent_until = now + kAbsentFor;
  peer.absent_reason = std::move(reason);
  peer.unanswered_since = kNever;
  peer.direct = DirectPaths{};
  peer.forget_return_path();
  parts_.log.info("peer_absent", {{"peer", peer.name}, {"reason", peer.absent_reason}});
  auto parked = std::move(peer.parked);
  peer.parked.clear();
  peer.parked_bytes = 0;
  for (const auto& packet : parked) {
    parts_.verdicts.count(Verdict::absent);
    answer_unreachable(peer, packet, true);
  }
  // What is sealed from now on would go nowhere; a new handshake is due.
  parts_.sessions.forget(peer.handle);
  if (ready) ready(peer, now);
}

void Rendezvous::answer_unreachable(Peer& peer, Bytes bytes, bool waited) {
  if (!unreachables_.take(parts_.clock.now())) return;
  auto packet = IpView::parse(bytes);
  if (!packet) return;
  std::array<std::uint8_t, kReplyCapacity> reply;
  const MutBytes answer =
      build_unreachable(*packet, Unreachable::host, packet->destination(), reply);
  if (answer.empty()) return;
  if (waited && local_view) local_view(peer, answer);
  parts_.answer_sender(peer, answer);
}

void Rendezvous::learn(Peer& peer, const wire::Hello& hello, TimePoint now) {
  if (hello.ipv4 != 0) peer.announced4 = IpAddress::v4(hello.ipv4);
  if (hello.ipv6 != std::array<std::uint8_t, 16>{}) peer.announced6 = IpAddress::v6(hello.ipv6);
  peer.theirs_sequence = 0;  // it counts anew after a restart, and handshakes are no replays
  paths_.learn(peer, hello, now);
}

// A recorded first message proves nothing new: what it says of its sender's place and the packet
// it carries count only if it was never seen, or when its session is confirmed.
// 1 learn, or remember for the confirmation  2 answer  3 deliver
void Rendezvous::answer(Peer& peer, const FirstMessage& first, const wire::Hello& hello,
                        StampGate::Decision decision, TimePoint now) {
  if (decision == StampGate::Decision::deliver) {
    if (auto entry = parts_.gate.entry(first.key)) parts_.io.log_state(stamp_line(*entry));
    learn(peer, hello, now);
  } else {
    keep_unconfirmed(peer, first.stamp, hello);
  }
  has_trigger(peer, now);
  std::array<std::uint8_t, 1024> payload;
  Writer writer(payload);
  const wire::Hello mine = paths_.hello(peer);
  peer.mine_told = paths_.own_path(peer);
  mine.write(writer);
  std::array<std::uint8_t, Frame::kHeadroom + 2048> storage;
  const std::size_t size =
      parts_.sessions.respond(first, peer.handle, decision != StampGate::Decision::hold,
                              writer.written(), MutBytes(storage).subspan(Frame::kHeadroom), now);
  // It asks again because no answer came: perhaps the node that took the last one is dead.
  peer.answers = decision == StampGate::Decision::repeat ? peer.answers + 1 : 0;
  if (size > 0)
    courier_.send_to(hello, &peer, SessionKind::second,
                     {storage, Frame::kHeadroom, Frame::kHeadroom + size}, now, peer.answers);
  if (decision != StampGate::Decision::deliver) return;
  peer.absent_until = {};
  if (!hello.early.empty()) {
    std::vector<std::uint8_t> packet(hello.early.begin(), hello.early.end());
    deliver(peer, packet, now);
  }
  if (parts_.sessions.can_seal(peer.handle, now)) flush(peer, now);
  if (!peer.ever_ready && ready) ready(peer, now);
}

// The session that this makes ends at once: nothing that comes on it is ever opened.
void Rendezvous::redirect(const FirstMessage& first, const wire::Hello& hello, const PublicKey& box,
                          TimePoint now) {
  wire::Hello mine;
  mine.redirect =
      wire::Redirect::issue(parts_.identity, first.key, box,
                            wire::expiry_after(parts_.clock.wall(), wire::kRedirectHours));
  std::array<std::uint8_t, 512> payload;
  Writer writer(payload);
  mine.write(writer);
  std::array<std::uint8_t, Frame::kHeadroom + 1024> storage;
  const std::size_t size =
      parts_.sessions.respond(first, kPassingHandle, false, writer.written(),
                              MutBytes(storage).subspan(Frame::kHeadroom), now);
  parts_.sessions.forget(kPassingHandle);
  if (size > 0)
    courier_.send_to(hello, nullptr, SessionKind::second,
                     {storage, Frame::kHeadroom, Frame::kHeadroom + size}, now);
}

void Rendezvous::keep_unconfirmed(Peer& peer, std::uint64_t stamp, const wire::Hello& hello) {
  for (const Unconfirmed& known : peer.unconfirmed)
    if (known.stamp == stamp) return;
  if (peer.unconfirmed.size() == Peer::kMaxUnconfirmed)
    peer.unconfirmed.erase(peer.unconfirmed.begin());
  peer.unconfirmed.push_back({stamp, hello});
  peer.unconfirmed.back().hello.early = {};
}

void Rendezvous::established(Peer& peer, const Established& answer, TimePoint now) {
  auto hello = wire::Hello::parse(answer.payload);
  if (!hello) {
    parts_.verdicts.count(Verdict::malformed);
    return;
  }
  if (hello->redirect) return redirected(peer, *hello->redirect, now);
  if (peer.contact.early_offered && answer.early_accepted) drop_early(peer);
  end(peer);
  peer.absent_until = {};
  peer.absent_reason.clear();
  peer.unanswered_since = kNever;
  learn(peer, *hello, now);
  paths_.tell_if_moved(peer, now);
  // Something must follow at once: it confirms the session to the other side.
  if (peer.parked.empty()) courier_.send_control(peer, {}, now);
  flush(peer, now);
  if (ready) ready(peer, now);
}

void Rendezvous::confirmed(Peer& peer, std::uint64_t stamp, TimePoint now) {
  if (parts_.gate.confirmed(peer.partner, stamp))
    if (auto entry = parts_.gate.entry(peer.partner)) parts_.io.log_state(stamp_line(*entry));
  auto kept = std::find_if(peer.unconfirmed.begin(), peer.unconfirmed.end(),
                           [&](const Unconfirmed& one) { return one.stamp == stamp; });
  if (kept != peer.unconfirmed.end()) {
    Unconfirmed genuine = std::move(*kept);
    peer.unconfirmed.erase(kept);
    learn(peer, genuine.hello, now);
  }
  peer.absent_until = {};
  peer.absent_reason.clear();
  paths_.tell_if_moved(peer, now);
  // A handshake of our own that crossed this one has become needless.
  if (peer.contact.active && !parts_.sessions.handshaking(peer.handle)) end(peer);
  flush(peer, now);
  if (ready) ready(peer, now);
}

void Rendezvous::repeat(Peer& peer, SessionKind kind, TimePoint now) {
  std::array<std::uint8_t, Frame::kHeadroom + 2048> storage;
  const std::size_t size =
      parts_.sessions.repeat(peer.handle, kind, MutBytes(storage).subspan(Frame::kHeadroom), now);
  if (size == 0) return;
  const Frame frame{storage, Frame::kHeadroom, Frame::kHeadroom + size};
  if (kind == SessionKind::first) {
    send_first(peer, frame, now);
  } else {
    courier_.send_by_node(peer, kind, frame, now);
  }
}

void Rendezvous::drop_early(Peer& peer) {
  if (peer.parked.empty()) return;
  peer.parked_bytes -= peer.parked.front().size();
  peer.parked.pop_front();
}

void Rendezvous::flush(Peer& peer, TimePoint now) {
  peer.contact.early_offered = false;
  while (!peer.parked.empty()) {
    OwnFrame own(peer.parked.front());
    if (!courier_.seal_and_send(peer, own.frame(), now)) return;
    drop_early(peer);
  }
}

void Rendezvous::forget(Peer& peer) {
  end(peer);
  parts_.sessions.forget(peer.handle);
}

}  // namespace i3
