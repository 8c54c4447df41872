// Owns who may come in (docs/DESIGN.md, decision 19): the <allow> lines, compiled, and the small
// flow state that lets answers to this host's own packets through.
#pragma once

#include <vector>

#include "overlay/base/keys.hh"
#include "proxy/packet/flat_table.hh"
#include "proxy/packet/flows.hh"
#include "proxy/packet/ip_packet.hh"

namespace i3 {

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  auto operator<=>(const PortRange&) const = default;
};

// One <allow> line.
struct Allow {
  // usual: TCP, UDP and ICMP, what a line without `protocol` opens. every: all IP protocols.
  // nothing: a session, and no packet to this host.
  enum class Protocol : std::uint8_t { usual, tcp, udp, icmp, every, nothing };

  std::optional<PublicKey> from;  // nothing: anybody
  Protocol protocol = Protocol::usual;
  // None: all. With ports a line opens only protocols that have them: `usual` and `every` then
  // mean TCP and UDP, and `icmp` opens nothing (the configuration refuses that).
  std::vector<PortRange> ports;
};

// What becomes of a packet that came in.
enum class InboundVerdict : std::uint8_t {
  pass,
  reset,       // drop, answer with build_tcp_reset
  prohibited,  // drop, answer with build_unreachable(prohibited)
  silent,      // drop without a word
};

// What a packet from a peer needs:
// - a TCP SYN without ACK: a line for its port. All other TCP passes, so a restart breaks nothing.
// - UDP: a line for its port, or a flow opened by an outbound packet not more than 300 s ago;
//   packets of either direction keep it open.
// - an echo request: a line. An echo reply passes.
// - an ICMP error (unreachable, too big, time exceeded, parameter problem): passes if what it
//   quotes was sent by the packet's destination to its source, so a peer can only speak about its
//   own conversations. Redirects, source quench and all other ICMP (neighbour and router
//   discovery among them) never pass.
// - another IP protocol: a line with Protocol::every and no ports, or a flow of that protocol.
// - a first fragment: as the whole packet. A later fragment passes if its first one did within
//   30 s, or if the peer has any line at all; without a first fragment the kernel drops it.
// What is refused is answered only towards peers that have at least one line (one for anybody
// counts): TCP by reset, the rest by prohibited, later fragments and other ICMP by silence.
//
// Packets are judged as local programs see them: outbound before addresses are rewritten, inbound
// after. That the source belongs to the peer and the destination to this host is checked before.
class InboundRules {
 public:
  struct Limits {
    std::size_t flows = 65536;
    Duration flow_lifetime = std::chrono::seconds(300);
    std::size_t fragments = 1024;
    Duration fragment_lifetime = std::chrono::seconds(30);
  };

  // `random` keys the tables and is not kept.
  InboundRules(const std::vector<Allow>& lines, Random& random, const Limits& limits);
  InboundRules(const std::vector<Allow>& lines, Random& random);

  // New lines from now on; flows that were opened stay.
  void replace(const std::vector<Allow>& lines);

  // Notes what an outbound packet opens. Nothing is noted for TCP, and nothing that a line lets in
  // anyhow, so that a peer cannot fill the table through a service that answers it.
  void outbound(const PublicKey& peer, const IpView& packet, TimePoint now);
  InboundVerdict inbound(const PublicKey& peer, const IpView& packet, TimePoint now);

  // True when some line is for this peer or for anybody.
  bool has_line(const PublicKey& peer) const;
  const FlowTable& flows() const { return flows_; }

 private:
  // The lines for one peer, or for anybody; ports sorted and merged.
  struct PeerRules {
    std::vector<PortRange> tcp;
    std::vector<PortRange> udp;
    bool icmp = false;
    bool every = false;
    bool any_line = false;

    void add(const Allow& line);
    bool allows(const IpView& packet, std::uint16_t own_port) const;
  };
  struct PeerKey {
    PublicKey key;
    std::uint64_t hash(std::uint64_t secret) const;
    bool operator==(const PeerKey&) const = default;
  };

  const PeerRules* rules_of(const PublicKey& peer) const;
  bool line_allows(const PublicKey& peer, const IpView& packet, std::uint16_t port) const;
  bool passes(const PublicKey& peer, const IpView& packet, TimePoint now);
  bool icmp_passes(const PublicKey& peer, const IpView& packet) const;
  InboundVerdict refusal(const PublicKey& peer, const IpView& packet) const;

  std::uint64_t secret_;
  FlatTable<PeerKey> by_peer_;  // to an index into peers_
  std::vector<PeerRules> peers_;
  PeerRules anybody_;
  FlowTable flows_;
  FlowTable fragments_;
};

}  // namespace i3
