// Owns one node that is alone in its ring, a neighbour's key that it may know, and datagrams in a
// file: each is 1 byte of source, 2 bytes of length and its bytes.
#pragma once

#include "overlay/node/node_core.hh"

namespace i3::fuzz {

class NodeWorld final : public NodeIo {
 public:
  NodeWorld() : me(Identity::generate(random)), peer(Identity::generate(random)) {
    NodeCoreSettings settings;
    settings.contact.v4 = Endpoint{IpAddress::v4(0x0b000101), 5100};
    settings.most_returns = 16;
    settings.triggers = TriggerLimits{.total = 64, .per_key = 8, .per_prefix = 32};
    settings.sources.most_prefixes = 16;
    NodeIo& io = *this;
    core = std::make_unique<NodeCore>(std::move(settings), *me, random, log, io);
    core->start(now);
  }
  void send(const Endpoint&, Bytes message) override {
    if (message.size() > wire::kMaxMessage) std::abort();
    ++sent;
  }
  wire::NodeContact neighbour() const {
    wire::NodeContact contact;
    contact.key = peer->key();
    contact.v4 = Endpoint{IpAddress::v4(0x0b000201), 5100};
    return contact;
  }
  static Endpoint source(std::uint8_t number) {
    return {IpAddress::v4(0x0b000001u + (std::uint32_t{number} << 8)), 5100};
  }

  SeededRandom random{1};
  Log log;
  TimePoint now{std::chrono::hours(1)};
  std::unique_ptr<Identity> me, peer;
  std::unique_ptr<NodeCore> core;
  std::size_t sent = 0;
};

inline constexpr WallTime kFuzzWall = 1'750'000'000'000'000'000;

}  // namespace i3::fuzz
