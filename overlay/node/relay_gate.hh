// Owns which datagrams of tunnels a node relays, and to whom: to nodes only, and back only from
// those that were spoken to. Sans-I/O.
#pragma once

#include <map>

#include "overlay/node/counters.hh"
#include "overlay/node/source_limits.hh"
#include "overlay/wire/host_messages.hh"
#include "overlay/wire/tunnel.hh"

namespace i3 {

using TunnelId = std::uint64_t;

// What the gate asks of its driver. None may call back into the gate but `to_core`.
class RelayIo {
 public:
  virtual ~RelayIo() = default;
  // This node itself is reached at that address.
  virtual bool is_self(TunnelId tunnel, const Endpoint& node) = 0;
  // A member of the ring that this node knows.
  virtual bool is_member(const Endpoint& node) = 0;
  // `asked` is the address by which the host called this node: answers come from there.
  virtual void to_core(TunnelId tunnel, const Endpoint& asked, Bytes message) = 0;
  // By the tunnel's own socket.
  virtual void to_network(TunnelId tunnel, const Endpoint& node, Bytes message) = 0;
  virtual void to_host(TunnelId tunnel, const Endpoint& node, Bytes message) = 0;
};

// A destination that this node does not know is asked first, with a probe: only an overlay node can
// answer it, so nobody uses a tunnel to send to anything else.
class RelayGate {
 public:
  static constexpr std::size_t kMaxSpokenTo = 1024;  // destinations of a tunnel
  static constexpr std::size_t kMaxAsked = 32;       // of which not known to be nodes yet
  static constexpr std::size_t kMaxHeld = 4;         // datagrams that wait for such an answer
  static constexpr std::size_t kMaxNodes = 16'384;   // of all tunnels, that have shown to be nodes
  static constexpr Duration kSpokenToFor = std::chrono::minutes(2);
  static constexpr Duration kAskedFor = std::chrono::seconds(2);
  static constexpr Duration kAskAgain = std::chrono::milliseconds(250);
  static constexpr Duration kNodeFor = std::chrono::minutes(10);

  RelayGate(RelayIo& io, Random& random, std::optional<PublicKey> operator_key)
      : io_(io), random_(random), operator_key_(operator_key), limits_({}) {}

  // `host` is where its connection comes from: limits count by it.
  void open(TunnelId tunnel, const IpAddress& host) { tunnels_.try_emplace(tunnel, Tunnel{host}); }
  void close(TunnelId tunnel) { tunnels_.erase(tunnel); }

  void from_host(TunnelId tunnel, const wire::TunnelDatagram& datagram, TimePoint now);
  void from_network(TunnelId tunnel, const Endpoint& from, Bytes message, TimePoint now,
                    WallTime wall);
  // Forgets what has run out; every few seconds.
  void sweep(TimePoint now);

  const Counters& counters() const { return counters_; }

 private:
  struct Asked {
    std::uint64_t nonce = 0;
    TimePoint since{}, sent{};
    std::vector<std::vector<std::uint8_t>> held;
  };
  struct Tunnel {
    IpAddress host;
    std::unordered_map<Endpoint, TimePoint> spoken_to{};
    std::unordered_map<Endpoint, Asked> asked{};
    TokenBucket strangers{8, 64};  // destinations to ask, a second and at once
  };

  bool may_pass(const Tunnel& tunnel, Bytes message, TimePoint now);
  bool is_node(const Endpoint& endpoint, TimePoint now) const;
  void relay(Tunnel& tunnel, TunnelId id, const Endpoint& to, Bytes message, TimePoint now);
  void ask(Tunnel& tunnel, TunnelId id, const Endpoint& to, Bytes message, TimePoint now);
  void probe(TunnelId id, const Endpoint& to, Asked& asked, TimePoint now);
  bool answers(Tunnel& tunnel, TunnelId id, const Endpoint& from, Bytes message, TimePoint now,
               WallTime wall);

  RelayIo& io_;
  Random& random_;
  std::optional<PublicKey> operator_key_;
  SourceLimits limits_;
  Counters counters_;
  std::unordered_map<TunnelId, Tunnel> tunnels_;
  std::unordered_map<Endpoint, TimePoint> nodes_;  // until when they count as nodes
};

}  // namespace i3
