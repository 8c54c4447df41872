// Owns thousands of bare Chord cores on simulated time: the ring alone, without envelopes,
// signatures or hosts, so that ten thousand nodes fit into one process and an hour into minutes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "overlay/chord/chord.hh"

namespace i3::sim {

// Round-trip times between places. Nodes are spread over the places in turn, each with an access
// delay of its own.
class LatencyMatrix {
 public:
  // Random places on a plane, 2 to 80 ms one way.
  static LatencyMatrix plane(std::size_t places, Random& random);
  // A text file of rows of round-trip milliseconds; zero off the diagonal is a missing value and
  // becomes the row's median. Nothing if it cannot be read.
  static std::optional<LatencyMatrix> read(const std::string& path);

  std::size_t places() const { return places_; }
  // One way.
  Duration between(std::size_t a, std::size_t b) const { return one_way_[a * places_ + b]; }

 private:
  std::size_t places_ = 0;
  std::vector<Duration> one_way_;
};

class ChordWorld {
 public:
  using Number = std::uint32_t;

  // What a look-up came to.
  struct Outcome {
    bool answered = false;
    bool right = false;      // the owner, by the view of all, when it was answered
    std::uint8_t hops = 0;   // messages until the owner had it
    Duration to_owner{};     // until the owner had it
    Duration to_answer{};    // until the asker had the answer
    Duration direct{};       // one way, asker to owner
    unsigned sent_anew = 0;  // by the asker
  };

  ChordWorld(std::uint64_t seed, LatencyMatrix latency, ChordSettings settings);
  ~ChordWorld();

  // Joins through up to three random members; the first node begins the ring.
  Number add();
  Number add_joining(const std::vector<Number>& entries);
  void kill(Number number);
  void leave(Number number);
  bool alive(Number number) const { return nodes_[number] != nullptr; }
  const Chord& chord(Number number) const;
  std::vector<Number> living() const;
  Number random_member();
  std::size_t members() const { return members_.size(); }

  TimePoint now() const { return now_; }
  Random& random() { return random_; }
  void run_until(TimePoint when);
  void run_for(Duration duration) { run_until(now_ + duration); }
  // Calls again and again, after waits that average 1 / rate seconds, until `stop_all`.
  void every(double rate, std::function<void()> action);
  void stop_all() { ++generation_; }
  void at(TimePoint when, std::function<void()> action);

  void set_blocked(std::function<bool(Number, Number)> blocked) { blocked_ = std::move(blocked); }
  void set_loss(double loss) { loss_ = loss; }

  // Asks `asker` for the owner of `position`; `done` gets what became of it.
  void look_up(Number asker, RingId position, std::function<void(const Outcome&)> done);
  // The first member at or after the position.
  std::optional<Number> owner_of(RingId position) const;

  // Why the ring is not ideal, empty if it is: each member has the right predecessor and the right
  // successors, as many as it may have.
  std::string fault() const;
  // Why an invariant does not hold that must at every moment: each member has a live successor, and
  // the first live successors form one ring that goes round once.
  std::string broken() const;
  bool ideal() const { return fault().empty(); }
  bool ideal_within(Duration limit, Duration step = std::chrono::milliseconds(500));

  std::uint64_t bytes_sent() const { return bytes_; }
  std::uint64_t packets_sent() const { return packets_; }
  // Bytes by kind of message, envelope included.
  const std::array<std::uint64_t, 16>& bytes_by_kind() const { return by_kind_; }
  const std::map<std::string, std::uint64_t, std::less<>>& counts() const { return counts_; }
  // Time that all nodes lived together, for rates per node.
  double node_seconds() const;

 private:
  struct Node;
  struct Message {
    std::vector<std::uint8_t> body;
    wire::NodeContact sender;
    wire::RingKind kind{};
    // On its way to a member that shall pass it on, and on its way from there.
    std::optional<wire::NodeContact> relay_to, relayed_by;
  };
  struct Event {
    TimePoint when;
    std::uint64_t order;
    enum class What : std::uint8_t { timer, message, probe, probe_reply, action } what;
    Number to, from;
    std::uint32_t index;  // of the message or action
    std::uint64_t nonce;
    bool operator>(const Event& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };
  struct Lookup {
    RingId position;
    Number asker;
    TimePoint begun;
    std::uint64_t nonce = 0;
    unsigned sendings = 0;
    std::uint8_t hops = 0;
    std::optional<std::pair<Number, TimePoint>> reached;
    std::function<void(const Outcome&)> done;
  };

  static wire::NodeContact contact_of(Number number);
  static Number number_of(const Endpoint& endpoint) {
    return (endpoint.address.to_v4() - 0x0b000001) >> 8;
  }
  Duration latency(Number from, Number to);
  Duration direct(Number from, Number to) const;
  bool lost(Number from, Number to);
  void push(Event event);
  void handle(const Event& event);
  void after(Number number);
  void transmit(Number from, const wire::NodeContact& to, wire::RingKind kind, Bytes body,
                const wire::NodeContact* via);
  void carry(Number from, const wire::NodeContact& to, std::uint32_t index);
  bool deliver(Number number, std::uint32_t index);
  void note_find(Number from, wire::RingKind kind, Bytes body);
  void finish(Number asker, std::uint64_t token, const std::vector<wire::NodeContact>& contacts);
  void forget(Number number);

  LatencyMatrix matrix_;
  ChordSettings settings_;
  SeededRandom random_;
  std::uint64_t seed_;
  Log log_;
  TimePoint now_{std::chrono::hours(1)};
  std::uint64_t order_ = 0;
  std::vector<Event> events_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<RingId, Number> members_;
  std::vector<Number> member_list_;  // in no order; for choosing at random
  std::vector<Message> messages_;
  std::vector<std::uint32_t> free_messages_;
  std::vector<std::function<void()>> actions_;
  std::vector<std::uint32_t> free_actions_;
  std::function<bool(Number, Number)> blocked_;
  double loss_ = 0;
  unsigned generation_ = 0;
  std::unordered_map<std::uint64_t, Lookup> lookups_;          // by token
  std::unordered_map<std::uint64_t, std::uint64_t> by_nonce_;  // nonce to token
  std::uint64_t next_token_ = 1;
  std::optional<std::uint64_t> beginning_;  // token of the look-up that is being started
  std::uint64_t bytes_ = 0, packets_ = 0;
  std::array<std::uint64_t, 16> by_kind_{};
  std::map<std::string, std::uint64_t, std::less<>> counts_;
  double lived_ = 0;
};

}  // namespace i3::sim
