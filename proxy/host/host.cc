#include "proxy/host/host.hh"

#include <algorithm>

#include "proxy/packet/icmp.hh"
#include "proxy/packet/rewrite.hh"

namespace i3 {
namespace {

AddressPool::Settings bounded(AddressPool::Settings pool, const HostOptions& options) {
  pool.max_entries = std::max(options.max_peers, options.max_addresses);
  return pool;
}

// What every anonymous host is alike in: nothing here tells of the machine behind it.
HostSettings anonymous(HostSettings settings) {
  settings.options.relayed = true;
  settings.options.shortcuts = false;
  settings.options.mtu = HostOptions{}.mtu;
  settings.pool = {};
  settings.sessions.aes_preferred = false;
  settings.restored = {};
  return settings;
}

}  // namespace

Host::Host(const Identity& identity, Clock& clock, Random& random, Log& log, HostIo& io,
           HostSettings settings)
    : Host(identity, clock, random, log, io, std::move(settings), std::optional<Relay>()) {}

Host::Host(const Identity& identity, Clock& clock, Random& random, Log& log, HostIo& io,
           HostSettings settings, Relay relay)
    : Host(identity, clock, random, log, io, anonymous(std::move(settings)),
           std::optional<Relay>(std::move(relay))) {}

Host::Host(const Identity& identity, Clock& clock, Random& random, Log& log, HostIo& io,
           HostSettings settings, std::optional<Relay> relay)
    : named_(std::move(settings.directory)),
      named_allow_(settings.allow),
      pool_(bounded(std::move(settings.pool), settings.options), random),
      peers_(pool_),
      sessions_(identity, random, settings.sessions),
      relayed_(relay ? std::make_unique<RelayedClient>(
                           std::move(*relay), random, log,
                           RelayedOptions{settings.options.have_v4, settings.options.have_v6},
                           static_cast<ClientEvents&>(*this))
                     : nullptr),
      ring_client_(relay ? nullptr
                         : std::make_unique<Client>(identity, random, log, settings.client,
                                                    static_cast<ClientEvents&>(*this))),
      client_(relayed_ ? static_cast<OverlayAccess&>(*relayed_) : *ring_client_),
      rules_(settings.allow, random),
      gate_(settings.options.max_peers, settings.restored.clean),
      parts_{identity,  clock,   random,        log,    io,      settings.options, pool_, peers_,
             sessions_, client_, rules_,        gate_,  stamps_, verdicts_,        {},    {},
             {},        {},      settings.edge, nullptr},
      stops_(parts_, directory_),
      courier_(parts_, stops_),
      direct_(parts_, courier_),
      sizes_(parts_, courier_),
      nodes_(parts_, courier_),
      paths_(parts_, courier_, direct_, nodes_, stops_),
      rendezvous_(parts_, courier_, paths_),
      boxes_(parts_, directory_, courier_, rendezvous_),
      gateway_names_(parts_, courier_, rendezvous_),
      moves_(parts_, rendezvous_, paths_),
      outbound_(parts_, courier_, direct_, sizes_, rendezvous_, gateway_names_),
      inbound_(parts_, gateway_names_),
      no_labels_(100, 200) {
  const AddressPool::Entry* own = pool_.add_own(public_id(identity.key()));
  assert(own != nullptr);  // an empty pool that passed its check has room for one
  parts_.own4 = own->ipv4;
  parts_.own6 = own->ipv6;
  connect_boxes();
  rendezvous_.deliver = [this](Peer& peer, MutBytes packet, TimePoint now) {
    on_plaintext(peer, packet, {}, now);
  };
  rendezvous_.local_view = [this](Peer& peer, MutBytes error) {
    auto packet = IpPacket::parse(error);
    if (!packet) return;
    if (const auto local = gateway_names_.local_source(peer, *packet, parts_.clock.now()))
      rewrite_source(*packet, *local);
  };
  rendezvous_.ready = [this](Peer& peer, TimePoint now) {
    const bool stands = sessions_.can_seal(peer.handle, now);
    if (stands) peer.ever_ready = true;
    if (stands) nodes_.prove(peer, now);
    log_peer(peer, now);
    pings_ready(peer, now);
    if (peer.leg && stands) send_waiting_pings(peer, now);
    gateway_names_.on_peer(peer, now);
    reschedule(peer, now);
    if (!stands && now < peer.absent_until && parts_.groups && !peer.leg)
      parts_.groups->on_absent(peer, now);
  };
  direct_.call_peer = [this](Peer& peer, TimePoint now) { paths_.trigger_changed(peer, now); };
  restore_records(settings.restored);
  directory_ = believed_.applied(named_);
  restore(settings.restored);
  apply_records();
}

Host::~Host() = default;

void Host::restore(const RestoredState& state) {
  client_.restore(state.client);
  for (const StampEntry& entry : state.stamps) gate_.restore(entry);
  std::vector<AddressPool::Record> records;
  for (const PeerRecord& peer : state.peers)
    if (peer.key != key())
      records.push_back({public_id(peer.key), peer.ipv4, peer.ipv6, peer.standing});
  pool_.restore(records);
  const WallTime wall = parts_.clock.wall();
  const TimePoint now = parts_.clock.now();
  for (const PeerRecord& record : state.peers) {
    if (record.key == key() || pool_.find(public_id(record.key)) == nullptr) continue;
    Peer* peer = peers_.get(record.key, record.name, record.standing);
    if (peer == nullptr) continue;
    const Duration ago(wall > record.used ? static_cast<std::int64_t>(wall - record.used) : 0);
    if (ago > parts_.options.idle && !directory_.knows(record.key)) {
      peers_.remove(*peer);
      continue;
    }
    peer->last_used = peer->logged_use = now - std::min<Duration>(ago, parts_.options.idle);
    if (ago < kGreetIfUsed) to_greet_.push_back(record.key);
    if (peer->needs_route) parts_.io.set_route(peer->ipv4, true);
  }
  for (const std::string& line : state.names) gateway_names_.restore(line, now);
}

// Address-book entries have their addresses before anybody asks, in ID order, so that they are the
// same after every restart.
void Host::adopt_directory() {
  std::vector<Id> ids;
  for (const KnownHost& host : directory_.hosts())
    if (host.key != key()) ids.push_back(public_id(host.key));
  pool_.reserve(std::move(ids));
  for (const KnownHost& host : directory_.hosts())
    if (host.key != key() && peers_.find(host.key) == nullptr)
      peers_.get(host.key, host.name, Standing::known);
  const TimePoint now = parts_.clock.now();
  peers_.each([&](Peer& peer) {
    peer.name = directory_.name_of(peer.key);
    if (const KnownHost* known = directory_.by_key(peer.key)) peer.shortcuts = known->shortcuts;
    settle(peer, now);
  });
  if (ring_client_) public_lead_.settle(*ring_client_, directory_.inbound_stop(), now);
}

void Host::start() {
  const TimePoint now = parts_.clock.now();
  client_.start(now, parts_.clock.wall());
  next_sweep_ = now + kSweepEvery;
  if (!to_greet_.empty()) next_greeting_ = now;
}

void Host::stop() {
  const TimePoint now = parts_.clock.now();
  peers_.each([&](Peer& peer) {
    const std::uint8_t close = static_cast<std::uint8_t>(wire::Control::close);
    courier_.send_control(peer, Bytes(&close, 1), now);
    rendezvous_.forget(peer);
  });
  stopping_ = true;
  client_.stop(now);
}

bool Host::stopped() const {
  return client_.stopped();
}

void Host::on_tun(Frame frame) {
  if (stopping_) return;
  verdicts_.count(outbound_.on_packet(frame, parts_.clock.now()));
}

void Host::on_datagram(const Endpoint& from, MutBytes datagram) {
  const TimePoint now = parts_.clock.now();
  auto header = wire::Header::parse(datagram);
  if (!header || datagram.size() > wire::kMaxMessage) {
    verdicts_.count(Verdict::malformed);
    return;
  }
  Origin origin;
  switch (header->type) {
    case wire::Type::direct:
      if (!wire::Direct::parse(datagram)) break;
      origin.direct = from;
      return on_session_message(header->kind, datagram.subspan(wire::kDirectSize), origin, now);
    case wire::Type::labelled:
      if (!wire::Labelled::parse(datagram)) break;
      origin.node = from;
      return on_session_message(header->kind, datagram.subspan(wire::kLabelledSize), origin, now);
    default:
      return client_.on_message(from, datagram, now, parts_.clock.wall());
  }
  verdicts_.count(Verdict::malformed);
}

void Host::send(const Endpoint& to, Bytes message) {
  parts_.io.send(to, message);
}

void Host::on_packet(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) {
  // IDs under the prefix for passes are no address of this host's own.
  if (packet.target().ring() == owner_prefix(key(), kPassSalt).ring()) {
    if (sealed_stop_ != nullptr && !stopping_)
      return sealed_stop_->on_consent_ask(packet, node, now);
    verdicts_.count(Verdict::unexpected);
    return;
  }
  if (packet.kind >= wire::kGroupAsk) {
    if (parts_.groups != nullptr && !stopping_) return parts_.groups->on_packet(packet, node, now);
    verdicts_.count(Verdict::unexpected);
    return;
  }
  std::vector<std::uint8_t> message(packet.payload.begin(), packet.payload.end());
  on_session_message(packet.kind, message, {std::nullopt, node, packet.tag, packet.target()}, now);
}

bool Host::on_leftover(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) {
  if (sealed_stop_ == nullptr || stopping_ ||
      packet.target().ring() != owner_prefix(key(), kPassSalt).ring())
    return false;
  sealed_stop_->on_sealed(packet, node, now);
  return true;
}

void Host::on_returned(std::uint8_t kind, Bytes payload, const Endpoint& node, TimePoint now) {
  if (kind == wire::kConsentAnswer) {
    const auto answer = wire::ConsentAnswer::parse(payload);
    if (answer && !stopping_) return public_lead_.on_answer(*answer, now);
    verdicts_.count(Verdict::malformed);
    return;
  }
  if (kind == wire::kGroupAnswer) {
    if (parts_.groups != nullptr && !stopping_) return parts_.groups->on_answer(payload, now);
    verdicts_.count(Verdict::unexpected);
    return;
  }
  if (kind == static_cast<std::uint8_t>(SessionKind::cookie) && sealed_stop_ != nullptr &&
      sealed_stop_->on_cookie(payload, now))
    return;
  std::vector<std::uint8_t> message(payload.begin(), payload.end());
  on_session_message(kind, message, {std::nullopt, node, std::nullopt, std::nullopt}, now);
}

void Host::on_forwarded(std::uint64_t nonce, const wire::Forwarded& forwarded, TimePoint now) {
  rendezvous_.on_forwarded(nonce, now);
  if (parts_.groups != nullptr) parts_.groups->on_forwarded(nonce, forwarded, now);
}

void Host::on_not_present(std::uint64_t nonce, const Id&, TimePoint now) {
  rendezvous_.on_not_present(nonce, now);
  if (parts_.groups != nullptr) parts_.groups->on_not_present(nonce, now);
}

void Host::on_no_label(const Endpoint& node, wire::Label label, TimePoint now) {
  // Anybody can send these, and each goes over all peers.
  if (!no_labels_.take(now)) return;
  peers_.each([&](Peer& peer) {
    if (nodes_.label_gone(peer, node, label, now)) rendezvous_.contact(peer, now);
  });
}

void Host::on_trigger(const Id& id, TimePoint now) {
  peers_.each([&](Peer& peer) {
    if (peer.mine != id) return;
    rendezvous_.trigger_changed(peer, now);
    if (!client_.path(id).nodes.empty()) paths_.trigger_changed(peer, now);
  });
}

void Host::on_ready(bool ready, TimePoint now) {
  parts_.log.info(ready ? "reachable" : "not_reachable",
                  {{"trouble", ready ? std::string("none") : client_.trouble()}});
  if (ready && !to_greet_.empty()) next_greeting_ = now;
}

bool Host::send_control(Peer& peer, Bytes plaintext) {
  return courier_.send_control(peer, plaintext, parts_.clock.now());
}

Peer* Host::peer_for(const PublicKey& peer_key, const AnnouncedAddresses& announced) {
  if (Peer* peer = peers_.find(peer_key)) return peer;
  const KnownHost* known = directory_.by_key(peer_key);
  const Standing standing = directory_.knows(peer_key) ? Standing::known : Standing::stranger;
  Peer* peer = peers_.get(peer_key, directory_.name_of(peer_key), standing, announced);
  if (peer == nullptr) {
    verdicts_.count(Verdict::too_many_peers);
    return nullptr;
  }
  // Whoever is let in as anybody does not learn our addresses (decision 21).
  peer->shortcuts = known != nullptr ? known->shortcuts : standing == Standing::known;
  peer->last_used = parts_.clock.now();
  if (peer->needs_route) parts_.io.set_route(peer->ipv4, true);
  log_peer(*peer, peer->last_used);
  return peer;
}

Peer* Host::meet(const PublicKey& peer_key) {
  Peer* peer = peers_.find(peer_key);
  if (peer == nullptr) {
    const KnownHost* known = directory_.by_key(peer_key);
    // Asked for by its key's own name: known, as if a book named it.
    peer = peers_.get(peer_key, directory_.name_of(peer_key), Standing::known);
    if (peer == nullptr) {
      verdicts_.count(Verdict::no_address);
      return nullptr;
    }
    peer->shortcuts = known == nullptr || known->shortcuts;
    log_peer(*peer, parts_.clock.now());
  }
  peer->wanted = true;
  peer->last_used = parts_.clock.now();
  ask_records(peer_key);
  return peer;
}

std::optional<PublicKey> Host::key_of(std::string_view name) const {
  if (const KnownHost* host = directory_.by_name(name)) return host->key;
  const auto key = key_in(name);
  return key ? believed_.current(*key) : std::nullopt;
}

std::optional<PublicKey> Host::key_in(std::string_view name) const {
  if (name.size() != PublicKey::kTextSize) return std::nullopt;
  // Looking whether a key is a good point costs more than all else a name needs, and every peer's
  // key was looked at before it became one.
  const auto bytes = from_base32(name);
  if (!bytes || bytes->size() != PublicKey::kSize) return std::nullopt;
  PublicKey known;
  std::copy(bytes->begin(), bytes->end(), known.bytes.begin());
  if (peers_.find(known) != nullptr) return known;
  return PublicKey::from_text(name);
}

std::string Host::own_name() const {
  return directory_.name_of(key());
}

std::optional<std::string> Host::name_at(const IpAddress& address) const {
  if (address == parts_.own4.address() || address == parts_.own6.address()) return own_name();
  if (const Peer* peer = peers_.find(address)) return peer->name;
  if (const LegNames::Name* name = leg_names_.at(address)) return name->name;
  return std::nullopt;
}

bool Host::owns(const IpAddress& address) const {
  return pool_.ipv4().contains(address) || pool_.ipv6().contains(address) ||
         peers_.find(address) != nullptr;
}

void Host::change_ring(std::vector<EntryNode> entries) {
  const TimePoint now = parts_.clock.now();
  ring_client_->change_ring(std::move(entries), now, parts_.clock.wall());
  triggers_gone(now);
  watch_records();
}

void Host::change_relay(Relay relay) {
  const TimePoint now = parts_.clock.now();
  relayed_->change(std::move(relay), now);
  triggers_gone(now);
}

// Peers whose sessions stand are told of a new trigger by a new handshake.
void Host::triggers_gone(TimePoint now) {
  peers_.each([&](Peer& peer) {
    if (!peer.mine) return;
    peer.mine.reset();
    TriggerMoves::forget(client_, peer, now);
    peer.mine_told = {};
    peer.mine_acknowledged = true;
    rendezvous_.begin_anew(peer, now);
    if (sessions_.can_seal(peer.handle, now)) rendezvous_.contact(peer, now);
  });
}

}  // namespace i3
