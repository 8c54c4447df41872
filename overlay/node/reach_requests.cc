// What a host asks of a node to learn how it is reached, and which way its packets take.
#include "overlay/base/keys.hh"
#include "overlay/node/node_core.hh"

namespace i3 {
namespace {

constexpr Duration kCookieEpoch = std::chrono::seconds(60);

wire::Cookie cookie_of(const std::array<std::uint8_t, 32>& secret, const Endpoint& target,
                       std::uint64_t epoch) {
  std::array<std::uint8_t, wire::kEndpointSize + 8> bytes;
  Writer writer(bytes);
  wire::write_endpoint(writer, target);
  writer.u64(epoch);
  return blake2b<16>("i3 reach cookie", {writer.written()}, secret);
}

std::uint64_t epoch_of(TimePoint now) {
  return static_cast<std::uint64_t>(now.time_since_epoch() / kCookieEpoch);
}

}  // namespace

// Any member at another address of that family; the ring's order is as good as chance.
std::optional<wire::NodeContact> NodeCore::other_member(const IpAddress& family) const {
  if (!ring_ready()) return std::nullopt;
  const auto& own = family.is_v4() ? settings_.contact.v4 : settings_.contact.v6;
  const RingView& view = chord_->view();
  for (const auto* list : {&view.successors(), &view.predecessors()})
    for (const RingPeer& peer : *list) {
      const auto& theirs = family.is_v4() ? peer.contact.v4 : peer.contact.v6;
      if (theirs && (!own || theirs->address != own->address)) return peer.contact;
    }
  return std::nullopt;
}

bool NodeCore::valid_reach_cookie(const wire::Reach& reach, TimePoint now) const {
  const std::uint64_t epoch = epoch_of(now);
  return equal_constant_time(cookie_of(reach_secret_, reach.target, epoch), reach.cookie) ||
         equal_constant_time(cookie_of(reach_secret_, reach.target, epoch - 1), reach.cookie);
}

wire::ReachSeen NodeCore::seen(const wire::Reach& reach, const Endpoint& from,
                               TimePoint now) const {
  wire::ReachSeen answer;
  answer.nonce = reach.nonce;
  answer.observed = from;
  answer.cookie = cookie_of(reach_secret_, from, epoch_of(now));
  answer.other_port = io_.other_port(from.address);
  answer.other_node = other_member(from.address).has_value();
  return answer;
}

// 1 limits  2 "where do you see me" is answered to anybody, shorter than asked  3 all else goes to
// a target that has proven that it asked
void NodeCore::on_reach(const Endpoint& from, Bytes message, TimePoint now) {
  const auto reach = wire::Reach::parse(message);
  if (!reach) return counters_.add("malformed");
  if (!limits_.request(from, 1, now)) return counters_.add("source_limit");
  if (reach->how == wire::ReachHow::seen) return answer(from, seen(*reach, from, now));
  if (!valid_reach_cookie(*reach, now)) return counters_.add("reach_bad_cookie");
  const wire::Reached reached{reach->how, reach->nonce};
  if (reach->how == wire::ReachHow::same) return answer(reach->target, reached);
  if (reach->how == wire::ReachHow::other_port) {
    std::array<std::uint8_t, 64> buffer;
    Writer writer(buffer);
    reached.write(writer);
    return io_.send_other(reach->target, writer.written());
  }
  const auto member = other_member(reach->target.address);
  if (!member) return counters_.add("reach_no_member");
  std::array<std::uint8_t, 64> buffer;
  Writer writer(buffer);
  wire::ReachForBody{reach->nonce, reach->target}.write(writer);
  send(*member, wire::RingKind::reach_for, writer.written(), nullptr);
}

// For a member, whose host has proven itself to it. Shorter than what asked for it.
void NodeCore::on_reach_for(Bytes body, TimePoint now) {
  const auto reach = wire::ReachForBody::parse(body);
  if (!reach || reach->target.address.multicast()) return counters_.add("ring_malformed");
  if (!reach_limit_.take(now)) return counters_.add("reach_limit");
  counters_.add("reached_for_others");
  answer(reach->target, wire::Reached{wire::ReachHow::other_node, reach->nonce});
}

void NodeCore::on_other_port(const Endpoint& from, Bytes message, TimePoint now) {
  const auto reach = wire::Reach::parse(message);
  if (!reach || reach->how != wire::ReachHow::seen || !from.valid() || from.address.multicast())
    return counters_.add("malformed");
  if (!limits_.request(from, 1, now)) return counters_.add("source_limit");
  std::array<std::uint8_t, 64> buffer;
  Writer writer(buffer);
  seen(*reach, from, now).write(writer);
  io_.send_other(from, writer.written());
}

void NodeCore::on_step(const Endpoint& from, Bytes message, TimePoint now) {
  const auto step = wire::Step::parse(message);
  if (!step) return counters_.add("malformed");
  if (!limits_.request(from, 1, now)) return counters_.add("source_limit");
  wire::StepReply reply;
  reply.nonce = step->nonce;
  reply.id = step->id;
  reply.node = settings_.contact;
  reply.in_ring = ring_ready();
  if (reply.in_ring) {
    reply.matches = static_cast<std::uint8_t>(
        std::min<std::size_t>(triggers_.match(step->id, 255, now).size(), 255));
    const auto route = chord_->route(step->id.ring(), std::nullopt, now);
    reply.owner = route.kind == Chord::Route::Kind::self;
    if (route.kind == Chord::Route::Kind::next) reply.next = route.next.contact;
  }
  if (!reply.node.v4 && !reply.node.v6) return counters_.add("step_no_address");
  answer(from, reply);
}

}  // namespace i3
