// Arbitrary datagrams, from a node and from nowhere, to a host that talks to another one.
#include "tests/sim/hosts/sim_host.hh"

namespace {

using namespace i3;
using namespace i3::sim;

SmallWorld& world() {
  static SmallWorld* instance = [] {
    std::freopen("/dev/null", "w", stdout);  // the simulator's seed line
    auto* made = new SmallWorld(1);
    made->ready();
    made->hears(*made->a, *made->b, "x", std::chrono::seconds(3));
    return made;
  }();
  return *instance;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SmallWorld& all = world();
  for (const Endpoint& from : {all.ring[0].endpoint(), *Endpoint::parse("192.0.2.9:7")}) {
    std::vector<std::uint8_t> message(data, data + size);
    all.b->host().on_datagram(from, message);
  }
  return 0;
}
