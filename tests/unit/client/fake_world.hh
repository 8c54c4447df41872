// Owns a small world on virtual time for tests of the client: nodes that follow the wire structs,
// a network with a delay that loses what it is told to lose, and one host.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>

#include "overlay/base/token_bucket.hh"
#include "overlay/client/client.hh"
#include "overlay/wire/insert.hh"

namespace i3::test {

using namespace std::chrono_literals;

inline Endpoint at(const char* text) {
  return *Endpoint::parse(text);
}

struct World;

// Holds triggers as a node of the ring would, for whoever proves them; which node owns what is the
// world's to say.
struct FakeNode {
  struct Stored {
    Endpoint target;
    std::uint64_t sequence = 0;
    wire::Label label;
    TimePoint expires{};
    std::uint32_t rate = 0;
    PublicKey owner;
  };

  FakeNode(World& its_world, std::uint64_t seed, const char* address);

  void receive(const Endpoint& to, const Endpoint& from, Bytes message);
  void forget();  // as a restart would
  std::size_t held();
  bool holds(const Id& id) { return triggers.contains(id); }

  World& world;
  SeededRandom random;
  std::unique_ptr<Identity> identity;
  wire::NodeContact contact;
  std::map<Id, Stored> triggers;
  std::uint64_t secret = 1;  // of cookies and tokens
  bool dead = false;
  bool answers_refresh = true;
  const Identity* signs_as = nullptr;  // instead of its own key, in answers to probes
  std::optional<wire::Membership> membership;
  std::optional<wire::Refusal> refuses;     // all proofs
  FakeNode* redirects_to = nullptr;         // all insertions
  const Identity* challenges_as = nullptr;  // another key in challenges
  bool challenges_always = false;
  bool names_replicas = true;
  std::optional<TokenBucket> proofs;  // beyond it, proofs stay unanswered
  std::uint32_t next_slot = 1;
  std::map<wire::Type, int> got;

 private:
  void on_probe(const Endpoint& from, const wire::Probe& probe);
  void on_lookup(const Endpoint& from, const wire::Lookup& lookup);
  void on_insert(const Endpoint& from, Bytes message, wire::Insert insert);
  void on_refresh(const Endpoint& from, const wire::Refresh& refresh);
  void on_packet(const Endpoint& from, const wire::IdPacket& packet);
  void refuse(const Endpoint& to, std::uint64_t nonce, wire::Refusal reason,
              std::optional<wire::NodeContact> other = std::nullopt);
  std::array<std::uint8_t, 16> mac(const char* what, const Endpoint& from, RingId prefix) const;
  template <class Message>
  void answer(const Endpoint& to, const Message& message);
};

struct Event {
  std::string what;
  Id id;
  std::uint64_t nonce = 0;
  std::string payload;
  bool operator==(const Event&) const = default;
};

struct World : ClientEvents {
  struct Datagram {
    Endpoint from, to;
    std::vector<std::uint8_t> bytes;
    wire::Type type() const { return wire::Header::parse(bytes)->type; }
  };

  explicit World(std::size_t nodes = 3);

  void make_client(ClientOptions options);
  ClientOptions options();  // the first node is the entry node, with its key
  void start(ClientOptions options);
  void start() { start(this->options()); }
  void run_for(Duration time);
  bool run_until(const std::function<bool()>& condition, Duration most = 20s);
  bool all_stand();
  FakeNode& node_holding(const Id& id);
  std::size_t held_at_nodes();
  std::size_t count(const std::string& event) const;
  void transmit(const Endpoint& from, const Endpoint& to, Bytes bytes);
  template <class Message>
  void to_host(const Endpoint& from, const Message& message) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    message.write(writer);
    client->on_message(from, writer.written(), now, wall());
  }
  WallTime wall() const { return static_cast<WallTime>(wall_base + (now - TimePoint{}).count()); }
  // The contacts for a position, owner first.
  std::vector<wire::NodeContact> owners(RingId position);
  FakeNode& owner(RingId position);

  // ClientEvents
  void send(const Endpoint& to, Bytes message) override;
  void on_packet(const wire::IdPacket& packet, const Endpoint& node, TimePoint) override;
  void on_returned(std::uint8_t kind, Bytes payload, const Endpoint& node, TimePoint) override;
  void on_forwarded(std::uint64_t nonce, const wire::Forwarded& forwarded, TimePoint) override;
  void on_not_present(std::uint64_t nonce, const Id& id, TimePoint) override;
  void on_no_label(const Endpoint& node, wire::Label label, TimePoint) override;
  void on_trigger(const Id& id, TimePoint) override;
  void on_ready(bool ready, TimePoint) override;

  TimePoint now{1000s};
  std::int64_t wall_base = 1'700'000'000'000'000'000;
  SeededRandom random{7};
  std::unique_ptr<Identity> identity = Identity::generate(random);
  std::vector<std::string> log_lines;
  Log log{LogLevel::debug,
          [this](LogLevel, std::string_view line) { log_lines.emplace_back(line); }};
  Endpoint host = at("198.51.100.9:7000");
  std::vector<std::unique_ptr<FakeNode>> nodes;
  std::function<std::vector<FakeNode*>(RingId)> ring;  // who owns what; the default is by number
  std::unique_ptr<Client> client;
  std::vector<Event> events;
  std::multimap<TimePoint, Datagram> wire;
  Duration delay = 10ms;
  std::size_t sent = 0;                                    // datagrams so far, both ways
  std::function<bool(std::size_t, const Datagram&)> lose;  // number (from 0) and content
};

}  // namespace i3::test
