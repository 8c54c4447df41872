// Owns a small world with a group: three nodes, and hosts each behind a NAT of its own.
#pragma once

#include <doctest/doctest.h>
#include <tins/tins.h>

#include "tests/sim/hosts/sim_host.hh"

namespace i3::sim {

class GroupWorld {
 public:
  explicit GroupWorld(std::uint64_t seed, std::size_t nodes = 3) : network(seed_or(seed)) {
    for (std::size_t i = 0; i < nodes; ++i) {
      ring.add();
      network.run_for(std::chrono::seconds(1));
    }
    network.run_until([this] { return ring.ideal(); }, std::chrono::seconds(120));
    group = Identity::generate(network.random());
  }

  // Host `number`; it lets everybody in.
  std::unique_ptr<SimHost> host(std::uint64_t number,
                                const std::function<void(HostPlan&)>& more = {}) {
    const auto outside = static_cast<std::uint32_t>(0xcb007100 + number);
    const auto inside = static_cast<std::uint32_t>(0xc0a80002 + 256 * number);
    const auto nat = network.add_nat(IpAddress::v4(outside));
    HostPlan plan;
    plan.name = "h" + std::to_string(number);
    plan.allow = {{std::nullopt, Allow::Protocol::usual, {}}};
    for (auto& node : ring.nodes())
      plan.entries.push_back({node->endpoint(), node->identity().key()});
    if (more) more(plan);
    auto made = std::make_unique<SimHost>(network, network.add_host(nat),
                                          Endpoint{IpAddress::v4(inside), 4000}, number, plan);
    REQUIRE(
        network.run_until([&] { return made->host().client().ready(); }, std::chrono::seconds(30)));
    return made;
  }
  Membership membership(SimHost& member, wire::Suffix suffix = {}, std::uint8_t bits = 0) {
    return {"cdn", group->key(),
            wire::Delegation::issue(*group, member.key(), network.wall() + 3'600'000'000'000ull,
                                    bits, suffix)};
  }
  // Until its place in the group stands.
  void join(SimHost& member, wire::Suffix suffix = {}, std::uint8_t bits = 0) {
    member.groups().set_memberships({membership(member, suffix, bits)});
    member.turn();
    REQUIRE(network.run_until(
        [&] {
          const auto held = member.host().client().held();
          return held.size() == 1 && held[0].at_owner;
        },
        std::chrono::seconds(20)));
  }
  bool until(const std::function<bool()>& condition, Duration limit) {
    return network.run_until(condition, limit, std::chrono::milliseconds(10));
  }

  // `from` says `text` to port 6000 five times a second until a program at `to` has it.
  bool says(SimHost& from, SimHost& to, const std::string& text, Duration limit) {
    return until(
        [&] {
          const TimePoint now = network.now();
          if (now >= said_ + std::chrono::milliseconds(200)) {
            from.send_udp(to.key(), 5000, 6000, text);
            said_ = now;
          }
          const auto texts = to.texts(6000);
          return std::find(texts.begin(), texts.end(), text) != texts.end();
        },
        limit);
  }

  SimNetwork network;
  SimRing ring{network};
  std::unique_ptr<Identity> group;

 private:
  TimePoint said_{};
};

}  // namespace i3::sim
