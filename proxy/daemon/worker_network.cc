// The worker's underlay: own addresses, the node inside, tunnels, changes of all of them.
#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

constexpr auto kUnderlaySettles = std::chrono::milliseconds(100);

}  // namespace

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
  if (visits_) tell_visits();
}

// Visits have connections of their own to nodes, hence what the host's leads to is no matter to
// them, but that UDP is blocked.
void Worker::tell_visits() {
  const TlsUplink* tunnel = transports_->tunnel();
  std::optional<RingId> own_node;
  if (tunnel != nullptr) own_node = tunnel->welcome().contact.ring_id();
  visit_sockets_->set_tunnelled(transports_->on_tls());
  visits_->set_tunnelled(transports_->on_tls(), own_node);
}

VisitTunnels::Events Worker::visit_tunnels() {
  VisitTunnels::Events events;
  events.serves = [this](const wire::NodeContact& node) -> std::optional<TunnelTarget> {
    const auto address = node.reachable(have_v4_, have_v6_);
    if (!address || node.tls_port == 0) return std::nullopt;
    return TunnelTarget{{address->address, node.tls_port}, node.key};
  };
  events.targets = [this] { return tunnel_targets(); };
  events.own = [this]() -> std::optional<Endpoint> {
    const TlsUplink* tunnel = transports_->tunnel();
    return tunnel != nullptr ? std::optional(tunnel->node()) : std::nullopt;
  };
  events.moved = [this](VisitIo::Socket socket) { visits_->moved(socket); };
  return events;
}

// Networks of this host that no peer's announced address may lie in. Those around the pool itself,
// such as a VPN's half of the Internet, say nothing about single hosts.
std::vector<IpPrefix> Worker::other_networks() const {
  std::vector<IpPrefix> networks;
  for (const HostRoute& route : Netlink().routes())
    if (route.link != inherited_.tun_index && route.destination.length >= 8 &&
        !route.destination.overlaps(networks_.ipv4))
      networks.push_back(route.destination);
  return networks;
}

// The addresses that peers and nodes may see of us: those of every interface but ours, those of
// other daemons such as this one, and loopback.
void Worker::read_underlay() {
  Netlink netlink;
  std::unordered_set<unsigned> skipped = other_tunnels(netlink.routes(), inherited_.tun_index);
  skipped.insert(inherited_.tun_index);
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
      io_, underlay_->local().address, clock_, random_, log_,
      [this](VisitIo::Socket socket, const Endpoint& from, MutBytes datagram) {
        visits_->on_datagram(socket, from, datagram);
      },
      [this](Bytes packet) { tun_->write(packet); }, [this] { turn(); }, visit_tunnels());
  visits_ = std::make_unique<Visits>(*host_, clock_, random_, log_, *visit_sockets_,
                                     settings_.state.idle);
  visits_->network_changed(have_v4_, have_v6_);
  tell_visits();
  people_changed();
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

}  // namespace i3
