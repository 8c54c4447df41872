// Whatever a stranger sends, and whatever address it forges, a node sends there at most what came
// from there.
#include "overlay/node/node_core.hh"
#include "tests/unit/node/sim_host.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

// One node by itself, every datagram counted.
struct Target final : NodeIo {
  explicit Target(std::uint64_t seed) : random(seed) {
    NodeCoreSettings settings;
    settings.contact.v4 = *Endpoint::parse("203.0.113.7:5100");
    settings.have_v6 = true;
    core = std::make_unique<NodeCore>(settings, *identity, random, log, *this);
    core->start(now);
  }
  void send(const Endpoint& to, Bytes message) override { sent[to] += message.size(); }
  void offer(const Endpoint& from, Bytes message) {
    received[from] += message.size();
    core->on_datagram(from, message, now, 1'750'000'000'000'000'000);
  }
  void pass(Duration time) {
    for (const TimePoint end = now + time; now < end;) {
      now = std::min(end, std::max(now + 1ms, core->next_deadline()));
      core->on_timer(now, 1'750'000'000'000'000'000);
    }
  }

  SeededRandom random;
  Log log;
  TimePoint now{1h};
  std::unique_ptr<Identity> identity = Identity::generate(random);
  std::unique_ptr<NodeCore> core;
  std::map<Endpoint, std::size_t> sent, received;
};

template <class Message>
std::vector<std::uint8_t> bytes_of(const Message& message) {
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  message.write(writer);
  REQUIRE(writer.ok());
  return {writer.written().begin(), writer.written().end()};
}

// One of every message that a stranger can write, the answers to questions of nobody included.
std::vector<std::uint8_t> some_message(Target& target, const Identity& stranger,
                                       const Endpoint& from) {
  SeededRandom& random = target.random;
  const std::uint64_t nonce = random.u64() | 1;
  std::vector<std::uint8_t> text(random.below(300));
  random.fill(text);
  wire::NodeContact self;
  self.key = stranger.key();
  self.v4 = from;
  const Id id = owner_prefix(stranger.key(), static_cast<std::uint32_t>(random.below(2)));
  switch (random.below(14)) {
    case 0:
      return bytes_of(wire::Probe{nonce});
    case 1:
      return bytes_of(wire::Lookup{nonce, RingId{random.u64(), random.u64()}});
    case 2: {
      wire::Insert insert;
      insert.nonce = nonce;
      insert.owner = stranger.key();
      insert.id = public_id(stranger.key());
      insert.sequence = nonce;
      if (random.below(2) == 0) return bytes_of(insert);
      std::array<std::uint8_t, wire::kMaxMessage> buffer;
      Writer writer(buffer);
      insert.write_proof(writer, stranger, random.array<16>(), from,
                         target.core->chord()->self().ring_id());
      return {writer.written().begin(), writer.written().end()};
    }
    case 3:
      return bytes_of(wire::Refresh{nonce, stranger.key(), stranger.key(), random.array<16>()});
    case 4:
    case 5: {
      wire::IdPacket packet;
      packet.flags = static_cast<std::uint8_t>(random.below(2));
      packet.nonce = nonce;
      packet.id_count = 1 + random.below(4);
      for (Id& next : packet.ids) next = id;
      packet.payload = text;
      return bytes_of(packet);
    }
    case 6: {
      std::vector<std::uint8_t> buffer(12 + text.size());
      Writer writer(buffer);
      wire::Labelled::write_front(writer, 0, {static_cast<std::uint32_t>(random.below(3)), 7});
      writer.bytes(text);
      return buffer;
    }
    case 7: {
      wire::Returned returned;
      returned.tag = random.array<8>();
      returned.payload = text;
      return bytes_of(returned);
    }
    case 8:
      return bytes_of(wire::NotPresent{nonce, id});
    case 9:
      return bytes_of(wire::NoLabel{{1, 2}});
    case 10: {
      wire::ProbeReply reply;
      reply.nonce = nonce;
      reply.contact = self;
      reply.observed = from;
      std::array<std::uint8_t, wire::kMaxMessage> buffer;
      Writer writer(buffer);
      reply.write(writer, stranger);
      return {writer.written().begin(), writer.written().end()};
    }
    case 11:
      return text;
    case 12: {
      auto junk = bytes_of(wire::Lookup{nonce, RingId{}});
      junk[random.below(junk.size())] ^= static_cast<std::uint8_t>(1 + random.below(255));
      return junk;
    }
    default: {
      std::vector<std::uint8_t> header{wire::kVersion, static_cast<std::uint8_t>(random.below(40)),
                                       static_cast<std::uint8_t>(random.below(12)), 0};
      header.insert(header.end(), text.begin(), text.end());
      return header;
    }
  }
}

}  // namespace

TEST_CASE("bytes sent to an unproven source never exceed bytes received from it") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Target target(seed);
    const auto stranger = Identity::generate(target.random);
    std::vector<Endpoint> sources;
    for (std::uint16_t i = 0; i < 6; ++i)
      sources.push_back({IpAddress::v4(0xc6336400u + i), static_cast<std::uint16_t>(4000 + i)});
    for (int step = 0; step < 500; ++step) {
      const Endpoint& from = sources[target.random.below(sources.size())];
      target.offer(from, some_message(target, *stranger, from));
      target.pass(std::chrono::milliseconds(target.random.below(200)));
      for (const auto& [to, bytes] : target.sent) REQUIRE(bytes <= target.received[to]);
    }
    target.pass(60s);
    for (const auto& [to, bytes] : target.sent) CHECK(bytes <= target.received[to]);
    CHECK(!target.sent.empty());
  }
}
