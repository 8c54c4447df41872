// Owns a host's side of the overlay for one identity: entry nodes, look-ups, its triggers and the
// challenges they take, refreshing, the node cache, and sending by ID.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "overlay/base/entry_node.hh"
#include "overlay/base/key_record.hh"
#include "overlay/base/keys.hh"
#include "overlay/base/log.hh"
#include "overlay/base/time.hh"
#include "overlay/client/held.hh"
#include "overlay/client/nat.hh"
#include "overlay/client/overlay_access.hh"
#include "overlay/wire/hello.hh"
#include "overlay/wire/host_messages.hh"

namespace i3 {

struct ClientOptions {
  std::vector<EntryNode> entries;         // more than kMaxEntries: the rest is left out and said
  std::optional<PublicKey> operator_key;  // then entry nodes must show its membership
  bool have_v4 = true;
  bool have_v6 = true;
  Duration refresh = std::chrono::seconds(10);
  std::uint32_t lifetime_ms = 30'000;
  std::size_t spare_private = 4;
  std::uint32_t public_rate_pps = 1'000;  // what the nodes let through to a public trigger
  std::size_t replicas = 2;               // nodes besides the owner that keep each trigger
  bool near_nodes = true;  // looks for near nodes, begins at them and keeps private triggers there

  static constexpr std::size_t kMaxEntries = 32;
};

// One ID packet. Copied at once where it is sent.
struct SendById {
  std::span<const Id> ids;  // 1 to wire::kMaxStack; the first routes it
  std::uint8_t kind = 0;
  Bytes payload;
  std::uint8_t copies = wire::kDefaultCopies;   // how many targets it may reach
  std::uint8_t hop_limit = wire::kDefaultHops;  // less where it came from another host
  bool every_stop = false;                      // an ID that nothing matches ends it
  bool nearest = false;   // copies go to the nearest triggers, not to all rows of one ID
  bool want_node = true;  // without, no answer is awaited
};

// What a Client tells its host. None of these may destroy the Client. `send` may not call it
// back; from all others every method of Client may be called.
class ClientEvents {
 public:
  virtual ~ClientEvents() = default;
  // One datagram to one node; `message` is borrowed for the call.
  virtual void send(const Endpoint& to, Bytes message) = 0;
  // An ID packet for one of our triggers, from a node that holds, held or may hold it.
  virtual void on_packet(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) = 0;
  // The same with IDs left over: this host is a stop on the packet's way, and Client::pass_on sends
  // it on. False: not a service of this host, and the packet is dropped and counted.
  virtual bool on_leftover(const wire::IdPacket&, const Endpoint& /*node*/, TimePoint) {
    return false;
  }
  // A session message along a source tag, from a node that we sent an ID packet to.
  virtual void on_returned(std::uint8_t kind, Bytes payload, const Endpoint& node,
                           TimePoint now) = 0;
  // Answers to send_by_id, from the node that was asked.
  virtual void on_forwarded(std::uint64_t nonce, const wire::Forwarded& forwarded,
                            TimePoint now) = 0;
  virtual void on_not_present(std::uint64_t nonce, const Id& id, TimePoint now) = 0;
  // Anybody can claim this: the host looks whether it uses that label at that node.
  virtual void on_no_label(const Endpoint& node, wire::Label label, TimePoint now) = 0;
  // The path of a trigger (not of a spare) changed, was lost or came back: see path().
  virtual void on_trigger(const Id& id, TimePoint now) = 0;
  // Private triggers live under another prefix from now on, at a nearer node: those of the old one
  // (see well_placed) are to be replaced and released.
  virtual void on_private_moved(TimePoint) {}
  // Whether at least one public trigger stands; called on changes only.
  virtual void on_ready(bool ready, TimePoint now) = 0;
  // A second socket, for finding out what the NAT does: opened anew each time, at a port of the
  // system's choice, which is returned; what comes to it goes to on_aside. Nothing: not offered.
  virtual std::optional<std::uint16_t> open_aside() { return std::nullopt; }
  virtual void send_aside(const Endpoint&, Bytes) {}
  virtual void close_aside() {}
  // The report on the NAT is a new one.
  virtual void on_nat(TimePoint) {}
  // A node sees this host at another address than before.
  virtual void on_observed_change(TimePoint) {}
  // What that key said of itself, as nodes have it; all valid, and not empty.
  virtual void on_records(const PublicKey&, const std::vector<KeyRecord>&, TimePoint) {}
  // Where a node saw a new binding, just now: an answer to sample_port.
  virtual void on_port_sample(const Endpoint&, TimePoint) {}
};

// For `i3-ctl status` and `netcheck`.
struct EntryStatus {
  Endpoint address;
  std::optional<PublicKey> key;  // the one it proved, else the one of the settings
  bool configured = true;        // false: learnt from other nodes, used while entry nodes are dead
  bool alive = false;
  Duration rtt{};                    // smoothed; zero before the first answer
  std::optional<Endpoint> observed;  // our address as it saw us
  std::string trouble;               // empty: none; else why it is not used
};

// A node of the ring and how far it is: the shortest of a few round trips.
struct NearNode {
  wire::NodeContact contact;
  Endpoint address;
  Duration rtt{};
};

// For `i3-ctl triggers`.
struct TriggerStatus {
  enum class Use : std::uint8_t { public_id, peer, spare, leaving };
  Id id;
  Use use{};
  bool stands = false;
  std::optional<wire::NodeContact> node;  // the fields from here on only where it stands
  Endpoint address;
  wire::Label label;
  Duration age{};
  std::vector<Endpoint> places;  // all nodes that hold it, the one above first
  std::string trouble;           // empty: none; else why it does not stand
};

// Our address as the nodes that answered see it. Different answers mean a NAT whose mapping
// depends on the destination; with fewer than two nodes `same` says nothing.
struct Observed {
  struct Family {
    std::optional<Endpoint> endpoint;  // the newest
    std::size_t nodes = 0;
    bool same = true;
  };
  Family v4, v6;
};

// For `i3-ctl trace`.
struct TraceHop {
  Endpoint address;
  std::optional<wire::NodeContact> node;  // all else counts only where it answered
  Duration rtt{};
  bool answered = false;
  bool owner = false;       // of the ID
  std::size_t matches = 0;  // triggers there that the ID matches
};
using TraceDone = std::function<void(const std::vector<TraceHop>& hops)>;

// What a host believes of a key, and whether somebody here asked for it to be told to the overlay.
struct KeptRecord {
  KeyRecord record;
  bool publish = false;
};

// Every drop has a counter of its name.
struct ClientCounters {
  std::uint64_t malformed = 0;         // not parsed
  std::uint64_t unsolicited = 0;       // no such nonce, or not from the node that was asked
  std::uint64_t unknown_id = 0;        // an ID packet for no trigger of ours
  std::uint64_t unknown_node = 0;      // from a node that has nothing to do with us
  std::uint64_t unexpected_type = 0;   // a type that a host does not take
  std::uint64_t bad_signature = 0;     // of a probe's answer
  std::uint64_t wrong_key = 0;         // a node that is not who it should be
  std::uint64_t no_node = 0;           // a send without any node to send to
  std::uint64_t leftover = 0;          // a packet to be passed on that nobody here took
  std::uint64_t too_long = 0;          // a payload that fits no message
  std::uint64_t no_room = 0;           // take_private beyond kMaxTriggers
  std::uint64_t records_full = 0;      // keys whose records are not looked after: too many
  std::uint64_t unanswered_sends = 0;  // outstanding sends forgotten without an answer
  std::uint64_t lookups = 0, inserts = 0, removals = 0, refreshes = 0, probes = 0;  // sent
  std::uint64_t challenges = 0, inserted = 0, refreshed = 0, refused = 0;           // taken
  std::uint64_t lost_nodes = 0;  // nodes with triggers of ours that fell silent
};

// Sans-I/O: one thread; time comes in with every call and never goes back. After every call the
// driver asks next_deadline() again and calls on_timer at or after it. All memory is bounded.
class Client final : public OverlayAccess {
 public:
  static constexpr std::size_t kMaxTriggers = 4096;
  static constexpr std::size_t kMaxHeld = 64;

  // All references must outlive the Client. Nothing is sent before start().
  Client(const Identity& identity, Random& random, Log& log, ClientOptions options,
         ClientEvents& events);
  ~Client() override;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // What an earlier run saved: nodes to fall back on, and a sequence number to stay above. Before
  // start(). False, and nothing taken, for bytes that save() did not write.
  bool restore(Bytes state) override;
  std::vector<std::uint8_t> save() const override;  // at most 8 KiB

  void start(TimePoint now, WallTime wall) override;
  // All types but `labelled` and `direct`, which the host handles itself; `message` is borrowed.
  void on_message(const Endpoint& from, Bytes message, TimePoint now, WallTime wall) override;
  TimePoint next_deadline() const override;  // kNever: nothing to wait for
  void on_timer(TimePoint now, WallTime wall) override;

  // Sends one ID packet with want_node through the node known to hold that prefix, else through
  // the best entry node; a repeat that found no answer takes another way. Returns the nonce of its
  // answers; 0 if nothing could be sent. Sending again is the caller's affair.
  std::uint64_t send_by_id(const Id& id, std::uint8_t kind, Bytes payload, TimePoint now) override;
  // The same with all that an ID packet can say.
  std::uint64_t send(const SendById& packet, TimePoint now);
  // Sends a packet with IDs left over on to the next of them; `payload` is what this host made of
  // it. False at the end of its hop limit, or with no ID left.
  bool pass_on(const wire::IdPacket& packet, Bytes payload, TimePoint now);
  std::uint64_t send_stack(std::span<const Id> ids, std::uint8_t kind, Bytes payload,
                           TimePoint now) override;
  // Answers an ID packet that `node` delivered with that tag.
  void send_returned(const Endpoint& node, const wire::SourceTag& tag, std::uint8_t kind,
                     Bytes payload) override;

  // A private trigger for one peer: a spare that stands if there is one, else one that is inserted
  // now. All zeros if kMaxTriggers are held.
  Id take_private(TimePoint now) override;
  // Ends a private trigger inside the network by a signed removal; its packets are dropped from
  // now on. Unknown IDs and public ones are left alone.
  void release(const Id& id, TimePoint now) override;
  // Where the trigger stands now; no nodes if it does not.
  wire::ReturnPath path(const Id& id) const override;
  bool well_placed(const Id& id) const override;
  std::optional<std::uint32_t> salt_of(const Id& id) const override;

  // Keeps a trigger beside the host's own addresses until let_go: a place in a group, or an ID that
  // leads to others. Replaces what is held of the same ID and owner. False beyond kMaxHeld.
  bool hold(const HeldTrigger& trigger, TimePoint now);
  void let_go(const Id& id, const PublicKey& owner, TimePoint now);
  std::vector<HeldStatus> held() const;

  // Public IDs lead to these IDs from now on, none of which is passed over; while there are none
  // they are not inserted. Nothing: to this host.
  void lead_public(const std::optional<PublicStacks>& stacks, TimePoint now);

  // What keys say of themselves is asked of nodes for these keys from now on, and what the host
  // believes of that is left there (client/records.hh). on_records tells.
  void watch_records(const std::vector<PublicKey>& keys, TimePoint now);
  void ask_records(const PublicKey& key, TimePoint now);
  void keep_records(const std::vector<KeptRecord>& records, TimePoint now);
  std::size_t nodes_with_record(const PublicKey& key) const;

  bool ready() const override;  // at least one public trigger stands
  std::vector<EntryStatus> nodes() const;
  // The nearest nodes that it found, nearest first; at most 16.
  std::vector<NearNode> nearest_nodes() const;
  // Nodes that it has heard of, at most 64.
  std::vector<wire::NodeContact> known_nodes() const;
  std::vector<TriggerStatus> triggers(TimePoint now) const;
  Observed observed() const override;
  const ClientCounters& counters() const;

  // The NAT before this host; checked when the host is reachable, when its address changes, every
  // hour, and when check_nat is called. on_nat says when it is done, two or three seconds later.
  const NatReport& nat() const;
  // Of one address family.
  const NatReport& nat(bool v4) const;
  void check_nat(TimePoint now);
  void set_own_addresses(std::vector<IpAddress> addresses);
  // Follows the ID from the best entry node to its owner; `done` with no hops where no entry node
  // is alive. May call back at once.
  void trace(const Id& id, TraceDone done, TimePoint now);
  // What came to the second socket.
  void on_aside(const Endpoint& from, Bytes message, TimePoint now);
  Duration keep_alive() const override;
  int port_step() const override;
  void sample_port(TimePoint now) override;
  // What keeps a public trigger from standing, for status; empty if nothing does.
  std::string trouble() const override;

  // Addresses changed or the host woke up: probes and inserts again at once.
  void network_changed(TimePoint now) override;
  // Peers fell silent, perhaps because a NAT forgot us: one node is asked at once, and if it sees
  // another address, the triggers are inserted again everywhere. At most every three seconds.
  void verify(TimePoint now) override;
  void set_families(bool have_v4, bool have_v6) override;  // call network_changed afterwards
  // Replaces the entry nodes after a reload; those that stay keep what is known of them.
  void set_entries(std::vector<EntryNode> entries, TimePoint now);
  // These entry nodes are of another ring: everything that the old one held is forgotten, private
  // triggers too, and the client starts anew. Not from within an event.
  void change_ring(std::vector<EntryNode> entries, TimePoint now, WallTime wall);
  // One more entry node, as from an invitation; the same address again replaces its key.
  void add_entry(EntryNode entry, TimePoint now);

  // Removes all triggers. The driver goes on until stopped() or its own patience ends (1 s at most
  // if all nodes answer or none does).
  void stop(TimePoint now) override;
  bool stopped() const override;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace i3
