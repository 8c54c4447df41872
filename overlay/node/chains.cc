// Ways back: answers go to a packet's source through every row that led to an ID, and what those
// answers say of dead IDs is pushed back to the rows (decision 10).
#include "overlay/node/node_core.hh"

namespace i3 {

// From then on this node is the source: answers come here first, and find the row by the tag.
PacketSource NodeCore::through(const PacketSource& source, const ChainStep& step, std::size_t size,
                               TimePoint now) {
  PacketSource onward;
  onward.entry = chord_->self();
  onward.origin = returns_.note(source, step, size, now);
  return onward;
}

// To a source that a packet was noted under here, by its tag.
void NodeCore::answer_arrived(const wire::SourceTag& origin, Bytes message, TimePoint now,
                              unsigned steps_left) {
  const ReturnTable::Way* found = returns_.find(origin, now);
  if (!found) return counters_.add("reply_unknown_origin");
  const ReturnTable::Way way = *found;
  if (!way.step && !way.source.direct()) return counters_.add("reply_unknown_origin");
  if (!returns_.spend(origin, message.size(), now)) return counters_.add("answer_too_long");
  if (!way.step) return io_.send(way.source.host, message);
  if (const auto absent = wire::NotPresent::parse(message))
    return dead_end(way, *absent, message, now, steps_left);
  pass_back(way.source, message, now, steps_left);
}

// One step nearer to where the packet came from. Steps form no loop: the tag of each is made of the
// one before it. But a member can send a packet on under a step's tag again and again, so the steps
// taken here for one answer are counted.
void NodeCore::pass_back(const PacketSource& source, Bytes message, TimePoint now,
                         unsigned steps_left) {
  if (source.direct() || source.entry.key == identity_.key()) {
    if (steps_left == 0) return counters_.add("chain_too_long");
    return answer_arrived(source.origin, message, now, steps_left - 1);
  }
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer body(buffer);
  wire::ReplyBody{source.origin, message}.write(body);
  if (!body.ok()) return counters_.add("packet_too_long");
  send(source.entry, wire::RingKind::reply, body.written(),
       chord_->way_to(source.entry.ring_id(), now));
}

// The row by which the packet went on leads to a dead ID: it rests for a while, and if it was the
// last one of its ID, then that ID is as dead for whoever led here.
void NodeCore::dead_end(const ReturnTable::Way& way, const wire::NotPresent& absent, Bytes message,
                        TimePoint now, unsigned steps_left) {
  // A later ID of the packet's own stack says nothing about the row.
  if (!triggers_.suspend(way.step->slot, way.step->generation, absent.id, now))
    return pass_back(way.source, message, now, steps_left);
  counters_.add("pushed_back");
  if (!triggers_.match(way.step->reached, 1, now).empty()) return;
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  wire::NotPresent{absent.nonce, way.step->reached}.write(writer);
  pass_back(way.source, writer.written(), now, steps_left);
}

}  // namespace i3
