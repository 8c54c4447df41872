// What can be had sent to an address that never asked: every message that a stranger can write goes
// to a real node in a ring, and to a real host, from addresses that answer nothing. Prints the
// greatest ratio of bytes sent to such an address to bytes that came from it, by message; above 1.0
// a node or host would be a weapon against others.
#include <cstdlib>
#include <map>

#include "sim/sim_ring.hh"
#include "tests/bench/path/figures.hh"
#include "tests/bench/path/first_message.hh"
#include "tests/bench/path/small_world.hh"
#include "tests/unit/node/strangers.hh"

namespace {

using namespace i3;
using namespace i3::bench;
using namespace std::chrono_literals;

constexpr unsigned kRounds = 60;  // of each kind of message

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "amplification_bench: %s\n", why);
  std::exit(1);
}

struct Victim {
  std::string what;
  double in = 0, out = 0;
};

class Victims {
 public:
  // An address that nobody used before, each in a prefix of its own.
  Endpoint next(std::string what) {
    const auto number = static_cast<std::uint32_t>(all_.size());
    const Endpoint at{IpAddress::v4(0x0c000001u + (number << 8)), 4000};
    all_[at].what = std::move(what);
    return at;
  }
  void came(const Endpoint& from, std::size_t bytes) {
    if (auto found = all_.find(from); found != all_.end())
      found->second.in += static_cast<double>(bytes);
  }
  void went(const Endpoint& to, std::size_t bytes) {
    if (auto found = all_.find(to); found != all_.end())
      found->second.out += static_cast<double>(bytes);
  }
  // The worst address of each kind.
  std::map<std::string, double> worst() const {
    std::map<std::string, double> result;
    for (const auto& [at, victim] : all_) {
      double& ratio = result[victim.what];
      if (victim.in > 0) ratio = std::max(ratio, victim.out / victim.in);
    }
    return result;
  }

 private:
  std::map<Endpoint, Victim> all_;
};

// One of six members, with long contacts and a trigger.
class NodeBattle {
 public:
  NodeBattle() : network_(7), ring_(network_) {
    for (int i = 0; i < 6; ++i) {
      ring_.add(2, [i](NodeCoreSettings& settings) {
        settings.contact.tls_port = 443;
        settings.contact.v6 = Endpoint{IpAddress::v6({0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0,
                                                      0, 0, static_cast<std::uint8_t>(1 + i)}),
                                       5100};
      });
      network_.run_for(2s);
    }
    if (!network_.run_until([&] { return ring_.ideal(); }, 60s)) fail("the ring does not form");
    network_.run_for(40s);
    holder_ = Identity::generate(random_);
    stranger_ = Identity::generate(random_);
    insert();
  }

  void fight(Victims& victims) {
    sim::SimNode& node = ring_.owner_of(known_.ring());
    network_.set_tap([&](const Endpoint& from, const Endpoint& to, Bytes message) {
      victims.came(from, message.size());
      victims.went(to, message.size());
      return false;
    });
    test::Stranger stranger(*stranger_, node.core().contact(), known_, random_);
    const auto machine = network_.add_host();
    for (unsigned round = 0; round < kRounds; ++round)
      for (unsigned kind = 0; kind < test::Stranger::kKinds; ++kind) {
        const Endpoint victim = victims.next("node: " + std::string(test::Stranger::name(kind)));
        // Once, where repetitions would be seen best, or several times.
        for (unsigned i = 0; i <= round % 3; ++i) {
          network_.send(machine, victim, node.endpoint(), stranger.say(kind, victim));
          network_.run_for(30ms);
        }
      }
    network_.run_for(60s);
    network_.set_tap({});
  }

 private:
  // 1 asks  2 is challenged  3 proves
  void insert() {
    const auto machine = network_.add_host();
    const Endpoint at{IpAddress::v4(0xc6336401), 4000};
    known_ = public_id(holder_->key());
    sim::SimNode& node = ring_.owner_of(known_.ring());
    wire::Insert insert;
    insert.nonce = 1;
    insert.exact = false;
    insert.owner = holder_->key();
    insert.id = known_;
    insert.sequence = 1;
    insert.lifetime_ms = 3'600'000;
    bool inserted = false;
    network_.open(machine, at, [&](const Endpoint& from, const Endpoint&, MutBytes message) {
      inserted = inserted || wire::Inserted::parse(message).has_value();
      const auto challenge = wire::Challenge::parse(message);
      if (!challenge) return;
      std::array<std::uint8_t, wire::kMaxMessage> buffer;
      Writer writer(buffer);
      insert.write_proof(writer, *holder_, challenge->cookie, challenge->observed,
                         challenge->contact.ring_id());
      network_.send(machine, at, from, writer.written());
    });
    network_.send(machine, at, node.endpoint(), test::bytes_of(insert));
    if (!network_.run_until([&] { return inserted; }, 5s)) fail("no trigger");
  }

  sim::SimNetwork network_;
  sim::SimRing ring_;
  SeededRandom random_{5};
  std::unique_ptr<Identity> holder_, stranger_;
  Id known_;
};

// A host that knows a peer and is at times asked for more handshakes than it likes.
class HostBattle {
 public:
  HostBattle() : world_(WorldPlan{}), stranger_(Identity::generate(random_)) {
    strange_ = std::make_unique<Sessions>(*stranger_, random_, SessionOptions{});
    world_.before_b = [this](const Endpoint&, Bytes datagram) {
      if (recorded_.size() < 512) recorded_.emplace_back(datagram.begin(), datagram.end());
      return false;
    };
  }

  void fight(Victims& victims) {
    record();
    Endpoint victim;
    world_.b.on_send = [&](const Endpoint& to, Bytes datagram) {
      victims.went(to, datagram.size());
    };
    test::Stranger stranger(*stranger_, contact_, public_id(world_.b.identity->key()), random_);
    for (unsigned round = 0; round < kRounds; ++round) {
      for (unsigned kind = 0; kind < test::Stranger::kRing; ++kind)
        give(victims, "host: " + std::string(test::Stranger::name(kind)),
             [&](const Endpoint& from) { return stranger.say(kind, from); });
      give(victims, "host: a stranger's first message", [&](const Endpoint&) { return first(); });
      give(victims, "host: the same in an ID packet", [&](const Endpoint&) {
        const test::Message inside = first();
        wire::IdPacket packet;
        packet.kind = static_cast<std::uint8_t>(SessionKind::first);
        packet.flags = wire::IdPacket::kDelivered;
        packet.nonce = random_.u64();
        packet.tag = random_.array<8>();
        packet.ids[0] = public_id(world_.b.identity->key());
        packet.payload = Bytes(inside).subspan(wire::kDirectSize);
        return test::bytes_of(packet);
      });
      for (int i = 0; i < 20; ++i)
        give(victims, "host: a peer's message, replayed",
             [&](const Endpoint&) { return recorded_[random_.below(recorded_.size())]; });
      for (std::uint8_t kind = 0; kind < 4; ++kind)
        give(victims, "host: a session message of noise", [&](const Endpoint&) {
          test::Message bytes(wire::kDirectSize + random_.below(400));
          random_.fill(bytes);
          Writer writer(bytes);
          wire::Direct::write_front(writer, kind);
          return bytes;
        });
      // More than it likes from now on: it asks for cookies.
      if (round == kRounds / 2)
        for (int i = 0; i < 300; ++i)
          give(victims, "host: a flood of first messages",
               [&](const Endpoint&) { return first(); });
    }
    world_.run_until([] { return false; }, 60s);
  }

 private:
  // A peer's messages: first, sealed, controls.
  void record() {
    for (int i = 0; i < 3; ++i) {
      for (int packets = 0; packets < 50; ++packets) {
        auto bytes = world_.packet(false, false, 200);
        OwnFrame frame(bytes);
        world_.a.host->on_tun(frame.frame());
        world_.run_until([] { return false; }, 10ms);
      }
      world_.run_until([] { return false; }, 200s);
    }
    if (recorded_.size() < 100) fail("nothing was recorded");
  }
  test::Message first() {
    auto message = first_message(*strange_, world_.b.identity->key(), ++stamp_, world_.clock.now());
    if (message.empty()) fail("no first message");
    return message;
  }
  void give(Victims& victims, const std::string& what,
            const std::function<test::Message(const Endpoint&)>& make) {
    const Endpoint victim = victims.next(what);
    test::Message message = make(victim);
    victims.came(victim, message.size());
    world_.b.host->on_datagram(victim, message);
    world_.run_until([] { return false; }, 1ms);
  }

  SmallWorld world_;
  SeededRandom random_{9};
  std::unique_ptr<Identity> stranger_;
  std::unique_ptr<Sessions> strange_;
  const wire::NodeContact contact_ = [this] {
    wire::NodeContact contact;
    contact.key = world_.b.identity->key();
    contact.v4 = world_.b.at;
    return contact;
  }();
  std::vector<test::Message> recorded_;
  std::uint64_t stamp_ = 1;
};

}  // namespace

// amplification_bench FIGURES-FILE; exit 1 if any address got more than came from it.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: amplification_bench FIGURES-FILE\n");
    return 2;
  }
  Victims victims;
  NodeBattle().fight(victims);
  HostBattle().fight(victims);
  Samples worst;
  double greatest = 0;
  unsigned answered = 0;
  for (const auto& [what, ratio] : victims.worst()) {
    std::printf("  %6.3f %s\n", ratio, what.c_str());
    greatest = std::max(greatest, ratio);
    answered += ratio > 0;
  }
  worst.add(greatest);
  Report report(argv[1]);
  report.figure("security.amplification", worst, "", {1.0, 0});
  // Where nothing is answered, nothing is shown.
  if (answered < 8) fail("hardly any message was answered");
  if (greatest > 1.0) fail("an address got more than came from it");
  return 0;
}
