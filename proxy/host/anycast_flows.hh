// Owns which member each conversation with a group's address belongs to, and the rewriting between
// the two addresses: a conversation stays with the member that it began with.
#pragma once

#include <deque>
#include <unordered_map>

#include "overlay/base/keys.hh"
#include "proxy/packet/flows.hh"
#include "proxy/packet/ip_packet.hh"

namespace i3 {

struct FlowKeyHash {
  std::size_t operator()(const FlowKey& key) const noexcept {
    const std::size_t ports =
        std::size_t{key.protocol} << 32 | std::size_t{key.peer_port} << 16 | key.own_port;
    return std::hash<IpAddress>{}(key.peer) ^ ports * 0x9e3779b97f4a7c15ull;
  }
};

// One conversation; its key has the group's address as the peer's.
struct AnycastFlow {
  PublicKey member;
  IpAddress at;                    // the member's address, as this host knows it
  bool answered = false;           // the member sent something
  bool ended = false;              // FIN or RST was seen
  std::uint32_t acknowledged = 0;  // TCP: what the local program expects next from the member
  TimePoint seen{};
  std::vector<std::uint8_t> first;  // its first packet as the program sent it, until answered
};

// Bounded by kMaxFlows and by expiry. Programs of this host only make flows, nobody else.
class AnycastFlows {
 public:
  static constexpr std::size_t kMaxFlows = 16384;
  static constexpr std::size_t kMaxFragments = 64;
  static constexpr Duration kUdpIdle = std::chrono::seconds(180);
  static constexpr Duration kTcpIdle = std::chrono::hours(2);
  static constexpr Duration kEndedIdle = std::chrono::seconds(60);

  // The conversation that a packet of a local program belongs to, by the group's address. Nothing
  // for later fragments of what was not seen, and for errors about nothing.
  std::optional<FlowKey> key_out(const IpView& packet);
  // The same of a packet for a local program, by the group's address; nothing where it belongs to
  // no conversation with a group.
  std::optional<FlowKey> key_in(const IpView& packet);
  // Is this a later fragment of which nobody can say yet whose it is? From that address, or to it,
  // conversations with a group stand, and its first one was not seen.
  bool is_early(const IpView& packet) const;

  AnycastFlow* find(const FlowKey& key);
  // Nothing when there are too many.
  AnycastFlow* open(const FlowKey& key, const PublicKey& member, const IpAddress& at,
                    TimePoint now);
  // Another member from now on.
  bool move(const FlowKey& key, const PublicKey& member, const IpAddress& at);
  void close(const FlowKey& key);
  std::vector<FlowKey> of_member(const PublicKey& member) const;
  std::vector<FlowKey> of_group(const IpAddress& group) const;
  std::vector<FlowKey> keys() const;
  bool empty() const { return flows_.empty(); }
  std::size_t size() const { return flows_.size(); }
  std::size_t with(const PublicKey& member) const {
    const auto found = counts_.find(member);
    return found == counts_.end() ? 0 : found->second;
  }
  void sweep(TimePoint now);

 private:
  struct Fragment {
    IpAddress remote;
    std::uint32_t id = 0;
    std::uint8_t protocol = 0;
    std::optional<FlowKey> key;  // nothing: of no conversation with a group
  };
  const Fragment* seen_first(const IpView& packet, const IpAddress& remote) const;
  std::optional<FlowKey> of_fragment(const IpView& packet, const IpAddress& remote) const;
  void count(const PublicKey& member, bool more);
  void note_fragment(const IpView& packet, const IpAddress& remote,
                     const std::optional<FlowKey>& key);
  void link_back(const FlowKey& key, const IpAddress& at);
  void unlink_back(const FlowKey& key, const IpAddress& at);

  std::unordered_map<FlowKey, AnycastFlow, FlowKeyHash> flows_;
  std::unordered_map<FlowKey, FlowKey, FlowKeyHash> back_;  // by the member's address
  std::unordered_map<IpAddress, std::size_t> addresses_;    // of back_
  std::unordered_map<PublicKey, std::size_t> counts_;       // of each member
  std::deque<Fragment> fragments_;
};

// The same conversation by another address of the peer.
inline FlowKey with_peer(FlowKey key, const IpAddress& peer) {
  key.peer = peer;
  return key;
}

}  // namespace i3
