// Arbitrary plaintexts from a peer that has a session: packets and control messages. Each input is
// sealed by the real peer, so all of it is authentic and none of it is to be trusted.
#include "proxy/host/courier.hh"
#include "tests/sim/hosts/sim_host.hh"

namespace {

using namespace i3;
using namespace i3::sim;

SmallWorld& world() {
  static SmallWorld* instance = [] {
    std::freopen("/dev/null", "w", stdout);
    auto* made = new SmallWorld(2);
    made->ready();
    made->hears(*made->a, *made->b, "x", std::chrono::seconds(3));
    made->network.run_for(std::chrono::seconds(2));
    return made;
  }();
  return *instance;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SmallWorld& all = world();
  if (size > 1500) return 0;
  Peer* peer = all.a->host().peers().find(all.b->key());
  std::vector<std::uint8_t> message(wire::kDirectSize + kTransportHeader + size + kTransportTag);
  const MutBytes sealed = MutBytes(message).subspan(wire::kDirectSize);
  std::copy_n(data, size, sealed.begin() + kTransportHeader);
  if (!all.a->host().sessions().seal(peer->handle, sealed, all.network.now())) __builtin_trap();
  Writer writer(message);
  wire::Direct::write_front(writer, 0);
  all.b->host().on_datagram(*Endpoint::parse("203.0.113.1:40000"), message);
  all.b->received.clear();
  all.a->received.clear();
  return 0;
}
