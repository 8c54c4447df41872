#include "proxy/daemon/worker.hh"

#include <signal.h>

#include "overlay/session/cipher_choice.hh"
#include "proxy/daemon/commands.hh"
#include "proxy/platform/sockets.hh"

namespace i3 {
namespace {

constexpr auto kUnderlaySettles = std::chrono::milliseconds(100);
constexpr auto kStopPatience = std::chrono::milliseconds(1200);

std::vector<IpAddress> stub_addresses(const Inherited& inherited) {
  std::vector<IpAddress> addresses;
  for (const DnsPair& stub : inherited.stubs) addresses.push_back(stub.address);
  return addresses;
}

PlacementMode mode_of(Intercept intercept) {
  switch (intercept) {
    case Intercept::automatic:
      return PlacementMode::automatic;
    case Intercept::resolved:
      return PlacementMode::resolved;
    case Intercept::redirect:
      return PlacementMode::redirect;
    case Intercept::resolv_conf:
      return PlacementMode::resolv_conf;
    case Intercept::none:
      return PlacementMode::none;
  }
  return PlacementMode::none;
}

TransportChoice::Mode mode_of(Transport transport) {
  switch (transport) {
    case Transport::udp:
      return TransportChoice::Mode::udp;
    case Transport::tls:
      return TransportChoice::Mode::tls;
    case Transport::automatic:
      break;
  }
  return TransportChoice::Mode::automatic;
}

}  // namespace

// Why an entry of a book does not resolve in this version: better no answer than one that keeps
// less than it promises.
std::string unsupported(const BookEntry& entry) {
  if (entry.kind == EntryKind::group) return "groups are not supported yet";
  return {};
}

std::vector<std::string> unsupported(const ProxySettings& settings) {
  std::vector<std::string> notes;
  for (const BookEntry* entry : settings.books.entries())
    if (std::string why = unsupported(*entry); !why.empty())
      notes.push_back(entry->place.text() + ": " + why + "; the name does not resolve");
  for (const Route& route : settings.policy.routes())
    if (route.decision.via == Via::gateway)
      notes.push_back(route.place.text() +
                      ": gateways are not supported yet; names of this route do not resolve");
  return notes;
}

std::optional<PublicKey> box_of(const BookEntry& entry, const AddressBooks& books) {
  const BookEntry* box = entry.middlebox.empty() ? nullptr : books.find(entry.middlebox);
  return box != nullptr ? std::optional(box->key) : std::nullopt;
}

Directory directory_of(const ProxySettings& settings) {
  std::vector<KnownHost> hosts;
  for (const BookEntry* entry : settings.books.entries())
    if (unsupported(*entry).empty() && !entry->anonymous)
      hosts.push_back({entry->name, entry->key, entry->shortcuts, box_of(*entry, settings.books)});
  std::vector<PublicKey> allowed;
  for (const AllowRule& rule : settings.inbound.rules())
    if (rule.from) allowed.push_back(*rule.from);
  return Directory(std::move(hosts), allowed, settings.inbound.middlebox);
}

std::vector<VisitName> visits_of(const ProxySettings& settings) {
  std::vector<VisitName> names;
  for (const BookEntry* entry : settings.books.entries())
    if (entry->anonymous && unsupported(*entry).empty())
      names.push_back({entry->name, entry->key, box_of(*entry, settings.books)});
  return names;
}

std::vector<Allow> allow_of(const ProxySettings& settings) {
  std::vector<Allow> lines;
  for (const AllowRule& rule : settings.inbound.rules()) {
    std::vector<PortRange> ports;
    for (const Ports::Range& range : rule.ports.ranges())
      ports.push_back({range.first, range.last});
    if (rule.protocols == kAllProtocols) {
      lines.push_back({rule.from, Allow::Protocol::usual, ports});
      continue;
    }
    for (auto [bit, protocol] : {std::pair{Protocol::tcp, Allow::Protocol::tcp},
                                 std::pair{Protocol::udp, Allow::Protocol::udp},
                                 std::pair{Protocol::icmp, Allow::Protocol::icmp}})
      if ((rule.protocols & static_cast<Protocols>(bit)) != 0)
        lines.push_back({rule.from, protocol,
                         protocol == Allow::Protocol::icmp ? std::vector<PortRange>{} : ports});
  }
  return lines;
}

// 1 what the parent gives  2 settings  3 state  4 sockets  5 DNS  6 control
Worker::Worker(int fd, const std::string& config, const IpPrefix& pool, Log& log)
    : log_(log),
      config_(config),
      pool_(pool),
      started_(clock_.now()),
      inherited_(receive_inherited(fd)),
      broker_(std::make_unique<Broker>(UniqueFd(fd))),
      settings_(read_settings()),
      warnings_(settings_.warnings),
      identity_(std::make_unique<Identity>(inherited_.seed)),
      aside_(
          io_, [this](const Endpoint& from, Bytes datagram) { host_->on_aside(from, datagram); },
          [this] { turn(); }) {
  for (std::string& note : unsupported(settings_)) warnings_.push_back(std::move(note));
  for (const std::string& warning : warnings_) log_.warning("settings", {{"note", warning}});
  read_underlay();
  if (inherited_.udp.size() > 1) node_socket_ = std::move(inherited_.udp[1]);
  make_node();
  state_ = std::make_unique<StateFile>(std::move(inherited_.state), settings_.state.file, *broker_,
                                       log_);
  underlay_ = std::make_unique<Underlay>(
      io_, std::move(inherited_.udp[0]),
      [this](const Endpoint& from, MutBytes datagram) {
        if (!transports_->take(from, datagram)) host_->on_datagram(from, datagram);
      },
      [this] { turn(); });
  make_transports();
  tun_ = std::make_unique<TunIo>(
      io_, TunQueue{std::move(inherited_.tun[0]), inherited_.virtio_header},
      [this](Frame frame) {
        if (!visits_->on_tun(frame)) host_->on_tun(frame);
      },
      [this] { turn(); });
  underlay_->borrow_from(tun_->storage());
  tun_->borrow_from(underlay_->storage());
  const std::string state = state_->read();
  host_ = std::make_unique<Host>(*identity_, clock_, random_, log_, *this, host_settings(state));
  state_->rewrite(host_->state_lines());
  tell_underlay();
  make_visits();
  names_ = std::make_unique<Names>(*host_, settings_.dns.suffix, settings_.policy);
  names_->set_visits(visits_.get());
}

// The parent's socket, and whoever asks over it, lives in the event loop and must go before it.
Worker::~Worker() {
  metrics_.reset();
  control_.reset();
  resolver_.reset();
  dns_.reset();
  broker_.reset();
}

ProxySettings Worker::read_settings() {
  const FileSource source = [this](const std::string& path) {
    BrokerReply reply = broker_->read_file(path);
    if (!reply.ok()) throw ConfigError(path + ":1:1: cannot be read: " + reply.text);
    return reply.text;
  };
  return parse_proxy_settings(source(config_), config_, source);
}

HostSettings Worker::host_settings(std::string_view state) {
  HostSettings host;
  host.options.shortcuts = settings_.overlay.shortcuts;
  host.options.have_v4 = have_v4_;
  host.options.have_v6 = have_v6_;
  host.options.mtu = inherited_.mtu;
  host.options.suffix = settings_.dns.suffix;
  host.options.idle = settings_.state.idle;
  host.pool.ipv4 = pool_;
  host.pool.avoid = other_networks();
  host.sessions.aes_preferred = aes_is_faster();
  host.client.entries = entry_nodes();
  host.client.operator_key = settings_.overlay.operator_key;
  host.client.have_v4 = have_v4_;
  host.client.have_v6 = have_v6_;
  host.directory = directory_of(settings_);
  host.allow = allow_of(settings_);
  host.restored = RestoredState::parse(state);
  return host;
}

std::vector<EntryNode> Worker::entry_nodes() const {
  std::vector<EntryNode> entries = settings_.overlay.nodes;
  if (node_) entries.insert(entries.begin(), {node_->address(), identity_->key()});
  return entries;
}

// Anew whenever our addresses or the nodes to join change: its ring is soft state.
void Worker::make_node() {
  node_.reset();
  if (!settings_.overlay.own_node || !node_socket_.fd) return;
  BoundSocket socket{node_socket_.local, UniqueFd(::dup(node_socket_.fd.get()))};
  node_ = std::make_unique<EmbeddedNode>(io_, *identity_, random_, clock_, log_, std::move(socket),
                                         candidates_, settings_.overlay.nodes);
  log_.info("own_node", {{"address", node_->address().text()}});
}

void Worker::make_transports() {
  Transports::Events events;
  events.nodes = [this] {
    std::vector<EntryNode> nodes;
    std::vector<EntryStatus> entries = host_->client().nodes();
    std::stable_partition(entries.begin(), entries.end(),
                          [](const EntryStatus& entry) { return entry.alive; });
    for (const EntryStatus& entry : entries) nodes.push_back({entry.address, entry.key});
    return nodes;
  };
  events.targets = [this] { return tunnel_targets(); };
  events.is_local = [this](const Endpoint& to) { return node_ && to == node_->address(); };
  events.received = [this](const Endpoint& from, MutBytes datagram) {
    host_->on_datagram(from, datagram);
  };
  events.turn = [this] { turn(); };
  events.changed = [this] {
    tell_underlay();
    turn();
  };
  transports_ =
      std::make_unique<Transports>(io_, clock_, random_, log_, mode_of(settings_.overlay.transport),
                                   *underlay_, std::move(events));
}

// Nodes that may serve TLS: those of the settings, then all that were heard of.
std::vector<TunnelTarget> Worker::tunnel_targets() const {
  const std::vector<wire::NodeContact> known = host_->client().known_nodes();
  std::vector<TunnelTarget> targets;
  const auto add = [&](const TunnelTarget& target) {
    const bool usable = target.address.address.is_v4() ? have_v4_ : have_v6_;
    const bool own = target.key && *target.key == identity_->key();
    if (usable && !own && std::count(targets.begin(), targets.end(), target) == 0)
      targets.push_back(target);
  };
  for (const EntryNode& node : settings_.overlay.nodes) {
    const auto contact = std::find_if(known.begin(), known.end(),
                                      [&](const auto& other) { return other.owns(node.address); });
    TunnelTarget target{{node.address.address, node.tls_port}, node.key};
    if (contact != known.end() && contact->tls_port != 0) {
      target.address.port = contact->tls_port;
      if (!target.key) target.key = contact->key;
    }
    add(target);
  }
  for (const wire::NodeContact& contact : known)
    if (const auto address = contact.reachable(have_v4_, have_v6_);
        address && contact.tls_port != 0)
      add({{address->address, contact.tls_port}, contact.key});
  return targets;
}

// Where others see us from now on. Through a tunnel nobody reaches us straight, and what the node
// reaches is what we reach.
void Worker::tell_underlay() {
  host_->set_shortcuts(settings_.overlay.shortcuts && !transports_->on_tls());
  if (const TlsUplink* tunnel = transports_->tunnel())
    host_->network_changed({}, tunnel->welcome().v4, tunnel->welcome().v6);
  else
    host_->network_changed(candidates_, have_v4_, have_v6_);
}

// Networks of this host that no peer's announced address may lie in. Those around the pool itself,
// such as a VPN's half of the Internet, say nothing about single hosts.
std::vector<IpPrefix> Worker::other_networks() const {
  std::vector<IpPrefix> networks;
  for (const HostRoute& route : Netlink().routes())
    if (route.link != inherited_.tun_index && route.destination.length >= 8 &&
        !route.destination.overlaps(pool_))
      networks.push_back(route.destination);
  return networks;
}

// The addresses that peers and nodes may see of us: those of every interface but ours and loopback.
void Worker::read_underlay() {
  Netlink netlink;
  std::unordered_set<unsigned> skipped{inherited_.tun_index};
  for (const HostLink& link : netlink.links())
    if (link.loopback || !link.up) skipped.insert(link.index);
  candidates_.clear();
  have_v4_ = have_v6_ = false;
  const std::uint16_t port = underlay_ ? underlay_->local().port : inherited_.udp[0].local.port;
  for (const HostAddress& address : netlink.addresses()) {
    if (skipped.contains(address.link) || !address.usable || address.address.link_local() ||
        address.address.loopback())
      continue;
    (address.address.is_v4() ? have_v4_ : have_v6_) = true;
    if (candidates_.size() < wire::Hello::kMaxCandidates)
      candidates_.push_back({address.address, port});
  }
  const IpAddress local = underlay_ ? underlay_->local().address : inherited_.udp[0].local.address;
  have_v6_ = have_v6_ && !local.is_v4();
  have_v4_ = have_v4_ && (local.is_v4() || local.unspecified());
  // With an own node and no network at all, the node is reached over loopback.
  if (!have_v4_ && !have_v6_) have_v4_ = true;
}

void Worker::make_visits() {
  visit_sockets_ = std::make_unique<VisitSockets>(
      io_, underlay_->local().address, log_,
      [this](VisitIo::Socket socket, const Endpoint& from, MutBytes datagram) {
        visits_->on_datagram(socket, from, datagram);
      },
      [this](Bytes packet) { tun_->write(packet); }, [this] { turn(); });
  visits_ = std::make_unique<Visits>(*host_, clock_, random_, log_, *visit_sockets_,
                                     settings_.state.idle);
  visits_->network_changed(have_v4_, have_v6_);
  visits_->set_names(visits_of(settings_));
}

void Worker::watch_underlay() {
  watch_descriptor_->async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      [this](const boost::system::error_code& error) {
        if (error) return;
        if (watch_.changed()) {
          underlay_->forget_own_addresses();
          underlay_timer_.expires_after(kUnderlaySettles);
          underlay_timer_.async_wait([this](const boost::system::error_code& cancelled) {
            if (!cancelled) underlay_changed();
          });
        }
        watch_underlay();
      });
}

void Worker::underlay_changed() {
  const auto before = std::tuple(candidates_, have_v4_, have_v6_);
  read_underlay();
  underlay_->forget_own_addresses();
  if (before == std::tuple(candidates_, have_v4_, have_v6_)) return;
  std::string addresses;
  for (const Endpoint& candidate : candidates_) addresses += candidate.text() + ' ';
  log_.info("network_changed", {{"addresses", addresses}});
  if (node_) {
    make_node();
    host_->client().set_entries(entry_nodes(), clock_.now());
  }
  const bool was_on_tls = transports_->on_tls();
  transports_->network_changed();
  // By UDP again: whoever is told of a change there has said so already.
  if (!was_on_tls || transports_->on_tls()) tell_underlay();
  visits_->network_changed(have_v4_, have_v6_);
  turn();
}

// Triggers and sessions may have run out at the others while nothing moved here.
void Worker::time_jumped(std::string_view why) {
  log_.info("time_jumped", {{"why", why}});
  underlay_->forget_own_addresses();
  host_->woke_up();
  turn();
}

void Worker::start_dns() {
  DnsSockets sockets;
  for (auto* pairs : {&inherited_.stubs, &inherited_.loopback})
    for (DnsPair& pair : *pairs) {
      sockets.udp.push_back(pair.udp.fd.release());
      sockets.tcp.push_back(pair.tcp.fd.release());
    }
  const auto upstream_socket = [this](int family, int type) {
    BrokerReply reply = broker_->upstream_socket(family == AF_INET6, type == SOCK_STREAM);
    return reply.ok() ? reply.fd.release() : -1;
  };
  InterceptorSettings settings;
  settings.own_suffixes = {settings_.dns.suffix};
  dns_ = std::make_unique<DnsServer>(io_, *names_, random_, clock_, log_, std::move(sockets),
                                     upstream_socket, std::move(settings));
  resolver_ =
      std::make_unique<ResolverWatch>(io_, "/etc/resolv.conf", [this](const ResolverConfig&) {
        place_dns();
        set_upstreams();
      });
  place_dns();
  set_upstreams();
}

// Where systemd-resolved sends us our domains, resolv.conf names resolved itself: what we forward
// must go behind it, or it would come round again.
void Worker::set_upstreams() {
  const ResolverConfig config = dns_state_.mode == "resolved"
                                    ? read_resolver_config("/run/systemd/resolve/resolv.conf")
                                    : resolver_->current();
  dns_->set_upstreams(upstreams_of(config, stub_addresses(inherited_)));
}

// Asked for only now that the stub answers: a host never has a resolver that is not there.
void Worker::place_dns() {
  if (settings_.dns.intercept == Intercept::none) {
    if (dns_state_.mode != "none") broker_->withdraw_dns();
    dns_state_ = {};
    return;
  }
  PlacementRequest request;
  request.mode = mode_of(settings_.dns.intercept);
  request.link_name = inherited_.tun_name;
  request.link_index = static_cast<int>(inherited_.tun_index);
  for (const DnsPair& stub : inherited_.stubs)
    (stub.address.is_v4() ? request.stub4 : request.stub6) = stub.address;
  request.routing_domains = names_->policy().routing_domains();
  request.routing_domains.insert(request.routing_domains.begin(), settings_.dns.suffix);
  for (std::string& zone : names_->reverse_zones()) request.routing_domains.push_back(zone);
  request.sees_every_query = names_->policy().sees_every_query();
  for (const DnsPair& pair : inherited_.loopback)
    (pair.address.is_v4() ? request.redirect_port4 : request.redirect_port6) = pair.udp.local.port;
  request.nameservers = resolver_->current().nameservers;
  BrokerReply reply = broker_->place_dns(request);
  if (!request.stub4 && !request.stub6)
    dns_state_.server.clear();
  else
    dns_state_.server = Endpoint{request.stub4 ? *request.stub4 : *request.stub6, 53}.text();
  if (reply.ok()) {
    dns_state_.mode = reply.text.substr(0, reply.text.find(':'));
    dns_state_.description =
        reply.text.substr(std::min(reply.text.size(), reply.text.find(':') + 2));
    log_.info("dns_placed", {{"mode", reply.text}});
  } else {
    dns_state_.mode = "none";
    dns_state_.description = reply.text;
    log_.error("dns_not_placed", {{"reason", reply.text}});
  }
}

void Worker::start_control() {
  control_ = std::make_unique<ControlServer>(io_, log_);
  register_commands(*control_, *this);
  if (inherited_.control)
    control_->adopt(OwnedFd(inherited_.control.release()), settings_.control.group);
  if (!inherited_.tcp.empty())
    metrics_ = std::make_unique<MetricsServer>(io_, OwnedFd(inherited_.tcp[0].fd.release()),
                                               inherited_.tcp[0].local.address.is_v4(),
                                               [this] { return metrics_text(*this); });
}

std::vector<std::string> Worker::reload() {
  if (BrokerReply reply = broker_->refresh_files(); !reply.ok()) throw ConfigError(reply.text);
  ProxySettings fresh = read_settings();
  std::vector<std::string> notes = fresh.warnings;
  const auto needs_restart = [&](const char* what, bool changed) {
    if (changed) notes.push_back(std::string(what) + " changed: takes effect after a restart");
  };
  needs_restart("<identity>", fresh.identity_file != settings_.identity_file);
  needs_restart("<tun>",
                fresh.tun.name != settings_.tun.name || fresh.tun.mtu != settings_.tun.mtu);
  needs_restart("<overlay listen>", !(fresh.overlay.listen == settings_.overlay.listen));
  needs_restart("<virtual-addresses>",
                !(fresh.virtual_addresses.ipv4 == settings_.virtual_addresses.ipv4));
  needs_restart("<metrics>", fresh.metrics != settings_.metrics);
  needs_restart("<dns suffix>", fresh.dns.suffix != settings_.dns.suffix);
  needs_restart("<state>", fresh.state.idle != settings_.state.idle);
  needs_restart("<overlay own-node>", fresh.overlay.own_node && !node_socket_.fd);
  needs_restart("<overlay operator-key>",
                fresh.overlay.operator_key != settings_.overlay.operator_key);
  const bool other_nodes = fresh.overlay.nodes != settings_.overlay.nodes ||
                           fresh.overlay.own_node != settings_.overlay.own_node;
  settings_ = std::move(fresh);
  host_->set_people(directory_of(settings_), allow_of(settings_));
  visits_->set_names(visits_of(settings_));
  names_->set_policy(settings_.policy);
  transports_->set_mode(mode_of(settings_.overlay.transport));
  host_->set_shortcuts(settings_.overlay.shortcuts && !transports_->on_tls());
  if (other_nodes) {
    make_node();
    host_->change_ring(entry_nodes());
  }
  place_dns();
  for (std::string& note : unsupported(settings_)) notes.push_back(std::move(note));
  warnings_ = notes;
  log_.info("reloaded", {{"file", config_}});
  turn();
  return notes;
}

void Worker::run() {
  broker_->on_reload = [this] {
    try {
      reload();
    } catch (const std::exception& error) {
      log_.error("reload_refused", {{"reason", error.what()}});
    }
  };
  broker_->on_shutdown = [this] { stop(); };
  broker_->attach(io_);
  watch_descriptor_ =
      std::make_unique<boost::asio::posix::stream_descriptor>(io_, ::dup(watch_.descriptor()));
  watch_underlay();
  clock_watch_ = std::make_unique<ClockWatch>(io_, [this](std::string_view why) {
    if (!stopping_) time_jumped(why);
  });
  host_->start();
  transports_->start();
  start_dns();
  start_control();
  broker_->ready();
  log_.info("started", {{"key", identity_->key().text()},
                        {"ipv4", host_->own4().text()},
                        {"ipv6", host_->own6().text()},
                        {"worker", std::to_string(inherited_.incarnation)}});
  turn();
  io_.run();
}

void Worker::stop() {
  if (stopping_) return;
  stopping_ = true;
  visits_->stop();
  host_->stop();
  transports_->flush();
  state_->rewrite(host_->state_lines() + "clean\n");
  underlay_timer_.expires_after(kStopPatience);
  underlay_timer_.async_wait([this](const boost::system::error_code&) { io_.stop(); });
  finish_when_stopped();
}

void Worker::finish_when_stopped() {
  if (stopping_ && host_->stopped()) io_.stop();
}

// After every batch of work: what was gathered leaves, and the timer is set to what comes next.
void Worker::turn() {
  tun_->flush();
  transports_->flush();
  visit_sockets_->flush();
  if (!stopping_ && state_->wants_rewrite()) state_->rewrite(host_->state_lines());
  finish_when_stopped();
  arm();
}

void Worker::arm() {
  const TimePoint next = std::min(host_->next_deadline(), visits_->next_deadline());
  // A timer that fires too early only asks again; it is not set back for every packet.
  if (next >= armed_) return;
  armed_ = next;
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(next.time_since_epoch())));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    if (clock_watch_) clock_watch_->fired(std::exchange(armed_, kNever), clock_.now());
    armed_ = kNever;
    host_->on_timer();
    if (clock_.now() >= visits_->next_deadline()) visits_->on_timer();
    turn();
  });
}

void Worker::send(const Endpoint& to, Bytes datagram) {
  transports_->send(to, datagram);
}

void Worker::to_tun(Bytes packet) {
  tun_->write(packet);
}

void Worker::set_route(const VirtualIp& address, bool present) {
  const IpPrefix prefix{address.address(), address.is_v4() ? 32u : 128u};
  BrokerReply reply = present ? broker_->add_route(prefix) : broker_->remove_route(prefix);
  if (!reply.ok())
    log_.warning("route_refused", {{"address", address.text()}, {"reason", reply.text}});
}

// A host in a tunnel sends nothing by UDP.
std::optional<std::uint16_t> Worker::open_aside() {
  if (transports_->on_tls()) return std::nullopt;
  return aside_.open(underlay_->local().address.is_v4());
}

void Worker::log_state(const std::string& line) {
  if (!stopping_) state_->append(line);
}

}  // namespace i3
