#include "overlay/client/relayed_client.hh"

#include <algorithm>
#include <utility>

#include "overlay/client/core.hh"

namespace i3 {

RelayedClient::RelayedClient(Relay relay, Random& random, Log& log, RelayedOptions options,
                             ClientEvents& events)
    : relay_(std::move(relay)), random_(random), log_(log), options_(options), events_(events) {
  new_trigger();
}

std::optional<Endpoint> RelayedClient::address() const {
  return relay_.node.reachable(options_.have_v4, options_.have_v6);
}

template <class Message>
bool RelayedClient::send(const Message& message) {
  const auto to = address();
  if (!to) {
    ++counters_.unreachable;
    return false;
  }
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  message.write(writer);
  if (!writer.ok()) {
    ++counters_.too_long;
    return false;
  }
  events_.send(*to, writer.written());
  return true;
}

void RelayedClient::new_trigger() {
  id_ = owner_prefix(relay_.owner->key(), relay_.salt);
  random_.fill(MutBytes(id_.bytes).subspan(16));
  taken_ = false;
  label_ = {};
}

// 1 ask without proof  2 challenge  3 insert with proof  4 inserted, refreshed from then on

void RelayedClient::start(TimePoint now, WallTime) {
  if (step_ == Step::idle) ask(now);
}

void RelayedClient::ask(TimePoint now) {
  step_ = Step::asking;
  proof_.reset();
  tries_ = challenges_ = 0;
  nonce_ = random_.u64() | 1;
  transmit(now);
}

wire::Insert RelayedClient::insertion() {
  wire::Insert insert;
  insert.nonce = nonce_;
  insert.id = id_;
  insert.owner = relay_.owner->key();
  insert.salt = relay_.salt;
  insert.sequence = sequence_;
  insert.lifetime_ms = options_.lifetime_ms;
  return insert;
}

void RelayedClient::transmit(TimePoint now) {
  next_ = now + client::backoff(random_, ++tries_);
  ++counters_.inserts;
  wire::Insert insert = insertion();
  if (!proof_) {
    send(insert);
    return;
  }
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  insert.write_proof(writer, *relay_.owner, proof_->cookie, proof_->observed,
                     proof_->contact.ring_id());
  assert(writer.ok());
  if (const auto to = address()) events_.send(*to, writer.written());
}

bool RelayedClient::on_challenge(const wire::Challenge& challenge, TimePoint now) {
  const bool awaited = step_ == Step::asking || step_ == Step::proving;
  if (!awaited || challenge.nonce != nonce_) return false;
  if (challenge.contact.key != relay_.node.key) {
    ++counters_.wrong_key;
    return true;
  }
  if (++challenges_ > kMaxChallenges) {
    lose("the relay challenges without end", now);
    return true;
  }
  step_ = Step::proving;
  proof_ = challenge;
  proof_until_ = now + kCookieLifetime;
  tries_ = 0;
  ++sequence_;
  nonce_ = random_.u64() | 1;
  transmit(now);
  return true;
}

bool RelayedClient::on_inserted(const wire::Inserted& inserted, TimePoint now) {
  if (step_ != Step::proving || inserted.nonce != nonce_ || inserted.id != id_) return false;
  step_ = Step::standing;
  trouble_.clear();
  nonce_ = 0;
  token_ = inserted.token;
  lifetime_ms_ = inserted.lifetime_ms;
  schedule_refresh(now);
  const bool moved = !(label_ == inserted.label) || !told_;
  label_ = inserted.label;
  if (!moved) return true;
  events_.on_trigger(id_, now);
  if (!std::exchange(told_, true)) events_.on_ready(true, now);
  return true;
}

// Between a sixth and a third of the lifetime, anew each time: two visits keep no common beat.
void RelayedClient::schedule_refresh(TimePoint now) {
  const std::uint64_t sixth = std::max<std::uint64_t>(lifetime_ms_ / 6, 500);
  earliest_ = now + std::chrono::milliseconds(sixth);
  next_ = earliest_ + std::chrono::milliseconds(random_.below(sixth));
  tries_ = 0;
  nonce_ = 0;
}

void RelayedClient::refresh(TimePoint now) {
  if (tries_ >= kRefreshTries) return lose("the relay is silent", now);
  if (nonce_ == 0) nonce_ = random_.u64() | 1;
  ++tries_;
  ++counters_.refreshes;
  next_ = now + kRefreshApart;
  const PublicKey& key = relay_.owner->key();
  send(wire::Refresh{nonce_, key, key, token_});
}

bool RelayedClient::on_refreshed(const wire::Refreshed& refreshed, TimePoint now) {
  if (step_ != Step::standing || nonce_ == 0 || refreshed.nonce != nonce_) return false;
  token_ = refreshed.token;
  if (refreshed.lifetime_ms != 0) lifetime_ms_ = refreshed.lifetime_ms;
  if (refreshed.count == 0)
    ask(now);
  else
    schedule_refresh(now);
  return true;
}

bool RelayedClient::on_refused(const wire::Refused& refused, TimePoint now) {
  if (nonce_ == 0 || refused.nonce != nonce_) return false;
  // It restarted, or our address changed on the way.
  if (step_ == Step::standing && refused.reason == wire::Refusal::unknown_token)
    ask(now);
  else
    lose("the relay refuses the trigger", now);
  return true;
}

void RelayedClient::lose(std::string why, TimePoint now) {
  ++counters_.relays_lost;
  log_.info("relay_lost", {{"why", why}});
  trouble_ = std::move(why);
  step_ = Step::lost;
  next_ = kNever;
  nonce_ = 0;
  if (std::exchange(told_, false)) {
    events_.on_trigger(id_, now);
    events_.on_ready(false, now);
  }
}

void RelayedClient::change(Relay relay, TimePoint now) {
  if (step_ == Step::stopped) return;
  relay_ = std::move(relay);
  new_trigger();
  asked_.clear();
  way_ = {};
  sequence_ = 0;
  told_ = false;
  ask(now);
}

void RelayedClient::network_changed(TimePoint now) {
  // The label stays; the relay has to learn the new address.
  if (step_ == Step::asking || step_ == Step::proving || step_ == Step::standing) ask(now);
}

void RelayedClient::verify(TimePoint now) {
  if (step_ != Step::standing || nonce_ != 0) return;
  next_ = std::max(now, earliest_);
  if (next_ == now) refresh(now);
}

void RelayedClient::set_families(bool have_v4, bool have_v6) {
  options_.have_v4 = have_v4;
  options_.have_v6 = have_v6;
}

Id RelayedClient::take_private(TimePoint) {
  if (taken_ || step_ == Step::stopped) {
    ++counters_.no_room;
    return {};
  }
  taken_ = true;
  return id_;
}

// As long as the cookie is good one datagram removes the trigger; else it runs out by itself.
void RelayedClient::remove(TimePoint now) {
  const auto to = address();
  if (!proof_ || now >= proof_until_ || !to) return;
  ++sequence_;
  nonce_ = random_.u64() | 1;
  wire::Insert insert = insertion();
  insert.remove = true;
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  insert.write_proof(writer, *relay_.owner, proof_->cookie, proof_->observed,
                     proof_->contact.ring_id());
  assert(writer.ok());
  events_.send(*to, writer.written());
}

void RelayedClient::release(const Id& id, TimePoint now) {
  if (id != id_ || step_ == Step::stopped || step_ == Step::idle) return;
  if (step_ != Step::lost) remove(now);
  new_trigger();
  told_ = false;
  if (step_ != Step::lost) ask(now);
}

wire::ReturnPath RelayedClient::path(const Id& id) const {
  wire::ReturnPath path;
  path.id = id;
  const bool stands = told_ && id == id_ && step_ != Step::lost && step_ != Step::stopped;
  if (stands) path.nodes.push_back({relay_.node, label_});
  return path;
}

// Sending by ID: the relay is the entry node, and passes it on as its own.

std::uint64_t RelayedClient::send_by_id(const Id& id, std::uint8_t kind, Bytes payload,
                                        TimePoint now) {
  return send_ids({&id, 1}, 0, kind, payload, now);
}

std::uint64_t RelayedClient::send_stack(std::span<const Id> ids, std::uint8_t kind, Bytes payload,
                                        TimePoint now) {
  return send_ids(ids, wire::IdPacket::kEveryStop, kind, payload, now);
}

std::uint64_t RelayedClient::send_ids(std::span<const Id> ids, std::uint8_t flags,
                                      std::uint8_t kind, Bytes payload, TimePoint now) {
  if (step_ == Step::lost || step_ == Step::stopped || ids.size() > wire::kMaxStack) return 0;
  wire::IdPacket packet;
  packet.kind = kind;
  packet.flags = flags;
  packet.nonce = random_.u64() | 1;
  packet.id_count = ids.size();
  std::copy(ids.begin(), ids.end(), packet.ids.begin());
  packet.payload = payload;
  // Only who meets somebody waits for a word on it.
  const bool transport = kind == 0;
  if (!transport) packet.flags |= wire::IdPacket::kWantNode;
  // A label leads to one ID only.
  if (transport && ids.size() == 1 && send_by_way(packet, now)) return packet.nonce;
  if (!send(packet)) return 0;
  counters_.by_id += transport ? 1 : 0;
  if (transport) return packet.nonce;
  while (!asked_.empty() &&
         (asked_.size() >= kMaxAsked || now - asked_.front().at >= kAnswerWithin))
    asked_.pop_front();
  asked_.push_back({packet.nonce, ids.front(), now});
  return packet.nonce;
}

// Label and all, the way is the relay's own: it is asked for by ID packets, and again now and then.
bool RelayedClient::send_by_way(wire::IdPacket& packet, TimePoint now) {
  if (way_.id != packet.target()) way_ = {packet.target(), {}, {}, {}, 0};
  const bool known = !way_.label.none() && now < way_.until;
  if (now >= way_.next_ask) {
    way_.nonce = packet.nonce;
    way_.next_ask = now + kAskWayAgain;
    packet.flags |= wire::IdPacket::kWantWay;
    return false;
  }
  const auto to = address();
  if (!known || !to) return false;
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  wire::Labelled::write_front(writer, packet.kind, way_.label);
  writer.bytes(packet.payload);
  if (!writer.ok()) return false;
  ++counters_.by_way;
  events_.send(*to, writer.written());
  return true;
}

bool RelayedClient::on_way(const wire::Way& way, TimePoint now) {
  if (way_.nonce == 0 || way.nonce != way_.nonce || way.id != way_.id) return false;
  way_.label = way.label;
  way_.until = now + kWayLifetime;
  way_.next_ask = now + kAskWayAfter;
  return true;
}

void RelayedClient::send_returned(const Endpoint&, const wire::SourceTag& tag, std::uint8_t kind,
                                  Bytes payload) {
  if (step_ != Step::lost && step_ != Step::stopped) send(wire::Returned{kind, tag, payload});
}

bool RelayedClient::asked_for(std::uint64_t nonce, const Id& id, TimePoint now) {
  return std::any_of(asked_.begin(), asked_.end(), [&](const Asked& asked) {
    return asked.nonce == nonce && now - asked.at < kAnswerWithin &&
           asked.id.common_prefix(id) >= Id::kMinimumMatch;
  });
}

template <class Message, class Take>
void RelayedClient::take(Bytes message, Take&& taken) {
  const auto parsed = Message::parse(message);
  if (!parsed)
    ++counters_.malformed;
  else if (!taken(*parsed))
    ++counters_.unsolicited;
}

void RelayedClient::on_packet(Bytes message, TimePoint now) {
  const auto packet = wire::IdPacket::parse(message);
  if (!packet || !(packet->flags & wire::IdPacket::kDelivered)) {
    ++counters_.malformed;
  } else if (packet->target() != id_) {
    ++counters_.unknown_id;
  } else {
    events_.on_packet(*packet, *address(), now);
  }
}

void RelayedClient::on_message(const Endpoint& from, Bytes message, TimePoint now, WallTime) {
  using wire::Type;
  if (step_ == Step::stopped || step_ == Step::idle) return;
  if (!relay_.node.owns(from)) {
    ++counters_.foreign;
    return;
  }
  const auto header = wire::Header::parse(message);
  if (!header || message.size() > wire::kMaxMessage) {
    ++counters_.malformed;
    return;
  }
  switch (header->type) {
    case Type::packet:
      return on_packet(message, now);
    case Type::returned:
      return take<wire::Returned>(message, [&](const wire::Returned& returned) {
        events_.on_returned(returned.kind, returned.payload, from, now);
        return true;
      });
    case Type::forwarded:
      return take<wire::Forwarded>(message, [&](const wire::Forwarded& forwarded) {
        if (!asked_for(forwarded.nonce, forwarded.id, now)) return false;
        events_.on_forwarded(forwarded.nonce, forwarded, now);
        return true;
      });
    case Type::way:
      return take<wire::Way>(message, [&](const wire::Way& way) { return on_way(way, now); });
    case Type::no_label:
      return take<wire::NoLabel>(message, [&](const wire::NoLabel& absent) {
        if (way_.label.none() || !(absent.label == way_.label)) return false;
        way_ = {};
        return true;
      });
    case Type::not_present:
      return take<wire::NotPresent>(message, [&](const wire::NotPresent& absent) {
        if (!asked_for(absent.nonce, absent.id, now)) return false;
        events_.on_not_present(absent.nonce, absent.id, now);
        return true;
      });
    case Type::challenge:
      return take<wire::Challenge>(message, [&](const auto& m) { return on_challenge(m, now); });
    case Type::inserted:
      return take<wire::Inserted>(message, [&](const auto& m) { return on_inserted(m, now); });
    case Type::refreshed:
      return take<wire::Refreshed>(message, [&](const auto& m) { return on_refreshed(m, now); });
    case Type::refused:
      return take<wire::Refused>(message, [&](const auto& m) { return on_refused(m, now); });
    default:
      ++counters_.unexpected_type;
  }
}

TimePoint RelayedClient::next_deadline() const {
  return next_;
}

void RelayedClient::on_timer(TimePoint now, WallTime) {
  if (now < next_) return;
  next_ = kNever;
  switch (step_) {
    case Step::standing:
      return refresh(now);
    case Step::asking:
    case Step::proving:
      if (tries_ >= kTries) return lose("the relay does not answer", now);
      return transmit(now);
    case Step::idle:
    case Step::lost:
    case Step::stopped:
      break;
  }
}

void RelayedClient::stop(TimePoint now) {
  if (step_ != Step::idle && step_ != Step::lost && step_ != Step::stopped) remove(now);
  step_ = Step::stopped;
  next_ = kNever;
  told_ = false;
}

}  // namespace i3
