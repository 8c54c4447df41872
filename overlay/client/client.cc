#include "overlay/client/client.hh"

#include "overlay/client/holder.hh"
#include "overlay/client/nat_check.hh"
#include "overlay/client/near_place.hh"
#include "overlay/client/placer.hh"
#include "overlay/client/records.hh"
#include "overlay/client/sends.hh"
#include "overlay/client/tracer.hh"
#include "overlay/wire/insert.hh"

namespace i3 {

using namespace client;

class Client::State {
 public:
  State(const Identity& identity, Random& random, Log& log, ClientOptions options,
        ClientEvents& events)
      : core{identity, random, log, std::move(options), events},
        entries(core, cache),
        sends(core, entries),
        placer(core, entries, cache, observations),
        holder(core, entries, cache, observations),
        nat(core, entries, cache, observations),
        tracer(core),
        near(core, entries, cache),
        near_place(core, entries, near, placer),
        records(core, entries, cache) {
    core.also_held = [this](const Endpoint& node) { return holder.own_at(node); };
  }

  void on_message(const Endpoint& from, Bytes message, TimePoint now);
  // Tells the host what changed during a call.
  void settle(TimePoint now);

  Core core;
  NodeCache cache;
  Observations observations;
  Entries entries;
  Sends sends;
  Placer placer;
  Holder holder;
  NatCheck nat;
  Tracer tracer;
  NearNodes near;
  NearPlace near_place;
  Records records;

 private:
  void on_probe_reply(const Endpoint& from, Bytes message, TimePoint now);
  void on_packet(const Endpoint& from, Bytes message, TimePoint now);
  void on_returned(const Endpoint& from, Bytes message, TimePoint now);
  void on_send_answer(const Endpoint& from, wire::Type type, Bytes message, TimePoint now);
  void on_placer_answer(const Endpoint& from, wire::Type type, Bytes message, TimePoint now);
  // Parses, hands on, and counts what nobody wanted.
  template <class Message, class Take>
  void take(Bytes message, Take&& taken) {
    const auto parsed = Message::parse(message);
    if (!parsed)
      ++core.counters.malformed;
    else if (!taken(*parsed))
      ++core.counters.unsolicited;
  }

  bool told_ready_ = false;
  std::uint64_t observed_changes_ = 0;
  std::uint64_t told_moves_ = 0;
  bool settling_ = false;
};

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

Client::Client(const Identity& identity, Random& random, Log& log, ClientOptions options,
               ClientEvents& events)
    : state_(std::make_unique<State>(identity, random, log, std::move(options), events)) {
  state_->entries.set(state_->core.options.entries, TimePoint{});
}

Client::~Client() = default;

//  version 1 | last sequence 8 | salt of the private prefix 4 | nodes | near nodes
constexpr std::uint8_t kStateVersion = 2;

bool Client::restore(Bytes state) {
  Reader reader(state);
  if (reader.u8() != kStateVersion) return false;
  const std::uint64_t sequence = reader.u64();
  const std::uint32_t salt = reader.u32();
  NodeCache cache;
  cache.restore(reader);
  const auto near = wire::read_contacts(reader, NearNodes::kMaxNodes);
  if (!reader.complete()) return false;
  state_->cache = std::move(cache);
  state_->near.begin_with(near);
  state_->placer.begin_at(salt);
  state_->placer.stay_above(sequence);
  return true;
}

std::vector<std::uint8_t> Client::save() const {
  std::vector<std::uint8_t> state(8192);
  Writer writer(state);
  writer.u8(kStateVersion);
  writer.u64(state_->placer.last_sequence());
  writer.u32(state_->placer.private_salt());
  state_->cache.save(writer);
  std::vector<wire::NodeContact> near;
  for (const NearNode& node : state_->near.nearest()) near.push_back(node.contact);
  wire::write_contacts(writer, near);
  assert(writer.ok());
  state.resize(writer.size());
  return state;
}

void Client::start(TimePoint now, WallTime wall) {
  state_->core.set_wall(now, wall);
  state_->entries.start(now);
  state_->placer.start(now);
  state_->holder.start(now);
  state_->near.start(now);
  state_->near_place.start(now);
  state_->entries.on_timer(now);
  state_->settle(now);
}

void Client::on_message(const Endpoint& from, Bytes message, TimePoint now, WallTime wall) {
  state_->core.set_wall(now, wall);
  state_->on_message(from, message, now);
  state_->settle(now);
}

TimePoint Client::next_deadline() const {
  return std::min({state_->entries.deadline(), state_->placer.deadline(), state_->holder.deadline(),
                   state_->nat.deadline(), state_->tracer.deadline(), state_->near.deadline(),
                   state_->near_place.deadline(), state_->records.deadline()});
}

void Client::on_timer(TimePoint now, WallTime wall) {
  state_->core.set_wall(now, wall);
  state_->entries.on_timer(now);
  state_->placer.on_timer(now);
  state_->holder.on_timer(now);
  state_->nat.on_timer(now);
  state_->tracer.on_timer(now);
  state_->near.on_timer(now);
  state_->near_place.on_timer(now);
  state_->records.on_timer(now);
  state_->settle(now);
}

std::uint64_t Client::send_by_id(const Id& id, std::uint8_t kind, Bytes payload, TimePoint now) {
  return state_->sends.send({.ids = {&id, 1}, .kind = kind, .payload = payload}, now);
}

std::uint64_t Client::send(const SendById& packet, TimePoint now) {
  return state_->sends.send(packet, now);
}

bool Client::pass_on(const wire::IdPacket& packet, Bytes payload, TimePoint now) {
  if (packet.id_count < 2 || packet.hop_limit <= 1) return false;
  SendById onward;
  onward.ids = std::span(packet.ids).subspan(1, packet.id_count - 1);
  onward.kind = packet.kind;
  onward.payload = payload;
  onward.copies = std::max<std::uint8_t>(packet.copies, 1);
  onward.hop_limit = static_cast<std::uint8_t>(packet.hop_limit - 1);
  onward.want_node = false;
  return state_->sends.send(onward, now) != 0;
}

void Client::send_returned(const Endpoint& node, const wire::SourceTag& tag, std::uint8_t kind,
                           Bytes payload) {
  if (!state_->core.send(node, wire::Returned{kind, tag, payload}))
    ++state_->core.counters.too_long;
}

Id Client::take_private(TimePoint now) {
  return state_->placer.take(now);
}

void Client::release(const Id& id, TimePoint now) {
  state_->placer.release(id, now);
}

wire::ReturnPath Client::path(const Id& id) const {
  return state_->placer.path(id);
}

bool Client::well_placed(const Id& id) const {
  return state_->placer.well_placed(id);
}

bool Client::hold(const HeldTrigger& trigger, TimePoint now) {
  if (state_->holder.hold(trigger, now)) return true;
  ++state_->core.counters.no_room;
  return false;
}

void Client::let_go(const Id& id, const PublicKey& owner, TimePoint now) {
  state_->holder.let_go(id, owner, now);
}

std::vector<HeldStatus> Client::held() const {
  return state_->holder.status();
}

void Client::watch_records(const std::vector<PublicKey>& keys, TimePoint now) {
  state_->records.watch(keys, now);
}

void Client::ask_records(const PublicKey& key, TimePoint now) {
  state_->records.ask(key, now);
}

void Client::keep_records(const std::vector<KeptRecord>& records, TimePoint now) {
  state_->records.keep(records, now);
}

std::size_t Client::nodes_with_record(const PublicKey& key) const {
  return state_->records.nodes_with(key);
}

bool Client::ready() const {
  return state_->placer.ready();
}

std::vector<EntryStatus> Client::nodes() const {
  return state_->entries.status();
}

std::vector<NearNode> Client::nearest_nodes() const {
  return state_->near.nearest();
}

std::vector<wire::NodeContact> Client::known_nodes() const {
  const auto& nodes = state_->cache.all();
  return {nodes.begin(), nodes.end()};
}

std::vector<TriggerStatus> Client::triggers(TimePoint now) const {
  return state_->placer.status(now);
}

Observed Client::observed() const {
  return state_->observations.summary();
}

const ClientCounters& Client::counters() const {
  return state_->core.counters;
}

std::string Client::trouble() const {
  return state_->placer.trouble();
}

void Client::network_changed(TimePoint now) {
  state_->observations.clear();
  state_->sends.network_changed();
  state_->entries.probe_all(now);
  state_->entries.on_timer(now);
  state_->placer.network_changed(now);
  state_->holder.network_changed(now);
  state_->near.network_changed(now);
  state_->near_place.network_changed(now);
  state_->nat.changed(now);
  state_->settle(now);
}

void Client::verify(TimePoint now) {
  state_->placer.verify(now);
  state_->settle(now);
}

const NatReport& Client::nat() const {
  return state_->nat.report();
}

void Client::check_nat(TimePoint now) {
  state_->nat.now(now);
  state_->nat.on_timer(now);
}

void Client::trace(const Id& id, TraceDone done, TimePoint now) {
  const auto entry = state_->entries.best();
  if (!entry) return done({});
  state_->tracer.start(id, *entry, std::move(done), now);
}

void Client::set_own_addresses(std::vector<IpAddress> addresses) {
  state_->core.own_addresses = std::move(addresses);
}

void Client::on_aside(const Endpoint&, Bytes message, TimePoint now) {
  const auto header = wire::Header::parse(message);
  if (!header || message.size() > wire::kMaxMessage)
    ++state_->core.counters.malformed;
  else
    state_->nat.on_message(header->type, message, true, now);
}

int Client::port_step() const {
  return state_->nat.report().port_step;
}

void Client::sample_port(TimePoint now) {
  state_->nat.sample(now);
}

Duration Client::keep_alive() const {
  return state_->nat.report().keep_alive();
}

void Client::set_families(bool have_v4, bool have_v6) {
  state_->core.options.have_v4 = have_v4;
  state_->core.options.have_v6 = have_v6;
}

void Client::set_entries(std::vector<EntryNode> entries, TimePoint now) {
  state_->entries.set(std::move(entries), now);
}

void Client::change_ring(std::vector<EntryNode> entries, TimePoint now, WallTime wall) {
  const Core& old = state_->core;
  ClientOptions options = old.options;
  options.entries = std::move(entries);
  const bool was_ready = ready();
  auto fresh =
      std::make_unique<State>(old.identity, old.random, old.log, std::move(options), old.events);
  fresh->placer.stay_above(state_->placer.last_sequence());
  for (const HeldTrigger& held : state_->holder.all()) fresh->holder.hold(held, now);
  fresh->core.own_addresses = old.own_addresses;
  state_->nat.stop();
  fresh->entries.set(fresh->core.options.entries, now);
  state_ = std::move(fresh);
  if (was_ready) state_->core.events.on_ready(false, now);
  start(now, wall);
}

void Client::add_entry(EntryNode entry, TimePoint now) {
  state_->entries.add(entry, now);
}

void Client::stop(TimePoint now) {
  state_->nat.stop();
  state_->near.stop();
  state_->near_place.stop();
  state_->entries.stop();
  state_->placer.stop(now);
  state_->holder.stop(now);
  state_->settle(now);
}

bool Client::stopped() const {
  return state_->placer.stopped() && state_->holder.stopped();
}

}  // namespace i3
