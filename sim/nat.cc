#include "sim/nat.hh"

namespace i3::sim {

Endpoint NatBox::counted(NatKind::By by, const Endpoint& endpoint) {
  if (by == NatKind::By::nothing) return {};
  return {endpoint.address, by == NatKind::By::address ? std::uint16_t{0} : endpoint.port};
}

Endpoint NatBox::take_port(const Endpoint& inside) {
  Endpoint outside{outside_.front(), inside.port};
  if (outside_.size() > 1) {
    const std::uint64_t which =
        kind_.one_address_each ? inside.address.bytes.back() : random_.below(outside_.size());
    outside.address = outside_[which % outside_.size()];
  }
  if (kind_.ports == NatKind::Ports::preserved && !by_outside_.contains(outside)) return outside;
  do {
    outside.port = kind_.ports == NatKind::Ports::random
                       ? static_cast<std::uint16_t>(1024 + random_.below(64000))
                       : std::max<std::uint16_t>(next_port_++, 1024);
  } while (by_outside_.contains(outside));
  return outside;
}

Endpoint NatBox::out(const Endpoint& inside, const Endpoint& to, TimePoint now) {
  const Key key{inside, counted(kind_.mapping, to)};
  auto known = by_inside_.find(key);
  if (known != by_inside_.end() && expired(by_outside_.at(known->second), now)) {
    by_outside_.erase(known->second);
    by_inside_.erase(known);
    known = by_inside_.end();
  }
  if (known == by_inside_.end()) {
    const Endpoint outside = take_port(inside);
    known = by_inside_.emplace(key, outside).first;
    by_outside_[outside] = {inside, key.second, {}, now};
  }
  Mapping& mapping = by_outside_.at(known->second);
  mapping.last = now;
  mapping.sent_to.insert(counted(kind_.filtering, to));
  return known->second;
}

std::optional<Endpoint> NatBox::in(const Endpoint& from, const Endpoint& to, TimePoint now) const {
  const auto mapping = by_outside_.find(to);
  if (mapping == by_outside_.end() || expired(mapping->second, now) ||
      !mapping->second.sent_to.contains(counted(kind_.filtering, from)))
    return std::nullopt;
  return mapping->second.inside;
}

void NatBox::reboot() {
  by_outside_.clear();
  by_inside_.clear();
  next_port_ = static_cast<std::uint16_t>(20000 + random_.below(20000));
}

}  // namespace i3::sim
