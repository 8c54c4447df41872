#include "overlay/client/client.hh"

#include "overlay/client/client_state.hh"

namespace i3 {

using namespace client;

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

std::uint64_t Client::send_stack(std::span<const Id> ids, std::uint8_t kind, Bytes payload,
                                 TimePoint now) {
  // Of data a node need say only now and then where the first ID is.
  const bool data = kind == 0;
  return state_->sends.send({.ids = ids,
                             .kind = kind,
                             .payload = payload,
                             .every_stop = true,
                             .want_node = !data || state_->sends.due(ids.front(), now)},
                            now);
}

bool Client::pass_on(const wire::IdPacket& packet, Bytes payload, TimePoint now) {
  if (packet.id_count < 2 || packet.hop_limit <= 1) return false;
  SendById onward;
  onward.ids = std::span(packet.ids).subspan(1, packet.id_count - 1);
  onward.kind = packet.kind;
  onward.payload = payload;
  onward.copies = std::max<std::uint8_t>(packet.copies, 1);
  onward.hop_limit = static_cast<std::uint8_t>(packet.hop_limit - 1);
  onward.every_stop = (packet.flags & wire::IdPacket::kEveryStop) != 0;
  onward.want_node = state_->sends.due(onward.ids.front(), now);
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

std::optional<std::uint32_t> Client::salt_of(const Id& id) const {
  return state_->placer.salt_of(id);
}

void Client::lead_public(const std::optional<PublicStacks>& stacks, TimePoint now) {
  state_->placer.lead_public(stacks, now);
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

const NatReport& Client::nat(bool v4) const {
  return state_->nat.report(v4);
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
  return state_->core.keep_alive;
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
  fresh->placer.lead_public(state_->placer.public_stacks(), now);
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
