// Owns one host: the cores of session, overlay client, peers and both directions, put together.
// Sans-I/O: packets, datagrams and time come in, HostIo takes what goes out. The same code runs
// under the daemon, a simulator and a fuzzer.
#pragma once

#include <deque>

#include "overlay/client/relayed_client.hh"
#include "overlay/wire/waypoint_notes.hh"
#include "proxy/host/believed.hh"
#include "proxy/host/boxes.hh"
#include "proxy/host/directory.hh"
#include "proxy/host/edge.hh"
#include "proxy/host/gateway_names.hh"
#include "proxy/host/inbound.hh"
#include "proxy/host/leg_names.hh"
#include "proxy/host/outbound.hh"
#include "proxy/host/paths.hh"
#include "proxy/host/public_lead.hh"
#include "proxy/host/state.hh"
#include "proxy/host/trigger_moves.hh"

namespace i3 {

struct HostSettings {
  HostOptions options;
  AddressPool::Settings pool;
  SessionOptions sessions;
  ClientOptions client;
  Directory directory;
  std::vector<Allow> allow;
  RestoredState restored;
  Edge* edge = nullptr;  // outlives the host
};

struct PingResult {
  bool ok = false;
  Duration rtt{};
  std::string path;   // "direct 198.51.100.7:41414", "node 203.0.113.7:5100"
  std::string error;  // one line, where not ok
};

class Host : private ClientEvents {
 public:
  // All references outlive the host. Nothing is sent before start().
  Host(const Identity& identity, Clock& clock, Random& random, Log& log, HostIo& io,
       HostSettings settings);
  // One that nobody knows and whose every datagram goes through `relay` (decision 25): no
  // shortcuts, no labels, no time, nothing kept.
  Host(const Identity& identity, Clock& clock, Random& random, Log& log, HostIo& io,
       HostSettings settings, Relay relay);
  ~Host() override;

  void start();
  // Ends triggers inside the network, so that peers learn it at once; then stopped() soon.
  void stop();
  bool stopped() const;

  // A packet that a local program sent. `frame` is changed in place.
  void on_tun(Frame frame);
  // Packets and datagrams that on_tun() and on_datagram() will get next: starts fetching what
  // sessions with many peers need. A datagram's steps as with Sessions::prefetch().
  void expect(std::span<const Frame> packets) const;
  void expect(Bytes datagram, Sessions::Fetch step) const;
  // A datagram of the underlay; opened in place.
  void on_datagram(const Endpoint& from, MutBytes datagram);
  // A datagram of the second socket (HostIo::open_aside).
  void on_aside(const Endpoint& from, Bytes datagram);
  TimePoint next_deadline() const;
  void on_timer();

  // Makes this host a middle-box; `middle` outlives it.
  void set_middle(Middle* middle) { middle_ = middle; }
  // Makes it a box for sealed packets of others; `stop` outlives it.
  void set_sealed_stop(SealedStop* stop) { sealed_stop_ = stop; }
  // A packet that the middle-box lets pass, from one end of a conversation to the other: in the
  // addresses that this host gives them. Borrowed.
  void forward(Bytes packet);

  // The virtual addresses of a key, made if need be: what a DNS answer says. Null when the pool is
  // full.
  Peer* meet(const PublicKey& key);
  // The name's key: own name, address book, or 52 characters of a key; of one that moved the key
  // where it is now, of one that was revoked none. `name` is lower case, without the suffix.
  std::optional<PublicKey> key_of(std::string_view name) const;
  // Name of whom a virtual address stands for, without the suffix; the own name for the own.
  std::optional<std::string> name_at(const IpAddress& virtual_address) const;
  bool owns(const IpAddress& virtual_address) const;  // lies inside the pools

  // Whom it knows and who may come in, after the settings were read again.
  void set_people(Directory directory, const std::vector<Allow>& allow);
  // What keys said of themselves. publish: believed as if the overlay had told it, and told to the
  // overlay from now on.
  const Believed& believed() const { return believed_; }
  Believed::Change publish(const KeyRecord& record);
  // The overlay is another one from now on: triggers move there, and peers are told.
  void change_ring(std::vector<EntryNode> entries);
  // The relay was lost: goes on through another one, in the same sessions.
  void change_relay(Relay relay);
  void set_shortcuts(bool shortcuts) { parts_.options.shortcuts = shortcuts; }
  // Ends a conversation: its trigger in the network, its session, its addresses.
  void drop(Peer& peer);
  void ping(const PublicKey& key, Duration timeout, std::function<void(const PingResult&)> done);
  void network_changed(std::vector<Endpoint> candidates, bool have_v4, bool have_v6);
  // The machine slept or time jumped: triggers are inserted again, ways tested, and recently active
  // peers greeted, for whom our sessions may be over.
  void woke_up();

  // Every line that the state log must hold now, `start` first.
  std::string state_lines() const;

  const PublicKey& key() const { return parts_.identity.key(); }
  const Identity& identity() const { return parts_.identity; }
  std::string own_name() const;
  VirtualIp own4() const { return parts_.own4; }
  VirtualIp own6() const { return parts_.own6; }
  const AddressPool& pool() const { return pool_; }
  // For whoever shares its virtual addresses.
  AddressPool& addresses() { return pool_; }
  Peers& peers() { return peers_; }
  // Of a host in the ring, as all are but those of anonymous visits.
  Client& client() { return *ring_client_; }
  RelayedClient& relayed() { return *relayed_; }  // of an anonymous one
  Sessions& sessions() { return sessions_; }
  const Directory& directory() const { return directory_; }
  const VerdictCounters& verdicts() const { return verdicts_; }
  InboundRules& rules() { return rules_; }
  GatewayNames& gateway_names() { return gateway_names_; }
  const LegNames& leg_names() const { return leg_names_; }
  std::string path_text(const Peer& peer) const;
  // The peer of that key, made if there is room; nobody here asked for it.
  Peer* acquaint(const PublicKey& peer_key) { return peer_for(peer_key); }
  // Asks the peer for a sign of life; meets it if there is no session.
  void nudge(Peer& peer);
  // The peer leaves things unanswered: met anew, or found absent within about two seconds.
  void suspect(Peer& peer);
  // Whoever keeps the groups of this host, or nobody.
  void set_groups(GroupEvents* groups) { parts_.groups = groups; }
  // The nodes on the way to the peer's public ID; may call back at once, with no hops.
  void trace(const PublicKey& key, TraceDone done);
  // A line of whoever keeps something beside it.
  void log_state(const std::string& line) { parts_.io.log_state(line); }
  Duration idle() const { return parts_.options.idle; }
  // A control inside the session; false when none stands.
  bool send_control(Peer& peer, Bytes plaintext);
  // Looks at the NAT now; `done` when there is a report, which may be never.
  void check_nat(std::function<void()> done);

 private:
  Host(const Identity& identity, Clock& clock, Random& random, Log& log, HostIo& io,
       HostSettings settings, std::optional<Relay> relay);

  // Where a session message came from.
  struct Origin {
    std::optional<Endpoint> direct;      // straight from there
    Endpoint node;                       // else through this node
    std::optional<wire::SourceTag> tag;  // with this tag, for ID packets
    std::optional<Id> id;                // and for this trigger of ours
  };
  struct Overtaken {
    std::vector<std::uint8_t> message;
    Origin origin;
    TimePoint came;
  };
  struct Ping {
    PublicKey key;
    std::uint64_t nonce = 0;
    TimePoint sent, deadline;
    bool out = false;
    std::function<void(const PingResult&)> done;
  };

  // ClientEvents
  void send(const Endpoint& to, Bytes message) override;
  void on_packet(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) override;
  bool on_leftover(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) override;
  void on_returned(std::uint8_t kind, Bytes payload, const Endpoint& node, TimePoint now) override;
  void on_forwarded(std::uint64_t nonce, const wire::Forwarded& forwarded, TimePoint now) override;
  void on_not_present(std::uint64_t nonce, const Id& id, TimePoint now) override;
  void on_no_label(const Endpoint& node, wire::Label label, TimePoint now) override;
  void on_trigger(const Id& id, TimePoint now) override;
  void on_private_moved(TimePoint now) override { moves_.begin(now); }
  void on_ready(bool ready, TimePoint now) override;
  std::optional<std::uint16_t> open_aside() override { return parts_.io.open_aside(); }
  void send_aside(const Endpoint& to, Bytes message) override { parts_.io.send_aside(to, message); }
  void close_aside() override { parts_.io.close_aside(); }
  void on_nat(TimePoint now) override;
  void on_observed_change(TimePoint now) override;
  void on_records(const PublicKey& about, const std::vector<KeyRecord>& records,
                  TimePoint now) override;
  void on_port_sample(const Endpoint& seen, TimePoint now) override;

  void on_session_message(std::uint8_t kind, MutBytes message, const Origin& origin, TimePoint now);
  void replay_overtaken(TimePoint now);
  // host_boxes.cc
  void connect_boxes();
  void settle(Peer& peer, TimePoint now);
  void on_first(const FirstMessage& first, const Origin& origin, TimePoint now);
  void on_wrong_way(const FirstMessage& first, const wire::Hello& hello, const PublicKey& who,
                    const PublicKey& box, TimePoint now);
  void on_box_request(const FirstMessage& first, const wire::Hello& hello, TimePoint now);
  bool admits(const PublicKey& end, const wire::Hello& hello) const;
  Peer* legs_for(const PublicKey& end, const PublicKey& other, const AnnouncedAddresses& announced);
  void on_leg_packet(Peer& leg, MutBytes packet, TimePoint now);
  bool pass_on(Peer& leg, Bytes control, TimePoint now);
  LegNames::Name* sender_behind(const Peer& leg, IpPacket& packet);
  void say_unknown(Peer& client, const IpAddress& inner, TimePoint now);
  void send_waiting_pings(Peer& leg, TimePoint now);
  void sweep_legs(TimePoint now);
  void on_data(const Data& data, const Origin& origin, TimePoint now);
  void heard_by_node(Peer& peer, TimePoint now);
  void check_quiet(TimePoint now);
  void on_plaintext(Peer& peer, MutBytes plaintext, const Origin& origin, TimePoint now);
  void answer_in_time(Peer& peer, TimePoint now);
  void on_control(Peer& peer, Bytes plaintext, const Origin& origin, TimePoint now);
  void on_client_note(Peer& peer, const wire::ClientNote& note, TimePoint now);
  void on_cookie(const CookieStored& cookie, TimePoint now);
  void send_back(const SendBack& back, const Origin& origin, TimePoint now);

  // host_records.cc
  void restore_records(const RestoredState& state);
  void apply_records();
  void watch_records();
  void ask_records(const PublicKey& about);
  bool names_key(const PublicKey& one) const;
  // True, and counted, where a key that speaks is not to be believed any more.
  bool refused(const PublicKey& who);
  void end_conversation(const PublicKey& end, const PublicKey& other, TimePoint now);
  Believed::Change take_records(const PublicKey& about, const std::vector<KeyRecord>& records);

  std::optional<PublicKey> key_in(std::string_view name) const;
  void triggers_gone(TimePoint now);
  void restore(const RestoredState& state);
  void adopt_directory();
  Peer* peer_for(const PublicKey& key, const AnnouncedAddresses& announced = {});
  void on_peer_timer(Peer& peer, TimePoint now);
  void check_silence(Peer& peer, TimePoint now);
  void reschedule(Peer& peer, TimePoint now);
  void sweep(TimePoint now);
  void greet(TimePoint now);
  void remove(Peer& peer);
  void log_peer(Peer& peer, TimePoint now);
  void pings_ready(Peer& peer, TimePoint now);
  void send_ping(Ping& ping, Peer& peer, TimePoint now);
  void finish_pings(TimePoint now);

  Directory named_;  // as the settings have it
  std::vector<Allow> named_allow_;
  Believed believed_;
  Directory directory_;  // as it is meant now
  VerdictCounters verdicts_;
  AddressPool pool_;
  Peers peers_;
  Sessions sessions_;
  std::unique_ptr<RelayedClient> relayed_;  // or
  std::unique_ptr<Client> ring_client_;
  OverlayAccess& client_;
  InboundRules rules_;
  StampGate gate_;
  StampClock stamps_;
  HostParts parts_;
  Stops stops_;
  PublicLead public_lead_{parts_, stops_};
  Courier courier_;
  DirectWays direct_;
  PathSizes sizes_;
  NodeWays nodes_;
  Paths paths_;
  Rendezvous rendezvous_;
  Boxes boxes_;
  Middle* middle_ = nullptr;
  SealedStop* sealed_stop_ = nullptr;
  LegNames leg_names_{pool_};
  GatewayNames gateway_names_;
  TriggerMoves moves_;
  Outbound outbound_;
  Inbound inbound_;
  TokenBucket no_labels_;
  TokenBucket client_notes_{200, 1000};
  bool stopping_ = false;
  std::deque<PublicKey> to_greet_;  // recently active peers, after a restart
  TimePoint next_greeting_ = kNever;
  TimePoint next_sweep_ = kNever;
  TimePoint heard_by_node_{};    // when something authenticated last came through a node
  TimePoint quiet_at_ = kNever;  // then the nodes are asked, if nothing more came
  std::vector<std::function<void()>> waiting_for_nat_;  // bounded by kMaxPings
  std::vector<Ping> pings_;                             // bounded by kMaxPings
  std::vector<Overtaken> overtaken_;                    // bounded by kMaxOvertaken
  bool replaying_ = false;
};

inline constexpr std::size_t kMaxPings = 256;
// After sleep; the others are met anew when a packet goes out and nothing comes back.
inline constexpr std::size_t kGreetedAtOnce = 64;
// Nothing more comes through nodes for so long: they are asked whether they still know us, and not
// again for a while.
inline constexpr Duration kQuiet = std::chrono::seconds(1);
inline constexpr Duration kAskedQuiet = std::chrono::seconds(3);
inline constexpr std::size_t kMaxOvertaken = 32;
inline constexpr Duration kOvertakenFor = std::chrono::seconds(2);
// Something came and nothing goes back: says so after this long, at most that often.
inline constexpr Duration kKeepalive = std::chrono::milliseconds(500);
// Something went and nothing comes back: the straight way is left, then the peer is met anew.
inline constexpr Duration kSuspectAfter = std::chrono::milliseconds(1500);
// After i3-ctl drop, before the peer may start anew by itself.
inline constexpr Duration kBarredFor = std::chrono::seconds(30);
inline constexpr Duration kGreetEvery = std::chrono::milliseconds(20);
// Peers used this recently are spoken to first after a restart (decision 13).
inline constexpr Duration kGreetIfUsed = std::chrono::seconds(300);
inline constexpr Duration kSweepEvery = std::chrono::seconds(30);

}  // namespace i3
