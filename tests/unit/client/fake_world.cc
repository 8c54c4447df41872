#include "tests/unit/client/fake_world.hh"

namespace i3::test {

FakeNode::FakeNode(World& its_world, std::uint64_t seed, const char* address)
    : world(its_world), random(seed), identity(Identity::generate(random)) {
  contact.key = identity->key();
  const Endpoint endpoint = at(address);
  (endpoint.address.is_v4() ? contact.v4 : contact.v6) = endpoint;
}

void FakeNode::forget() {
  triggers.clear();
  ++secret;
}

std::size_t FakeNode::held() {
  std::erase_if(triggers, [&](const auto& entry) { return entry.second.expires <= world.now; });
  return triggers.size();
}

template <class Message>
void FakeNode::answer(const Endpoint& to, const Message& message) {
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  message.write(writer);
  world.transmit(to.address.is_v4() ? *contact.v4 : *contact.v6, to, writer.written());
}

std::array<std::uint8_t, 16> FakeNode::mac(const char* what, const Endpoint& from,
                                           RingId prefix) const {
  std::array<std::uint8_t, 64> buffer;
  Writer writer(buffer);
  wire::write_endpoint(writer, from);
  prefix.write(writer);
  writer.u64(secret);
  return blake2b<16>(what, {writer.written()});
}

void FakeNode::receive(const Endpoint&, const Endpoint& from, Bytes message) {
  const auto header = wire::Header::parse(message);
  if (dead || !header) return;
  ++got[header->type];
  if (header->type != wire::Type::insert) held();
  if (auto probe = wire::Probe::parse(message)) return on_probe(from, *probe);
  if (auto lookup = wire::Lookup::parse(message)) return on_lookup(from, *lookup);
  if (auto insert = wire::Insert::parse(message)) return on_insert(from, message, *insert);
  if (auto refresh = wire::Refresh::parse(message)) return on_refresh(from, *refresh);
  if (auto packet = wire::IdPacket::parse(message)) return on_packet(from, *packet);
}

void FakeNode::on_probe(const Endpoint& from, const wire::Probe& probe) {
  wire::ProbeReply reply{probe.nonce, from, contact, membership};
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  reply.write(writer, signs_as ? *signs_as : *identity);
  world.transmit(from.address.is_v4() ? *contact.v4 : *contact.v6, from, writer.written());
}

void FakeNode::on_lookup(const Endpoint& from, const wire::Lookup& lookup) {
  answer(from, wire::LookupReply{lookup.nonce, lookup.position, world.owners(lookup.position)});
}

void FakeNode::refuse(const Endpoint& to, std::uint64_t nonce, wire::Refusal reason,
                      std::optional<wire::NodeContact> other) {
  answer(to, wire::Refused{nonce, reason, std::move(other)});
}

void FakeNode::on_insert(const Endpoint& from, Bytes message, wire::Insert insert) {
  if (redirects_to)
    return refuse(from, insert.nonce, wire::Refusal::not_owner, redirects_to->contact);
  const auto cookie = mac("cookie", from, insert.id.ring());
  if (!insert.proof || insert.cookie != cookie || challenges_always) {
    wire::Challenge challenge{insert.nonce, cookie, from, contact};
    if (challenges_as) challenge.contact.key = challenges_as->key();
    return answer(from, challenge);
  }
  if (proofs && !proofs->take(world.now)) return;
  if (refuses) return refuse(from, insert.nonce, *refuses);
  if (!insert.valid_signature(message, from, contact.ring_id()) ||
      insert.id.common_prefix(owner_prefix(insert.owner, insert.salt)) < Id::kMinimumMatch)
    return refuse(from, insert.nonce, wire::Refusal::bad_proof);
  const auto stored = triggers.find(insert.id);
  if (stored != triggers.end() && stored->second.sequence > insert.sequence)
    return refuse(from, insert.nonce, wire::Refusal::stale);
  wire::Inserted inserted;
  inserted.nonce = insert.nonce;
  inserted.id = insert.id;
  inserted.lifetime_ms = insert.lifetime_ms;
  inserted.token = mac("token", from, {});
  if (insert.remove) {
    triggers.erase(insert.id);
    return answer(from, inserted);
  }
  FakeNode::Stored& trigger = triggers[insert.id];
  if (trigger.label.none()) trigger.label = {next_slot++, random.u32()};
  trigger.target = from;
  trigger.sequence = insert.sequence;
  trigger.expires = world.now + std::chrono::milliseconds(insert.lifetime_ms);
  trigger.rate = insert.rate_pps;
  trigger.owner = insert.owner;
  inserted.label = trigger.label;
  for (const auto& node : world.nodes)
    if (names_replicas && node.get() != this && inserted.replicas.size() < 2)
      inserted.replicas.push_back(node->contact);
  answer(from, inserted);
}

void FakeNode::on_refresh(const Endpoint& from, const wire::Refresh& refresh) {
  if (!answers_refresh) return;
  wire::Refreshed refreshed{refresh.nonce, 0, 30'000, refresh.token};
  for (auto& [id, trigger] : triggers) {
    if (trigger.target != from || trigger.owner != refresh.owner) continue;
    trigger.expires = world.now + 30s;
    ++refreshed.count;
  }
  if (refresh.token != mac("token", from, {}) || refreshed.count == 0)
    return refuse(from, refresh.nonce, wire::Refusal::unknown_token);
  answer(from, refreshed);
}

void FakeNode::on_packet(const Endpoint& from, const wire::IdPacket& packet) {
  FakeNode& there = world.owner(packet.target().ring());
  if (there.triggers.contains(packet.target()))
    answer(from, wire::Forwarded{packet.nonce, 1, packet.target(), there.contact});
  else
    answer(from, wire::NotPresent{packet.nonce, packet.target()});
}

World::World(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::string address = "203.0." + std::to_string(113 + i) + ".7:5100";
    nodes.push_back(std::make_unique<FakeNode>(*this, 100 + i, address.c_str()));
  }
  ring = [this](RingId position) {
    std::vector<FakeNode*> order;
    for (std::size_t i = 0; i < nodes.size(); ++i)
      order.push_back(nodes[(position.high + i) % nodes.size()].get());
    std::stable_partition(order.begin(), order.end(), [](FakeNode* node) { return !node->dead; });
    return order;
  };
}

std::vector<wire::NodeContact> World::owners(RingId position) {
  std::vector<wire::NodeContact> contacts;
  for (FakeNode* node : ring(position))
    if (contacts.size() < wire::LookupReply::kMaxContacts) contacts.push_back(node->contact);
  return contacts;
}

FakeNode& World::owner(RingId position) {
  return *ring(position).front();
}

ClientOptions World::options() {
  ClientOptions result;
  result.entries = {{nodes[0]->contact.primary(), nodes[0]->contact.key}};
  result.replicas = 0;
  result.near_nodes = false;  // messages are counted
  return result;
}

void World::make_client(ClientOptions options) {
  client = std::make_unique<Client>(*identity, random, log, std::move(options), *this);
}

void World::start(ClientOptions options) {
  make_client(std::move(options));
  client->start(now, wall());
}

void World::transmit(const Endpoint& from, const Endpoint& to, Bytes bytes) {
  Datagram datagram{from, to, {bytes.begin(), bytes.end()}};
  if (!lose || !lose(sent, datagram)) wire.emplace(now + delay, std::move(datagram));
  ++sent;
}

void World::run_for(Duration time) {
  run_until([] { return false; }, time);
}

bool World::run_until(const std::function<bool()>& condition, Duration most) {
  const TimePoint end = now + most;
  while (!condition()) {
    const TimePoint arrival = wire.empty() ? kNever : wire.begin()->first;
    const TimePoint next = std::min(arrival, client ? client->next_deadline() : kNever);
    if (next > end) {
      now = end;
      return condition();
    }
    now = std::max(now, next);
    if (arrival <= now) {
      const Datagram datagram = wire.extract(wire.begin()).mapped();
      if (datagram.to == host && client)
        client->on_message(datagram.from, datagram.bytes, now, wall());
      for (auto& node : nodes)
        if (node->contact.owns(datagram.to))
          node->receive(datagram.to, datagram.from, datagram.bytes);
    } else {
      client->on_timer(now, wall());
    }
  }
  return true;
}

bool World::all_stand() {
  const auto triggers = client->triggers(now);
  return triggers.size() >= 6 &&
         std::all_of(triggers.begin(), triggers.end(), [](const auto& t) { return t.stands; });
}

FakeNode& World::node_holding(const Id& id) {
  for (auto& node : nodes)
    if (node->holds(id)) return *node;
  return *nodes.front();
}

std::size_t World::held_at_nodes() {
  std::size_t held = 0;
  for (auto& node : nodes) held += node->held();
  return held;
}

std::size_t World::count(const std::string& event) const {
  return static_cast<std::size_t>(
      std::count_if(events.begin(), events.end(), [&](const Event& e) { return e.what == event; }));
}

void World::send(const Endpoint& to, Bytes message) {
  transmit(host, to, message);
}
void World::on_packet(const wire::IdPacket& packet, const Endpoint&, TimePoint) {
  events.push_back({"packet", packet.target(), packet.nonce, std::string(as_text(packet.payload))});
}
void World::on_returned(std::uint8_t kind, Bytes payload, const Endpoint&, TimePoint) {
  events.push_back({"returned", {}, kind, std::string(as_text(payload))});
}
void World::on_forwarded(std::uint64_t nonce, const wire::Forwarded& forwarded, TimePoint) {
  events.push_back({"forwarded", forwarded.id, nonce, ""});
}
void World::on_not_present(std::uint64_t nonce, const Id& id, TimePoint) {
  events.push_back({"not_present", id, nonce, ""});
}
void World::on_no_label(const Endpoint&, wire::Label label, TimePoint) {
  events.push_back({"no_label", {}, label.slot, ""});
}
void World::on_trigger(const Id& id, TimePoint) {
  events.push_back({"trigger", id, client->path(id).nodes.size(), ""});
}
void World::on_ready(bool ready, TimePoint) {
  events.push_back({ready ? "ready" : "not_ready", {}, 0, ""});
}

}  // namespace i3::test
