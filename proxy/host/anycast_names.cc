#include "proxy/host/anycast_names.hh"

#include "proxy/packet/icmp.hh"
#include "proxy/packet/rewrite.hh"

namespace i3 {
namespace {

bool says_host_unreachable(const IpView& packet) {
  if (!packet.is_icmp_error()) return false;
  return packet.family() == Family::v4 ? packet.icmp_type() == 3 && packet.icmp_code() == 1
                                       : packet.icmp_type() == 1 && packet.icmp_code() == 3;
}

// What its virtual addresses are made from: not a host's own ID, should one have the group's key.
Id name_id(const PublicKey& group) {
  Id id = owner_prefix(group, 0);
  id.bytes[31] = 1;
  return id;
}

bool ends_tcp(const IpView& packet) {
  return (packet.tcp_flags() & (tcp_flag::kFin | tcp_flag::kRst)) != 0;
}

}  // namespace

AnycastNames::AnycastNames(Host& host, Anycast& anycast, Clock& clock,
                           std::function<void(Bytes)> write_to_program)
    : host_(host),
      anycast_(anycast),
      clock_(clock),
      write_(std::move(write_to_program)),
      behind_(host, clock,
              {[this](const PublicKey& group, TimePoint now) { return stand_in(group, now); },
               [this](const PublicKey& group) { return anycast_.absent(group); },
               [this](const PublicKey& group, Peer& peer, TimePoint now) {
                 if (Name* name = find(group)) ask_for_life(*name, peer, now);
               },
               [this](Bytes packet, TimePoint now) { out(packet, now); },
               [this](Bytes packet, TimePoint) { answer_nobody(packet); }}) {}

// Names

void AnycastNames::set_names(std::vector<AnycastName> names) {
  if (names.size() > kMaxNames) names.resize(kMaxNames);
  std::vector<std::unique_ptr<Name>> before = std::move(names_);
  names_.clear();
  for (AnycastName& wanted : names) {
    const auto known = std::find_if(before.begin(), before.end(), [&](const auto& name) {
      return name && name->what.group.key == wanted.group.key;
    });
    if (known != before.end()) {
      (*known)->what = std::move(wanted);
      names_.push_back(std::move(*known));
      continue;
    }
    // The same on every host and after every restart, if nobody has it.
    const AddressPool::Entry* entry =
        host_.addresses().assign(name_id(wanted.group.key), Standing::known);
    if (entry == nullptr) continue;
    auto name = std::make_unique<Name>();
    name->what = std::move(wanted);
    name->ipv4 = entry->ipv4;
    name->ipv6 = entry->ipv6;
    by_address_[name->ipv4.address()] = name.get();
    by_address_[name->ipv6.address()] = name.get();
    names_.push_back(std::move(name));
  }
  for (const auto& name : before)
    if (name) forget(*name);
  next_sweep_ = names_.empty() ? kNever : clock_.now() + kSweepEvery;
}

void AnycastNames::forget(Name& name) {
  for (const FlowKey& key : flows_.keys())
    if (place_of(key.peer).group == &name) flows_.close(key);
  by_address_.erase(name.ipv4.address());
  by_address_.erase(name.ipv6.address());
  behind_.forget(name.what.group.key);
  for (auto& done : name.waiting) done(std::nullopt);
  host_.addresses().release(name_id(name.what.group.key));
  anycast_.forget(name.what.group.key);
}

AnycastNames::Name* AnycastNames::find(std::string_view text) const {
  for (const auto& name : names_)
    if (name->what.name == text) return name.get();
  return nullptr;
}

AnycastNames::Name* AnycastNames::find(const PublicKey& group) const {
  for (const auto& name : names_)
    if (name->what.group.key == group) return name.get();
  return nullptr;
}

AnycastNames::Place AnycastNames::place_of(const IpAddress& address) const {
  const auto found = by_address_.find(address);
  if (found != by_address_.end()) return {found->second, nullptr};
  AnycastBehind::Name* behind = behind_.at(address);
  return behind != nullptr ? Place{find(behind->group), behind} : Place{};
}

std::optional<std::string> AnycastNames::name_of(const PublicKey& key) const {
  const Name* name = find(key);
  return name != nullptr ? std::optional(name->what.name) : std::nullopt;
}

std::optional<PublicKey> AnycastNames::key_of(std::string_view text) const {
  const Name* name = find(text);
  return name != nullptr ? std::optional(name->what.group.key) : std::nullopt;
}

std::optional<PublicKey> AnycastNames::stand_in(const PublicKey& group, TimePoint now) {
  const Name* name = find(group);
  return name != nullptr ? anycast_.use(name->what.group, now) : std::nullopt;
}

void AnycastNames::restore(std::string_view state) {
  behind_.restore(state, [this](const PublicKey& key) { return is_group(key); });
}

std::optional<std::string> AnycastNames::name_at(const IpAddress& address) const {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return std::nullopt;
  return found->second->what.name;
}

std::optional<AnycastNames::Addresses> AnycastNames::meet(std::string_view text) {
  Name* name = find(text);
  if (name == nullptr) return std::nullopt;
  anycast_.use(name->what.group, clock_.now());
  return Addresses{name->what.group.key, name->ipv4, name->ipv6};
}

void AnycastNames::when_known(std::string_view text,
                              std::function<void(std::optional<PublicKey>)> done) {
  Name* name = find(text);
  if (name == nullptr || name->waiting.size() >= kMaxParked) return done(std::nullopt);
  if (const auto member = anycast_.use(name->what.group, clock_.now())) return done(member);
  name->waiting.push_back(std::move(done));
}

// Out

bool AnycastNames::on_tun(Frame frame) {
  if (by_address_.empty() || frame.size() < kIpv4HeaderSize) return false;
  const Family family = frame.bytes()[0] >> 4 == 4 ? Family::v4 : Family::v6;
  const Place place = place_of(destination_in(frame.bytes(), family));
  if (place.group == nullptr) return false;
  const VirtualIp own = family == Family::v4 ? host_.own4() : host_.own6();
  if (source_in(frame.bytes(), family) != own.address()) return false;  // the host counts it
  const auto packet = IpPacket::parse(frame.bytes());
  const TimePoint now = clock_.now();
  if (!packet) {
    ++counters_.malformed;
    return true;
  }
  std::vector<EarlyFragments::Held> after;
  if (packet->is_first_fragment() && !early_.empty())
    after = early_.take(EarlyFragments::Way::out, packet->destination(), *packet);
  out(place, *packet, frame, now);
  for (const EarlyFragments::Held& one : after) out(one.bytes, now);
  return true;
}

// One that waited: its name may be gone by now.
void AnycastNames::out(Bytes bytes, TimePoint now) {
  OwnFrame own(bytes);
  const Frame frame = own.frame();
  const auto packet = IpPacket::parse(frame.bytes());
  const Place place = packet ? place_of(packet->destination()) : Place{};
  if (place.group == nullptr) {
    ++counters_.park_lost;
    return;
  }
  out(place, *packet, frame, now);
}

void AnycastNames::out(const Place& place, IpPacket packet, Frame frame, TimePoint now) {
  Name& name = *place.group;
  if (place.behind != nullptr) behind_.touch(*place.behind, now);
  const auto key = flows_.key_out(packet);
  AnycastFlow* flow = key ? flows_.find(*key) : nullptr;
  const auto member = anycast_.use(name.what.group, now);
  if (flow != nullptr && flow->ended && packet.is_tcp_open()) flow = nullptr;
  if (flow == nullptr) {
    if (!key && packet.is_fragment() && !packet.has_transport()) return hold_out(packet, now);
    if (!key || packet.is_icmp_error()) {
      ++counters_.no_flow;
      return;
    }
    if (!member) return park(name, packet.bytes());
    if (place.behind != nullptr && !behind_.known_at(*place.behind, *member))
      return behind_.park(*place.behind, packet.bytes(), now);
    flow = open(place, *key, *member, packet, now);
    if (flow == nullptr) {
      ++counters_.no_room;
      return answer_nobody(packet.bytes());
    }
  }
  note(name, *flow, packet, now);
  rewrite_destination(packet, flow->at);
  host_.on_tun(frame);
}

AnycastFlow* AnycastNames::open(const Place& place, const FlowKey& key, const PublicKey& member,
                                const IpPacket& packet, TimePoint now) {
  std::optional<IpAddress> at;
  const Peer* peer = host_.meet(member);
  if (place.behind != nullptr)
    at = behind_.address_at(*place.behind, member, packet.family());
  else if (peer != nullptr)
    at = (packet.family() == Family::v4 ? peer->ipv4 : peer->ipv6).address();
  AnycastFlow* flow = at ? flows_.open(key, member, *at, now) : nullptr;
  if (flow != nullptr && flows_.size() <= kMaxFirst)
    flow->first.assign(packet.bytes().begin(), packet.bytes().end());
  return flow;
}

void AnycastNames::note(Name& name, AnycastFlow& flow, const IpView& packet, TimePoint now) {
  flow.seen = now;
  if (packet.is_tcp() && packet.has_transport()) {
    if (packet.tcp_flags() & tcp_flag::kAck) flow.acknowledged = load32(packet.transport(), 8);
    if (ends_tcp(packet)) flow.ended = true;
  }
  if (name.next_watch == kNever) name.next_watch = now + kWatchEvery;
  if (flow.answered) return;
  if (Peer* peer = host_.peers().find(flow.member)) ask_for_life(name, *peer, now);
}

void AnycastNames::park(Name& name, Bytes packet) {
  if (name.parked.size() >= kMaxParked) {
    ++counters_.park_full;
    return;
  }
  name.parked.emplace_back(packet.begin(), packet.end());
}

void AnycastNames::answer_nobody(Bytes bytes) {
  ++counters_.no_member;
  const auto packet = IpView::parse(bytes);
  std::array<std::uint8_t, kReplyCapacity> reply;
  if (!packet) return;
  const MutBytes answer =
      build_unreachable(*packet, Unreachable::host, packet->destination(), reply);
  if (!answer.empty()) write_(answer);
}

// In

bool AnycastNames::to_program(MutBytes bytes) {
  if (flows_.empty()) return true;
  auto packet = IpPacket::parse(bytes);
  if (!packet) return true;
  if (flows_.is_early(*packet)) {
    const bool held = early_.hold(EarlyFragments::Way::in, packet->source(), *packet, clock_.now());
    ++(held ? counters_.held : counters_.held_full);
    return !held;
  }
  const auto key = flows_.key_in(*packet);
  if (packet->is_first_fragment() && !early_.empty()) followed_in(*packet, key);
  AnycastFlow* flow = key ? flows_.find(*key) : nullptr;
  if (flow == nullptr) return true;
  // Another member may be there: the program hears of it when none is.
  if (says_host_unreachable(*packet) && !flow->answered && !flow->first.empty()) {
    ++counters_.withheld;
    return false;
  }
  flow->seen = clock_.now();
  if (!packet->is_icmp_error()) {
    flow->answered = true;
    flow->first = {};
    if (ends_tcp(*packet)) flow->ended = true;
  }
  rewrite_source(*packet, key->peer);
  return true;
}

// Who falls silent

// Costs 37 bytes and as many back; only where nothing was heard a moment ago.
void AnycastNames::nudge(Name& name, Peer& peer, Duration patience, TimePoint now) {
  if (name.nudged != kNever || peer.last_received + kHeardLately > now) return;
  name.nudged = now;
  name.patience = patience;
  host_.nudge(peer);
}

// It owes an answer: nothing is heard of it for longer than one takes?
void AnycastNames::ask_for_life(Name& name, Peer& peer, TimePoint now) {
  nudge(name, peer, std::max<Duration>(kLeastPatience, 3 * peer.rtt + kHeardLately), now);
}

void AnycastNames::check(Name& name, TimePoint now) {
  const auto member = anycast_.member(name.what.group.key);
  Peer* peer = member ? host_.peers().find(*member) : nullptr;
  if (peer == nullptr) {
    name.nudged = kNever;
    return;
  }
  const bool heard = name.nudged != kNever && peer->last_received >= name.nudged;
  if (heard) name.nudged = kNever;
  const bool stands = host_.sessions().can_seal(peer->handle, now);
  // Meeting somebody takes longer than a sign of life of somebody known.
  const Duration patience = stands ? name.patience : std::max<Duration>(name.patience, kOpening);
  const bool silent = name.nudged != kNever && now >= name.nudged + patience;
  const bool mute = stands && peer->unanswered_since != kNever &&
                    now >= peer->unanswered_since + kSilence && flows_.with(*member) > 0;
  if (silent || mute) {
    name.nudged = kNever;
    host_.suspect(*peer);
    anycast_.doubt(name.what.group.key, *member, now);
  }
}

void AnycastNames::changed(const PublicKey& group, TimePoint now) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    Name& name = *names_[i];
    if (name.what.group.key != group) continue;
    const auto member = anycast_.member(group);
    if (member) host_.meet(*member);
    for (auto& done : std::exchange(name.waiting, {})) done(member);
    for (const auto& packet : std::exchange(name.parked, {}))
      member ? out(packet, now) : answer_nobody(packet);
    name.nudged = kNever;
    if (const auto* members = anycast_.members(group)) {
      const std::vector<AnycastMember> copy = *members;
      for (const AnycastMember& one : copy)
        if (one.key != member && (one.doubted != TimePoint{} || one.lost_until > now))
          leave(name, one.key, member, one.lost_until > now, now);
    }
    behind_.changed(group, now);
    return;
  }
}

void AnycastNames::on_absent(const Peer& peer) {
  const auto stands_for = [&](const auto& name) {
    return anycast_.member(name->what.group.key) == peer.key;
  };
  if (flows_.with(peer.key) > 0 || std::any_of(names_.begin(), names_.end(), stands_for))
    absent_.push_back(peer.key);
}

void AnycastNames::lost(const PublicKey& member, TimePoint now) {
  anycast_.lost(member, now);
  for (const auto& name : names_)
    leave(*name, member, anycast_.member(name->what.group.key), true, now);
}

void AnycastNames::leave(Name& name, const PublicKey& member, const std::optional<PublicKey>& to,
                         bool gone, TimePoint now) {
  const Peer* next = to && *to != member ? host_.meet(*to) : nullptr;
  for (const FlowKey& key : flows_.of_member(member)) {
    const Place place = place_of(key.peer);
    AnycastFlow* flow = flows_.find(key);
    if (place.group != &name || flow == nullptr || flow->member != member) continue;
    if (flow->answered) {
      // Broken only once it is certain: a member that is merely slow keeps its conversations.
      if (!gone) continue;
      if (key.protocol == ip_protocol::kTcp && !flow->ended) reset(key, *flow);
      ++counters_.broken;
      flows_.close(key);
    } else if (next != nullptr) {
      ++counters_.moved;
      const std::vector<std::uint8_t> first = flow->first;
      // The next one may have to be asked first what is behind it.
      if (place.behind != nullptr)
        flows_.close(key);
      else
        flows_.move(key, next->key, (key.peer.is_v4() ? next->ipv4 : next->ipv6).address());
      if (!first.empty()) out(first, now);
    } else if (gone && anycast_.absent(name.what.group.key)) {
      if (!flow->first.empty()) answer_nobody(flow->first);
      flows_.close(key);
    }
  }
}

// What the local program expects next is the only number that it takes a reset for (RFC 5961).
void AnycastNames::reset(const FlowKey& key, const AnycastFlow& flow) {
  const bool v4 = key.peer.is_v4();
  const IpAddress own = (v4 ? host_.own4() : host_.own6()).address();
  std::array<std::uint8_t, kIpv6HeaderSize + kTcpHeaderSize> storage{};
  Writer writer(storage);
  if (v4) {
    writer.u32(0x45000000 | (kIpv4HeaderSize + kTcpHeaderSize));
    writer.u32(0);
    writer.u32(std::uint32_t{64} << 24 | std::uint32_t{ip_protocol::kTcp} << 16);
    writer.u32(own.to_v4());
    writer.u32(key.peer.to_v4());
  } else {
    writer.u32(0x60000000);
    writer.u32(std::uint32_t{kTcpHeaderSize} << 16 | std::uint32_t{ip_protocol::kTcp} << 8 | 64);
    writer.bytes(own.bytes);
    writer.bytes(key.peer.bytes);
  }
  writer.u16(key.own_port);
  writer.u16(key.peer_port);
  writer.u32(0);
  writer.u32(flow.acknowledged);
  writer.u16(static_cast<std::uint16_t>(0x5000 | tcp_flag::kAck));
  writer.zeros(6);
  const auto packet = IpView::parse(writer.written());
  std::array<std::uint8_t, kReplyCapacity> reply;
  if (!packet) return;
  const MutBytes answer = build_tcp_reset(*packet, reply);
  if (!answer.empty()) write_(answer);
}

// Time

TimePoint AnycastNames::next_deadline() const {
  const TimePoint now = clock_.now();
  if (!absent_.empty()) return now;
  TimePoint next = std::min({next_sweep_, behind_.next_deadline(), early_.next_deadline()});
  for (const auto& name : names_) {
    next = std::min(next, name->next_watch);
    if (name->nudged != kNever) next = std::min(next, now + kCheckEvery);
    const auto member = anycast_.member(name->what.group.key);
    const Peer* peer = member ? host_.peers().find(*member) : nullptr;
    if (peer != nullptr && peer->unanswered_since != kNever && flows_.with(*member) > 0)
      next = std::min(next, std::max(peer->unanswered_since + kSilence, now + kCheckEvery));
  }
  return next;
}

// Whenever anything is due in the daemon: it looks at what others know, and has few deadlines of
// its own.
void AnycastNames::on_timer() {
  const TimePoint now = clock_.now();
  release_early(now);
  if (names_.empty()) return;
  for (const PublicKey& member : std::exchange(absent_, {})) lost(member, now);
  for (const auto& name : names_) {
    check(*name, now);
    if (now >= name->next_watch) watch(*name, now);
  }
  behind_.on_timer(now);
  if (now < next_sweep_) return;
  next_sweep_ = names_.empty() ? kNever : now + kSweepEvery;
  flows_.sweep(now);
  behind_.sweep(now, host_.idle());
}

// Conversations of which nothing is heard: somebody may wait for an answer that cannot come.
void AnycastNames::watch(Name& name, TimePoint now) {
  name.next_watch = kNever;
  const auto* members = anycast_.members(name.what.group.key);
  if (members == nullptr) return;
  for (const AnycastMember& one : *members) {
    Peer* peer = flows_.with(one.key) > 0 ? host_.peers().find(one.key) : nullptr;
    if (peer == nullptr) continue;
    name.next_watch = now + kWatchEvery;
    if (peer->last_received + kWatchEvery > now) continue;
    if (anycast_.member(name.what.group.key) == one.key)
      nudge(name, *peer, kOpening, now);
    else
      host_.nudge(*peer);
  }
}

std::vector<AnycastNames::Status> AnycastNames::status() const {
  std::vector<Status> rows;
  for (const auto& name : names_) {
    Status row;
    row.name = name->what.name;
    row.key = name->what.group.key;
    row.ipv4 = name->ipv4;
    row.ipv6 = name->ipv6;
    row.member = anycast_.member(row.key);
    row.flows =
        flows_.of_group(row.ipv4.address()).size() + flows_.of_group(row.ipv6.address()).size();
    if (const auto* members = anycast_.members(row.key)) row.members = *members;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace i3
