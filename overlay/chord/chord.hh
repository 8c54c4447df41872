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
#include "overlay/chord/ring_view.hh"
#include "overlay/wire/host_messages.hh"
#include "overlay/wire/ring_messages.hh"

namespace i3 {

struct ChordSettings {
  std::size_t successors = 8;  // 1 to StateBody::kMaxSuccessors
  std::size_t replicas = 2;    // predecessors to know besides the nearest
  // Stabilisation: fast after a change, slowing down to calm.
  Duration fast_interval = std::chrono::seconds(1);
  Duration calm_interval = std::chrono::seconds(5);
  // An unanswered request is repeated after each of these; after the last the peer counts as dead.
  std::array<Duration, 4> timeouts{std::chrono::milliseconds(300), std::chrono::milliseconds(500),
                                   std::chrono::milliseconds(700), std::chrono::milliseconds(1000)};
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
  // Puts the body into an authenticated envelope and sends it.
  virtual void send(const wire::NodeContact& to, wire::RingKind kind, Bytes body) = 0;
  // Sends a wire::Probe; its answer comes in by on_probe_reply.
  virtual void probe(const Endpoint& to, std::uint64_t nonce) = 0;
  // The end of find(): the owner and those after it; empty if it could not be found.
  virtual void found(std::uint64_t token, const std::vector<wire::NodeContact>& contacts) = 0;
  virtual void count(std::string_view what) = 0;
};

class Chord {
 public:
  static constexpr std::size_t kMaxRequests = 512, kMaxFinds = 1024, kMaxProven = 4096,
                               kMaxDead = 256, kMaxLost = 32;
  static constexpr std::uint8_t kMaxFindHops = 48;

  enum class Phase { idle, joining, member, left };

  Chord(const ChordSettings& settings, const wire::NodeContact& self, Random& random, Log& log,
        ChordOutput& output);

  // With no seeds this node is the first of its ring; otherwise it joins through one of them.
  void start(const std::vector<ChordSeed>& seeds, TimePoint now);
  // Tells the neighbours. Afterwards the node answers nothing.
  void leave(TimePoint now);

  // `sender` was authenticated and came from `from`.
  void on_message(const wire::NodeContact& sender, wire::RingKind kind, Bytes body,
                  const Endpoint& from, TimePoint now);
  // The reply's signature was checked (and its membership, in an operator's ring).
  void on_probe_reply(const wire::ProbeReply& reply, TimePoint now);

  TimePoint next_deadline() const;
  void on_timer(TimePoint now);

  // Looks for the owner of `position`; output.found(token) follows, perhaps before this returns.
  // False if there are too many look-ups already.
  bool find(std::uint64_t token, RingId position, TimePoint now);

  // Where a packet for `position` goes next.
  struct Route {
    enum class Kind { self, next, none };
    Kind kind = Kind::none;
    wire::NodeContact next;
  };
  // `sender` is the ring member that it came from, if one; `alternative` counts the best next hops
  // to leave out. Makes sure that the next hop is checked to be alive if it was not lately.
  Route route(RingId position, const std::optional<RingId>& sender, std::size_t alternative,
              TimePoint now);

  bool member() const { return phase_ == Phase::member; }
  Phase phase() const { return phase_; }
  const wire::NodeContact& self() const { return self_.contact; }
  RingId id() const { return self_.id; }
  const RingView& view() const { return view_; }
  TimePoint member_since() const { return member_since_; }
  // The member that owns `position`, if that is known without asking.
  std::optional<wire::NodeContact> known_owner(RingId position) const;

 private:
  enum class Purpose {
    liveness,   // ping
    candidate,  // ping of a node that says it is our predecessor
    prove,      // ping of a node that we know nothing of, before its question is answered
    revive,     // ping of a member that was lost some time ago
    join,       // state of the successor-to-be
    stabilise,  // state of the successor
    adopt,      // state of a node that may be a closer successor
    walk,       // state of a predecessor
  };
  struct Request {
    std::uint64_t nonce = 0;
    Purpose purpose{};
    RingPeer to;
    unsigned tries = 0;
    TimePoint deadline;
    wire::RingKind held_kind{};  // with `prove`: the question
    std::vector<std::uint8_t> held;
    Endpoint held_from;
  };
  struct Find {
    enum class Use { caller, finger, join, merge };
    Use use{};
    std::uint64_t token = 0;  // the caller's, or the finger's bit
    RingId position;
    std::optional<wire::NodeContact> through;
    unsigned tries = 0;
    TimePoint deadline;
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
  void on_join_found(const RingPeer& owner, TimePoint now);
  void become_member(std::vector<RingPeer> successors, TimePoint now);
  void found_ring_if_lowest(TimePoint now);
  void take_next_place(TimePoint now);
  void revive_lost(TimePoint now);

  // stabilising.cc
  void stabilise(TimePoint now);
  void check_neighbours(TimePoint now);
  void on_state(const Request& request, const wire::StateBody& state, TimePoint now);
  void on_pong(const Request& request, TimePoint now);
  void on_notify(const RingPeer& sender, TimePoint now);
  void on_leave(const RingPeer& sender, const wire::LeaveBody& body, TimePoint now);
  void adopt_list(const RingPeer& head, const wire::StateBody& state, TimePoint now);
  void set_predecessor(const RingPeer& peer, TimePoint now);
  void changed(TimePoint now);
  void fix_finger(TimePoint now);

  // finding.cc
  bool start_find(Find find, TimePoint now);
  void send_find(std::uint64_t nonce, Find& find, TimePoint now);
  void finish_find(std::uint64_t nonce, const std::vector<wire::NodeContact>& contacts,
                   TimePoint now);
  void on_find(const RingPeer& sender, wire::FindBody body, TimePoint now);
  std::vector<wire::NodeContact> owner_answer() const;

  // chord.cc
  void request(Purpose purpose, const RingPeer& to, TimePoint now);
  Request* find_request(std::uint64_t nonce);
  bool requested(Purpose purpose, RingId id) const;
  void send_request(Request& request, TimePoint now);
  void run_requests(TimePoint now);
  void on_silence(const Request& request, TimePoint now);
  void dead(const RingPeer& peer, TimePoint now);
  bool is_dead(RingId id, TimePoint now) const;
  bool suspect(RingId id) const;
  void send(const wire::NodeContact& to, wire::RingKind kind, Bytes body) {
    output_.send(to, kind, body);
  }
  template <class Body>
  void send_body(const wire::NodeContact& to, wire::RingKind kind, const Body& body) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    body.write(writer);
    assert(writer.ok());
    output_.send(to, kind, writer.written());
  }
  bool proven(RingId id, TimePoint now) const;
  void prove_first(const RingPeer& sender, wire::RingKind kind, Bytes body, const Endpoint& from,
                   TimePoint now);
  void answer(const RingPeer& sender, wire::RingKind kind, Bytes body, const Endpoint& from,
              TimePoint now);
  void confirm(const RingPeer& peer, TimePoint now);
  void check_alive(const RingPeer& peer, Duration if_older, TimePoint now);

  ChordSettings settings_;
  Random& random_;
  Log& log_;
  ChordOutput& output_;
  RingPeer self_;
  RingView view_;
  Phase phase_ = Phase::idle;
  TimePoint joining_since_;
  TimePoint member_since_;

  std::vector<Seed> seeds_;
  std::vector<Request> requests_;
  std::unordered_map<std::uint64_t, Find> finds_;
  // When a nonce of ours was last answered from a member's own address.
  std::unordered_map<RingId, TimePoint> proven_;
  struct Dead {
    RingPeer peer;
    TimePoint until;
  };
  std::deque<Dead> dead_;
  std::deque<RingPeer> lost_;

  Duration interval_;
  std::size_t fast_rounds_ = 0;
  TimePoint next_stabilise_ = kNever;
  TimePoint next_finger_ = kNever;
  TimePoint next_revive_ = kNever;
  unsigned finger_bit_ = 0;
  bool fingers_complete_ = false;
  std::size_t neighbour_turn_ = 0;
};

}  // namespace i3
