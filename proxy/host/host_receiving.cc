// The way of what comes in: session message, plaintext, packet or control.
#include "proxy/host/host.hh"

namespace i3 {

// 1 open  2 by what it is: data, somebody's first message, an answer, a cookie
void Host::on_session_message(std::uint8_t kind, MutBytes message, const Origin& origin,
                              TimePoint now) {
  if (stopping_) return;
  // Transport is judged by its tag alone, and there is much of it.
  const bool transport = kind == static_cast<std::uint8_t>(SessionKind::transport);
  std::array<std::uint8_t, wire::kEndpointSize + 8> source;
  Writer writer(source);
  if (!transport) {
    wire::write_endpoint(writer, origin.direct ? *origin.direct : origin.node);
    if (origin.tag) writer.bytes(*origin.tag);
  }
  Received received =
      sessions_.receive(static_cast<SessionKind>(kind), message, writer.written(), now);
  if (auto* data = std::get_if<Data>(&received)) return on_data(*data, origin, now);
  if (auto* drop = std::get_if<Drop>(&received)) {
    // The answerer may send at once, and its first packet may overtake its second message.
    if (drop->verdict == SessionVerdict::not_established && !replaying_) {
      std::erase_if(overtaken_,
                    [now](const Overtaken& one) { return now >= one.came + kOvertakenFor; });
      if (overtaken_.size() < kMaxOvertaken)
        overtaken_.push_back({{message.begin(), message.end()}, origin, now});
    }
    return;
  }
  if (auto* first = std::get_if<FirstMessage>(&received)) return on_first(*first, origin, now);
  if (auto* back = std::get_if<SendBack>(&received)) return send_back(*back, origin, now);
  if (auto* cookie = std::get_if<CookieStored>(&received)) return on_cookie(*cookie, now);
  if (auto* established = std::get_if<Established>(&received)) {
    if (Peer* peer = peers_.at(established->peer)) {
      peer->last_received = now;
      rendezvous_.established(*peer, *established, now);
    }
    replay_overtaken(now);
  }
}

void Host::replay_overtaken(TimePoint now) {
  auto messages = std::move(overtaken_);
  overtaken_.clear();
  replaying_ = true;
  for (Overtaken& waiting : messages)
    if (now < waiting.came + kOvertakenFor)
      on_session_message(static_cast<std::uint8_t>(SessionKind::transport), waiting.message,
                         waiting.origin, now);
  replaying_ = false;
}

void Host::on_cookie(const CookieStored& cookie, TimePoint now) {
  if (Peer* peer = peers_.at(cookie.peer)) rendezvous_.repeat(*peer, cookie.kind, now);
}

void Host::send_back(const SendBack& back, const Origin& origin, TimePoint) {
  if (origin.tag) {
    client_.send_returned(origin.node, *origin.tag, static_cast<std::uint8_t>(SessionKind::cookie),
                          back.bytes);
  } else if (origin.direct) {
    OwnFrame own(back.bytes);
    courier_.send_direct(*origin.direct, SessionKind::cookie, own.frame());
  }
}

void Host::on_data(const Data& data, const Origin& origin, TimePoint now) {
  Peer* peer = peers_.at(data.peer);
  if (peer == nullptr) return;
  const bool right = stops_.came_right(*peer, origin.id);
  if (right) {
    peer->last_received = now;
    peer->unanswered_since = kNever;
    peer->absent_until = {};
    peer->traffic.rx_bytes += data.plaintext.size();
    ++peer->traffic.rx_packets;
  }
  if (data.confirms) rendezvous_.confirmed(*peer, data.stamp, now);
  if (!right) {
    verdicts_.count(Verdict::past_the_box);
    return;
  }
  if (origin.direct)
    direct_.heard(*peer, *origin.direct, now);
  else
    heard_by_node(*peer, now);
  if (data.plaintext.empty()) return;
  const unsigned nibble = data.plaintext[0] >> 4;
  if (nibble != 4 && nibble != 6) return on_control(*peer, data.plaintext, origin, now);
  answer_in_time(*peer, now);
  on_plaintext(*peer, data.plaintext, origin, now);
}

// A packet came: if none goes back soon, an empty message says that it did.
void Host::answer_in_time(Peer& peer, TimePoint now) {
  if (peer.keepalive_at != kNever) return;
  peer.keepalive_at = now + kKeepalive;
  peers_.schedule(peer, peer.keepalive_at);
}

// Where packets came and suddenly none do, a NAT of ours may have forgotten us.
void Host::heard_by_node(Peer& peer, TimePoint now) {
  direct_.heard_by_node(peer, now);
  heard_by_node_ = now;
  if (quiet_at_ == kNever) quiet_at_ = now + kQuiet;
}

void Host::on_plaintext(Peer& peer, MutBytes plaintext, const Origin&, TimePoint now) {
  if (peer.leg) return on_leg_packet(peer, plaintext, now);
  std::array<std::uint8_t, Frame::kHeadroom + kReplyCapacity + Frame::kTailroom> storage;
  const MutBytes answer = MutBytes(storage).subspan(Frame::kHeadroom, kReplyCapacity);
  const Inbound::Result result = inbound_.on_packet(peer, plaintext, answer, now);
  verdicts_.count(result.verdict);
  if (result.answer_size == 0) return;
  const Frame frame{storage, Frame::kHeadroom, Frame::kHeadroom + result.answer_size};
  if (!courier_.seal_and_send(peer, frame, now)) verdicts_.count(Verdict::no_session);
}

void Host::on_control(Peer& peer, Bytes plaintext, const Origin& origin, TimePoint now) {
  if (auto response = wire::PathResponse::parse(plaintext))
    return paths_.on_response(peer, *response, origin.direct, now);
  if (auto paths = wire::Paths::parse(plaintext)) return paths_.on_paths(peer, *paths, now);
  if (auto piece = wire::Piece::parse(plaintext)) {
    // What is not a packet is refused there, like any other.
    if (auto whole = sizes_.on_piece(peer, *piece); !whole.empty()) {
      answer_in_time(peer, now);
      on_plaintext(peer, whole, origin, now);
    }
    return;
  }
  if (auto seen = wire::SizeSeen::parse(plaintext)) return sizes_.on_seen(peer, seen->nonce, now);
  if (auto probe = wire::SizeProbe::parse(plaintext)) return sizes_.on_probe(peer, *probe, now);
  if (plaintext.size() == 1 && plaintext[0] == static_cast<std::uint8_t>(wire::Control::close)) {
    rendezvous_.forget(peer);
    peer.direct = DirectPaths{};
    peer.forget_return_path();
    if (!peer.parked.empty()) rendezvous_.contact(peer, now);
    return;
  }
  if (peer.leg && pass_on(peer, plaintext, now)) return;
  if (auto found = wire::NameFound::parse(plaintext))
    return gateway_names_.on_found(peer, *found, now);
  if (auto unknown = wire::UnknownAddress::parse(plaintext))
    return gateway_names_.on_unknown(peer, *unknown, now);
  if (auto note = wire::ClientNote::parse(plaintext)) return on_client_note(peer, *note, now);
  auto control = wire::NonceControl::parse(plaintext);
  if (!control && parts_.edge != nullptr && parts_.edge->on_control(peer, plaintext, now)) return;
  if (!control) {
    verdicts_.count(Verdict::unknown_control);
    return;
  }
  std::array<std::uint8_t, 16> storage;
  Writer writer(storage);
  switch (control->type) {
    case wire::Control::path_challenge:
      return paths_.on_challenge(peer, control->nonce, origin.direct, now);
    case wire::Control::paths_ack:
      if (control->nonce == peer.mine_sequence) TriggerMoves::acknowledged(peer, now);
      return paths_.on_acknowledged(peer, control->nonce);
    case wire::Control::ping:
      peer.last_used = now;
      wire::NonceControl{wire::Control::pong, control->nonce}.write(writer);
      courier_.send_control(peer, writer.written(), now);
      return;
    case wire::Control::pong:
      for (Ping& ping : pings_)
        if (ping.out && ping.nonce == control->nonce && ping.key == peer.key) {
          peer.rtt = now - ping.sent;
          ping.deadline = {};
          ping.done({true, peer.rtt, path_text(peer), {}});
          ping.done = nullptr;
        }
      return finish_pings(now);
    default:
      verdicts_.count(Verdict::unknown_control);
  }
}

// What an allowed peer says of itself: written down, and nothing is decided by it.
void Host::on_client_note(Peer& peer, const wire::ClientNote& note, TimePoint now) {
  if (!client_notes_.take(now)) {
    verdicts_.count(Verdict::too_many_notes);
    return;
  }
  if (peer.clients.size() >= Peer::kMaxClients) peer.clients.pop_front();
  peer.clients.push_back({note.client, note.protocol, note.own_port, note.gateway_port, now});
  parts_.log.info("client",
                  {{"through", peer.name},
                   {"client", note.client.text()},
                   {"protocol", note.protocol == 6 ? "tcp" : std::to_string(note.protocol)},
                   {"port", std::to_string(note.own_port)},
                   {"from_port", std::to_string(note.gateway_port)}});
}

}  // namespace i3
