// Owns a real Client on a simulated machine, and a ring for several of them: what a host can do
// with IDs alone, without sessions.
#pragma once

#include <doctest/doctest.h>
#include <memory>

#include "overlay/client/client.hh"
#include "sim/sim_ring.hh"

namespace i3::sim {

// One life of one client. Destroying it is kill -9.
class SimClient final : public ClientEvents {
 public:
  SimClient(SimNetwork& network, SimRing& ring, std::uint32_t number)
      : network_(network),
        machine_(network.add_host()),
        at_{IpAddress::v4(0xc0000200u + number), 4000},
        random_(network.random_for(70'000 + number)),
        identity_(Identity::generate(random_)) {
    ClientOptions options;
    options.have_v6 = false;
    for (auto& node : ring.nodes())
      options.entries.push_back({node->endpoint(), node->identity().key()});
    client_ = std::make_unique<Client>(*identity_, random_, log_, std::move(options), *this);
    network_.open(machine_, at_, [this](const Endpoint& from, const Endpoint&, MutBytes message) {
      client_->on_message(from, message, network_.now(), network_.wall());
      arm();
    });
    client_->start(network_.now(), network_.wall());
    arm();
  }
  ~SimClient() override {
    network_.cancel(timer_);
    network_.kill(machine_);
  }

  Client& client() { return *client_; }
  const Identity& identity() const { return *identity_; }
  const PublicKey& key() const { return identity_->key(); }
  SimNetwork::Host machine() const { return machine_; }

  void hold(const HeldTrigger& trigger) {
    REQUIRE(client_->hold(trigger, network_.now()));
    arm();
  }
  void let_go(const Id& id, const PublicKey& owner) {
    client_->let_go(id, owner, network_.now());
    arm();
  }
  void release(const Id& id) {
    client_->release(id, network_.now());
    arm();
  }
  Id take_private() {
    const Id id = client_->take_private(network_.now());
    arm();
    return id;
  }
  // A trigger of this host's own that leads to itself or to `stack`.
  HeldTrigger own(std::uint32_t salt, std::vector<wire::Consent> stack = {}) const {
    HeldTrigger trigger;
    trigger.id = owner_prefix(key(), salt);
    trigger.owner = key();
    trigger.salt = salt;
    trigger.stack = std::move(stack);
    return trigger;
  }
  // This host's place in a group, at `suffix`.
  HeldTrigger member_of(const Identity& group, wire::Suffix suffix, std::uint8_t bits = 0,
                        std::uint32_t salt = 0) const {
    HeldTrigger trigger;
    trigger.id = owner_prefix(group.key(), salt);
    std::copy(suffix.begin(), suffix.end(), trigger.id.bytes.begin() + 16);
    trigger.owner = group.key();
    trigger.salt = salt;
    trigger.exact = false;
    trigger.delegation =
        wire::Delegation::issue(group, key(), network_.wall() + 3'600'000'000'000, bits, suffix);
    return trigger;
  }
  wire::Consent consent(std::uint32_t salt, const Id& source) const {
    return wire::Consent::issue(*identity_, owner_prefix(key(), salt), salt, source,
                                network_.wall() + 3'600'000'000'000);
  }

  std::uint64_t send(std::vector<Id> ids, const std::string& text, bool nearest = false,
                     std::uint8_t copies = wire::kDefaultCopies) {
    SendById packet;
    packet.ids = ids;
    packet.payload = as_bytes(text);
    packet.nearest = nearest;
    packet.copies = copies;
    const std::uint64_t nonce = client_->send(packet, network_.now());
    arm();
    return nonce;
  }
  bool stands(const Id& id, const PublicKey& owner) const {
    for (const HeldStatus& held : client_->held())
      if (held.id == id && held.owner == owner) return held.places > 0;
    return false;
  }

  std::vector<std::string> heard;               // payloads of packets for this host
  std::vector<std::uint64_t> absent;            // nonces of sends that found no trigger
  std::function<std::string(Bytes)> service{};  // with it, packets with IDs left over are passed on

 private:
  void send(const Endpoint& to, Bytes message) override {
    network_.send(machine_, at_, to, message);
  }
  void on_packet(const wire::IdPacket& packet, const Endpoint&, TimePoint) override {
    heard.emplace_back(as_text(packet.payload));
  }
  bool on_leftover(const wire::IdPacket& packet, const Endpoint&, TimePoint now) override {
    if (!service) return false;
    const std::string made = service(packet.payload);
    return client_->pass_on(packet, as_bytes(made), now);
  }
  void on_returned(std::uint8_t, Bytes, const Endpoint&, TimePoint) override {}
  void on_forwarded(std::uint64_t, const wire::Forwarded&, TimePoint) override {}
  void on_not_present(std::uint64_t nonce, const Id&, TimePoint) override {
    absent.push_back(nonce);
  }
  void on_no_label(const Endpoint&, wire::Label, TimePoint) override {}
  void on_trigger(const Id&, TimePoint) override {}
  void on_ready(bool, TimePoint) override {}

  void arm() {
    const TimePoint next = client_->next_deadline();
    if (next >= armed_ && timer_ != 0) return;
    network_.cancel(timer_);
    armed_ = next;
    timer_ = network_.at(machine_, std::max(next, network_.now()), [this] {
      timer_ = 0;
      armed_ = kNever;
      client_->on_timer(network_.now(), network_.wall());
      arm();
    });
  }

  SimNetwork& network_;
  SimNetwork::Host machine_;
  Endpoint at_;
  SeededRandom random_;
  std::unique_ptr<Identity> identity_;
  Log log_;
  std::unique_ptr<Client> client_;
  SimNetwork::Timer timer_ = 0;
  TimePoint armed_ = kNever;
};

// A ring of a few nodes that has formed, and clients.
struct ClientWorld {
  explicit ClientWorld(std::size_t nodes, std::uint64_t seed) : network(seed_or(seed)) {
    for (std::size_t i = 0; i < nodes; ++i) {
      ring.add();
      network.run_for(std::chrono::seconds(1));
    }
    REQUIRE(network.run_until([&] { return ring.ideal(); }, std::chrono::seconds(120)));
    group = Identity::generate(network.random());
  }
  SimClient& add() {
    clients.push_back(std::make_unique<SimClient>(network, ring, ++number));
    return *clients.back();
  }
  // Until all that is held stands, and all are reachable.
  bool settled() {
    return network.run_until(
        [&] {
          for (auto& client : clients) {
            if (!client->client().ready()) return false;
            for (const HeldStatus& held : client->client().held())
              if (!held.at_owner || !held.trouble.empty()) return false;
          }
          return true;
        },
        std::chrono::seconds(30));
  }
  // Until `client` heard `count` packets; false after 3 s.
  bool hears(const SimClient& client, std::size_t count) {
    return network.run_until([&] { return client.heard.size() >= count; }, std::chrono::seconds(3),
                             std::chrono::milliseconds(10));
  }
  std::uint64_t count(const std::string& counter) {
    std::uint64_t sum = 0;
    for (auto& node : ring.nodes()) sum += node->core().counters()[counter];
    return sum;
  }

  SimNetwork network;
  SimRing ring{network};
  std::unique_ptr<Identity> group;
  std::vector<std::unique_ptr<SimClient>> clients;
  std::uint32_t number = 0;
};

}  // namespace i3::sim
