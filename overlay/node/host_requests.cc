// What hosts ask of a node: probe, look-up, insertion, refresh.
#include "overlay/node/node_core.hh"

namespace i3 {
namespace {
constexpr double kCheap = 1, kSigning = 4;

std::uint32_t milliseconds(Duration duration) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}
}  // namespace

void NodeCore::on_probe(const Endpoint& from, Bytes message, TimePoint now) {
  const auto probe = wire::Probe::parse(message);
  if (!probe) return counters_.add("malformed");
  if (!chord_) return counters_.add("probe_no_address");
  if (!limits_.request(from, kSigning, now)) return counters_.add("source_limit");
  wire::ProbeReply reply;
  reply.nonce = probe->nonce;
  reply.observed = from;
  reply.contact = chord_->self();
  reply.membership = link_.membership();
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  reply.write(writer, identity_);
  io_.send(from, writer.written());
}

void NodeCore::on_probe_reply(const Endpoint& from, Bytes message, TimePoint now, WallTime wall) {
  const auto reply = wire::ProbeReply::parse(message);
  if (!reply) return counters_.add("malformed");
  if (!limits_.verification(from, SourceLimits::Address::unproven, now))
    return counters_.add("source_limit");
  if (!wire::ProbeReply::valid_signature(message, reply->contact.key))
    return counters_.add("probe_bad_signature");
  if (!link_.admits(reply->contact.key, reply->membership, wall))
    return counters_.add("ring_no_membership");
  if (reply->membership && !settings_.membership) {
    if (counters_.get("ring_is_closed") == 0)
      log_.error("ring-closed", {{"entry", from.text()},
                                 {"remedy", "the ring's operator has to admit this node's key"}});
    return counters_.add("ring_is_closed");
  }
  if (chord_) return chord_->on_probe_reply(*reply, now);

  if (reply->nonce != learn_nonce_ || !reply->observed.valid()) return;
  for (const ChordSeed& seed : settings_.join)
    if (seed.address == from && seed.key && *seed.key != reply->contact.key)
      return counters_.add("join_wrong_key");
  const Endpoint& observed = reply->observed;
  if (settings_.is_local && !settings_.is_local(observed.address)) {
    if (address_problem_.empty()) {
      address_problem_ = "entry node sees " + observed.text() +
                         ", which is not an address of this machine: give an advertised address";
      log_.error("address-not-local",
                 {{"observed", observed.text()},
                  {"remedy", "--advertise ADDR:PORT, or advertise= in <listen>"}});
    }
    return;
  }
  (observed.address.is_v4() ? settings_.contact.v4 : settings_.contact.v6) = observed;
  log_.info("address-learned", {{"address", observed.text()}, {"from", from.text()}});
  begin_ring(now);
}

void NodeCore::on_lookup(const Endpoint& from, Bytes message, TimePoint now) {
  const auto lookup = wire::Lookup::parse(message);
  if (!lookup) return counters_.add("malformed");
  if (!limits_.request(from, kCheap, now)) return counters_.add("source_limit");
  const wire::LookupReply nobody{lookup->nonce, lookup->position, {}};
  if (!ring_ready()) return answer(from, nobody);
  if (lookups_.size() >= kMostLookups) return counters_.add("lookups_full");
  const std::uint64_t token = next_token_++;
  lookups_.emplace(token, WaitingLookup{lookup->nonce, lookup->position, from});
  if (chord_->find(token, lookup->position, now)) return;
  lookups_.erase(token);
  answer(from, nobody);
}

void NodeCore::found(std::uint64_t token, const std::vector<wire::NodeContact>& contacts) {
  auto waiting = lookups_.find(token);
  if (waiting == lookups_.end()) return;
  const WaitingLookup lookup = waiting->second;
  lookups_.erase(waiting);
  counters_.add(contacts.empty() ? "lookups_failed" : "lookups_answered");
  wire::LookupReply reply{lookup.nonce, lookup.position, contacts};
  if (reply.contacts.size() > wire::LookupReply::kMaxContacts)
    reply.contacts.resize(wire::LookupReply::kMaxContacts);
  answer(lookup.from, reply);
}

void NodeCore::refuse(const Endpoint& to, std::uint64_t nonce, wire::Refusal reason,
                      const std::optional<wire::NodeContact>& owner) {
  static constexpr std::string_view kNames[] = {"",      "not_owner", "bad_proof",     "stale",
                                                "quota", "full",      "unknown_token", "not_ready"};
  counters_.add(std::string("refused_") + std::string(kNames[static_cast<std::size_t>(reason)]));
  answer(to, wire::Refused{nonce, reason, owner});
}

// 1 is it ours to hold  2 cookie and proofs  3 the answer
void NodeCore::on_insert(const Endpoint& from, Bytes message, TimePoint now, WallTime wall) {
  const auto insert = wire::Insert::parse(message);
  if (!insert) return counters_.add("malformed");
  if (!limits_.request(from, kCheap, now)) return counters_.add("source_limit");
  if (!ring_ready()) return refuse(from, insert->nonce, wire::Refusal::not_ready);
  const RingId position = insert->id.ring();
  const bool owner = chord_->view().owns(position);
  // Rows that it may hold from before may still be removed.
  if (!insert->remove && !chord_->view().replicates(position, settings_.chord.replicas))
    return refuse(from, insert->nonce, wire::Refusal::not_owner, chord_->known_owner(position));

  const auto outcome = admission_.insert(
      *insert, message, from, chord_->id(), owner, now, wall,
      [&] { return limits_.verification(from, SourceLimits::Address::proven, now); });
  if (const auto* challenge = std::get_if<Admission::Challenge>(&outcome)) {
    counters_.add("challenges");
    return answer(from, wire::Challenge{insert->nonce, challenge->cookie, from, chord_->self()});
  }
  if (const auto* refused = std::get_if<Admission::Refused>(&outcome))
    return refuse(from, insert->nonce, refused->reason);
  if (std::holds_alternative<Admission::Silence>(outcome)) return counters_.add("source_limit");

  const auto& inserted = std::get<Admission::Inserted>(outcome);
  counters_.add(insert->remove ? "removals" : "insertions");
  wire::Inserted done;
  done.nonce = insert->nonce;
  done.id = insert->id;
  done.label = inserted.label;
  done.lifetime_ms = milliseconds(inserted.lifetime);
  done.token = inserted.token;
  if (owner && !insert->remove) {
    const std::size_t most =
        std::min<std::size_t>(settings_.chord.replicas, wire::Inserted::kMaxReplicas);
    for (const RingPeer& peer : chord_->view().successors())
      if (done.replicas.size() < most) done.replicas.push_back(peer.contact);
  }
  answer(from, done);
}

void NodeCore::on_refresh(const Endpoint& from, Bytes message, TimePoint now, WallTime wall) {
  const auto refresh = wire::Refresh::parse(message);
  if (!refresh) return counters_.add("malformed");
  if (!limits_.request(from, kCheap, now)) return counters_.add("source_limit");
  if (!ring_ready()) return refuse(from, refresh->nonce, wire::Refusal::not_ready);
  const auto granted = admission_.granted(*refresh, from, now);
  if (!granted) return refuse(from, refresh->nonce, wire::Refusal::unknown_token);
  const RingView& view = chord_->view();
  const auto done = triggers_.refresh(
      refresh->owner, refresh->member, from, *granted, now, wall,
      [&](RingId position, bool as_owner) {
        // What was inserted here as at its owner runs out when another node becomes that, so that
        // the client inserts it there.
        return as_owner ? view.owns(position) : view.replicates(position, settings_.chord.replicas);
      });
  if (done.not_ours != 0)
    return refuse(from, refresh->nonce, wire::Refusal::not_owner,
                  chord_->known_owner(done.first_not_ours));
  if (done.count == 0) return refuse(from, refresh->nonce, wire::Refusal::unknown_token);
  counters_.add("refreshes");
  const auto count = static_cast<std::uint16_t>(std::min<std::size_t>(done.count, 0xffff));
  answer(from, wire::Refreshed{refresh->nonce, count, milliseconds(done.lifetime),
                               admission_.token(from, refresh->owner, refresh->member, now)});
}

}  // namespace i3
