#include "proxy/host/visits.hh"

#include "proxy/packet/icmp.hh"
#include "proxy/packet/rewrite.hh"

namespace i3 {

// One visit: the host that is seen there, and what stands for the visited one here. The visit's
// host has addresses of its own, made from its fresh key in the default pool, so packets are
// rewritten between those and this machine's before they are sealed (decision 17).
class Visits::Visit final : public HostIo {
 public:
  Visit(Visits& visits, VisitName name, VisitIo::Socket socket, const AddressPool::Entry& local)
      : name_(std::move(name)),
        socket_(socket),
        local_id_(local.id),
        ipv4_(local.ipv4),
        ipv6_(local.ipv6),
        visits_(visits),
        identity_(Identity::generate(visits.random_)) {}

  const VisitName name_;
  const VisitIo::Socket socket_;
  const Id local_id_;  // of no key: holds the place in this host's address pool
  const VirtualIp ipv4_, ipv6_;
  std::unique_ptr<Host> host_;  // none until there is a relay
  TimePoint last_used_{};
  TimePoint next_relay_{};  // when another one may be taken
  std::vector<std::vector<std::uint8_t>> parked_;
  TimePoint parked_since_ = kNever;

  const PublicKey& identity() const { return identity_->key(); }
  Peer& peer() { return *host_->peers().find(name_.key); }
  void start(Relay relay);
  void out(Frame frame);

 private:
  // HostIo
  void send(const Endpoint& to, Bytes datagram) override;
  void to_tun(Bytes packet) override;
  void set_route(const VirtualIp&, bool) override {}
  void log_state(const std::string&) override {}  // nothing of a visit is kept

  Visits& visits_;
  std::unique_ptr<Identity> identity_;
};

void Visits::Visit::start(Relay relay) {
  HostSettings settings;
  settings.options.have_v4 = visits_.have_v4_;
  settings.options.have_v6 = visits_.have_v6_;
  settings.options.idle = visits_.idle_;
  settings.options.max_peers = 4;
  settings.sessions.max_peers = 4;
  settings.directory = Directory({{name_.name, name_.key, false, name_.middlebox}}, {});
  host_ = std::make_unique<Host>(*identity_, visits_.clock_, visits_.random_, visits_.log_, *this,
                                 std::move(settings), std::move(relay));
  host_->meet(name_.key);
  host_->start();
  auto parked = std::move(parked_);
  parked_.clear();
  parked_since_ = kNever;
  for (const auto& packet : parked) {
    OwnFrame own(packet);
    out(own.frame());
  }
}

void Visits::Visit::out(Frame frame) {
  auto packet = IpPacket::parse(frame.bytes());
  if (!packet) {
    ++visits_.counters_.malformed;
    return;
  }
  const bool v4 = packet->family() == Family::v4;
  const Peer& other = peer();
  rewrite_addresses(*packet, (v4 ? host_->own4() : host_->own6()).address(),
                    (v4 ? other.ipv4 : other.ipv6).address());
  host_->on_tun(frame);
}

// The last gate: whatever went wrong before, nothing leaves for anybody but the relay.
void Visits::Visit::send(const Endpoint& to, Bytes datagram) {
  if (host_ && host_->relayed().address() != to) {
    ++visits_.counters_.not_to_relay;
    return;
  }
  visits_.io_.send(socket_, to, datagram);
}

void Visits::Visit::to_tun(Bytes bytes) {
  std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  auto packet = IpPacket::parse(copy);
  if (!packet) {
    ++visits_.counters_.malformed;
    return;
  }
  const bool v4 = packet->family() == Family::v4;
  rewrite_addresses(*packet, (v4 ? ipv4_ : ipv6_).address(),
                    (v4 ? visits_.host_.own4() : visits_.host_.own6()).address());
  visits_.io_.visit_to_tun(copy);
}

Visits::Visits(Host& host, Clock& clock, Random& random, Log& log, VisitIo& io, Duration idle)
    : host_(host),
      clock_(clock),
      random_(random),
      log_(log),
      io_(io),
      idle_(idle),
      pool_(random, {[this] {
                       std::vector<Endpoint> alive;
                       for (const EntryStatus& entry : host_.client().nodes())
                         if (entry.alive) alive.push_back(entry.address);
                       return alive;
                     },
                     [this](const Endpoint& to, Bytes message) { io_.send(0, to, message); },
                     [this](const PublicKey& key) { return key == host_.key(); }}) {}

Visits::~Visits() = default;

// Names

void Visits::set_names(std::vector<VisitName> names) {
  const TimePoint now = clock_.now();
  names_ = std::move(names);
  std::vector<Visit*> gone;
  for (const auto& [socket, visit] : visits_)
    if (std::find(names_.begin(), names_.end(), visit->name_) == names_.end())
      gone.push_back(visit.get());
  for (Visit* visit : gone) end(*visit);
  const bool wanted = !names_.empty();
  if (wanted && !pool_socket_) pool_socket_ = io_.open(0);
  if (!wanted && std::exchange(pool_socket_, false)) io_.close(0);
  pool_.set_wanted(pool_socket_, now);
  next_sweep_ = wanted ? now + kSweepEvery : kNever;
}

bool Visits::has(std::string_view name) const {
  return std::any_of(names_.begin(), names_.end(),
                     [&](const VisitName& one) { return one.name == name; });
}

Visits::Visit* Visits::find(std::string_view name) const {
  for (const auto& [socket, visit] : visits_)
    if (visit->name_.name == name) return visit.get();
  return nullptr;
}

std::optional<Visits::Addresses> Visits::meet(std::string_view name) {
  if (stopped_) return std::nullopt;
  const TimePoint now = clock_.now();
  Visit* visit = find(name);
  if (visit == nullptr) {
    const auto known = std::find_if(names_.begin(), names_.end(),
                                    [&](const VisitName& one) { return one.name == name; });
    if (known == names_.end()) return std::nullopt;
    visit = begin(*known, now);
  }
  if (visit == nullptr) {
    ++counters_.no_room;
    return std::nullopt;
  }
  visit->last_used_ = now;
  return Addresses{visit->name_.key, visit->ipv4_, visit->ipv6_};
}

std::optional<std::string> Visits::name_at(const IpAddress& address) const {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return std::nullopt;
  return found->second->name_.name;
}

// Beginning and end

// The addresses here are new for each visit as well: the kernel derives from them what it puts
// into TCP's timestamps and sequence numbers.
Visits::Visit* Visits::begin(const VisitName& name, TimePoint now) {
  if (visits_.size() >= kMaxVisits) return nullptr;
  Id id;
  random_.fill(id.bytes);
  const AddressPool::Entry* local = host_.addresses().assign(id, Standing::stranger);
  if (local == nullptr) return nullptr;
  const VisitIo::Socket socket = next_socket_++;
  if (!io_.open(socket)) {
    host_.addresses().release(id);
    return nullptr;
  }
  auto made = std::make_unique<Visit>(*this, name, socket, *local);
  Visit& visit = *made;
  visits_.emplace(socket, std::move(made));
  by_address_[visit.ipv4_.address()] = &visit;
  by_address_[visit.ipv6_.address()] = &visit;
  ++counters_.begun;
  visit.last_used_ = now;
  give_relay(visit, now);
  return &visit;
}

void Visits::end(Visit& visit) {
  if (visit.host_) visit.host_->stop();
  io_.close(visit.socket_);
  by_address_.erase(visit.ipv4_.address());
  by_address_.erase(visit.ipv6_.address());
  host_.addresses().release(visit.local_id_);
  ++counters_.ended;
  visits_.erase(visit.socket_);
}

bool Visits::renew(std::string_view name) {
  Visit* visit = find(name);
  if (visit == nullptr) return false;
  end(*visit);
  return true;
}

void Visits::stop() {
  stopped_ = true;
  while (!visits_.empty()) end(*visits_.begin()->second);
  names_.clear();
  pool_.set_wanted(false, clock_.now());
}

void Visits::network_changed(bool have_v4, bool have_v6) {
  have_v4_ = have_v4;
  have_v6_ = have_v6;
  pool_.set_families(have_v4, have_v6);
  for (const auto& [socket, visit] : visits_)
    if (visit->host_) visit->host_->network_changed({}, have_v4, have_v6);
}

void Visits::set_tunnelled(bool tunnelled, std::optional<RingId> own_node) {
  own_node_ = own_node;
  if (std::exchange(tunnelled_, tunnelled) == tunnelled) return;
  pool_.prefer_tls(tunnelled, clock_.now());
  network_changed(have_v4_, have_v6_);
}

void Visits::moved(VisitIo::Socket socket) {
  const auto found = visits_.find(socket);
  if (found != visits_.end() && found->second->host_)
    found->second->host_->network_changed({}, have_v4_, have_v6_);
}

// Relays

// Not one of the nodes that hold the visited host's public triggers, if there are others: they
// would see who asks and for whom.
void Visits::give_relay(Visit& visit, TimePoint now) {
  const PublicKey& meets = visit.name_.middlebox ? *visit.name_.middlebox : visit.name_.key;
  std::vector<RingId> avoid{public_id(meets, 0).ring(), public_id(meets, 1).ring()};
  if (own_node_) avoid.push_back(*own_node_);
  // A node inside the visited host has its key, and would see from where and for whom at once.
  auto relay = pool_.take(avoid, meets, now);
  if (relay || !pool_.empty()) visit.next_relay_ = now + kRelayPause;
  if (!relay) return;
  io_.set_relay(visit.socket_, relay->node);
  if (!visit.host_) return visit.start(std::move(*relay));
  ++counters_.relays_changed;
  visit.host_->change_relay(std::move(*relay));
}

void Visits::give_relays(TimePoint now) {
  for (const auto& [socket, visit] : visits_)
    if ((!visit->host_ || visit->host_->relayed().lost()) && now >= visit->next_relay_)
      give_relay(*visit, now);
}

void Visits::give_up_waiting(Visit& visit, TimePoint now) {
  if (visit.host_ || visit.parked_.empty() || now < visit.parked_since_ + kRelayPatience) return;
  for (auto& bytes : std::exchange(visit.parked_, {})) {
    ++counters_.no_relay;
    const auto packet = IpView::parse(bytes);
    std::array<std::uint8_t, kReplyCapacity> reply;
    if (!packet) continue;
    const MutBytes answer =
        build_unreachable(*packet, Unreachable::host, packet->destination(), reply);
    if (!answer.empty()) io_.visit_to_tun(answer);
  }
  visit.parked_since_ = kNever;
}

// Packets

bool Visits::on_tun(Frame frame) {
  if (by_address_.empty() || frame.size() < kIpv4HeaderSize) return false;
  const bool v4 = frame.bytes()[0] >> 4 == 4;
  if (!v4 && frame.size() < kIpv6HeaderSize) return false;
  const Family family = v4 ? Family::v4 : Family::v6;
  const auto found = by_address_.find(destination_in(frame.bytes(), family));
  if (found == by_address_.end()) return false;
  if (source_in(frame.bytes(), family) != (v4 ? host_.own4() : host_.own6()).address())
    return false;  // the host counts it as a foreign source
  Visit& visit = *found->second;
  const TimePoint now = clock_.now();
  visit.last_used_ = now;
  if (visit.host_) {
    visit.out(frame);
  } else if (visit.parked_.size() >= kMaxParked) {
    ++counters_.park_full;
  } else {
    if (visit.parked_.empty()) visit.parked_since_ = now;
    visit.parked_.emplace_back(frame.bytes().begin(), frame.bytes().end());
  }
  return true;
}

void Visits::on_datagram(VisitIo::Socket socket, const Endpoint& from, MutBytes datagram) {
  const TimePoint now = clock_.now();
  if (socket == 0) {
    pool_.on_message(from, datagram, now);
    return give_relays(now);
  }
  const auto found = visits_.find(socket);
  if (found == visits_.end() || !found->second->host_) return;
  Visit& visit = *found->second;
  if (visit.host_->relayed().address() != from) {
    ++counters_.foreign;
    return;
  }
  visit.host_->on_datagram(from, datagram);
}

TimePoint Visits::next_deadline() const {
  TimePoint next = std::min(pool_.next_deadline(), next_sweep_);
  for (const auto& [socket, visit] : visits_) {
    const bool waits = !visit->host_ || visit->host_->relayed().lost();
    if (visit->host_) next = std::min(next, visit->host_->next_deadline());
    if (waits && !pool_.empty()) next = std::min(next, visit->next_relay_);
    if (visit->parked_since_ != kNever)
      next = std::min(next, visit->parked_since_ + kRelayPatience);
  }
  return next;
}

void Visits::on_timer() {
  const TimePoint now = clock_.now();
  if (now >= pool_.next_deadline()) pool_.on_timer(now);
  for (const auto& [socket, visit] : visits_)
    if (visit->host_ && now >= visit->host_->next_deadline()) visit->host_->on_timer();
  give_relays(now);
  for (const auto& [socket, visit] : visits_) give_up_waiting(*visit, now);
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepEvery;
  std::vector<Visit*> idle;
  for (const auto& [socket, visit] : visits_)
    if (now > visit->last_used_ + idle_) idle.push_back(visit.get());
  for (Visit* visit : idle) end(*visit);
}

void Visits::ping(std::string_view name, Duration timeout,
                  std::function<void(const PingResult&)> done) {
  const auto known = meet(name);
  Visit* visit = find(name);
  if (!known || visit == nullptr) return done({false, {}, {}, "no room for one more visit"});
  if (!visit->host_) return done({false, {}, {}, "no relay was found yet"});
  const Endpoint relay = visit->host_->relayed().address().value_or(Endpoint{});
  visit->host_->ping(visit->name_.key, timeout, [done = std::move(done), relay](PingResult result) {
    result.path = "node " + relay.text();
    done(result);
  });
}

std::vector<Visits::Status> Visits::status() const {
  std::vector<Status> rows;
  for (const auto& [socket, visit] : visits_) {
    Status row;
    row.name = visit->name_.name;
    row.key = visit->name_.key;
    row.ipv4 = visit->ipv4_;
    row.ipv6 = visit->ipv6_;
    row.identity = visit->identity();
    row.last_used = visit->last_used_;
    if (visit->host_) {
      row.relay = visit->host_->relayed().address();
      row.overlay = visit->host_->relayed().counters();
      row.peer = &visit->peer();
      row.stands = visit->host_->sessions().can_seal(row.peer->handle, clock_.now());
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace i3
