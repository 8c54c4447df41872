#include "proxy/host/groups.hh"

#include <algorithm>

namespace i3 {

Groups::Groups(Host& host, Clock& clock, Random& random, Log& log,
               std::function<void(Bytes)> write_to_program)
    : host_(host),
      clock_(clock),
      anycast_(random, log,
               {[&host](const SendById& packet, TimePoint now) {
                  return host.client().send(packet, now);
                },
                [&clock] { return clock.wall(); },
                [this](const PublicKey& group, TimePoint now) { names_.changed(group, now); },
                host.key()}),
      names_(host, anycast_, clock, write_to_program),
      multicast_(host, clock, random, log, write_to_program),
      answers_(kMemberRate, kMemberRate) {
  host_.set_groups(this);
  host_.gateway_names().heard = [this](std::uint64_t number, const GatewayAnswer& answer) {
    names_.behind().on_answer(number, answer);
  };
}

Groups::~Groups() {
  host_.gateway_names().heard = nullptr;
  host_.set_groups(nullptr);
}

void Groups::set_memberships(std::vector<Membership> wanted) {
  const TimePoint now = clock_.now();
  if (wanted.size() > kMaxMemberships) wanted.resize(kMaxMemberships);
  for (const Membership& before : memberships_)
    if (std::find(wanted.begin(), wanted.end(), before) == wanted.end())
      host_.client().let_go(anycast_place(before.group, before.delegation), before.group, now);
  for (const Membership& one : wanted) {
    if (std::find(memberships_.begin(), memberships_.end(), one) != memberships_.end()) continue;
    HeldTrigger place;
    place.id = anycast_place(one.group, one.delegation);
    place.owner = one.group;
    place.exact = false;
    place.rate_pps = kMemberRate;
    place.delegation = one.delegation;
    host_.client().hold(place, now);
  }
  memberships_ = std::move(wanted);
}

void Groups::on_packet(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) {
  if (packet.kind == wire::kGroupAsk)
    answer(packet, node, now);
  else if (packet.kind == wire::kGroupData)
    multicast_.on_packet(packet, now);
  else
    ++counters_.malformed;
}

// Whoever knows the group's key may ask; what is told is the group's own word.
void Groups::answer(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) {
  const auto ask = wire::GroupAsk::parse(packet.payload);
  if (!ask) {
    ++counters_.malformed;
    return;
  }
  const auto in_group = [&](const Membership& one) {
    return owner_prefix(one.group, 0).ring() == packet.target().ring();
  };
  const auto mine = std::find_if(memberships_.begin(), memberships_.end(), in_group);
  if (mine == memberships_.end()) {
    ++counters_.no_member;
  } else if (!answers_.take(now)) {
    ++counters_.over_rate;
  } else {
    ++counters_.asked;
    std::array<std::uint8_t, wire::GroupAnswer::kSize> payload;
    Writer writer(payload);
    wire::GroupAnswer{ask->nonce, mine->delegation}.write(writer);
    host_.client().send_returned(node, packet.tag, wire::kGroupAnswer, writer.written());
  }
}

TimePoint Groups::next_deadline() const {
  return std::min({anycast_.next_deadline(), names_.next_deadline(), multicast_.next_deadline()});
}

void Groups::on_timer() {
  const TimePoint now = clock_.now();
  if (now >= anycast_.next_deadline()) anycast_.on_timer(now);
  names_.on_timer();
  if (now >= multicast_.next_deadline()) multicast_.on_timer();
}

}  // namespace i3
