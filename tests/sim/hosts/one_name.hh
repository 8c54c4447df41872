// Owns a gateway's edge that knows one name, with one machine behind it.
#pragma once

#include "tests/sim/hosts/sim_host.hh"

namespace i3::sim {

inline constexpr char kName[] = "www.corp.example";

// For one client: the inner address is the one that both ends would choose.
class OneName final : public Edge {
 public:
  OneName(std::uint64_t number_of_gateway, std::uint64_t number_of_client)
      : inner(preferred_ipv4(AddressPool::Settings{}.ipv4,
                             gateway_name_id(key_of_host(number_of_gateway),
                                             key_of_host(number_of_client), kName))
                  .address()) {}

  std::optional<Inbound::Result> from_peer(Peer& peer, IpPacket& packet, MutBytes,
                                           TimePoint) override {
    if (packet.destination() != inner) return std::nullopt;
    clients.push_back(peer.key);
    packets.emplace_back(packet.bytes().begin(), packet.bytes().end());
    return Inbound::Result{Verdict::passed};
  }
  Peer* to_peer(IpPacket& packet, TimePoint) override {
    return packet.source() == inner ? gateway->host().peers().find(packet.destination()) : nullptr;
  }
  bool on_control(Peer& peer, Bytes plaintext, TimePoint) override {
    const auto question = wire::NameQuestion::parse(plaintext);
    if (!question) return false;
    ++questions;
    wire::NameFound found{question->nonce, rcode, std::nullopt, std::nullopt, 60};
    if (rcode == 0) found.ipv4 = inner;
    std::array<std::uint8_t, 64> storage;
    Writer writer(storage);
    found.write(writer);
    gateway->host().send_control(peer, writer.written());
    return true;
  }

  SimHost* gateway = nullptr;
  IpAddress inner;
  std::uint8_t rcode = 0;
  int questions = 0;
  std::vector<PublicKey> clients;
  std::vector<std::vector<std::uint8_t>> packets;
};

}  // namespace i3::sim
