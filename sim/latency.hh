// Owns how far simulated machines are from each other: round trips measured between 490 PlanetLab
// hosts (sim/data/README.md), and an extension to any number of machines.
#pragma once

#include <vector>

#include "sim/network.hh"

namespace i3::sim {

class LatencyMatrix {
 public:
  static constexpr std::size_t kSites = 490;
  // Its round trips to 67 others were measured as 1 to 3 s: for a node there a seventh of the world
  // is as good as dead.
  static constexpr std::size_t kOddSite = 90;

  // The measured round trip of two different sites; zero for one and the same.
  static Duration round_trip(std::size_t a, std::size_t b);
};

// Machines at sites. Each site takes as many machines as the others, give or take one; the sites
// are taken in a random order. A machine stands 0.1 to 1 ms away from its site's measured host, one
// way, so two machines of one site are 0.4 to 4 ms apart, there and back. A datagram takes up to
// 5 % longer than the machines' distance, at random. The odd site takes no machine unless asked
// for.
class Sites {
 public:
  Sites(SimNetwork& network, std::uint64_t seed, bool odd_site = false);

  // One way, without the random part.
  Duration distance(SimNetwork::Host a, SimNetwork::Host b);
  std::size_t site(SimNetwork::Host host) { return place(host).site; }

 private:
  struct Place {
    std::size_t site;
    Duration access;
  };
  const Place& place(SimNetwork::Host host);

  SimNetwork& network_;
  SeededRandom random_;
  std::vector<std::size_t> order_;
  std::vector<Place> places_;  // by host
};

}  // namespace i3::sim
