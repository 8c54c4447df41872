// Owns all that somebody who has proven nothing can say to a node: one of every message, of random
// content, questions and answers to questions of nobody alike.
#pragma once

#include "overlay/node/node_core.hh"
#include "overlay/wire/records.hh"

namespace i3::test {

using Message = std::vector<std::uint8_t>;

template <class What, class... More>
Message bytes_of(const What& message, const More&... more) {
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  message.write(writer, more...);
  assert(writer.ok());
  return {writer.written().begin(), writer.written().end()};
}

// A stranger with a key of its own, at an address that may be forged, and the node that it talks
// to.
class Stranger {
 public:
  Stranger(const Identity& identity, const wire::NodeContact& node, const Id& known, Random& random)
      : identity_(identity), node_(node), known_(known), random_(random) {}

  static constexpr unsigned kKinds = 46;
  static constexpr unsigned kRing = 28;  // those from here on are messages between nodes
  static std::string_view name(unsigned kind) { return kNames[kind]; }

  // `known` of the constructor is an ID that somebody holds a trigger for.
  Message say(unsigned kind, const Endpoint& from) {
    if (kind >= kRing) return ring(kind, from);
    const std::uint64_t nonce = random_.u64() | 1;
    const Id own = owner_prefix(identity_.key(), static_cast<std::uint32_t>(random_.below(2)));
    switch (kind) {
      case 0:
        return bytes_of(wire::Probe{nonce});
      case 1:
        return bytes_of(wire::Lookup{nonce, RingId{random_.u64(), random_.u64()}});
      case 2:
        return bytes_of(insertion(nonce));
      case 3: {
        std::array<std::uint8_t, wire::kMaxMessage> buffer;
        Writer writer(buffer);
        insertion(nonce).write_proof(writer, identity_, random_.array<16>(), from, node_.ring_id());
        return {writer.written().begin(), writer.written().end()};
      }
      case 4:
        return bytes_of(
            wire::Refresh{nonce, identity_.key(), identity_.key(), random_.array<16>()});
      case 5:
        return bytes_of(id_packet(own, 0, nonce));
      case 6:
        return bytes_of(id_packet(own, wire::IdPacket::kWantNode, nonce));
      case 7:
        return bytes_of(
            id_packet(known_, wire::IdPacket::kWantNode | wire::IdPacket::kWantWay, nonce));
      case 8:
        return bytes_of(
            id_packet(known_, wire::IdPacket::kWantNode | wire::IdPacket::kNearest, nonce));
      case 9: {
        Message buffer(wire::kLabelledSize);
        Writer writer(buffer);
        wire::Labelled::write_front(writer, 0, {static_cast<std::uint32_t>(random_.below(3)), 7});
        const Message text = some_bytes();
        buffer.insert(buffer.end(), text.begin(), text.end());
        return buffer;
      }
      case 10: {
        const Message text = some_bytes();
        wire::Returned returned;
        returned.tag = random_.array<8>();
        returned.payload = text;
        return bytes_of(returned);
      }
      case 11:
        return bytes_of(wire::NotPresent{nonce, own});
      case 12:
        return bytes_of(wire::NoLabel{{1, 2}});
      case 13: {
        wire::ProbeReply reply;
        reply.nonce = nonce;
        reply.contact = contact(from);
        reply.observed = from;
        return bytes_of(reply, identity_);
      }
      case 14:
        return some_bytes();
      case 15: {
        Message junk = bytes_of(wire::Lookup{nonce, RingId{}});
        junk[random_.below(junk.size())] ^= static_cast<std::uint8_t>(1 + random_.below(255));
        return junk;
      }
      case 16: {
        Message any{wire::kVersion, static_cast<std::uint8_t>(random_.below(80)),
                    static_cast<std::uint8_t>(random_.below(40)),
                    static_cast<std::uint8_t>(random_.below(4))};
        const Message text = some_bytes();
        any.insert(any.end(), text.begin(), text.end());
        return any;
      }
      case 17:
      case 18:
      case 19:
      case 20: {
        const auto how = static_cast<wire::ReachHow>(kind - 17);
        return bytes_of(wire::Reach{how, nonce, how == wire::ReachHow::seen ? Endpoint{} : from,
                                    random_.array<16>()});
      }
      case 21:
        return bytes_of(wire::Step{nonce, own});
      case 22:
        return bytes_of(wire::Step{nonce, known_});
      case 23: {
        wire::RecordPut put;
        put.nonce = nonce;
        if (random_.below(2) == 0) put.cookie = random_.array<16>();
        put.record = KeyRecord::revoke(identity_, 1'750'000'000'000'000'000);
        return bytes_of(put);
      }
      case 24:
        return bytes_of(wire::RecordAsk{nonce, identity_.key()});
      case 25:
        return bytes_of(wire::Forwarded{nonce, 1, own, contact(from)});
      case 26:
        return bytes_of(wire::Way{nonce, own, {1, 2}});
      default:
        return bytes_of(wire::Reached{wire::ReachHow::other_node, nonce});
    }
  }

 private:
  static constexpr std::array<std::string_view, kKinds> kNames{
      "probe",
      "lookup",
      "insert",
      "insert with a proof",
      "refresh",
      "packet",
      "packet, want node",
      "packet to a trigger, want node and way",
      "packet to the nearest triggers",
      "labelled",
      "returned",
      "not_present",
      "no_label",
      "probe_reply",
      "noise",
      "a changed bit",
      "any header",
      "reach, seen",
      "reach, same port",
      "reach, other port",
      "reach, other node",
      "step",
      "step to a trigger",
      "record_put",
      "record_ask",
      "forwarded",
      "way",
      "reached",
      "ring ping",
      "ring pong",
      "ring state_request, successors",
      "ring state_request, fingers",
      "ring state",
      "ring notify",
      "ring find",
      "ring find by path",
      "ring found",
      "ring forward",
      "ring forward to a trigger",
      "ring reply",
      "ring leave",
      "ring taken",
      "ring relay",
      "ring relayed",
      "ring reach_for",
      "ring message with a wrong body"};

  Message some_bytes() {
    Message text(random_.below(300));
    random_.fill(text);
    return text;
  }
  wire::Insert insertion(std::uint64_t nonce) const {
    wire::Insert insert;
    insert.nonce = nonce;
    insert.owner = identity_.key();
    insert.id = public_id(identity_.key());
    insert.sequence = nonce;
    return insert;
  }
  wire::IdPacket id_packet(const Id& to, std::uint8_t flags, std::uint64_t nonce) {
    payload_ = some_bytes();
    wire::IdPacket packet;
    packet.flags = flags;
    packet.nonce = nonce;
    packet.id_count = 1 + random_.below(4);
    for (Id& next : packet.ids) next = to;
    packet.payload = payload_;
    return packet;
  }
  wire::NodeContact contact(const Endpoint& from) const {
    wire::NodeContact self;
    self.key = identity_.key();
    (from.address.is_v4() ? self.v4 : self.v6) = from;
    return self;
  }

  // Sealed with the stranger's own key: in an open ring anybody can say so much.
  Message ring(unsigned kind, const Endpoint& from) {
    using wire::RingKind;
    const std::uint64_t nonce = random_.u64() | 1;
    const RingId position{random_.u64(), random_.u64()};
    const wire::NodeContact self = contact(from);
    using Asked = wire::StateRequestBody;
    switch (kind - kRing) {
      case 0:
        return sealed(self, RingKind::ping, bytes_of(wire::NonceBody{nonce}));
      case 1:
        return sealed(self, RingKind::pong, bytes_of(wire::PongBody{nonce, nonce}));
      case 2:
        return sealed(self, RingKind::state_request,
                      bytes_of(Asked{nonce, Asked::kSuccessors | Asked::kNotify, 0}));
      case 3:
        return sealed(self, RingKind::state_request, bytes_of(Asked{nonce, Asked::kFingers, 0}));
      case 4:
        return sealed(self, RingKind::state, bytes_of(wire::StateBody{nonce, 0, {}, {}, {}}));
      case 5:
        return sealed(self, RingKind::notify, {});
      case 6:
      case 7: {
        wire::FindBody find{nonce, nonce, random_.below(2) == 0 ? 0 : nonce, position, 0, 0, self};
        find.flags = kind - kRing == 7 ? wire::FindBody::kByPath : 0;
        return sealed(self, RingKind::find, bytes_of(find));
      }
      case 8:
        return sealed(self, RingKind::found, bytes_of(wire::FoundBody{nonce, position, 1, {self}}));
      case 9:
      case 10: {
        const Id to = kind - kRing == 9 ? owner_prefix(identity_.key(), 7) : known_;
        const Message packet =
            bytes_of(id_packet(to, wire::IdPacket::kWantNode | wire::IdPacket::kWantWay, nonce));
        return sealed(self, RingKind::forward,
                      bytes_of(wire::ForwardBody{self, random_.array<8>(), packet}));
      }
      case 11: {
        const Message absent = bytes_of(wire::NotPresent{nonce, known_});
        return sealed(self, RingKind::reply, bytes_of(wire::ReplyBody{random_.array<8>(), absent}));
      }
      case 12:
        return sealed(self, RingKind::leave, bytes_of(wire::LeaveBody{nonce, {}, {self}}));
      case 13:
        return sealed(self, RingKind::taken, bytes_of(wire::NonceBody{nonce}));
      case 14: {
        const Message inner = sealed(self, RingKind::ping, bytes_of(wire::NonceBody{nonce}));
        return sealed(self, RingKind::relay, bytes_of(wire::RelayBody{self, inner}));
      }
      case 15: {
        const Message inner = sealed(self, RingKind::ping, bytes_of(wire::NonceBody{nonce}));
        return sealed(self, RingKind::relayed, inner);
      }
      case 16:
        return sealed(self, RingKind::reach_for, bytes_of(wire::ReachForBody{nonce, from}));
      default:
        return sealed(self, static_cast<RingKind>(1 + random_.below(wire::kLastRingKind)),
                      some_bytes());
    }
  }
  Message sealed(const wire::NodeContact& self, wire::RingKind kind, Message body) const {
    // As members pad their questions, and otherwise.
    const bool question = kind == wire::RingKind::ping || kind == wire::RingKind::state_request ||
                          kind == wire::RingKind::notify || kind == wire::RingKind::find;
    if (question && random_.below(3) != 0) body.resize(body.size() + random_.below(100));
    const auto key = wire::pair_key(identity_, node_.key);
    assert(key);
    wire::RingMessage message;
    message.kind = kind;
    message.sender = self;
    message.body = body;
    return bytes_of(message, *key);
  }

  const Identity& identity_;
  const wire::NodeContact node_;
  const Id known_;
  Random& random_;
  Message payload_;  // of the packet that is being written
};

}  // namespace i3::test
