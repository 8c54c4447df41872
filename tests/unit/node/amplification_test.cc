// Whatever a stranger sends, and whatever address it forges, a node sends there at most what came
// from there.
#include "tests/unit/node/sim_host.hh"
#include "tests/unit/node/strangers.hh"

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

}  // namespace

TEST_CASE("bytes sent to an unproven source never exceed bytes received from it") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Target target(seed);
    const auto identity = Identity::generate(target.random);
    test::Stranger stranger(*identity, target.core->contact(), public_id(identity->key(), 1),
                            target.random);
    std::vector<Endpoint> sources;
    for (std::uint16_t i = 0; i < 6; ++i)
      sources.push_back({IpAddress::v4(0xc6336400u + i), static_cast<std::uint16_t>(4000 + i)});
    for (int step = 0; step < 500; ++step) {
      const Endpoint& from = sources[target.random.below(sources.size())];
      const auto kind = static_cast<unsigned>(target.random.below(test::Stranger::kKinds));
      CAPTURE(test::Stranger::name(kind));
      target.offer(from, stranger.say(kind, from));
      target.pass(std::chrono::milliseconds(target.random.below(200)));
      for (const auto& [to, bytes] : target.sent) REQUIRE(bytes <= target.received[to]);
    }
    target.pass(60s);
    for (const auto& [to, bytes] : target.sent) CHECK(bytes <= target.received[to]);
    CHECK(!target.sent.empty());
  }
}
