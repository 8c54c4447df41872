// Owns what this host knows of one other host: addresses, set-up in progress, ways to reach it.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "overlay/session/sessions.hh"
#include "overlay/wire/hello.hh"
#include "proxy/host/direct_paths.hh"
#include "proxy/host/node_paths.hh"
#include "proxy/packet/address_pool.hh"

namespace i3 {

// Handshake under way (docs/DESIGN.md, decision 20 and seed 001, 4.3).
struct Contact {
  bool active = false;
  TimePoint started;
  TimePoint next_try = kNever;
  unsigned tries = 0;
  TimePoint first_sent = kNever;      // when the first message left
  TimePoint acknowledged = kNever;    // when a node said that it forwarded one
  std::uint8_t not_present = 0;       // bit for each public ID that no trigger answers
  std::vector<std::uint64_t> nonces;  // of the packets to its public IDs
  bool renew = false;                 // our trigger stands only now: a new first message says where
  bool from_silence = false;          // a session stands, but nothing came back
  bool early_offered = false;         // parked.front() travels in the first message
  wire::ReturnPath told;              // where its first message says that we are reached
  bool after_jump = false;            // the session may be over at the other: it proves nothing
};

// Its early packet is not kept: whoever sent it sends it again when the session stands.
struct Unconfirmed {
  std::uint64_t stamp = 0;
  wire::Hello hello;  // without early packet
};

// The half that came of a packet in two pieces.
struct HalfPacket {
  std::uint32_t number = 0;
  std::uint8_t part = 0;
  std::vector<std::uint8_t> bytes;  // at most wire::Piece::kMost; empty: none
};

// How large packets the way in use takes (path_size.hh).
struct SizeState {
  std::optional<Endpoint> direct;  // the way that all this is about
  std::size_t by_node = 0;
  std::uint16_t proved = 0;     // a probe of this size arrived
  std::uint16_t limit = 0;      // larger packets vanish; 0: none is known to
  std::uint16_t probing = 0;    // the size asked about; 0: none
  std::uint16_t too_large = 0;  // the least size that did not arrive in this search
  std::uint64_t nonce = 0;
  unsigned tries = 0;
  bool small_seen = false;  // the small probe beside it arrived
  TimePoint next = kNever;
  TimePoint again{};  // not before
};

struct Traffic {
  std::uint64_t rx_bytes = 0, tx_bytes = 0;
  std::uint64_t rx_packets = 0, tx_packets = 0;
};

// On a middle-box: one of the two ends of a conversation; each end is a peer of its own for each
// host that it talks to.
struct Leg {
  static constexpr std::size_t kMaxPings = 8;
  PublicKey other;                   // the other end
  VirtualIp other4, other6;          // its addresses here
  wire::Spokesman leave;             // this end's, to speak for it towards the other one
  std::vector<std::uint64_t> pings;  // wait for a session with this end; at most kMaxPings
  TimePoint unknown_said{};          // when it was told last that an address means nothing here
};

// A machine that runs nothing and came through this peer, a gateway, as the gateway says.
struct ClientSeen {
  Endpoint client;
  std::uint8_t protocol = 0;
  std::uint16_t own_port = 0, gateway_port = 0;
  TimePoint since{};
};

// What an ID packet of so many IDs has room for.
constexpr std::uint16_t mtu_by_ids(std::size_t ids) {
  return static_cast<std::uint16_t>(1360 - 32 * (ids - 1));
}

struct Peer {
  static constexpr std::size_t kMaxParked = 32;
  static constexpr std::size_t kMaxParkedBytes = 64 * 1024;
  static constexpr std::size_t kMaxUnconfirmed = 4;
  static constexpr std::size_t kMaxClients = 16;

  PeerHandle handle = 0;  // its slot in the address pool
  PublicKey key;
  PublicKey partner;      // with whom its sessions are: itself, or a middle-box
  std::string name;       // of the address book, else the key's text
  bool shortcuts = true;  // the book lets it know our address
  VirtualIp ipv4, ipv6;   // as local programs know it
  bool needs_route = false;

  // What it said last (handshake or paths message).
  std::optional<IpAddress> announced4, announced6;
  bool welcomes_shortcuts = false;
  std::uint16_t mtu = 1400;
  wire::ReturnPath theirs;  // where it is reached
  NodePaths ways;           // the ways there
  std::uint64_t theirs_sequence = 0;
  std::vector<Endpoint> their_candidates;

  std::optional<Id> mine;  // our private trigger for it
  // While ours move to a nearer node (trigger_moves.hh): the one that will be `mine` once it
  // stands, and the one that was.
  std::optional<Id> mine_next, mine_before;
  TimePoint mine_before_until{};
  std::uint64_t mine_sequence = 0;  // of the last paths message
  wire::ReturnPath mine_told;       // what it was told last of where that stands
  bool mine_acknowledged = true;
  TimePoint paths_retry = kNever;
  unsigned paths_tries = 0;

  bool no_box = false;                     // nobody of the group of middle-boxes is known yet
  TimePoint other_way_at{};                // when another middle-box, or none, was tried last
  bool partner_is_theirs = false;          // the peer chose the middle-box, not this host
  std::optional<wire::Redirect> redirect;  // it asked to be reached by a middle-box
  wire::Spokesman leave;                   // what `partner` was given last
  std::optional<Leg> leg;

  // By which boxes its sealed packets go (stops.hh).
  std::optional<PublicKey> stop;  // by this host's wish, in both directions
  std::optional<Id> their_stop;   // by the peer's: the ID before the one where it is reached
  std::size_t stops() const { return (stop ? 1u : 0u) + (their_stop ? 1u : 0u); }
  bool by_stops() const { return stops() > 0; }

  Contact contact;
  DirectPaths direct;
  SizeState size;
  std::uint32_t next_piece = 0;
  HalfPacket half;
  std::deque<std::vector<std::uint8_t>> parked;
  std::size_t parked_bytes = 0;
  // First messages that may be replays: what they say counts only when their session is confirmed.
  std::vector<Unconfirmed> unconfirmed;  // at most kMaxUnconfirmed
  TimePoint absent_until{};              // unreachable: packets are answered, not parked
  std::string absent_reason;
  std::size_t answers = 0;  // to copies of its first message, each by another node

  bool wanted = false;       // somebody on this host asked for it
  TimePoint barred_until{};  // dropped by hand: its first messages are not answered
  bool ever_ready = false;   // a session stood since the start
  TimePoint last_received{};
  TimePoint unanswered_since = kNever;  // first packet sent since anything came back
  TimePoint keepalive_at = kNever;      // owed because something came and nothing went
  TimePoint last_used{};                // packet or query
  TimePoint logged_use{};               // what the state log says
  TimePoint scheduled = kNever;         // earliest entry in the schedule
  std::deque<ClientSeen> clients;       // latest last, at most kMaxClients
  Duration rtt{};
  Traffic traffic;

  bool preserves_headers() const { return announced4 && *announced4 == ipv4.address(); }
  // The largest packet to it, as far as that is known: its own wish, what passed, and in how many
  // IDs it is wrapped.
  std::uint16_t largest() const {
    std::uint16_t most = size.limit == 0 ? mtu : std::min(mtu, size.limit);
    if (by_stops()) most = std::min(most, mtu_by_ids(1 + stops()));
    return most;
  }
  void forget_return_path() {
    their_stop.reset();
    theirs = {};
    ways = {};
  }
  const wire::ReturnPath::At* current() const {
    return ways.at < theirs.nodes.size() && !theirs.nodes[ways.at].label.none()
               ? &theirs.nodes[ways.at]
               : nullptr;
  }
};

}  // namespace i3
