#include "gateways/to_ip/to_ip.hh"

#include "gateways/to_ip/literal.hh"
#include "proxy/daemon/worker.hh"
#include "proxy/host/gateway_names.hh"
#include "proxy/packet/icmp.hh"

namespace i3 {
namespace {

constexpr std::uint8_t kServerFailure = 2, kRefused = 5;
constexpr Duration kNamesSweptEvery = std::chrono::seconds(30);
constexpr Duration kLogEvery = std::chrono::seconds(60);
constexpr Duration kGather = std::chrono::milliseconds(5);
constexpr Duration kOwnAddressesFor = std::chrono::seconds(2);
constexpr std::size_t kMaxAllowances = 65536;
constexpr double kQuestionsPerSecond = 200, kQuestionsAtOnce = 1000;

std::vector<Endpoint> servers_of(const I3ToIpSettings& settings) {
  if (!settings.resolver) return {};
  return {*settings.resolver};
}

}  // namespace

ToIp::ToIp(Worker& worker, const I3ToIpSettings& settings, std::string_view state)
    : worker_(worker),
      permissions_(settings, [this](const IpAddress& address) { return is_own(address); }),
      names_(worker.host().addresses(), worker.host().key()),
      servers_(servers_of(settings)),
      unknowns_(200, 400) {
  names_.restore(state, worker_.clock().now(), worker_.clock().wall());
  names_.removed = [this](InnerName& name) {
    counters_.park_lost += name.parked.size();
    uninstall(name);
    worker_.append_state(InnerNames::gone_line(name));
  };
  judge_again();
}

ToIp::~ToIp() = default;

void ToIp::start() {
  resolver_ = std::make_unique<Resolver>(worker_.io(), servers_);
  next_sweep_ = worker_.clock().now() + kNamesSweptEvery;
  send_changes();
}

void ToIp::reloaded(const GatewaySettings& settings) {
  if (!settings.i3_to_ip) return;
  permissions_ =
      Permissions(*settings.i3_to_ip, [this](const IpAddress& address) { return is_own(address); });
  const std::vector<Endpoint> servers = servers_of(*settings.i3_to_ip);
  if (servers != servers_) {
    servers_ = servers;
    under_way_.clear();
    resolver_ = std::make_unique<Resolver>(worker_.io(), servers_);
  }
  judge_again();
}

// What the rules, as they are now, do not give any more goes.
void ToIp::judge_again() {
  names_.remove_if(
      [this](const InnerName& name) { return !permissions_.may_ask(name.client, name.name); });
  names_.each([this](InnerName& name) {
    for (InnerName::Side* side : {&name.v4, &name.v6}) {
      if (!side->real) continue;
      auto opens = permissions_.opens(name.client, name.name, *side->real);
      if (opens)
        side->opens = std::move(*opens);
      else
        side->real.reset();
      side->installed = false;
    }
    if (!name.v4.real && !name.v6.real) name.fresh_until = {};
    install(name);
  });
}

// ---- questions ----

bool ToIp::on_control(Peer& peer, Bytes plaintext, TimePoint now) {
  const auto question = wire::NameQuestion::parse(plaintext);
  if (!question || !permissions_.knows(peer.key)) return false;
  peer.last_used = now;
  on_question(peer, *question, now);
  return true;
}

void ToIp::on_question(Peer& peer, const wire::NameQuestion& question, TimePoint now) {
  ++counters_.questions;
  if (allowances_.size() >= kMaxAllowances) allowances_.clear();
  auto [allowance, fresh] =
      allowances_.try_emplace(peer.key, kQuestionsPerSecond, kQuestionsAtOnce);
  if (!allowance->second.take(now)) {
    ++counters_.too_many_questions;
    return;
  }
  if (!permissions_.may_ask(peer.key, question.name)) {
    ++counters_.name_refused;
    return say(peer.key, question.nonce, kRefused, nullptr, now);
  }
  if (InnerName* known = names_.find(peer.key, question.name);
      known != nullptr && now < known->fresh_until) {
    names_.touch(*known, now);
    return say(peer.key, question.nonce, 0, known, now);
  }
  if (const auto literal = literal_address(question.name)) {
    const std::uint8_t rcode = adopt(peer.key, question.name, {0, {*literal}, kMostLifetime}, now);
    return say(peer.key, question.nonce, rcode, names_.find(peer.key, question.name), now);
  }
  const std::string pair = keyed_name(peer.key, question.name);
  if (const auto asked = under_way_.find(pair); asked != under_way_.end()) {
    asked->second = question.nonce;
    return;
  }
  if (under_way_.size() >= kMaxUnderWay || resolver_ == nullptr) {
    ++counters_.too_many_questions;
    return say(peer.key, question.nonce, kServerFailure, nullptr, now);
  }
  under_way_[pair] = question.nonce;
  resolver_->resolve(question.name,
                     [this, client = peer.key, name = question.name](const Resolved& resolved) {
                       on_resolved(client, name, resolved);
                     });
}

void ToIp::on_resolved(const PublicKey& client, const std::string& name, const Resolved& resolved) {
  const TimePoint now = worker_.clock().now();
  const auto asked = under_way_.find(keyed_name(client, name));
  if (asked == under_way_.end()) return;
  const std::uint64_t nonce = asked->second;
  under_way_.erase(asked);
  const std::uint8_t rcode =
      resolved.rcode != 0 ? resolved.rcode : adopt(client, name, resolved, now);
  say(client, nonce, rcode, names_.find(client, name), now);
  worker_.after_command();
}

std::uint8_t ToIp::adopt(const PublicKey& client, const std::string& text, const Resolved& resolved,
                         TimePoint now) {
  InnerName* known = names_.find(client, text);
  if (resolved.addresses.empty()) {
    if (known != nullptr) known->fresh_until = {};
    return 0;
  }
  // The rules may be others than when it was asked.
  if (!permissions_.may_ask(client, text)) return kRefused;
  const auto given = [&](const IpAddress& address) {
    return permissions_.opens(client, text, address).has_value();
  };
  if (std::none_of(resolved.addresses.begin(), resolved.addresses.end(), given)) {
    ++counters_.address_refused;
    worker_.log().info("address_refused",
                       {{"client", worker_.host().directory().name_of(client)}, {"name", text}});
    if (known != nullptr) names_.remove(*known);
    return kRefused;
  }
  InnerName* name = known != nullptr ? known : names_.add(client, text, now);
  if (name == nullptr) {
    ++counters_.no_room;
    return kServerFailure;
  }
  const bool changed4 = take(*name, true, resolved.addresses);
  const bool changed6 = take(*name, false, resolved.addresses);
  names_.touch(*name, now);
  name->fresh_until =
      now + std::chrono::seconds(std::clamp(resolved.lifetime_s, kLeastLifetime, kMostLifetime));
  if (changed4 || changed6) {
    install(*name);
    name->logged = {};
  }
  log(*name, now);
  return 0;
}

// The address in use stays as long as DNS names it.
bool ToIp::take(InnerName& name, bool four, const std::vector<IpAddress>& addresses) {
  InnerName::Side& side = name.side(four);
  std::optional<IpAddress> chosen;
  NatOpens opens;
  for (const IpAddress& address : addresses) {
    if (address.is_v4() != four || (!four && !worker_.inherited().ipv6) ||
        (chosen && side.real != address))
      continue;
    if (auto given = permissions_.opens(name.client, name.name, address)) {
      chosen = address;
      opens = std::move(*given);
    }
  }
  const bool same = side.real == chosen && side.opens == opens;
  if (same) return false;
  side.real = chosen;
  side.opens = std::move(opens);
  side.installed = false;
  return true;
}

void ToIp::say(const PublicKey& client, std::uint64_t nonce, std::uint8_t rcode,
               const InnerName* name, TimePoint now) {
  Peer* peer = worker_.host().peers().find(client);
  if (peer == nullptr) return;
  wire::NameFound found;
  found.nonce = nonce;
  found.rcode = rcode;
  if (rcode == 0 && name != nullptr && now < name->fresh_until) {
    if (name->v4.real) found.ipv4 = name->v4.inner.address();
    if (name->v6.real && worker_.inherited().ipv6) found.ipv6 = name->v6.inner.address();
    const auto left = std::chrono::ceil<std::chrono::seconds>(name->fresh_until - now);
    found.lifetime_s = static_cast<std::uint32_t>(left.count());
  }
  std::array<std::uint8_t, 64> storage;
  Writer writer(storage);
  found.write(writer);
  if (worker_.host().send_control(*peer, writer.written())) ++counters_.answered;
}

void ToIp::say_unknown(Peer& peer, const IpAddress& inner, TimePoint now) {
  ++counters_.unknown_address;
  if (!unknowns_.take(now)) return;
  std::array<std::uint8_t, 32> storage;
  Writer writer(storage);
  wire::UnknownAddress{inner}.write(writer);
  worker_.host().send_control(peer, writer.written());
}

// ---- packets ----

// What opens something must be open. Everything else belongs to what was opened, or the kernel,
// which knows, drops it; and where a protocol with a helper is open, it knows of more than we do.
bool ToIp::is_open(const InnerName::Side& side, const IpPacket& packet) const {
  const auto has = [&](const std::vector<Ports::Range>& ranges) {
    const std::uint16_t port = packet.destination_port();
    return std::any_of(ranges.begin(), ranges.end(), [port](const Ports::Range& range) {
      return range.first <= port && port <= range.last;
    });
  };
  if (!packet.has_transport()) return true;  // its first piece was judged
  if (packet.is_tcp())
    return !packet.is_tcp_open() || has(side.opens.tcp) || has_helper(side.opens);
  if (packet.is_udp()) return has(side.opens.udp) || has_helper(side.opens);
  if (packet.is_icmp())
    return side.opens.icmp ? packet.is_echo_request() || packet.is_icmp_error()
                           : packet.is_icmp_error();
  return has_helper(side.opens);
}

std::optional<Inbound::Result> ToIp::refuse(const IpPacket& packet, MutBytes answer) {
  ++counters_.closed_port;
  if (packet.is_tcp())
    return Inbound::Result{Verdict::not_allowed, build_tcp_reset(packet, answer).size()};
  return Inbound::Result{
      Verdict::not_allowed,
      build_unreachable(packet, Unreachable::prohibited, packet.destination(), answer).size()};
}

std::optional<Inbound::Result> ToIp::from_peer(Peer& peer, IpPacket& packet, MutBytes answer,
                                               TimePoint now) {
  const IpAddress destination = packet.destination();
  InnerName* name = names_.at(destination);
  const bool four = packet.family() == Family::v4;
  if (name == nullptr || (name->client == peer.key && !name->side(four).real)) {
    if (!worker_.host().owns(destination) || !permissions_.knows(peer.key)) return std::nullopt;
    say_unknown(peer, destination, now);
    return Inbound::Result{Verdict::no_such_address};
  }
  if (name->client != peer.key) {
    ++counters_.foreign;
    return Inbound::Result{Verdict::not_allowed};
  }
  names_.touch(*name, now);
  InnerName::Side& side = name->side(four);
  if (!is_open(side, packet)) return refuse(packet, answer);
  if (!side.installed) {
    if (name->parked.size() >= InnerNames::kMaxParked) {
      ++counters_.park_full;
      return Inbound::Result{Verdict::park_full};
    }
    name->parked.emplace_back(packet.bytes().begin(), packet.bytes().end());
    return Inbound::Result{Verdict::parked};
  }
  ++counters_.passed_in;
  worker_.write_to_tun(packet.bytes());
  return Inbound::Result{Verdict::passed};
}

Peer* ToIp::to_peer(IpPacket& packet, TimePoint now) {
  InnerName* name = names_.at(packet.source());
  if (name == nullptr) return nullptr;
  Peer* peer = worker_.host().peers().find(packet.destination());
  if (peer == nullptr || peer->key != name->client) {
    ++counters_.foreign;
    return nullptr;
  }
  names_.touch(*name, now);
  ++counters_.passed_out;
  return peer;
}

// ---- the kernel's table ----

void ToIp::install(InnerName& name) {
  for (const bool four : {true, false}) {
    InnerName::Side& side = name.side(four);
    const IpAddress inner = side.inner.address();
    NatName change{inner, std::nullopt, 0};
    if (side.real) {
      const auto number = number_of(side.opens);
      if (!number) {
        side.real.reset();
        continue;
      }
      change = {inner, side.real, *number};
    }
    changes_[inner] = change;
  }
}

void ToIp::uninstall(InnerName& name) {
  for (const bool four : {true, false}) {
    const IpAddress inner = name.side(four).inner.address();
    changes_[inner] = {inner, std::nullopt, 0};
  }
}

std::optional<std::uint16_t> ToIp::number_of(const NatOpens& opens) {
  for (std::size_t i = 0; i < opens_.size(); ++i)
    if (opens_[i].icmp == opens.icmp && opens_[i].tcp == opens.tcp && opens_[i].udp == opens.udp)
      return static_cast<std::uint16_t>(i);
  NatOpens numbered = opens;
  numbered.number = static_cast<std::uint16_t>(opens_.size());
  if (opens_.size() >= kMaximumNatOpens || !worker_.broker().nat_opens(numbered).ok()) {
    ++counters_.install_failed;
    return std::nullopt;
  }
  opens_.push_back(numbered);
  return numbered.number;
}

void ToIp::flush() {
  if (!changes_.empty()) send_changes();
}

// Many at once, one request at a time: it gathers while the parent works, and where one follows the
// other closely for a moment more. A request costs the parent the same with one name or with many.
void ToIp::send_changes() {
  if (sending_) return;
  const TimePoint now = worker_.clock().now();
  const bool few = !changes_.empty() && changes_.size() < kMaximumNatNames;
  if (few && !one_by_one_ && now < next_request_) return;
  if (changes_.empty()) {
    one_by_one_ = false;
    // What an earlier worker gave, and this one does not.
    if (!retained_) retained_ = worker_.broker().nat_retain().ok();
    return;
  }
  std::vector<NatName> sent;
  const std::size_t most = one_by_one_ ? 1 : kMaximumNatNames;
  while (!changes_.empty() && sent.size() < most) {
    sent.push_back(changes_.begin()->second);
    changes_.erase(changes_.begin());
  }
  sending_ = true;
  next_request_ = now + kGather;
  worker_.broker().async_nat_names(sent, [this, sent](BrokerReply reply) {
    sending_ = false;
    on_changed(sent, reply.ok(), reply.text);
    send_changes();
    worker_.after_command();
  });
}

void ToIp::on_changed(const std::vector<NatName>& sent, bool ok, const std::string& why) {
  const TimePoint now = worker_.clock().now();
  if (!ok && sent.size() > 1) {
    // One of them was refused: each for itself, so that the others are not held up.
    one_by_one_ = true;
    for (const NatName& change : sent) changes_.try_emplace(change.inner, change);
    return;
  }
  for (const NatName& change : sent) {
    InnerName* name = names_.at(change.inner);
    if (name == nullptr || !change.real) continue;
    InnerName::Side& side = name->side(change.inner.is_v4());
    if (side.real != change.real || changes_.contains(change.inner)) continue;  // newer ones follow
    if (ok) {
      side.installed = true;
      release_parked(*name, now);
      continue;
    }
    ++counters_.install_failed;
    worker_.log().warning(
        "nat_refused", {{"name", name->name}, {"address", change.real->text()}, {"reason", why}});
    side.real.reset();
    name->fresh_until = {};
    counters_.park_lost += std::exchange(name->parked, {}).size();
  }
}

void ToIp::release_parked(InnerName& name, TimePoint) {
  for (const auto& packet : std::exchange(name.parked, {})) {
    ++counters_.passed_in;
    worker_.write_to_tun(packet);
  }
}

// ---- the rest ----

// The parent looks as well; here it makes the DNS answer right.
bool ToIp::is_own(const IpAddress& address) {
  const TimePoint now = worker_.clock().now();
  if (worker_.host().owns(address)) return true;
  if (own_.empty() || now > own_read_ + kOwnAddressesFor) {
    own_.clear();
    Netlink netlink;
    for (const HostAddress& own : netlink.addresses()) own_.push_back(own.address);
    tunnels_ = networks_of_others(netlink.routes(), worker_.inherited().tun_index);
    own_read_ = now;
  }
  const auto holds = [&](const IpPrefix& network) { return network.contains(address); };
  return std::find(own_.begin(), own_.end(), address) != own_.end() ||
         std::any_of(tunnels_.begin(), tunnels_.end(), holds);
}

void ToIp::log(InnerName& name, TimePoint now) {
  if (name.logged != TimePoint{} && now < name.logged + kLogEvery) return;
  name.logged = now;
  worker_.append_state(InnerNames::line(name, now, worker_.clock().wall()));
}

void ToIp::on_timer() {
  const TimePoint now = worker_.clock().now();
  send_changes();
  if (now < next_sweep_) return;
  next_sweep_ = now + kNamesSweptEvery;
  const Duration idle = worker_.settings().state.idle;
  names_.remove_if([&](const InnerName& name) { return now > name.used + idle; });
  names_.each([&](InnerName& name) {
    if (name.used > name.logged) log(name, now);
  });
  send_changes();
}

std::string ToIp::state_lines() const {
  std::string lines;
  const TimePoint now = worker_.clock().now();
  names_.each([&](InnerName& name) {
    lines += InnerNames::line(name, now, worker_.clock().wall()) + '\n';
  });
  return lines;
}

void ToIp::add_status(Json& status) {
  Json servers = Json::array();
  if (resolver_)
    for (const Endpoint& server : resolver_->servers()) servers.push_back(server.text());
  status["i3_to_ip"] = {
      {"names", names_.size()}, {"clients", names_.clients()}, {"resolver", servers}};
  if (servers.empty())
    status["problems"].push_back("i3-to-ip: no DNS server is known, so no name resolves");
}

void ToIp::add_metrics(MetricsText& text) {
  text.counter("to_ip_total", "Questions and packets of clients of i3-to-IP");
  for (const auto& [name, value] : {std::pair{"questions", counters_.questions},
                                    {"answered", counters_.answered},
                                    {"name_refused", counters_.name_refused},
                                    {"address_refused", counters_.address_refused},
                                    {"too_many_questions", counters_.too_many_questions},
                                    {"no_room", counters_.no_room},
                                    {"passed_in", counters_.passed_in},
                                    {"passed_out", counters_.passed_out},
                                    {"closed_port", counters_.closed_port},
                                    {"foreign", counters_.foreign},
                                    {"unknown_address", counters_.unknown_address},
                                    {"park_full", counters_.park_full},
                                    {"park_lost", counters_.park_lost},
                                    {"install_failed", counters_.install_failed}})
    text.sample("event", name, value);
  text.gauge("to_ip_names", "Names of clients that have an address").sample(names_.size());
}

}  // namespace i3
