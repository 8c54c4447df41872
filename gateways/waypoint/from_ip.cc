#include "gateways/waypoint/from_ip.hh"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "dnsintercept/dns_connection.hh"
#include "overlay/wire/waypoint_notes.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kTidyEvery = std::chrono::seconds(20);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);  // after an error: no descriptors
constexpr auto kBoundFor = std::chrono::hours(1);
constexpr std::size_t kMaxZoneConnections = 256;
constexpr int kWaiting = 4096;            // handshakes that were completed and not accepted yet
constexpr int kOriginalDestination = 80;  // SO_ORIGINAL_DST of both families
constexpr rlim_t kDescriptorsEach = 2, kDescriptorsElse = 512;

int copy_of(const UniqueFd& fd) {
  return ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
}

// Where the client's packets went before the kernel sent them here.
std::optional<Endpoint> original_destination(tcp::socket& socket, bool four) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  const int level = four ? IPPROTO_IP : IPPROTO_IPV6;
  if (::getsockopt(socket.native_handle(), level, kOriginalDestination, &storage, &size) != 0)
    return std::nullopt;
  if (four) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof in);
    return Endpoint{IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  sockaddr_in6 in{};
  std::memcpy(&in, &storage, sizeof in);
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &in.sin6_addr, 16);
  return Endpoint{IpAddress::v6(bytes), ntohs(in.sin6_port)};
}

// Two a visitor; the usual limit is 1024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = kDescriptorsEach * FromIp::kMaxVisitors + kDescriptorsElse;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, wanted));
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

ZoneSettings zone_of(const IpToI3Settings& settings) {
  ZoneSettings zone{settings.zone, {}, settings.contact};
  for (const NameServerSettings& server : settings.nameservers)
    zone.servers.push_back({server.name, server.addresses});
  return zone;
}

Waypoints::Settings table_of(const IpToI3Settings& settings, Duration idle) {
  Waypoints::Settings table;
  table.ranges = settings.waypoints4;
  // A peer's address is not given to another one before that.
  table.idle = std::min<Duration>(kBoundFor, idle / 2);
  return table;
}

}  // namespace

FromIp::FromIp(Worker& worker, const IpToI3Settings& settings)
    : worker_(worker),
      waypoints_here_(!settings.waypoints_at),
      waypoints_(table_of(settings, worker.settings().state.idle)),
      kernel_(
          [this](const auto& names, auto done) {
            worker_.broker().async_waypoint_names(
                names, [done](const BrokerReply& reply) { done(reply.ok(), reply.text); });
          },
          [this](const WaypointName& name, const std::string& why) {
            worker_.log().warning("waypoint_refused",
                                  {{"waypoint", name.waypoint.text()}, {"reason", why}});
          }),
      held_([this](const DnsClient& client, Bytes message) {
        if (dns_) dns_->answer(client, message);
      }),
      scratch_(Splice::kPiece) {
  kernel_.known = [this](std::uint64_t batch) { held_.known(batch); };
  if (settings.waypoints6) waypoints6_.emplace(*settings.waypoints6);
  raise_descriptor_limit();
  adopt(settings);
}

FromIp::~FromIp() {
  stop();
}

void FromIp::adopt(const IpToI3Settings& settings) {
  settings_ = settings;
  if (settings.listen)
    zone_ = std::make_unique<Zone>(zone_of(settings), static_cast<ZoneNames&>(*this));
  above_.clear();
  std::vector<PublicKey> keys;
  for (const BookEntry* entry : worker_.settings().books.entries()) {
    const std::string& name = entry->name;
    for (std::size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1))
      above_.insert(name.substr(dot + 1));
    std::optional<PublicKey> key;
    if (exists(name, key) && key) keys.push_back(*key);
  }
  if (waypoints6_) waypoints6_->set_book(keys);
  waypoints_.forget_unless([this](std::string_view name) {
    std::optional<PublicKey> key;
    return exists(name, key);
  });
}

void FromIp::reloaded(const GatewaySettings& settings) {
  if (!settings.ip_to_i3) return;
  const IpToI3Settings& fresh = *settings.ip_to_i3;
  if (fresh.listens() != settings_.listens() || fresh.waypoints4 != settings_.waypoints4 ||
      fresh.waypoints6 != settings_.waypoints6 || !(fresh.ports == settings_.ports) ||
      fresh.waypoints_at != settings_.waypoints_at)
    worker_.log().warning("settings",
                          {{"note", "<ip-to-i3> addresses changed: takes effect after a restart"}});
  adopt(fresh);
  tell_kernel();
}

// The gateway's own name and key lead nowhere: what listens on this host is not the overlay's.
bool FromIp::exists(std::string_view name, std::optional<PublicKey>& key) {
  key = worker_.host().key_of(name);
  if (key) return *key != worker_.host().key();
  return worker_.names().behind(worker_.names().full(name)).has_value();
}

void FromIp::start() {
  if (zone_) {
    DnsSockets sockets;
    for (const DnsPair& pair : worker_.inherited().zone) {
      sockets.udp.push_back(copy_of(pair.udp.fd));
      sockets.tcp.push_back(copy_of(pair.tcp.fd));
    }
    dns_ = std::make_unique<DnsListeners>(
        worker_.io(), worker_.clock(), worker_.log(), sockets,
        DnsListeners::Callbacks{[this](const DnsClient& client, Bytes message) {
          std::array<std::uint8_t, kDnsAnswerSize> out;
          const std::size_t size = zone_->answer(client, message, worker_.clock().now(), out);
          answer(client, Bytes(out).first(size));
          // What the answer caused leaves: to the parent, or to the machine with the waypoints.
          worker_.after_command();
        }},
        kMaxZoneConnections);
  }
  // Those whose names are keys, of the run before.
  if (waypoints6_) worker_.host().peers().each([this](Peer& peer) { waypoints6_->add(peer.key); });
  if (waypoints_here_) open_doors();
  tell_kernel();
  next_sweep_ = worker_.clock().now();
}

void FromIp::stop() {
  if (std::exchange(stopped_, true)) return;
  held_.clear();
  dns_.reset();
  error_code ignored;
  for (const auto& door : doors_) {
    door->acceptor.close(ignored);
    door->pause.cancel(ignored);
  }
  for (const auto& [number, visitor] : visitors_) visitor->stop();
  visitors_.clear();
}

// ---- names ----

ZoneMeaning FromIp::look_up(std::string_view name, std::uint16_t type, const DnsClient& client,
                            TimePoint now) {
  ZoneMeaning meaning;
  const bool zone_itself = name.empty();
  if (zone_itself) name = settings_.default_name;
  std::optional<PublicKey> key;
  if (name.empty() || !exists(name, key)) {
    const bool has_more = zone_itself || above_.contains(std::string(name));
    if (has_more) meaning.kind = ZoneMeaning::Kind::empty;
    return meaning;
  }
  meaning.kind = ZoneMeaning::Kind::known;
  if (type == dns_type::aaaa && waypoints6_ && key)
    if (const auto address = waypoints6_->add(*key)) {
      meaning.ipv6 = address->bytes;
      // Kept in use, for UDP and pings that no connection comes before.
      worker_.host().meet(*key);
      tell_kernel();
    }
  if (type == dns_type::a && !waypoints_.none()) {
    bool over_tcp = false;
    const auto address = give(name, client, over_tcp, now);
    if (over_tcp) meaning.kind = ZoneMeaning::Kind::over_tcp;
    if (address) meaning.ipv4 = address->to_v4();
  }
  return meaning;
}

std::optional<IpAddress> FromIp::give(std::string_view name, const DnsClient& client,
                                      bool& over_tcp, TimePoint now) {
  const IpAddress asker = limit_prefix(client.peer.address);
  const auto address = waypoints_.give(name, asker, now);
  gave_waypoint_ = address.has_value();
  if (address && settings_.waypoints_at) tell_waypoint(*address, name, asker);
  if (address) return address;
  over_tcp = client.transport == DnsTransport::udp;
  if (over_tcp) return std::nullopt;
  ++shared_;
  return waypoints_.give_shared(asker, now);
}

std::string FromIp::name_of_host(const std::string& host) {
  std::string name;
  if (host == settings_.zone) name = settings_.default_name;
  if (host.size() > settings_.zone.size() + 1 && host.ends_with('.' + settings_.zone))
    name = host.substr(0, host.size() - settings_.zone.size() - 1);
  std::optional<PublicKey> key;
  return !name.empty() && exists(name, key) ? name : std::string();
}

// ---- the machine with the zone, and the one with the waypoints ----

void FromIp::tell_waypoint(const IpAddress& waypoint, std::string_view name,
                           const IpAddress& asker) {
  Peer* peer = worker_.host().meet(*settings_.waypoints_at);
  if (peer == nullptr) return;
  std::array<std::uint8_t, 1 + 4 + 16 + wire::WaypointNote::kMaxName> storage;
  Writer writer(storage);
  wire::WaypointNote{waypoint, asker, std::string(name)}.write(writer);
  for (int i = 0; i < 2; ++i)
    if (worker_.host().send_control(*peer, writer.written())) ++notes_sent_;
}

bool FromIp::on_control(Peer& peer, Bytes plaintext, TimePoint now) {
  const auto note = wire::WaypointNote::parse(plaintext);
  if (!note || !settings_.dns_at || peer.key != *settings_.dns_at) return false;
  peer.last_used = now;
  std::optional<PublicKey> key;
  const bool taken =
      exists(note->name, key) && waypoints_.expect(note->waypoint, note->name, note->asker, now);
  tell_kernel();
  ++(taken ? notes_taken_ : notes_refused_);
  return true;
}

// So that a note finds a session when it is wanted.
void FromIp::keep_session() {
  if (settings_.waypoints_at)
    worker_.host().ping(*settings_.waypoints_at, kTidyEvery, [](const PingResult&) {});
}

// ---- clients ----

void FromIp::open_doors() {
  for (const BoundSocket& socket : worker_.inherited().waypoints) {
    auto door = std::make_shared<Door>(worker_.io());
    error_code ignored;
    const int fd = copy_of(socket.fd);
    ::listen(fd, kWaiting);
    door->acceptor.assign(socket.local.address.is_v4() ? tcp::v4() : tcp::v6(), fd, ignored);
    doors_.push_back(door);
    accept(door);
  }
}

void FromIp::accept(const std::shared_ptr<Door>& door) {
  door->acceptor.async_accept([this, door](error_code error, tcp::socket socket) {
    if (!door->acceptor.is_open()) return;
    if (!error) {
      welcome(std::move(socket));
      return accept(door);
    }
    door->pause.expires_after(kAcceptPause);
    door->pause.async_wait([this, door](error_code) {
      if (door->acceptor.is_open()) accept(door);
    });
  });
}

void FromIp::welcome(tcp::socket socket) {
  ++counters_.accepted;
  error_code error;
  const auto remote = socket.remote_endpoint(error);
  const IpAddress address = error ? IpAddress{} : address_from(remote.address());
  const auto waypoint = error ? std::nullopt : original_destination(socket, address.is_v4());
  const bool ours =
      waypoint && (waypoint->address.is_v4() ? waypoints_.has(waypoint->address)
                                             : waypoints6_ && waypoints6_->has(waypoint->address));
  if (!ours) {
    ++counters_.no_waypoint;
    return reset(socket);
  }
  std::size_t& of_one = visitors_of_[limit_prefix(address)];
  if (visitors_.size() >= kMaxVisitors || of_one >= kMaxVisitorsOfOne) {
    ++counters_.too_many;
    if (of_one == 0) visitors_of_.erase(limit_prefix(address));
    return reset(socket);
  }
  ++of_one;
  const std::uint64_t number = ++last_number_;
  auto visitor = std::make_shared<Visitor>(
      std::move(socket),
      Visitor::Place{
          number, {address, remote.port()}, *waypoint, bound_name(address, waypoint->address)},
      static_cast<VisitorHall&>(*this), worker_.clock(), scratch_, counters_);
  visitors_.emplace(number, visitor);
  visitor->start();
  worker_.after_command();
}

// What the address means to this client, whose handshake is complete.
std::string FromIp::bound_name(const IpAddress& client, const IpAddress& waypoint) {
  if (!waypoint.is_v4()) {
    const PublicKey* key = waypoints6_->find(waypoint);
    if (key == nullptr) return {};
    return key->text();
  }
  const auto name = waypoints_.bind(client, waypoint, worker_.clock().now());
  tell_kernel();
  return name ? std::string(*name) : std::string();
}

void FromIp::find(const std::string& name, bool four,
                  std::function<void(std::optional<IpAddress>)> done) {
  worker_.names().look_up(
      worker_.names().full(name), worker_.clock().now(),
      [four, done = std::move(done)](const NameAnswer& answer) {
        const std::optional<IpAddress> four_address =
            answer.ipv4 ? std::optional(IpAddress::v4(*answer.ipv4)) : std::nullopt;
        const std::optional<IpAddress> six_address =
            answer.ipv6 ? std::optional(IpAddress::v6(*answer.ipv6)) : std::nullopt;
        const auto& first = four ? four_address : six_address;
        done(first ? first : four ? six_address : four_address);
      });
}

void FromIp::connected(const Endpoint& client, const Endpoint& server, std::uint16_t port,
                       const std::string& name) {
  worker_.log().info("visitor", {{"client", client.text()},
                                 {"name", name},
                                 {"server", server.text()},
                                 {"from_port", std::to_string(port)}});
  Peer* peer = worker_.host().peers().find(server.address);
  if (peer == nullptr) return;
  std::array<std::uint8_t, 64> storage;
  Writer writer(storage);
  wire::ClientNote{IPPROTO_TCP, server.port, port, client}.write(writer);
  if (worker_.host().send_control(*peer, writer.written())) ++notes_sent_;
  worker_.after_command();
}

void FromIp::ended(std::uint64_t number) {
  const auto found = visitors_.find(number);
  if (found == visitors_.end()) return;
  const auto of_one = visitors_of_.find(limit_prefix(found->second->place().client.address));
  if (--of_one->second == 0) visitors_of_.erase(of_one);
  visitors_.erase(found);
}

// ---- time ----

void FromIp::on_timer() {
  const TimePoint now = worker_.clock().now();
  held_.on_timer(now);
  tell_kernel();
  if (now < next_sweep_) return;
  next_sweep_ = now + kTidyEvery;
  waypoints_.sweep(now);
  tell_kernel();
  keep_session();
  std::vector<std::shared_ptr<Visitor>> stale;
  for (const auto& [number, visitor] : visitors_)
    if (visitor->stale(now)) stale.push_back(visitor);
  for (const auto& visitor : stale) {
    visitor->stop();
    ended(visitor->place().number);
  }
}

void FromIp::add_status(Json& status) {
  Json all{{"zone", settings_.listen ? Json(settings_.zone) : Json()},
           {"waypoints_here", waypoints_here_},
           {"bindings", waypoints_.bindings()},
           {"windows", waypoints_.open_windows(worker_.clock().now())},
           {"visitors", visitors_.size()}};
  all["listen"] = Json::array();
  for (const Endpoint& listen : settings_.listens()) all["listen"].push_back(listen.text());
  status["ip_to_i3"] = std::move(all);
}

void FromIp::add_metrics(MetricsText& text) {
  text.gauge("visitors", "TCP connections at waypoints").sample(visitors_.size());
  text.gauge("waypoint_bindings", "Clients bound to a name at an IPv4 waypoint")
      .sample(waypoints_.bindings());
  auto& visits = text.counter("visitor_events_total", "What became of connections at waypoints");
  for (const auto& [name, value] : {std::pair{"accepted", counters_.accepted},
                                    {"by_host", counters_.by_host},
                                    {"by_server_name", counters_.by_server_name},
                                    {"encrypted", counters_.encrypted},
                                    {"by_address", counters_.by_address},
                                    {"by_default", counters_.by_default},
                                    {"unknown", counters_.unknown},
                                    {"silent", counters_.silent},
                                    {"connected", counters_.connected},
                                    {"unreachable", counters_.unreachable},
                                    {"no_waypoint", counters_.no_waypoint},
                                    {"too_many", counters_.too_many},
                                    {"shared_waypoint", shared_},
                                    {"notes_sent", notes_sent_},
                                    {"notes_taken", notes_taken_},
                                    {"notes_refused", notes_refused_}})
    visits.sample("event", name, value);
  if (!zone_) return;
  const ZoneCounters& zone = zone_->counters();
  auto& questions = text.counter("zone_questions_total", "Questions to the zone, by their end");
  for (const auto& [name, value] : {std::pair{"asked", zone.questions},
                                    {"answered", zone.answered},
                                    {"unknown", zone.unknown},
                                    {"refused", zone.refused},
                                    {"malformed", zone.malformed},
                                    {"ignored", zone.ignored},
                                    {"truncated", zone.truncated},
                                    {"limited", zone.limited},
                                    {"silenced", zone.silenced},
                                    {"no_room", dns_ ? dns_->refused() : 0}})
    questions.sample("end", name, value);
}

}  // namespace i3
