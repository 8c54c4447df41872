// Owns one node's part in a Chord ring, without any I/O: joining, stabilisation, failure
// detection, look-up, leaving (Zave 2017, "Reasoning about identifier spaces: how to make Chord
// correct"; the way of each exchange is in docs/protocol-overlay.md).
#pragma once

#include <deque>
#include <functional>
#include <string_view>
#include <unordered_map>

#include "overlay/base/log.hh"
#include "overlay/base/random.hh"
#include "overlay/base/time.hh"
#include "overlay/chord/peer_table.hh"
#include "overlay/wire/host_messages.hh"
#include "overlay/wire/ring_messages.hh"

namespace i3 {

struct ChordSettings {
  std::size_t successors = 8;  // 1 to StateBody::kMaxSuccessors
  std::size_t replicas = 2;    // predecessors to know besides the nearest
  // Stabilisation: fast after a change, slowing down to calm.
  Duration fast_interval = std::chrono::milliseconds(1500);
  Duration calm_interval = std::chrono::seconds(5);
  // An unanswered request is repeated after each of these, or sooner where the round trip is known;
  // after the last the peer counts as dead.
  std::array<Duration, 4> timeouts{std::chrono::milliseconds(300), std::chrono::milliseconds(500),
                                   std::chrono::milliseconds(700), std::chrono::milliseconds(1000)};
  // A look-up without an answer is begun again after this, then after longer and longer.
  Duration find_timeout = std::chrono::milliseconds(700);
  // How long a dead member is not taken back on others' word.
  Duration dead_memory = std::chrono::seconds(30);
};

// A member to ask for the ring. Without a key, whoever answers there is believed.
struct ChordSeed {
  Endpoint address;
  std::optional<PublicKey> key;
};

// What the core needs of the world. Called from inside Chord's functions; must not call back.
class ChordOutput {
 public:
  virtual ~ChordOutput() = default;
  // Puts the body into an authenticated envelope and sends it; with `via`, inside a relay message
  // to that member.
  virtual void send(const wire::NodeContact& to, wire::RingKind kind, Bytes body,
                    const wire::NodeContact* via) = 0;
  // Sends a wire::Probe; its answer comes in by on_probe_reply.
  virtual void probe(const Endpoint& to, std::uint64_t nonce) = 0;
  // The end of find(): the owner and those after it; empty if it could not be found.
  virtual void found(std::uint64_t token, const std::vector<wire::NodeContact>& contacts) = 0;
  virtual void count(std::string_view what) = 0;
};

class Chord {
 public:
  static constexpr std::size_t kMaxRequests = 512, kMaxFinds = 1024, kMaxHops = 2048,
                               kMaxDead = 256, kMaxLost = 32, kMaxCandidates = 64;
  static constexpr std::uint8_t kMaxFindHops = 48;

  enum class Phase { idle, joining, member, left };

  Chord(const ChordSettings& settings, const wire::NodeContact& self, Random& random, Log& log,
        ChordOutput& output);

  // With no seeds this node is the first of its ring; otherwise it joins through one of them.
  void start(const std::vector<ChordSeed>& seeds, TimePoint now);
  // Tells the neighbours. Afterwards the node answers nothing.
  void leave(TimePoint now);

  // `sender` was authenticated; its message came through the member `via` if one is given.
  void on_message(const wire::NodeContact& sender, wire::RingKind kind, Bytes body, TimePoint now,
                  const wire::NodeContact* via = nullptr);
  // The reply's signature was checked (and its membership, in an operator's ring).
  void on_probe_reply(const wire::ProbeReply& reply, TimePoint now);
  // True if a message of `sender` for `to` may be passed on: both have shown that their addresses
  // are their own.
  bool may_relay(const wire::NodeContact& sender, const wire::NodeContact& to, TimePoint now);
  // It has answered a nonce of ours straight from there lately, or, where messages go by `via`, so
  // has that one, or the answer came by it.
  bool proven(const wire::NodeContact& contact, const wire::NodeContact* via, TimePoint now) const;
  // The other way round, as far as we can know.
  bool knows_us(const wire::NodeContact& contact, TimePoint now) const {
    return peers_.knows_us(contact.ring_id(), now);
  }
  // The member to send through to `to`; null for straight there.
  const wire::NodeContact* way_to(RingId to, TimePoint now) const;

  TimePoint next_deadline() const;
  void on_timer(TimePoint now);

  // Looks for the owner of `position`; output.found(token) follows, perhaps before this returns.
  // False if there are too many look-ups already.
  bool find(std::uint64_t token, RingId position, TimePoint now);

  // Where a packet for `position` goes next.
  struct Route {
    enum class Kind { self, next, none };
    Kind kind = Kind::none;
    RingPeer next;
  };
  // `sender` is the ring member that it came from, if one. Makes sure that the next hop is checked
  // to be alive if it was not lately.
  Route route(RingId position, const std::optional<RingId>& sender, TimePoint now);

  bool member() const { return phase_ == Phase::member; }
  Phase phase() const { return phase_; }
  const wire::NodeContact& self() const { return self_.contact; }
  RingId id() const { return self_.id; }
  const RingView& view() const { return view_; }
  TimePoint member_since() const { return member_since_; }
  // The member that owns `position`, if that is known without asking.
  std::optional<wire::NodeContact> known_owner(RingId position) const;
  // True while this node stays out of the ring because no member that it had not spoken to could
  // reach it.
  bool unreachable() const { return phase_ == Phase::joining && unreachable_; }

 private:
  enum class Purpose {
    liveness,   // ping of a neighbour
    candidate,  // ping of a node that says it is our predecessor
    prove,      // ping of a node that we know nothing of, before its question is answered
    revive,     // ping of a member that was lost some time ago
    measure,    // ping of a node to route by
    join,       // state of the successor-to-be
    stabilise,  // state of the successor
    adopt,      // state of a node that may be a closer successor
    walk,       // state of a predecessor
    fingers,    // nodes that another one routes by
  };
  // What bears nothing but its kind.
  struct NoBody {
    void write(Writer&) const {}
  };
  // A question as it came, while its sender's address is being proven.
  struct Held {
    wire::RingKind kind{};
    std::vector<std::uint8_t> body;
    std::optional<wire::NodeContact> via;
  };
  struct Request {
    std::uint64_t nonce = 0;
    Purpose purpose{};
    RingPeer to;
    unsigned tries = 0;
    TimePoint sent, deadline;
    std::uint64_t digest = 0;
    std::unique_ptr<Held> held;  // with `prove`
  };
  struct Find {
    enum class Use { caller, finger, join, reach, merge };
    Use use{};
    std::uint64_t token = 0;  // the caller's
    RingId position;
    std::optional<RingPeer> through;
    unsigned tries = 0;
    TimePoint deadline;
    std::vector<RingId> begun_with;
  };
  // A find that was passed on, until the next node has taken it; until the answer has come back if
  // it comes by this path.
  struct Hop {
    wire::FindBody body;  // as passed on
    std::optional<wire::NodeContact> previous, previous_via;
    std::uint64_t previous_step = 0;
    std::optional<RingId> passed_by;
    bool fixed = false;  // no other next hop will do
    bool taken = false;
    unsigned tries = 0;
    std::vector<RingId> tried;
    RingPeer to;
    TimePoint sent, deadline, until;
  };
  struct Seed {
    Endpoint address;
    std::optional<PublicKey> key;
    std::uint64_t nonce = 0;
    unsigned failures = 0;
    TimePoint next;
    std::optional<RingPeer> answered;
    TimePoint answered_at;
    std::optional<TimePoint> known_member;  // when it last acted as a member of some ring
  };

  // joining.cc
  void probe_seeds(TimePoint now);
  void introduce(const RingPeer& peer, TimePoint now);
  void on_join_found(const Find& find, const std::vector<RingPeer>& found, TimePoint now);
  void on_reach_end(bool reached, TimePoint now);
  void give_up_for_now(TimePoint now);
  bool stranger(const RingPeer& peer) const;
  void become_member(std::vector<RingPeer> successors, TimePoint now);
  void found_ring_if_lowest(TimePoint now);
  void take_next_place(TimePoint now);
  void revive_lost(TimePoint now);

  // stabilising.cc
  void stabilise(TimePoint now);
  TimePoint predecessor_due() const;
  void check_predecessor(TimePoint now);
  void check_neighbours(TimePoint now);
  void on_state(const Request& request, const wire::StateBody& state, TimePoint now);
  void on_pong(Request& request, TimePoint now);
  void on_notify(const RingPeer& sender, TimePoint now);
  void on_leave(const RingPeer& sender, const wire::LeaveBody& body, TimePoint now);
  void adopt_list(const RingPeer& head, const wire::StateBody& state, TimePoint now);
  void adopt_closer(const RingPeer& head, const std::optional<wire::NodeContact>& named,
                    TimePoint now);
  void set_predecessor(const RingPeer& peer, TimePoint now);
  void check_all_neighbours(TimePoint now);
  void changed(TimePoint now);

  // finding.cc
  bool start_find(Find find, TimePoint now);
  void send_find(std::uint64_t nonce, Find& find, TimePoint now);
  void finish_find(std::uint64_t nonce, const std::vector<wire::NodeContact>& contacts,
                   TimePoint now);
  std::vector<wire::NodeContact> owner_answer() const;
  Route choose(RingId position, const std::optional<RingId>& sender,
               const std::vector<RingId>& excluded) const;
  const RingPeer* cheapest_towards(RingId position, const std::vector<RingId>& excluded) const;

  // passing.cc
  void on_find(const RingPeer& sender, const wire::FindBody& body, const wire::NodeContact* via,
               bool waited, TimePoint now);
  void on_found(const RingPeer& sender, wire::FoundBody body, TimePoint now);
  void on_taken(const RingPeer& sender, std::uint64_t step, TimePoint now);
  void pass_on(Hop hop, const RingPeer& to, TimePoint now);
  void send_hop(Hop& hop, const RingPeer& to, TimePoint now);
  void run_hops(TimePoint now);
  bool resend_hop(Hop& hop, TimePoint now);
  void give_answer(const wire::FindBody& find, const wire::NodeContact* previous,
                   const wire::NodeContact* via, std::uint64_t previous_step, TimePoint now);
  static std::uint64_t proof_epoch(TimePoint now);
  std::uint64_t proof_for(const wire::NodeContact& contact, std::uint64_t epoch) const;
  bool shows_proof(const wire::NodeContact& contact, std::uint64_t proof, TimePoint now) const;

  // proximity.cc
  void fix_fingers(TimePoint now);
  bool settling();
  std::optional<RingPeer> best_candidate(TimePoint now);
  void look_for_candidates(TimePoint now);
  void look_in_any_part(TimePoint now);
  void check_oldest_finger(TimePoint now);
  void hear_of(const std::vector<wire::NodeContact>& contacts, TimePoint now);
  bool may_be_neighbour(const RingPeer& peer, TimePoint now);
  void hear_of_fingers(const RingPeer& from, const wire::StateBody& state, TimePoint now);
  void consider(const RingPeer& peer, Duration expected);
  void finger_silent(const RingPeer& peer, TimePoint now);
  void give_fingers(wire::StateBody& state);

  // requests.cc
  void request(Purpose purpose, const RingPeer& to, TimePoint now,
               std::unique_ptr<Held> held = nullptr);
  std::optional<Request> take_request(std::uint64_t nonce, const RingPeer& from,
                                      const wire::NodeContact* via, TimePoint now);
  bool requested(Purpose purpose, RingId id) const;
  void send_request(Request& request, TimePoint now);
  const wire::NodeContact* relay_for(const Request& request, unsigned turn) const;
  void run_requests(TimePoint now);
  void on_silence(Request& request, TimePoint now);
  void dead(const RingPeer& peer, TimePoint now);
  void remember_dead(const RingPeer& peer, TimePoint now);
  bool is_dead(RingId id, TimePoint now) const;
  void hear_of_dead(const RingPeer& peer, TimePoint now);
  static bool may_be_relayed(Purpose purpose);
  void check_alive(const RingPeer& peer, Duration if_older, TimePoint now);
  void confirm(const RingPeer& peer, std::uint64_t nonce, std::optional<Duration> rtt,
               const wire::NodeContact* via, TimePoint now);
  void prove_first(const RingPeer& sender, wire::RingKind kind, Bytes body,
                   const wire::NodeContact* via, TimePoint now);

  // chord.cc
  void answer(const RingPeer& sender, wire::RingKind kind, Bytes body, const wire::NodeContact* via,
              bool waited, TimePoint now);
  void answer_state(const RingPeer& sender, const wire::StateRequestBody& asked,
                    const wire::NodeContact* via, TimePoint now);
  template <class Body>
  void send_body(const wire::NodeContact& to, wire::RingKind kind, const Body& body,
                 const wire::NodeContact* via) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    body.write(writer);
    assert(writer.ok());
    output_.send(to, kind, writer.written(), via);
  }

  ChordSettings settings_;
  Random& random_;
  Log& log_;
  ChordOutput& output_;
  RingPeer self_;
  RingView view_;
  PeerTable peers_;
  Phase phase_ = Phase::idle;
  TimePoint joining_since_;
  TimePoint member_since_;
  std::array<std::uint8_t, 16> proof_secret_;

  std::vector<Seed> seeds_;
  std::vector<Request> requests_;
  std::unordered_map<std::uint64_t, Find> finds_;
  std::unordered_map<std::uint64_t, Hop> hops_;  // by our step
  struct Dead {
    RingPeer peer;
    TimePoint until;
    TimePoint ask_again;
  };
  std::deque<Dead> dead_;
  std::deque<RingPeer> lost_;

  bool reached_by_stranger_ = false, unreachable_ = false;
  std::vector<RingId> reach_asked_;  // whom we asked to reach us
  std::optional<RingPeer> reach_owner_;

  Duration interval_;
  std::size_t fast_rounds_ = 0;
  TimePoint next_stabilise_ = kNever;
  TimePoint next_revive_ = kNever;
  TimePoint neighbours_checked_;
  TimePoint predecessor_heard_, predecessor_asked_;
  std::size_t neighbour_turn_ = 0;
  // The list that the successor last sent, and who that was.
  std::uint64_t list_digest_ = 0;
  RingId list_head_;

  TimePoint next_finger_ = kNever;
  Duration finger_interval_;
  unsigned finger_turn_ = 0;
  unsigned fruitless_turns_ = 0;  // since the last new finger
  std::uint64_t fingers_taken_ = 0;
  struct Candidate {
    RingPeer peer;
    Duration expected;  // round trip
  };
  std::vector<Candidate> candidates_;
  std::array<std::uint64_t, 128> tested_{};  // candidates of late
  std::size_t next_tested_ = 0;
};

}  // namespace i3
