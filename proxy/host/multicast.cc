#include "proxy/host/multicast.hh"

#include "proxy/packet/rewrite.hh"

namespace i3 {

// Parts of eight on average: one of seventeen is rare.
unsigned multicast_level(std::size_t members) {
  if (members <= 12) return 0;
  unsigned level = 1;
  while (level < kMostParts && members > (std::size_t{8} << level)) ++level;
  return level;
}

// Suffix: level 1 | part, its bits first | zeros.
Id multicast_place(const PublicKey& owner, unsigned level, std::size_t part) {
  Id id = owner_prefix(owner, 0);
  id.bytes[16] = static_cast<std::uint8_t>(level);
  if (level > 0) id.bytes[17] = static_cast<std::uint8_t>(part << (8 - level));
  return id;
}

std::size_t multicast_part(const PublicKey& member, unsigned level) {
  const auto hash = blake2b<16>("i3 group place", {member.bytes});
  return level == 0 ? 0 : hash[0] >> (8 - level);
}

Multicast::Multicast(Host& host, Clock& clock, Random& random, Log& log,
                     std::function<void(Bytes)> write_to_program)
    : host_(host), clock_(clock), random_(random), log_(log), write_(std::move(write_to_program)) {}

// Groups

void Multicast::set_names(std::vector<MulticastName> names) {
  const TimePoint now = clock_.now();
  if (names.size() > kMaxGroups) names.resize(kMaxGroups);
  auto before = std::move(groups_);
  groups_.clear();
  for (MulticastName& wanted : names) {
    const auto known = std::find_if(before.begin(), before.end(), [&](const auto& group) {
      return group && group->what == wanted;
    });
    if (known != before.end()) {
      groups_.push_back(std::move(*known));
      continue;
    }
    auto group = std::make_unique<Group>();
    const GroupSecret secret = group_secret(wanted.key, wanted.secret);
    group->owner = group_owner(secret);
    group->sealer =
        std::make_unique<GroupSealer>(secret, host_.key(), clock_.wall(), random_.u64());
    group->opener = std::make_unique<GroupOpener>(secret);
    group->what = std::move(wanted);
    groups_.push_back(std::move(group));
  }
  for (const auto& group : before)
    if (group && group->joined) leave(*group, now);
  set_joined(std::vector(joined_));
}

void Multicast::set_joined(const std::vector<IpAddress>& addresses) {
  const TimePoint now = clock_.now();
  joined_ = addresses;
  for (const auto& group : groups_) {
    const bool joined =
        std::find(joined_.begin(), joined_.end(), group->what.address) != joined_.end();
    if (joined == group->joined) continue;
    log_.info(joined ? "group_joined" : "group_left",
              {{"group", group->what.name}, {"address", group->what.address.text()}});
    if (!joined) {
      leave(*group, now);
      continue;
    }
    group->joined = true;
    group->next_count = now + std::chrono::seconds(2);
    place(*group, now);
  }
}

// In the whole group, and where that is large in its part of this level and of those beside it, for
// senders may have counted a little otherwise.
void Multicast::place(Group& group, TimePoint now) {
  std::vector<Id> wanted{multicast_place(group.owner->key(), 0, 0)};
  if (group.level > 0)
    for (unsigned level = std::max(1u, group.level - 1);
         level <= std::min(kMostParts, group.level + 1); ++level)
      wanted.push_back(
          multicast_place(group.owner->key(), level, multicast_part(host_.key(), level)));
  for (const Id& id : group.held)
    if (std::find(wanted.begin(), wanted.end(), id) == wanted.end())
      host_.client().let_go(id, group.owner->key(), now);
  const bool renew = now >= group.renew || group.held.empty();
  const std::uint64_t until =
      clock_.wall() + static_cast<std::uint64_t>(Duration(kDelegated).count());
  if (renew) group.renew = now + kDelegated / 2;
  for (const Id& id : wanted) {
    if (!renew && std::find(group.held.begin(), group.held.end(), id) != group.held.end()) continue;
    HeldTrigger trigger;
    trigger.id = id;
    trigger.owner = group.owner->key();
    trigger.delegation = wire::Delegation::issue(*group.owner, host_.key(), until);
    host_.client().hold(trigger, now);
  }
  group.held = std::move(wanted);
}

void Multicast::leave(Group& group, TimePoint now) {
  for (const Id& id : group.held) host_.client().let_go(id, group.owner->key(), now);
  group.held.clear();
  group.joined = false;
  group.renew = kNever;
}

Multicast::Group* Multicast::with_address(const IpAddress& address) const {
  for (const auto& group : groups_)
    if (group->what.address == address) return group.get();
  return nullptr;
}

std::optional<IpAddress> Multicast::address_of(std::string_view name) const {
  for (const auto& group : groups_)
    if (group->what.name == name) return group->what.address;
  return std::nullopt;
}

std::optional<std::string> Multicast::name_at(const IpAddress& address) const {
  const Group* group = with_address(address);
  return group != nullptr ? std::optional(group->what.name) : std::nullopt;
}

// Out

bool Multicast::on_tun(Frame frame) {
  if (groups_.empty() || frame.size() < kIpv4HeaderSize) return false;
  const Family family = frame.bytes()[0] >> 4 == 4 ? Family::v4 : Family::v6;
  const IpAddress to = destination_in(frame.bytes(), family);
  if (!to.multicast()) return false;
  Group* group = with_address(to);
  if (group == nullptr) return false;
  const auto packet = IpView::parse(frame.bytes());
  const VirtualIp own = family == Family::v4 ? host_.own4() : host_.own6();
  if (!packet) {
    ++counters_.malformed;
  } else if (packet->source() != own.address()) {
    return false;  // the host counts it
  } else if (!packet->is_udp()) {
    ++counters_.not_carried;
  } else {
    send(*group, *packet, clock_.now());
  }
  return true;
}

void Multicast::send(Group& group, const IpView& packet, TimePoint now) {
  if (now < group.absent_until) {
    ++counters_.no_members;
    return;
  }
  std::array<std::uint8_t, wire::kMaxMessage> storage;
  const std::size_t size = GroupSealer::kOverhead + packet.size();
  if (size > wire::kMaxMessage - wire::id_packet_size(1)) {
    ++counters_.too_big;
    return;
  }
  const MutBytes message = MutBytes(storage).first(size);
  std::copy(packet.bytes().begin(), packet.bytes().end(),
            message.begin() + wire::GroupData::kFront);
  if (!group.sealer->seal(message)) return;
  ++counters_.sent;
  ++group.sent;
  group.counted_for = now;
  if (group.level > 0 && group.next_count == kNever) group.next_count = now + kCountEvery;
  const auto to = [&](const Id& id) {
    SendById one;
    one.ids = {&id, 1};
    one.kind = wire::kGroupData;
    one.payload = message;
    one.want_node = now >= group.next_ask;
    ++counters_.copies;
    return host_.client().send(one, now);
  };
  const PublicKey& owner = group.owner->key();
  if (group.level == 0 || now < group.both_until) {
    const std::uint64_t nonce = to(multicast_place(owner, 0, 0));
    if (now >= group.next_ask) group.asked = nonce;
  }
  for (std::size_t part = 0; group.level > 0 && part < std::size_t{1} << group.level; ++part)
    to(multicast_place(owner, group.level, part));
  if (now >= group.next_ask) group.next_ask = now + kAskEvery;
}

void Multicast::on_forwarded(std::uint64_t nonce, const wire::Forwarded& forwarded, TimePoint now) {
  for (const auto& group : groups_) {
    if (nonce == 0 || group->asked != nonce) continue;
    group->members =
        std::max<std::size_t>(group->level > 0 ? group->members : 0, forwarded.matches);
    // As many as a packet may reach: perhaps there are more.
    if (group->level == 0 && multicast_level(forwarded.matches) > 0 && group->next_count == kNever)
      group->next_count = now;
  }
}

void Multicast::on_not_present(std::uint64_t nonce, TimePoint now) {
  for (const auto& group : groups_)
    if (nonce != 0 && group->asked == nonce && group->level == 0) {
      group->absent_until = now + kAbsentFor;
      group->next_ask = {};
      group->members = 0;
    }
}

// How many there are

// The owner of the group's ID is asked, node by node.
void Multicast::count(Group& group, TimePoint now) {
  const bool needed = group.joined || now < group.counted_for + 2 * kCountEvery;
  group.next_count = needed ? now + kCountEvery : kNever;
  if (!needed) return;
  host_.client().trace(
      multicast_place(group.owner->key(), 0, 0),
      [this, owner = group.owner->key()](const std::vector<TraceHop>& hops) {
        if (!hops.empty() && hops.back().owner) counted(owner, hops.back().matches);
      },
      now);
}

void Multicast::counted(const PublicKey& owner, std::size_t members) {
  const TimePoint now = clock_.now();
  for (const auto& group : groups_) {
    if (group->owner->key() != owner) continue;
    group->members = members;
    const unsigned level = multicast_level(members);
    if (level == group->level) continue;
    log_.info(
        "group_parts",
        {{"group", group->what.name}, {"members", members}, {"parts", std::size_t{1} << level}});
    group->level = level;
    group->both_until = now + kBothLevels;
    if (group->joined) place(*group, now);
  }
}

// In

void Multicast::on_packet(const wire::IdPacket& packet, TimePoint now) {
  const auto found = std::find_if(groups_.begin(), groups_.end(), [&](const auto& group) {
    return std::find(group->held.begin(), group->held.end(), packet.target()) != group->held.end();
  });
  if (found == groups_.end()) {
    ++counters_.not_joined;
    return;
  }
  Group& group = **found;
  std::vector<std::uint8_t> message(packet.payload.begin(), packet.payload.end());
  const auto front = wire::GroupData::parse(message);
  if (front && front->sender == host_.key()) {
    ++counters_.own;
    return;
  }
  const GroupOpener::Opened opened = group.opener->open(message, now);
  switch (opened.result) {
    case GroupOpener::Result::opened:
      return deliver(group, opened.sender, opened.packet, now);
    case GroupOpener::Result::malformed:
      ++counters_.malformed;
      return;
    case GroupOpener::Result::replayed:
      ++counters_.replayed;
      return;
    case GroupOpener::Result::older_start:
      ++counters_.older_start;
      return;
    case GroupOpener::Result::not_authentic:
      ++counters_.not_authentic;
      return;
  }
}

// Whatever it says of itself, it comes from its sender's address here and goes to the group's.
void Multicast::deliver(Group& group, const PublicKey& sender, MutBytes bytes, TimePoint now) {
  auto packet = IpPacket::parse(bytes);
  if (!packet) {
    ++counters_.malformed;
    return;
  }
  const bool v4 = packet->family() == Family::v4;
  if (!packet->is_udp() || v4 != group.what.address.is_v4()) {
    ++counters_.not_carried;
    return;
  }
  Peer* peer = host_.acquaint(sender);
  if (peer == nullptr) {
    ++counters_.no_sender;
    return;
  }
  peer->last_used = now;
  rewrite_addresses(*packet, (v4 ? peer->ipv4 : peer->ipv6).address(), group.what.address);
  ++counters_.received;
  ++group.received;
  write_(bytes);
}

// Time

TimePoint Multicast::next_deadline() const {
  TimePoint next = kNever;
  for (const auto& group : groups_) next = std::min({next, group->renew, group->next_count});
  return next;
}

void Multicast::on_timer() {
  const TimePoint now = clock_.now();
  for (const auto& group : groups_) {
    if (group->joined && now >= group->renew) place(*group, now);
    if (now >= group->next_count) count(*group, now);
  }
}

std::vector<Multicast::Status> Multicast::status() const {
  std::vector<Status> rows;
  for (const auto& group : groups_)
    rows.push_back({group->what.name, group->what.key, group->owner->key(), group->what.address,
                    group->joined, group->members, group->level, group->opener->senders(),
                    group->sent, group->received});
  return rows;
}

}  // namespace i3
