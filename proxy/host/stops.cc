#include "proxy/host/stops.hh"

namespace i3 {

bool Stops::settle(Peer& peer) const {
  if (peer.leg) return false;
  std::optional<PublicKey> wish = directory_.stop_for(peer.key);
  // Nobody is reached through itself.
  if (wish && (*wish == peer.key || *wish == parts_.identity.key())) wish.reset();
  if (peer.stop == wish) return false;
  peer.stop = wish;
  return true;
}

// Made anew in the last half of its time.
const Stops::Passes* Stops::passes(const PublicKey& box) {
  const std::uint32_t hour = wire::pass_hour(parts_.clock.wall());
  auto found = passes_.find(box);
  if (found == passes_.end()) {
    const auto key = wire::pass_key(parts_.identity, box);
    if (!key) return nullptr;
    found = passes_.emplace(box, Passes{*key, 0, {}, {}}).first;
  }
  Passes& passes = found->second;
  if (passes.hour > hour || passes.hour + wire::kPassHours / 2 < hour) {
    passes.hour = hour;
    passes.out = wire::Pass::issue(wire::Pass::Use::out, hour, passes.key).under(box);
    passes.in = wire::Pass::issue(wire::Pass::Use::in, hour, passes.key).under(box);
  }
  return &passes;
}

Stops::Way Stops::way(const Peer& peer, const std::optional<Id>& theirs, const Id& target) {
  Way way;
  if (peer.stop) {
    const Passes* mine = passes(*peer.stop);
    // Nowhere rather than round the box.
    way.add(mine != nullptr ? mine->out : Id{});
  }
  if (theirs) way.add(*theirs);
  way.add(target);
  return way;
}

bool Stops::tell(const Peer& peer, wire::Hello& hello) {
  if (!peer.stop) return false;
  const Id own = hello.path.id;
  hello.path = {};
  const Passes* mine = passes(*peer.stop);
  const auto salt = parts_.client.salt_of(own);
  hello.stop = mine != nullptr ? mine->in : Id{};
  if (mine != nullptr && salt)
    hello.path.id = wire::Inward::seal(own, *salt, mine->hour, mine->key);
  return true;
}

std::optional<Stops::OutPass> Stops::out_pass(const PublicKey& box) {
  const Passes* mine = passes(box);
  if (mine == nullptr) return std::nullopt;
  return OutPass{mine->out, mine->hour};
}

bool Stops::came_right(const Peer& peer, const std::optional<Id>& id) const {
  if (!peer.stop) return true;
  const bool by_public = id == end_ && peer.stop == directory_.inbound_stop();
  return id && (by_public || peer.mine == id || peer.mine_next == id || peer.mine_before == id);
}

}  // namespace i3
