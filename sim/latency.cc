#include "sim/latency.hh"

// Little-endian 16-bit numbers, tenths of a millisecond: the upper triangle without the diagonal,
// row by row.
__asm__(
    ".section .rodata\n"
    ".balign 2\n"
    "i3_sim_round_trips:\n"
    ".incbin \"" I3_SIM_DATA
    "/planetlab-490.u16\"\n"
    "i3_sim_round_trips_end:\n"
    ".previous\n");
extern "C" const std::uint8_t i3_sim_round_trips[] __asm__("i3_sim_round_trips");
extern "C" const std::uint8_t i3_sim_round_trips_end[] __asm__("i3_sim_round_trips_end");

namespace i3::sim {

Duration LatencyMatrix::round_trip(std::size_t a, std::size_t b) {
  assert(a < kSites && b < kSites);
  if (a == b) return Duration(0);
  if (a > b) std::swap(a, b);
  const std::size_t index = a * (2 * kSites - a - 1) / 2 + (b - a - 1);
  const std::uint8_t* at = i3_sim_round_trips + 2 * index;
  return std::chrono::microseconds(100 * (at[0] | at[1] << 8));
}

Sites::Sites(SimNetwork& network, std::uint64_t seed, bool odd_site)
    : network_(network), random_(seed * 7919 + 17) {
  assert(i3_sim_round_trips_end - i3_sim_round_trips ==
         LatencyMatrix::kSites * (LatencyMatrix::kSites - 1));
  for (std::size_t i = 0; i < LatencyMatrix::kSites; ++i)
    if (odd_site || i != LatencyMatrix::kOddSite) order_.push_back(i);
  for (std::size_t i = order_.size(); i > 1; --i)
    std::swap(order_[i - 1], order_[random_.below(i)]);
  network_.set_latency([this](SimNetwork::Host from, SimNetwork::Host to) {
    const Duration base = distance(from, to);
    return base + base * static_cast<int>(network_.random().below(50)) / 1000;
  });
}

const Sites::Place& Sites::place(SimNetwork::Host host) {
  while (places_.size() <= host) {
    const Duration access = std::chrono::microseconds(100 + random_.below(900));
    places_.push_back({order_[places_.size() % order_.size()], access});
  }
  return places_[host];
}

Duration Sites::distance(SimNetwork::Host a, SimNetwork::Host b) {
  if (a == b) return std::chrono::microseconds(10);
  place(std::max(a, b));
  const Place &from = places_[a], &to = places_[b];
  return from.access + to.access + LatencyMatrix::round_trip(from.site, to.site) / 2;
}

}  // namespace i3::sim
