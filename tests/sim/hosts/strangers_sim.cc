// What strangers can make a host send, and where to.
#include <doctest/doctest.h>
#include <map>

#include "overlay/wire/insert.hh"
#include "tests/sim/hosts/sim_host.hh"

using namespace i3;
using namespace i3::sim;
using namespace std::chrono_literals;

namespace {

// Addresses that belong to nobody who asked for anything; counts what comes to them.
class Strangers {
 public:
  Strangers(SmallWorld& world, std::uint64_t seed)
      : world_(world), random_(seed), identity_(Identity::generate(random_)) {
    for (std::uint16_t i = 0; i < 5; ++i) {
      const Endpoint at{IpAddress::v4(0x0d000001u + i), static_cast<std::uint16_t>(7000 + i)};
      sources_.push_back(at);
      world.network.open(machine_, at, [this, at](const Endpoint&, const Endpoint&, MutBytes got) {
        received_[at] += got.size();
      });
    }
  }
  // One datagram to B, as its NAT would let it in.
  void send_one() {
    const Endpoint& from = sources_[random_.below(sources_.size())];
    std::vector<std::uint8_t> message = some_message(from);
    sent_[from] += message.size();
    world_.b->host().on_datagram(from, message);
  }
  bool amplified() const {
    for (const auto& [at, bytes] : received_)
      if (bytes > (sent_.contains(at) ? sent_.at(at) : 0)) return true;
    return false;
  }
  std::size_t answered() const {
    std::size_t sum = 0;
    for (const auto& [at, bytes] : received_) sum += bytes;
    return sum;
  }

 private:
  template <class Message>
  static std::vector<std::uint8_t> bytes_of(const Message& message) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    message.write(writer);
    REQUIRE(writer.ok());
    return {writer.written().begin(), writer.written().end()};
  }
  std::vector<std::uint8_t> direct(std::uint8_t kind, Bytes payload) const {
    std::vector<std::uint8_t> message(wire::kDirectSize + payload.size());
    Writer writer(message);
    wire::Direct::write_front(writer, kind);
    writer.bytes(payload);
    return message;
  }
  std::vector<std::uint8_t> first_message() {
    Sessions sessions(*identity_, random_, {});
    wire::Hello hello;
    std::array<std::uint8_t, 600> payload;
    Writer writer(payload);
    hello.write(writer);
    std::vector<std::uint8_t> out(2000);
    out.resize(sessions.initiate(PeerHandle{1}, world_.b->key(), kNoPsk, ++stamp_, writer.written(),
                                 out, world_.network.now()));
    return out;
  }
  std::vector<std::uint8_t> some_message(const Endpoint& from) {
    std::vector<std::uint8_t> text(random_.below(200));
    random_.fill(text);
    const std::uint64_t nonce = random_.u64();
    const Id id = public_id(random_.below(2) == 0 ? world_.b->key() : identity_->key());
    wire::NodeContact contact;
    contact.key = identity_->key();
    contact.v4 = from;
    switch (random_.below(13)) {
      case 0:
      case 1:
      case 2:
        return direct(1, first_message());
      case 3:
        return direct(static_cast<std::uint8_t>(random_.below(5)), text);
      case 4: {
        wire::IdPacket packet;
        packet.kind = 1;
        packet.flags = wire::IdPacket::kDelivered;
        packet.tag = random_.array<8>();
        packet.ids[0] = id;
        const auto payload = first_message();
        packet.payload = payload;
        return bytes_of(packet);
      }
      case 5: {
        wire::Returned returned;
        returned.kind = static_cast<std::uint8_t>(random_.below(4));
        returned.payload = text;
        return bytes_of(returned);
      }
      case 6:
        return bytes_of(wire::NoLabel{{random_.u32(), random_.u32()}});
      case 7:
        return bytes_of(wire::NotPresent{nonce, id});
      case 8:
        return bytes_of(wire::Forwarded{nonce, 1, id, contact});
      case 9:
        return bytes_of(wire::Challenge{nonce, {}, from, contact});
      case 10: {
        wire::ProbeReply reply;
        reply.nonce = nonce;
        reply.contact = contact;
        reply.observed = from;
        std::array<std::uint8_t, wire::kMaxMessage> buffer;
        Writer writer(buffer);
        reply.write(writer, *identity_);
        return {writer.written().begin(), writer.written().end()};
      }
      case 11:
        return bytes_of(wire::Probe{nonce});
      default:
        return text;
    }
  }

  SmallWorld& world_;
  SimNetwork::Host machine_ = world_.network.add_host();
  SeededRandom random_;
  std::unique_ptr<Identity> identity_;
  std::vector<Endpoint> sources_;
  std::map<Endpoint, std::size_t> sent_, received_;
  std::uint64_t stamp_ = 1;
};

}  // namespace

TEST_CASE("a host sends a stranger no more bytes than it received, whatever comes") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    SmallWorld world(seed);
    REQUIRE(world.ready());
    REQUIRE(world.hears(*world.a, *world.b, "hello", 3s));
    Strangers strangers(world, 100 + seed);
    for (int i = 1; i <= 4000; ++i) {
      strangers.send_one();
      // Now and then a flood, so that the host asks for cookies.
      if (i % 1000 > 900) world.network.run_for(1ms);
      if (i % 500 == 0) {
        world.network.run_for(50ms);
        CHECK(!strangers.amplified());
      }
    }
    world.network.run_for(20s);
    CHECK(!strangers.amplified());
    // The flood was answered with cookies: the test would see an answer.
    CHECK(strangers.answered() > 0);
    CHECK(world.gets_through(*world.a, *world.b, "still here", 5s));
  }
}
