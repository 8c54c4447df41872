// What the settings say, for the host: people, rules, entry nodes; and reading them again.
#include "overlay/session/cipher_choice.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {

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

// Why an entry of a book does not resolve in this version: better no answer than one that keeps
// less than it promises.
std::string unsupported(const BookEntry& entry) {
  if (entry.kind == EntryKind::group && entry.mode == GroupMode::multicast && !entry.address)
    return "a multicast group needs address=\"239.1.2.3\" or another one that programs use";
  return {};
}

std::vector<std::string> unsupported(const ProxySettings& settings) {
  std::vector<std::string> notes;
  for (const BookEntry* entry : settings.books.entries())
    if (std::string why = unsupported(*entry); !why.empty())
      notes.push_back(entry->place.text() + ": " + why + "; the name does not resolve");
  return notes;
}

std::optional<PublicKey> key_of_box(const std::string& name, const AddressBooks& books) {
  const BookEntry* box = name.empty() ? nullptr : books.find(name);
  return box != nullptr ? std::optional(box->key) : std::nullopt;
}

Directory directory_of(const ProxySettings& settings) {
  std::vector<KnownHost> hosts;
  for (const BookEntry* entry : settings.books.entries())
    if (unsupported(*entry).empty() && !entry->anonymous && entry->kind != EntryKind::group)
      hosts.push_back(
          {entry->name, entry->key, entry->shortcuts, key_of_box(entry->middlebox, settings.books),
           entry->kind == EntryKind::gateway, key_of_box(entry->stack, settings.books)});
  std::vector<PublicKey> allowed;
  for (const AllowRule& rule : settings.inbound.rules())
    if (rule.from) allowed.push_back(*rule.from);
  return Directory(std::move(hosts), allowed, settings.inbound.middlebox, settings.inbound.stack);
}

std::vector<VisitName> visits_of(const ProxySettings& settings) {
  std::vector<VisitName> names;
  for (const BookEntry* entry : settings.books.entries())
    if (entry->anonymous && unsupported(*entry).empty())
      names.push_back({entry->name, entry->key, key_of_box(entry->middlebox, settings.books)});
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
    if (rule.protocols == 0) lines.push_back({rule.from, Allow::Protocol::nothing, {}});
    for (auto [bit, protocol] : {std::pair{Protocol::tcp, Allow::Protocol::tcp},
                                 std::pair{Protocol::udp, Allow::Protocol::udp},
                                 std::pair{Protocol::icmp, Allow::Protocol::icmp}})
      if ((rule.protocols & static_cast<Protocols>(bit)) != 0)
        lines.push_back({rule.from, protocol,
                         protocol == Allow::Protocol::icmp ? std::vector<PortRange>{} : ports});
  }
  return lines;
}

ProxySettings Worker::read_settings() {
  const FileSource source = [this](const std::string& path) {
    BrokerReply reply = broker_->read_file(path);
    if (!reply.ok()) throw ConfigError(path + ":1:1: cannot be read: " + reply.text);
    return reply.text;
  };
  return extension_ ? extension_->parse(source(config_), config_, source)
                    : parse_proxy_settings(source(config_), config_, source);
}

HostSettings Worker::host_settings(std::string_view state) {
  HostSettings host;
  host.options.shortcuts = settings_.overlay.shortcuts;
  host.options.have_v4 = have_v4_;
  host.options.have_v6 = have_v6_;
  host.options.mtu = inherited_.mtu;
  host.options.suffix = settings_.dns.suffix;
  host.options.idle = settings_.state.idle;
  host.pool.ipv4 = networks_.ipv4;
  host.pool.ipv6 = networks_.ipv6;
  host.pool.avoid = other_networks();
  host.sessions.aes_preferred = aes_is_faster();
  host.client.entries = entry_nodes();
  host.client.operator_key = settings_.overlay.operator_key;
  host.client.have_v4 = have_v4_;
  host.client.have_v6 = have_v6_;
  host.directory = directory_of(settings_);
  host.allow = allow_of(settings_);
  host.restored = RestoredState::parse(state);
  host.edge = extension_.get();
  if (extension_) host.options.max_addresses = kMaxEdgeAddresses;
  return host;
}

std::vector<EntryNode> Worker::entry_nodes() const {
  std::vector<EntryNode> entries = settings_.overlay.nodes;
  if (node_) entries.insert(entries.begin(), {node_->address(), identity_->key()});
  return entries;
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
  people_changed();
  set_groups();
  joined_->watch(!groups_->multicast().empty());
  names_->set_policy(settings_.policy);
  threads_.set(settings_.tun.threads);
  if (extension_) extension_->reloaded();
  transports_->set_mode(mode_of(settings_.overlay.transport));
  host_->set_shortcuts(settings_.overlay.shortcuts && !transports_->on_tls());
  if (other_nodes) {
    make_node();
    host_->change_ring(entry_nodes());
  }
  place_dns();
  for (std::string& note : this->notes()) notes.push_back(std::move(note));
  warnings_ = notes;
  log_.info("reloaded", {{"file", config_}});
  turn();
  return notes;
}

}  // namespace i3
