#include "overlay/node/ring_link.hh"

namespace i3 {

RingLink::Known* RingLink::find(const PublicKey& key) {
  auto found = known_.find(key);
  if (found == known_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second.place);
  return &found->second;
}

RingLink::Known& RingLink::remember(const PublicKey& key, const wire::PairKey& pair,
                                    std::uint64_t member_until) {
  if (known_.size() >= kMostKeys) {
    known_.erase(recent_.back());
    recent_.pop_back();
  }
  recent_.push_front(key);
  return known_.emplace(key, Known{pair, member_until, recent_.begin()}).first->second;
}

bool RingLink::seal(Writer& writer, const wire::NodeContact& self, const wire::NodeContact& to,
                    wire::RingKind kind, Bytes body) {
  Known* known = find(to.key);
  if (!known) {
    auto pair = wire::pair_key(identity_, to.key);
    if (!pair) return false;
    known = &remember(to.key, *pair, 0);
  }
  wire::RingMessage message;
  message.kind = kind;
  message.sender = self;
  message.membership = membership_;
  message.body = body;
  message.write(writer, known->pair);
  return writer.ok();
}

// 1 parse  2 pair key  3 MAC  4 membership: each once for a node that is known.
RingLink::Opened RingLink::open(Bytes datagram, WallTime wall,
                                const std::function<bool()>& may_compute) {
  auto message = wire::RingMessage::parse(datagram);
  if (!message) return {Fault::malformed, {}};
  const PublicKey& key = message->sender.key;
  if (key == identity_.key()) return {Fault::own_key, {}};
  if (operator_key_ && !message->membership) return {Fault::no_membership, {}};
  Known* known = find(key);
  std::optional<wire::PairKey> pair;
  if (known) {
    pair = known->pair;
  } else {
    if (!may_compute()) return {Fault::refused, {}};
    pair = wire::pair_key(identity_, key);
    if (!pair) return {Fault::malformed, {}};
  }
  if (!message->valid_mac(datagram, *pair)) return {Fault::bad_mac, {}};
  if (operator_key_ && (!known || known->member_until <= wall)) {
    if (!may_compute()) return {Fault::refused, {}};
    if (!admits(key, message->membership, wall)) return {Fault::no_membership, {}};
    if (!known) known = &remember(key, *pair, 0);
    known->member_until = message->membership->expiry;
  } else if (!known) {
    remember(key, *pair, 0);
  }
  return {Fault::none, std::move(*message)};
}

}  // namespace i3
