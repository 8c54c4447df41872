#include "overlay/client/client_state.hh"

namespace i3 {

using namespace client;

void Client::State::on_message(const Endpoint& from, Bytes message, TimePoint now) {
  using wire::Type;
  const auto header = wire::Header::parse(message);
  if (!header || message.size() > wire::kMaxMessage) {
    ++core.counters.malformed;
    return;
  }
  switch (header->type) {
    case Type::packet:
      return on_packet(from, message, now);
    case Type::returned:
      return on_returned(from, message, now);
    case Type::forwarded:
    case Type::not_present:
    case Type::no_label:
      return on_send_answer(from, header->type, message, now);
    case Type::probe_reply:
      return on_probe_reply(from, message, now);
    case Type::step_reply:
      return take<wire::StepReply>(message, [&](const auto& m) {
        return tracer.on_reply(from, m, now) || near.on_step_reply(from, m, now);
      });
    case Type::record_kept:
      return take<wire::RecordKept>(message,
                                    [&](const auto& m) { return records.on_kept(from, m, now); });
    case Type::records:
      return take<wire::Records>(message,
                                 [&](const auto& m) { return records.on_records(from, m, now); });
    case Type::reach_seen:
    case Type::reached:
      return nat.on_message(header->type, message, false, now);
    case Type::lookup_reply:
    case Type::challenge:
    case Type::inserted:
    case Type::refreshed:
    case Type::refused:
      return on_placer_answer(from, header->type, message, now);
    default:
      ++core.counters.unexpected_type;
  }
}

void Client::State::on_packet(const Endpoint& from, Bytes message, TimePoint now) {
  const auto packet = wire::IdPacket::parse(message);
  if (!packet || !(packet->flags & wire::IdPacket::kDelivered)) {
    ++core.counters.malformed;
    return;
  }
  auto delivery = placer.check(packet->target(), from);
  if (delivery == Placer::Delivery::unknown_id) delivery = holder.check(packet->target(), from);
  switch (delivery) {
    case Placer::Delivery::accepted:
      if (packet->id_count == 1) return core.events.on_packet(*packet, from, now);
      if (!core.events.on_leftover(*packet, from, now)) ++core.counters.leftover;
      return;
    case Placer::Delivery::unknown_id:
      ++core.counters.unknown_id;
      return;
    case Placer::Delivery::unknown_node:
      ++core.counters.unknown_node;
  }
}

void Client::State::on_returned(const Endpoint& from, Bytes message, TimePoint now) {
  const auto returned = wire::Returned::parse(message);
  if (!returned)
    ++core.counters.malformed;
  else if (!sends.asked(from, now))
    ++core.counters.unknown_node;
  else
    core.events.on_returned(returned->kind, returned->payload, from, now);
}

void Client::State::on_send_answer(const Endpoint& from, wire::Type type, Bytes message,
                                   TimePoint now) {
  if (type == wire::Type::forwarded) {
    take<wire::Forwarded>(message, [&](const wire::Forwarded& forwarded) {
      if (!sends.on_forwarded(from, forwarded, now)) return false;
      cache.learn(forwarded.contact);
      core.events.on_forwarded(forwarded.nonce, forwarded, now);
      return true;
    });
  } else if (type == wire::Type::not_present) {
    take<wire::NotPresent>(message, [&](const wire::NotPresent& absent) {
      if (!sends.on_not_present(from, absent, now)) return false;
      core.events.on_not_present(absent.nonce, absent.id, now);
      return true;
    });
  } else {
    take<wire::NoLabel>(message, [&](const wire::NoLabel& absent) {
      core.events.on_no_label(from, absent.label, now);
      return true;
    });
  }
}

void Client::State::on_probe_reply(const Endpoint& from, Bytes message, TimePoint now) {
  take<wire::ProbeReply>(message, [&](const wire::ProbeReply& reply) {
    const auto outcome = entries.on_reply(from, message, reply, now);
    if (outcome == Entries::Outcome::unsolicited) {
      if (!near.on_probe_reply(from, message, reply, now)) return false;
      if (near.settled()) entries.offer(near.nearest(), now);
      return true;
    }
    if (outcome == Entries::Outcome::refused) return true;
    observations.note(from, reply.observed);
    if (outcome == Entries::Outcome::became_alive) {
      placer.entry_alive(now);
      placer.on_timer(now);
      holder.entry_alive(now);
      holder.on_timer(now);
    }
    return true;
  });
}

void Client::State::on_placer_answer(const Endpoint& from, wire::Type type, Bytes message,
                                     TimePoint now) {
  using wire::Type;
  if (type == Type::lookup_reply)
    take<wire::LookupReply>(message, [&](const auto& m) {
      return placer.on_lookup_reply(from, m, now) || sends.on_lookup_reply(from, m) ||
             holder.on_lookup_reply(from, m, now) || near.on_lookup_reply(from, m, now) ||
             near_place.on_lookup_reply(from, m, now) || records.on_lookup_reply(from, m, now);
    });
  else if (type == Type::challenge)
    take<wire::Challenge>(message, [&](const auto& m) {
      return placer.on_challenge(from, m, now) || holder.on_challenge(from, m, now) ||
             records.on_challenge(from, m, now);
    });
  else if (type == Type::inserted)
    take<wire::Inserted>(message, [&](const auto& m) {
      return placer.on_inserted(from, m, now) || holder.on_inserted(from, m, now);
    });
  else if (type == Type::refreshed)
    take<wire::Refreshed>(message, [&](const auto& m) {
      return placer.on_refreshed(from, m, now) || holder.on_refreshed(from, m, now);
    });
  else
    take<wire::Refused>(message, [&](const auto& m) {
      return placer.on_refused(from, m, now) || holder.on_refused(from, m, now) ||
             records.on_refused(from, m, now);
    });
}

void Client::State::settle(TimePoint now) {
  if (settling_) return;  // called by the host from one of the calls below
  settling_ = true;
  if (observations.changes() != observed_changes_) {
    observed_changes_ = observations.changes();
    nat.changed(now);
    core.events.on_observed_change(now);
  }
  if (told_moves_ != placer.moves()) {
    told_moves_ = placer.moves();
    core.events.on_private_moved(now);
  }
  for (;;) {
    const auto changes = placer.take_changes();
    const bool ready = placer.ready();
    if (changes.empty() && ready == told_ready_) break;
    for (const Id& id : changes) core.events.on_trigger(id, now);
    if (ready != told_ready_) {
      told_ready_ = ready;
      if (ready) nat.soon(now);
      core.events.on_ready(ready, now);
    }
  }
  settling_ = false;
}

}  // namespace i3
