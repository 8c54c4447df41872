// The host's side of who speaks: first messages, by whom and for whom, and, where the host is a
// middle-box, the conversations through it.
#include "overlay/wire/names.hh"
#include "proxy/host/host.hh"
#include "proxy/packet/rewrite.hh"

namespace i3 {
namespace {

AnnouncedAddresses announced_in(const wire::Hello& hello) {
  AnnouncedAddresses announced;
  if (hello.ipv4 != 0) announced.ipv4 = IpAddress::v4(hello.ipv4);
  announced.ipv6 = IpAddress::v6(hello.ipv6);
  return announced;
}

}  // namespace

void Host::connect_boxes() {
  rendezvous_.settle = [this](Peer& peer, TimePoint now) { settle(peer, now); };
  rendezvous_.doubted = [this](Peer& peer, TimePoint now) { boxes_.doubt(peer, now); };
  rendezvous_.other_way = [this](Peer& peer, TimePoint now) { return boxes_.other_way(peer, now); };
  rendezvous_.add_box = [this](Peer& peer, wire::Hello& hello) { boxes_.add_box(peer, hello); };
  rendezvous_.redirected = [this](Peer& peer, const wire::Redirect& redirect, TimePoint now) {
    if (boxes_.follow(peer, redirect, now))
      rendezvous_.contact(peer, now);
    else
      rendezvous_.give_up(peer, "it asks for a middle-box that cannot be had", now);
  };
  parts_.answer_sender = [this](const Peer& peer, MutBytes packet) {
    if (!peer.leg) return parts_.to_program(packet);
    Peer* sender = peers_.leg(peer.leg->other, peer.key);
    OwnFrame own(packet);
    if (sender != nullptr) courier_.seal_and_send(*sender, own.frame(), parts_.clock.now());
  };
}

// Another wish than before: what stands went another way, and ends.
void Host::settle(Peer& peer, TimePoint now) {
  if (stops_.settle(peer)) boxes_.end_sessions(peer, now);
  boxes_.settle(peer, now);
}

// 1 who speaks, and by whose leave  2 may it  3 must it come by a middle-box  4 answer
void Host::on_first(const FirstMessage& first, const Origin& origin, TimePoint now) {
  auto hello = wire::Hello::parse(first.payload);
  if (!hello) {
    verdicts_.count(Verdict::malformed);
    return;
  }
  if (refused(first.key)) return;
  PublicKey who = first.key;
  if (hello->through && first.key != key()) {
    if (hello->through->way == wire::Through::Way::to_box)
      return on_box_request(first, *hello, now);
    who = hello->through->other;
    if (!boxes_.may_speak(first.key, *hello->through)) {
      verdicts_.count(Verdict::no_leave);
      return;
    }
  }
  if (refused(who)) return;
  const Peer* before = peers_.find(who);
  const bool wanted = before != nullptr && before->wanted;
  const bool barred = before != nullptr && now < before->barred_until;
  if (who == key() || barred || (!rules_.has_line(who) && !wanted)) {
    verdicts_.count(Verdict::stranger);
    return;
  }
  if (const auto box = boxes_.required(who, now); box && !boxes_.serves(who, *box, first.key, now))
    return on_wrong_way(first, *hello, who, *box, now);
  Peer* peer = peer_for(who, announced_in(*hello));
  if (peer == nullptr) return;
  if (stops_.settle(*peer)) boxes_.end_sessions(*peer, now);
  if (directory_.knows(who)) ask_records(who);
  StampGate::Decision decision = gate_.check(first.key, first.stamp);
  // Its packet comes again, by the box that it is told of with the answer.
  if (!hello->early.empty() && !stops_.came_right(*peer, origin.id))
    decision = StampGate::Decision::hold;
  if (peer->partner != first.key) {
    // What may be a recording does not end a session that stands.
    if (decision != StampGate::Decision::deliver && sessions_.can_seal(peer->handle, now)) {
      verdicts_.count(Verdict::redirected);
      return;
    }
    boxes_.take_partner(*peer, first.key, first.key != who, now);
  }
  rendezvous_.answer(*peer, first, *hello, decision, now);
  peer->last_used = now;
  reschedule(*peer, now);
}

// Who comes by no middle-box, or by another one, is told which to come by; it asks again until
// then.
void Host::on_wrong_way(const FirstMessage& first, const wire::Hello& hello, const PublicKey& who,
                        const PublicKey& box, TimePoint now) {
  verdicts_.count(Verdict::redirected);
  if (const auto group = boxes_.group_for(who)) {
    if (box == *group) return;  // nobody stands for it yet
    // Perhaps a member that is about to be known.
    if (first.key != who && parts_.groups->asking(*group)) return;
    // It came by that one before, and comes without now: is that one still there?
    Peer* peer = peers_.find(who);
    if (peer != nullptr && peer->partner == box && now > peer->last_received + kKnownThere)
      return rendezvous_.contact(*peer, now, true);
  }
  rendezvous_.redirect(first, hello, box, now);
}

// Conversations through here

bool Host::admits(const PublicKey& end, const wire::Hello& hello) const {
  const PublicKey& other = hello.through->other;
  if (peers_.leg(end, other) != nullptr || middle_->admits(end)) return true;
  // Somebody who is admitted sends its callers here.
  return hello.redirect && hello.redirect->box == key() &&
         hello.redirect->valid(other, end, parts_.clock.wall()) && middle_->admits(other);
}

void Host::on_box_request(const FirstMessage& first, const wire::Hello& hello, TimePoint now) {
  const wire::Through& through = *hello.through;
  if (middle_ == nullptr || through.other == key() || through.other == first.key ||
      !admits(first.key, hello)) {
    verdicts_.count(Verdict::stranger);
    return;
  }
  if (!through.leave.valid(first.key, key(), through.other, parts_.clock.wall())) {
    verdicts_.count(Verdict::no_leave);
    return;
  }
  Peer* leg = legs_for(first.key, through.other, announced_in(hello));
  if (leg == nullptr) return;
  if (through.leave.expiry > leg->leg->leave.expiry) leg->leg->leave = through.leave;
  // Packets alone are use: two ends that did nothing but renew their keys would never be idle.
  rendezvous_.answer(*leg, first, hello, gate_.check(first.key, first.stamp), now);
  reschedule(*leg, now);
}

Peer* Host::legs_for(const PublicKey& end, const PublicKey& other,
                     const AnnouncedAddresses& announced) {
  if (Peer* leg = peers_.leg(end, other)) return leg;
  if (peers_.conversations() >= kMaxConversations ||
      peers_.conversations_of(end) >= kMaxConversationsOfOne) {
    verdicts_.count(Verdict::too_many_peers);
    return nullptr;
  }
  const Peer* here = peer_for(end, announced);
  const Peer* there = peer_for(other);
  if (here == nullptr || there == nullptr) return nullptr;
  peers_.add_legs(*here, *there);
  parts_.log.info("conversation", {{"from", here->name}, {"to", there->name}});
  return peers_.leg(end, other);
}

void Host::on_leg_packet(Peer& leg, MutBytes bytes, TimePoint now) {
  auto packet = IpPacket::parse(bytes);
  if (!packet || packet->destination().multicast()) {
    verdicts_.count(packet ? Verdict::multicast : Verdict::malformed);
    return;
  }
  const Family family = packet->family();
  const bool v4 = family == Family::v4;
  IpAddress source = (v4 ? leg.ipv4 : leg.ipv6).address();
  IpAddress destination = (v4 ? leg.leg->other4 : leg.leg->other6).address();
  Peer* other = peers_.leg(leg.leg->other, leg.key);
  if (auto* name = leg_names_.find(leg.key, leg.leg->other, packet->destination())) {
    destination = name->here(family);
    leg_names_.touch(*name, now);
  } else if (auto* behind = sender_behind(leg, *packet)) {
    source = behind->here(family);
    leg_names_.touch(*behind, now);
  } else if (packet->destination() != destination && owns(packet->destination())) {
    say_unknown(leg, packet->destination(), now);
  } else if (packet->source() != source && owns(packet->source())) {
    if (other != nullptr) say_unknown(*other, packet->source(), now);
  }
  rewrite_addresses(*packet, source, destination);
  leg.last_used = now;
  if (middle_ != nullptr) middle_->inspect(leg.key, leg.leg->other, bytes);
}

// The machine behind a gateway that a packet of the gateway's comes from. An error about one comes
// from it, whoever on the way noticed it; for that the source is changed.
LegNames::Name* Host::sender_behind(const Peer& leg, IpPacket& packet) {
  const PublicKey& client = leg.leg->other;
  if (auto* name = leg_names_.find(client, leg.key, packet.source())) return name;
  const auto quoted = packet.is_icmp_error() ? packet.quoted() : std::nullopt;
  auto* name = quoted ? leg_names_.find(client, leg.key, quoted->destination) : nullptr;
  if (name != nullptr) rewrite_source(packet, quoted->destination);
  return name;
}

// This host was started anew, or is another one of its group: where the client has that address
// from a gateway, it asks for the name again, and the answer passes here.
void Host::say_unknown(Peer& client, const IpAddress& inner, TimePoint now) {
  if (now < client.leg->unknown_said + kUnknownEvery) return;
  client.leg->unknown_said = now;
  std::array<std::uint8_t, 32> storage;
  Writer writer(storage);
  wire::UnknownAddress{inner}.write(writer);
  courier_.send_control(client, writer.written(), now);
}

// By the addresses here: whose conversation, and what the ends call who is behind one of them.
void Host::forward(Bytes bytes) {
  if (stopping_) return;
  OwnFrame own(bytes);
  const Frame frame = own.frame();
  auto packet = IpPacket::parse(frame.bytes());
  if (!packet) {
    verdicts_.count(Verdict::malformed);
    return;
  }
  IpAddress source = packet->source();
  IpAddress destination = packet->destination();
  const Peer* from = peers_.find(source);
  const Peer* to = peers_.find(destination);
  if (const auto* name = from == nullptr ? leg_names_.at(source) : nullptr) {
    if (to != nullptr && name->client == to->key) from = peers_.find(name->gateway);
    source = name->inner(packet->family()).value_or(source);
  } else if (const auto* there = to == nullptr ? leg_names_.at(destination) : nullptr) {
    if (from != nullptr && there->client == from->key) to = peers_.find(there->gateway);
    destination = there->inner(packet->family()).value_or(destination);
  }
  Peer* leg = from != nullptr && to != nullptr ? peers_.leg(to->key, from->key) : nullptr;
  if (leg == nullptr) {
    verdicts_.count(Verdict::no_such_address);
    return;
  }
  rewrite_addresses(*packet, source, destination);
  verdicts_.count(outbound_.on_leg(*leg, *packet, frame, parts_.clock.now()));
}

// What one end says to the other, and not to us: i3-ctl ping goes all the way, and so do a
// gateway's names. False for what is between an end and us.
bool Host::pass_on(Peer& leg, Bytes plaintext, TimePoint now) {
  const auto type = static_cast<wire::Control>(plaintext[0]);
  constexpr wire::Control kPassedOn[] = {wire::Control::ping, wire::Control::pong,
                                         wire::kNameQuestion, wire::kNameFound,
                                         wire::kUnknownAddress};
  if (std::find(std::begin(kPassedOn), std::end(kPassedOn), type) == std::end(kPassedOn))
    return false;
  Peer* other = peers_.leg(leg.leg->other, leg.key);
  if (other == nullptr) return true;
  leg.last_used = now;
  if (const auto question = wire::NameQuestion::parse(plaintext))
    leg_names_.asked(leg.key, other->key, *question);
  else if (const auto found = wire::NameFound::parse(plaintext))
    leg_names_.found(other->key, leg.key, *found, now);
  if (courier_.send_control(*other, plaintext, now)) return true;
  const auto control = wire::NonceControl::parse(plaintext);
  if (control && type == wire::Control::ping) {
    if (other->leg->pings.size() >= Leg::kMaxPings)
      other->leg->pings.erase(other->leg->pings.begin());
    other->leg->pings.push_back(control->nonce);
  }
  rendezvous_.contact(*other, now);
  return true;
}

void Host::send_waiting_pings(Peer& leg, TimePoint now) {
  for (const std::uint64_t nonce : std::exchange(leg.leg->pings, {})) {
    std::array<std::uint8_t, 16> storage;
    Writer writer(storage);
    wire::NonceControl{wire::Control::ping, nonce}.write(writer);
    courier_.send_control(leg, writer.written(), now);
  }
}

void Host::sweep_legs(TimePoint now) {
  std::vector<Peer*> idle;
  peers_.each([&](Peer& peer) {
    if (!peer.leg) return;
    const Peer* other = peers_.leg(peer.leg->other, peer.key);
    if (now > std::max(peer.last_used, other->last_used) + parts_.options.idle) {
      if (peer.key < peer.leg->other) idle.push_back(&peer);
    } else if (Peer* end = peers_.find(peer.key)) {
      // It lends its addresses as long as anybody speaks, be it the other end alone.
      end->last_used = std::max({end->last_used, peer.last_used, other->last_used});
    }
  });
  for (const Peer* peer : idle)
    end_conversation(PublicKey(peer->key), PublicKey(peer->leg->other), now);
}

void Host::end_conversation(const PublicKey& end, const PublicKey& other, TimePoint now) {
  for (Peer* leg : {peers_.leg(end, other), peers_.leg(other, end)}) {
    rendezvous_.forget(*leg);
    if (leg->mine) client_.release(*leg->mine, now);
    TriggerMoves::forget(client_, *leg, now);
  }
  leg_names_.forget(end, other);
  leg_names_.forget(other, end);
  peers_.remove_legs(end, other);
}

}  // namespace i3
