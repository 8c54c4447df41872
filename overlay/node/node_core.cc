#include "overlay/node/node_core.hh"

namespace i3 {

NodeCore::NodeCore(NodeCoreSettings settings, const Identity& identity, Random& random, Log& log,
                   NodeIo& io)
    : settings_(std::move(settings)),
      identity_(identity),
      random_(random),
      log_(log),
      io_(io),
      triggers_(settings_.triggers, random),
      admission_(triggers_, random),
      records_(settings_.records),
      link_(identity, settings_.operator_key, settings_.membership),
      returns_(random, settings_.most_returns),
      passages_(random, settings_.most_passages),
      limits_(settings_.sources),
      reach_secret_(random.array<32>()) {
  settings_.contact.key = identity.key();
}

NodeCore::~NodeCore() = default;

void NodeCore::start(TimePoint now) {
  if (settings_.contact.v4 || settings_.contact.v6) return begin_ring(now);
  learn_address(now);
}

void NodeCore::begin_ring(TimePoint now) {
  learn_next_ = kNever;
  ChordOutput& output = *this;
  chord_ = std::make_unique<Chord>(settings_.chord, settings_.contact, random_, log_, output);
  chord_->start(settings_.join, now);
}

void NodeCore::leave(TimePoint now) {
  if (chord_) chord_->leave(now);
}

void NodeCore::learn_address(TimePoint now) {
  if (learn_nonce_ == 0) learn_nonce_ = random_.u64() | 1;
  for (const ChordSeed& seed : settings_.join) probe(seed.address, learn_nonce_);
  const Duration wait = std::chrono::milliseconds(500) * (1 << std::min(learn_tries_++, 5u));
  learn_next_ = now + wait;
}

// 1 the fast path  2 everything else by its type
NodeCore::Verdict NodeCore::on_datagram(const Endpoint& from, Bytes message, TimePoint now,
                                        WallTime wall) {
  now_ = now;
  const auto header = wire::Header::parse(message);
  if (header && header->type == wire::Type::labelled) return relay(from, message, now);
  if (!header || message.size() > wire::kMaxMessage || !from.valid() || from.address.multicast()) {
    counters_.add("malformed");
    return {};
  }
  switch (header->type) {
    case wire::Type::packet:
      on_host_packet(from, message, now);
      break;
    case wire::Type::returned:
      on_returned(from, message, now);
      break;
    case wire::Type::probe:
      on_probe(from, message, now);
      break;
    case wire::Type::probe_reply:
      on_probe_reply(from, message, now, wall);
      break;
    case wire::Type::lookup:
      on_lookup(from, message, now);
      break;
    case wire::Type::insert:
      on_insert(from, message, now, wall);
      break;
    case wire::Type::refresh:
      on_refresh(from, message, now, wall);
      break;
    case wire::Type::no_label:
      on_no_label(from, message);
      break;
    case wire::Type::reach:
      on_reach(from, message, now);
      break;
    case wire::Type::step:
      on_step(from, message, now);
      break;
    case wire::Type::record_put:
      on_record_put(from, message, now);
      break;
    case wire::Type::record_ask:
      on_record_ask(from, message, now);
      break;
    case wire::Type::ring:
      on_ring(from, message, now, wall);
      break;
    default:
      counters_.add("unexpected_type");
  }
  return {};
}

NodeCore::Verdict NodeCore::relay(const Endpoint& from, Bytes message, TimePoint now) {
  const auto labelled = wire::Labelled::parse(message);
  if (!labelled || message.size() > wire::kMaxMessage) {
    counters_.add("malformed");
    return {};
  }
  if (Passages::names(labelled->label)) {
    pass_on(from, message, labelled->label, now);
    return {};
  }
  const auto found = triggers_.by_label(labelled->label, now);
  switch (found.verdict) {
    case TriggerTable::Relay::forward:
      ++relayed_packets_;
      relayed_bytes_ += message.size();
      return {true, found.target};
    case TriggerTable::Relay::limited:
      counters_.add("trigger_rate");
      return {};
    case TriggerTable::Relay::no_label:
      counters_.add("no_label");
      answer(from, wire::NoLabel{labelled->label});
  }
  return {};
}

// Under the other node's label, and from our address.
void NodeCore::pass_on(const Endpoint& from, Bytes message, wire::Label label, TimePoint now) {
  const Passages::Onward* onward = passages_.find(label, from, now);
  if (!onward) {
    counters_.add("no_label");
    return answer(from, wire::NoLabel{label});
  }
  ++relayed_packets_;
  relayed_bytes_ += message.size();
  std::array<std::uint8_t, wire::kMaxMessage> copy;
  std::copy(message.begin(), message.end(), copy.begin());
  Writer writer(MutBytes(copy).subspan(wire::kHeaderSize));
  onward->label.write(writer);
  io_.send(onward->node, Bytes(copy).first(message.size()));
}

// From where a passage leads to: that way is closed. Of others it means nothing.
void NodeCore::on_no_label(const Endpoint& from, Bytes message) {
  const auto absent = wire::NoLabel::parse(message);
  if (!absent) return counters_.add("malformed");
  const auto closed = passages_.close(from, absent->label);
  counters_.add(closed.empty() ? "no_label_unknown" : "passages_closed");
  for (const Passages::Closed& one : closed) answer(one.host, wire::NoLabel{one.label});
}

std::optional<wire::RingMessage> NodeCore::open_ring(const Endpoint& from, Bytes message,
                                                     TimePoint now, WallTime wall) {
  auto opened = link_.open(message, wall, [&] {
    return limits_.verification(from, SourceLimits::Address::unproven, now);
  });
  switch (opened.fault) {
    case RingLink::Fault::none:
      return std::move(opened.message);
    case RingLink::Fault::malformed:
      counters_.add("ring_malformed");
      break;
    case RingLink::Fault::own_key:
      counters_.add("ring_own_key");
      break;
    case RingLink::Fault::no_membership:
      counters_.add("ring_no_membership");
      break;
    case RingLink::Fault::refused:
      counters_.add("source_limit");
      break;
    case RingLink::Fault::bad_mac:
      counters_.add("ring_bad_mac");
  }
  return std::nullopt;
}

// 1 who sealed it  2 for another member: passed on  3 through another member: what is inside
void NodeCore::on_ring(const Endpoint& from, Bytes message, TimePoint now, WallTime wall) {
  if (!chord_) return counters_.add("ring_not_member");
  const auto outer = open_ring(from, message, now, wall);
  if (!outer) return;
  const auto address = outer->sender.reachable(settings_.have_v4, settings_.have_v6);
  if (address && !chord_->proven(outer->sender, nullptr, now))
    answering_ = {*address, message.size()};
  take_ring(from, *outer, message.size(), now, wall);
  answering_.reset();
}

void NodeCore::take_ring(const Endpoint& from, const wire::RingMessage& outer, std::size_t size,
                         TimePoint now, WallTime wall) {
  if (outer.kind == wire::RingKind::relay) return on_relay(outer.sender, outer.body, now);
  std::optional<wire::RingMessage> inner;
  if (outer.kind == wire::RingKind::relayed) {
    inner = open_ring(from, outer.body, now, wall);
    if (!inner) return;
    if (inner->kind == wire::RingKind::relay || inner->kind == wire::RingKind::relayed)
      return counters_.add("ring_malformed");
  }
  const wire::RingMessage& ring = inner ? *inner : outer;
  if (ring.kind == wire::RingKind::forward) return on_forward(ring.sender, ring.body, size, now);
  if (ring.kind == wire::RingKind::reply) return on_reply(from, ring.sender, ring.body, now);
  if (ring.kind == wire::RingKind::reach_for) return on_reach_for(ring.body, now);
  chord_->on_message(ring.sender, ring.kind, wire::unpadded(ring.kind, ring.body), now,
                     inner ? &outer.sender : nullptr);
  settings_.contact = chord_->self();
}

// Two members that cannot reach each other; each seals for the other, we only carry.
void NodeCore::on_relay(const wire::NodeContact& sender, Bytes body, TimePoint now) {
  const auto relay = wire::RelayBody::parse(body);
  if (!relay) return counters_.add("ring_malformed");
  if (!chord_->may_relay(sender, relay->to, now)) return;
  counters_.add("ring_relayed");
  send(relay->to, wire::RingKind::relayed, relay->message, nullptr);
}

namespace {
// What a node sends to whoever has proven nothing; all else follows a proof, or is its own
// question.
bool answers_anybody(wire::RingKind kind) {
  return kind == wire::RingKind::ping || kind == wire::RingKind::pong ||
         kind == wire::RingKind::taken || kind == wire::RingKind::reply;
}
}  // namespace

void NodeCore::send(const wire::NodeContact& to, wire::RingKind kind, Bytes body,
                    const wire::NodeContact* via) {
  const wire::NodeContact& next = via ? *via : to;
  const auto address = next.reachable(settings_.have_v4, settings_.have_v6);
  if (!address) return counters_.add("ring_unreachable_family");
  std::array<std::uint8_t, wire::kMaxMessage> buffer, inner_buffer, relay_buffer, padded_buffer;
  Writer writer(buffer), padded(padded_buffer);
  bool sealed;
  // The other member of a relayed question's answer is proven by then.
  if (via ? !answering_ || answering_->to != *address : !chord_->knows_us(to, now_)) {
    padded.bytes(body);
    padded.zeros(wire::question_padding(kind, chord_->self(), to, via,
                                        settings_.membership.has_value(), body.size()));
    body = padded.written();
  }
  if (via) {
    Writer inner(inner_buffer), relay(relay_buffer);
    sealed = link_.seal(inner, chord_->self(), to, kind, body);
    wire::RelayBody{to, inner.written()}.write(relay);
    sealed = sealed && relay.ok() &&
             link_.seal(writer, chord_->self(), next, wire::RingKind::relay, relay.written());
  } else {
    sealed = link_.seal(writer, chord_->self(), to, kind, body);
  }
  if (!sealed) return counters_.add("ring_unsendable");
  // What has just come may have proven it.
  if (answering_ && answers_anybody(kind) && answering_->to == *address &&
      !chord_->proven(to, via, now_)) {
    if (writer.size() > answering_->left) return counters_.add("ring_short_question");
    answering_->left -= writer.size();
  }
  io_.send(*address, writer.written());
}

void NodeCore::probe(const Endpoint& to, std::uint64_t nonce) {
  answer(to, wire::Probe{nonce});
}

TimePoint NodeCore::next_deadline() const {
  const TimePoint next = std::min({learn_next_, triggers_.next_deadline(), records_.next_expiry()});
  return chord_ ? std::min(next, chord_->next_deadline()) : next;
}

void NodeCore::on_timer(TimePoint now, WallTime) {
  now_ = now;
  triggers_.expire(now);
  records_.expire(now);
  if (learn_next_ <= now) learn_address(now);
  if (!chord_) return;
  chord_->on_timer(now);
  settings_.contact = chord_->self();
}

std::map<std::string, std::uint64_t, std::less<>> NodeCore::counters() const {
  auto all = counters_.all();
  all["relayed_packets"] = relayed_packets_;
  all["relayed_bytes"] = relayed_bytes_;
  return all;
}

}  // namespace i3
