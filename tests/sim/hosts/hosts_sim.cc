// Many: 100 nodes, 20 hosts, everybody talks to everybody.
#include <doctest/doctest.h>

#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

TEST_CASE("20 hosts behind 20 NATs on a ring of 100 nodes all reach each other, some nodes die") {
  constexpr std::uint64_t kHosts = 20;
  SimNetwork network(seed_or(42));
  SimRing ring(network);
  for (int i = 0; i < 100; ++i) {
    ring.add(3);
    network.run_for(200ms);
  }
  REQUIRE(network.run_until([&] { return ring.ideal(); }, 300s, 1s));

  HostPlan plan;
  for (std::uint64_t i = 1; i <= kHosts; ++i)
    plan.book.push_back({"h" + std::to_string(i), key_of_host(i), true});
  plan.allow = {{std::nullopt, Allow::Protocol::usual, {}}};
  for (std::size_t i = 0; i < 4; ++i)
    plan.entries.push_back({ring[i * 20].endpoint(), ring[i * 20].identity().key()});
  std::vector<std::unique_ptr<SimHost>> hosts;
  for (std::uint64_t i = 1; i <= kHosts; ++i) {
    const auto nat = network.add_nat(IpAddress::v4(static_cast<std::uint32_t>(0xcb007100 + i)));
    const Endpoint inside{IpAddress::v4(static_cast<std::uint32_t>(0xc0a80002 + 256 * i)), 4000};
    hosts.push_back(std::make_unique<SimHost>(network, network.add_host(nat), inside, i, plan));
  }
  REQUIRE(network.run_until(
      [&] {
        return std::all_of(hosts.begin(), hosts.end(),
                           [](const auto& host) { return host->host().client().ready(); });
      },
      60s));

  const auto round = [&](const std::string& word) {
    // Said twice, as programs over UDP do: all 190 pairs open from both sides in one instant, and a
    // packet sealed for the handshake that gives way is lost as any datagram may be.
    for (int time = 0; time < 2; ++time) {
      for (auto& from : hosts)
        for (auto& to : hosts)
          if (from != to) from->send_udp(to->key(), 5000, 6000, word + from->key().text());
      network.run_for(8s);
    }
    std::size_t heard = 0;
    for (auto& host : hosts) {
      std::set<std::string> seen;
      for (const std::string& text : host->texts(6000))
        if (text.starts_with(word)) seen.insert(text);
      heard += seen.size();
    }
    return heard;
  };
  CHECK(round("first ") == kHosts * (kHosts - 1));
  for (std::size_t i = 0; i < 10; ++i) ring.kill(i * 7 + 1);
  network.run_for(60s);
  CHECK(round("second ") >= kHosts * (kHosts - 1) * 99 / 100);
}
