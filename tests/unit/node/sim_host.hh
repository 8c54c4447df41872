// Owns a bare host for tests of nodes: it inserts triggers, sends packets, keeps what it gets.
#pragma once

#include <doctest/doctest.h>

#include "overlay/wire/insert.hh"
#include "sim/sim_ring.hh"

namespace i3::sim {

class BareHost {
 public:
  BareHost(SimNetwork& network, std::uint32_t number)
      : network_(network),
        host_(network.add_host()),
        at_{IpAddress::v4(0xc0000200u + number), 4000},
        random_(network.random_for(90'000 + number)),
        identity(Identity::generate(random_)) {
    network_.open(host_, at_, [this](const Endpoint& from, const Endpoint&, MutBytes message) {
      got.push_back({from, {message.begin(), message.end()}});
      bytes_in += message.size();
    });
  }

  const Endpoint& endpoint() const { return at_; }

  void send(const Endpoint& to, Bytes message) {
    bytes_out += message.size();
    network_.send(host_, at_, to, message);
  }
  template <class Message>
  void send_message(const Endpoint& to, const Message& message) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    message.write(writer);
    REQUIRE(writer.ok());
    send(to, writer.written());
  }
  // All messages of a kind that came since clear().
  template <class Message>
  std::vector<Message> all() const {
    std::vector<Message> result;
    for (const auto& [from, bytes] : got)
      if (auto message = Message::parse(bytes)) result.push_back(*message);
    return result;
  }
  void clear() { got.clear(); }

  wire::Insert trigger(std::uint32_t salt = 0) {
    wire::Insert insert;
    insert.nonce = random_.u64();
    insert.owner = identity->key();
    insert.salt = salt;
    insert.id = owner_prefix(identity->key(), salt);
    insert.sequence = ++sequence;
    return insert;
  }
  // Asks, is challenged, proves. The acknowledgement, or nothing and what else came is in `got`.
  std::optional<wire::Inserted> insert(SimNode& node, wire::Insert insert) {
    clear();
    send_message(node.endpoint(), insert);
    network_.run_for(std::chrono::milliseconds(400));
    const auto challenges = all<wire::Challenge>();
    if (challenges.empty()) return std::nullopt;
    const wire::Challenge& challenge = challenges.back();
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    insert.write_proof(writer, *identity, challenge.cookie, challenge.observed,
                       challenge.contact.ring_id());
    clear();
    send(node.endpoint(), writer.written());
    network_.run_for(std::chrono::milliseconds(400));
    const auto answers = all<wire::Inserted>();
    if (answers.empty()) return std::nullopt;
    return answers.back();
  }
  wire::IdPacket packet(const Id& to, std::string_view text, bool want_node = true) {
    wire::IdPacket result;
    result.flags = want_node ? wire::IdPacket::kWantNode : 0;
    result.nonce = random_.u64();
    result.ids[0] = to;
    result.payload = as_bytes(text);
    return result;
  }

 private:
  SimNetwork& network_;
  SimNetwork::Host host_;
  Endpoint at_;
  SeededRandom random_;

 public:
  std::unique_ptr<Identity> identity;
  std::uint64_t sequence = 0;
  std::vector<std::pair<Endpoint, std::vector<std::uint8_t>>> got;
  std::size_t bytes_in = 0, bytes_out = 0;
};

// A ring of a few nodes that has formed.
struct SmallRing {
  explicit SmallRing(std::size_t count, std::uint64_t seed = 1)
      : network(seed_or(seed)), ring(network) {
    for (std::size_t i = 0; i < count; ++i) {
      ring.add();
      network.run_for(std::chrono::seconds(2));
    }
    REQUIRE(network.run_until([&] { return ring.ideal(); }, std::chrono::seconds(60)));
    // Beyond the time in which a new owner hands packets on to the old one.
    network.run_for(std::chrono::seconds(40));
  }
  SimNode& owner(const Id& id) { return ring.owner_of(id.ring()); }
  SimNode& other(const Id& id) {
    SimNode& owns = owner(id);
    return &ring[0] == &owns ? ring[1] : ring[0];
  }
  void settle() { network.run_for(std::chrono::milliseconds(800)); }

  SimNetwork network;
  SimRing ring;
};

}  // namespace i3::sim
