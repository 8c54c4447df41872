// The way of an ID packet: from a host or another node to the triggers that match, and back.
#include "overlay/node/node_core.hh"

namespace i3 {
namespace {
// After joining, the node that owned the range before still holds its triggers for so long.
constexpr Duration kHandOver = std::chrono::seconds(30);
constexpr std::size_t kMostCopies = wire::kDefaultCopies;
// Between nodes a hop limit with this bit means: handed to you because you may have owned the range
// before; the other bits say how often it may still be handed on among nodes that are new
// themselves. Nobody routes such a packet.
constexpr std::uint8_t kHanded = 0x80;
constexpr std::uint8_t kHandOvers = 3;
// What a handed packet has left where a trigger leads it to another ID.
constexpr std::uint8_t kHopsAfterHandOver = 8;
}  // namespace

struct NodeCore::Packet {
  wire::IdPacket ids;
  PacketSource source;
  std::optional<RingId> sender;        // the member that passed it on
  std::size_t arrived_size = 0;        // of the whole datagram: no answer is longer
  std::optional<std::uint8_t> handed;  // see kHanded: the hand-overs left
};

// 1 limits  2 what the host does not decide  3 on its way
void NodeCore::on_host_packet(const Endpoint& from, Bytes message, TimePoint now) {
  auto parsed = wire::IdPacket::parse(message);
  if (!parsed || (parsed->flags & wire::IdPacket::kDelivered)) return counters_.add("malformed");
  if (!limits_.packet(from, now)) return counters_.add("source_limit");
  if (!ring_ready()) return counters_.add("packet_not_ready");
  Packet packet;
  packet.ids = *parsed;
  packet.ids.tag = {};
  packet.ids.hop_limit = std::clamp<std::uint8_t>(parsed->hop_limit, 1, wire::kDefaultHops);
  packet.ids.copies = std::clamp<std::uint8_t>(parsed->copies, 1, kMostCopies);
  packet.source.host = from;
  packet.source.entry = chord_->self();
  packet.arrived_size = message.size();
  packet.source.origin = returns_.note(packet.source, message.size(), now);
  counters_.add("id_packets");
  route(std::move(packet), now);
}

void NodeCore::on_forward(const wire::NodeContact& sender, Bytes body, std::size_t size,
                          TimePoint now) {
  const auto forwarded = wire::ForwardBody::parse(body);
  auto parsed = forwarded ? wire::IdPacket::parse(forwarded->packet) : std::nullopt;
  if (!parsed || (parsed->flags & wire::IdPacket::kDelivered))
    return counters_.add("ring_malformed");
  if (!ring_ready()) return counters_.add("packet_not_ready");
  Packet packet;
  packet.ids = *parsed;
  if (parsed->hop_limit & kHanded) {
    packet.handed = std::min<std::uint8_t>(parsed->hop_limit & ~kHanded, kHandOvers);
    packet.ids.hop_limit = kHopsAfterHandOver;
  } else {
    packet.ids.hop_limit = std::min(parsed->hop_limit, wire::kDefaultHops);
  }
  packet.ids.copies = std::clamp<std::uint8_t>(parsed->copies, 1, kMostCopies);
  packet.source.entry = forwarded->entry;
  packet.source.origin = forwarded->origin;
  packet.sender = sender.ring_id();
  packet.arrived_size = size;
  if (forwarded->entry.key == identity_.key()) {
    // It came back to where it entered: its source is one of ours.
    const ReturnTable::Way* known = returns_.find(forwarded->origin, now);
    if (!known || (!known->step && !known->source.direct()))
      return counters_.add("packet_unknown_origin");
    if (!known->step) packet.source = known->source;
    packet.source.entry = chord_->self();
    packet.source.origin = forwarded->origin;
  }
  counters_.add("forwarded_packets");
  route(std::move(packet), now);
}

// 1 rows here, whoever owns the ID, but a group's only at its owner  2 ours, but not present
// 3 to the next node
void NodeCore::route(Packet packet, TimePoint now) {
  const bool nearest = (packet.ids.flags & wire::IdPacket::kNearest) != 0;
  const auto matches = nearest ? triggers_.nearest(packet.ids.target(), packet.ids.copies, now)
                               : triggers_.match(packet.ids.target(), packet.ids.copies, now);
  // A replica of a group's ID on the way may know a part of its members only: the owner decides.
  const bool whole = !matches.empty() && (packet.handed || !matches.front().delegated);
  if (whole) return deliver_all(packet, matches, now);
  if (packet.handed) return hand_over(std::move(packet), *packet.handed, now);
  const RingId position = packet.ids.target().ring();
  const auto next = chord_->route(position, packet.sender, now);
  switch (next.kind) {
    case Chord::Route::Kind::none:
      if (!matches.empty()) return deliver_all(packet, matches, now);
      return counters_.add("packet_no_route");
    case Chord::Route::Kind::next:
      if (packet.ids.hop_limit <= 1) return counters_.add("hop_limit");
      return forward(packet, next.next, static_cast<std::uint8_t>(packet.ids.hop_limit - 1), now);
    case Chord::Route::Kind::self:
      if (!matches.empty()) return deliver_all(packet, matches, now);
      return hand_over(std::move(packet), kHandOvers, now);
  }
}

// A node that has just taken over a range lets the one before it answer for what it does not have.
void NodeCore::hand_over(Packet packet, std::uint8_t left, TimePoint now) {
  const RingPeer* successor = chord_->view().successor();
  if (!successor || left == 0 || chord_->member_since() + kHandOver <= now)
    return absent(std::move(packet), now);
  counters_.add("handed_to_old_owner");
  forward(packet, *successor, static_cast<std::uint8_t>(kHanded | (left - 1)), now);
}

// Seed 001, 2.4: an ID that nothing matches is passed over while the stack holds another one,
// unless the packet says that it must not.
void NodeCore::absent(Packet packet, TimePoint now) {
  if (packet.ids.id_count > 1 && !(packet.ids.flags & wire::IdPacket::kEveryStop)) {
    // What could not be tried is not said to be absent.
    if (packet.ids.hop_limit <= 1) return counters_.add("hop_limit");
    std::copy(packet.ids.ids.begin() + 1, packet.ids.ids.end(), packet.ids.ids.begin());
    --packet.ids.id_count;
    --packet.ids.hop_limit;
    packet.sender.reset();
    packet.handed.reset();
    return route(std::move(packet), now);
  }
  counters_.add("not_present");
  tell_source(packet, wire::NotPresent{packet.ids.nonce, packet.ids.target()}, now);
}

// The copy budget is split among the copies; targets that are IDs go on as packets of their own.
void NodeCore::deliver_all(const Packet& packet, std::span<const TriggerTable::Match> matches,
                           TimePoint now) {
  struct Onward {
    std::array<Id, wire::kMaxStack> ids{};
    std::size_t count = 0;
    std::uint8_t flags = 0;
    ChainStep step;
  };
  std::vector<Onward> onward;
  const auto count = static_cast<std::uint8_t>(matches.size());
  const auto share = static_cast<std::uint8_t>(packet.ids.copies / count);
  wire::SourceTag tag = packet.source.origin;
  if (!packet.source.direct()) {
    // Behind its entry node a source is known by that node and its tag only.
    tag = returns_.note(packet.source, packet.arrived_size, now);
    if (!limits_.tagged(tag, now)) return counters_.add("source_limit");
  }
  for (const TriggerTable::Match& match : matches) {
    if (!triggers_.within_rate(match.slot, now)) {
      counters_.add("trigger_rate");
      continue;
    }
    wire::IdPacket out = packet.ids;
    if (match.target) {
      // The ID that matched stays in front: it tells the host which of its triggers this is for.
      out.flags = wire::IdPacket::kDelivered;
      out.copies = share;
      out.tag = tag;
      counters_.add("delivered");
      answer(*match.target, out);
      continue;
    }
    Onward next;
    next.count = match.stack.size() + out.id_count - 1;
    if (next.count > wire::kMaxStack) {
      counters_.add("stack_too_long");
      continue;
    }
    auto rest = std::copy(match.stack.begin(), match.stack.end(), next.ids.begin());
    std::copy_n(out.ids.begin() + 1, out.id_count - 1, rest);
    next.flags = packet.ids.flags & wire::IdPacket::kEveryStop;
    if (match.every_stop) next.flags = wire::IdPacket::kEveryStop;
    next.step = {match.slot, triggers_.generation(match.slot), packet.ids.target()};
    onward.push_back(next);
  }
  if (packet.ids.flags & wire::IdPacket::kWantNode)
    tell_source(packet,
                wire::Forwarded{packet.ids.nonce, count, packet.ids.target(), chord_->self()}, now);
  if ((packet.ids.flags & wire::IdPacket::kWantWay) && count == 1 && matches[0].target)
    tell_source(
        packet,
        wire::Way{packet.ids.nonce, packet.ids.target(), triggers_.label_of(matches[0].slot)}, now);
  // Only now: routing may change the table that `matches` borrows from.
  for (const Onward& next : onward) {
    if (packet.ids.hop_limit <= 1) {
      counters_.add("hop_limit");
      continue;
    }
    Packet copy = packet;
    copy.ids.ids = next.ids;
    copy.ids.id_count = next.count;
    copy.ids.copies = std::max<std::uint8_t>(share, 1);
    copy.ids.flags = next.flags;
    copy.source = through(packet.source, next.step, packet.arrived_size, now);
    --copy.ids.hop_limit;
    copy.sender.reset();
    copy.handed.reset();
    route(std::move(copy), now);
  }
}

void NodeCore::forward(const Packet& packet, const RingPeer& next, std::uint8_t hop_limit,
                       TimePoint now) {
  wire::IdPacket out = packet.ids;
  out.hop_limit = hop_limit;
  std::array<std::uint8_t, wire::kMaxMessage> inner, outer;
  Writer packet_writer(inner), body_writer(outer);
  out.write(packet_writer);
  wire::ForwardBody body{packet.source.direct() ? chord_->self() : packet.source.entry,
                         packet.source.origin, packet_writer.written()};
  body.write(body_writer);
  if (!packet_writer.ok() || !body_writer.ok()) return counters_.add("packet_too_long");
  counters_.add("packets_passed_on");
  send(next.contact, wire::RingKind::forward, body_writer.written(), chord_->way_to(next.id, now));
}

// Straight to the host, or by its entry node; never longer than what it answers, and paid for from
// what the source has sent.
template <class Message>
void NodeCore::tell_source(const Packet& packet, const Message& message, TimePoint now) {
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  message.write(writer);
  if (packet.source.direct()) {
    if (writer.size() > packet.arrived_size ||
        !returns_.spend(packet.source.origin, writer.size(), now))
      return counters_.add("answer_too_long");
    return io_.send(packet.source.host, writer.written());
  }
  pass_back(packet.source, writer.written(), now);
}

// To a host that entered the overlay here; nobody else was told its address.
void NodeCore::on_reply(const Endpoint& from, const wire::NodeContact& sender, Bytes body,
                        TimePoint now) {
  const auto reply = wire::ReplyBody::parse(body);
  const auto header = reply ? wire::Header::parse(reply->message) : std::nullopt;
  if (!header) return counters_.add("ring_malformed");
  const bool allowed = header->type == wire::Type::forwarded ||
                       header->type == wire::Type::not_present || header->type == wire::Type::way ||
                       header->type == wire::Type::returned;
  if (!allowed) return counters_.add("reply_wrong_type");
  if (header->type == wire::Type::way) return open_passage(from, sender, *reply, now);
  answer_arrived(reply->origin, reply->message, now);
}

// The host is told a label of ours, so that it need not send to the other node itself.
void NodeCore::open_passage(const Endpoint& from, const wire::NodeContact& sender,
                            const wire::ReplyBody& reply, TimePoint now) {
  auto way = wire::Way::parse(reply.message);
  if (!way || !sender.owns(from) || way->label.none() || Passages::names(way->label))
    return counters_.add("ring_malformed");
  const ReturnTable::Way* source = returns_.find(reply.origin, now);
  if (!source || source->step || !source->source.direct())
    return counters_.add("reply_unknown_origin");
  const Endpoint host = source->source.host;
  if (!returns_.spend(reply.origin, reply.message.size(), now))
    return counters_.add("answer_too_long");
  const auto label = passages_.open(host, {from, way->label}, now);
  if (!label) return counters_.add("passages_full");
  counters_.add("passages_opened");
  way->label = *label;
  answer(host, *way);
}

// A receiver answers along the tag that we stamped.
void NodeCore::on_returned(const Endpoint& from, Bytes message, TimePoint now) {
  const auto returned = wire::Returned::parse(message);
  if (!returned) return counters_.add("malformed");
  if (!limits_.packet(from, now)) return counters_.add("source_limit");
  const ReturnTable::Way* way = returns_.find(returned->tag, now);
  // Nobody is told the tag of a step.
  if (!way || way->step || !ring_ready()) return counters_.add("returned_unknown_tag");
  const PacketSource source = way->source;
  if (!returns_.spend(returned->tag, message.size(), now)) return counters_.add("answer_too_long");
  counters_.add("returned");
  if (source.direct()) return io_.send(source.host, message);
  pass_back(source, message, now);
}

}  // namespace i3
