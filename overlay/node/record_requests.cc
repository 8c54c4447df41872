// Hosts leave what keys said of themselves, and ask for it (docs/PROTOCOL.md, Records of keys).
#include "overlay/node/node_core.hh"

namespace i3 {

// Kept where the key's triggers are: at the owners of its public IDs and their replicas.
bool NodeCore::holds_records_of(const PublicKey& key) const {
  for (const std::uint32_t salt : kPublicSalts)
    if (chord_->view().replicates(owner_prefix(key, salt).ring(), settings_.chord.replicas))
      return true;
  return false;
}

// 1 is it ours to keep  2 the very same again: it lives on  3 cookie  4 signature
void NodeCore::on_record_put(const Endpoint& from, Bytes message, TimePoint now) {
  const auto put = wire::RecordPut::parse(message);
  if (!put) return counters_.add("malformed");
  if (!limits_.request(from, 1, now)) return counters_.add("source_limit");
  if (!ring_ready()) return refuse(from, put->nonce, wire::Refusal::not_ready);
  const KeyRecord& record = put->record;
  const Id id = public_id(record.key);
  if (!holds_records_of(record.key))
    return refuse(from, put->nonce, wire::Refusal::not_owner, chord_->known_owner(id.ring()));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(records_.lifetime());
  const wire::RecordKept kept{put->nonce, static_cast<std::uint32_t>(seconds.count())};
  if (records_.renew(record, now)) {
    counters_.add("records_renewed");
    return answer(from, kept);
  }
  if (!admission_.valid_cookie(put->cookie, id, from, now)) {
    counters_.add("challenges");
    return answer(
        from, wire::Challenge{put->nonce, admission_.cookie(from, id, now), from, chord_->self()});
  }
  if (!limits_.verification(from, SourceLimits::Address::proven, now))
    return counters_.add("source_limit");
  if (!record.valid()) return refuse(from, put->nonce, wire::Refusal::bad_proof);
  switch (records_.put(record, from, now)) {
    case RecordTable::Put::quota:
      return refuse(from, put->nonce, wire::Refusal::quota);
    case RecordTable::Put::full:
      return refuse(from, put->nonce, wire::Refusal::full);
    case RecordTable::Put::kept:
      break;
  }
  counters_.add("records_put");
  answer(from, kept);
}

void NodeCore::on_record_ask(const Endpoint& from, Bytes message, TimePoint now) {
  const auto ask = wire::RecordAsk::parse(message);
  if (!ask) return counters_.add("malformed");
  if (!limits_.request(from, 1, now)) return counters_.add("source_limit");
  if (!ring_ready()) return refuse(from, ask->nonce, wire::Refusal::not_ready);
  if (!holds_records_of(ask->key))
    return refuse(from, ask->nonce, wire::Refusal::not_owner,
                  chord_->known_owner(public_id(ask->key).ring()));
  counters_.add("records_asked");
  answer(from, wire::Records{ask->nonce, ask->key, records_.of(ask->key, now)});
}

}  // namespace i3
