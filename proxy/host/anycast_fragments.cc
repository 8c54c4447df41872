// What becomes of fragments of conversations with groups that came before their first one.
#include "proxy/host/anycast_names.hh"
#include "proxy/packet/rewrite.hh"

namespace i3 {

void AnycastNames::hold_out(const IpPacket& packet, TimePoint now) {
  if (early_.hold(EarlyFragments::Way::out, packet.destination(), packet, now))
    ++counters_.held;
  else
    ++counters_.held_full;
}

// Of those that nobody came for: what a program sent belongs to no conversation, and what came in
// is the kernel's to judge, as any fragment is.
void AnycastNames::release_early(TimePoint now) {
  for (EarlyFragments::Held& one : early_.expired(now))
    if (one.way == EarlyFragments::Way::out)
      ++counters_.no_flow;
    else
      write_(one.bytes);
}

// They go ahead of their first one: who puts them together takes them in any order.
void AnycastNames::followed_in(const IpView& first, const std::optional<FlowKey>& key) {
  for (EarlyFragments::Held& one : early_.take(EarlyFragments::Way::in, first.source(), first)) {
    auto packet = IpPacket::parse(one.bytes);
    if (key && packet) rewrite_source(*packet, key->peer);
    write_(one.bytes);
  }
}

}  // namespace i3
