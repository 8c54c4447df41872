// A million replays against a real host: sealed packets doubled at once, repeated later, held back
// until they are behind the window, and first messages whose early packet was delivered before;
// from the address that they came from and from others, while keys change and the host restarts.
// Every packet has a number. Prints how many programs got twice, which must be none.
#include <cstdlib>
#include <map>
#include <unordered_map>

#include "overlay/session/group_seal.hh"
#include "tests/bench/path/figures.hh"
#include "tests/bench/path/small_world.hh"

namespace {

using namespace i3;
using namespace i3::bench;

constexpr std::uint32_t kReplays = 1'000'000;
constexpr std::size_t kPacket = 64;
constexpr std::size_t kRemembered = 60'000;  // several times the window
constexpr std::uint32_t kGroupPackets = 40'000;

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "replay_bench: %s\n", why);
  std::exit(1);
}

struct Recorded {
  Endpoint from;
  std::vector<std::uint8_t> bytes;
};

struct Score {
  std::uint64_t sent = 0, delivered = 0, twice = 0, replayed = 0, early = 0;
  std::map<std::string, std::uint64_t> tried;
};

// A sends numbered packets to B; whoever sits before B keeps, repeats and delays what comes.
class Battle {
 public:
  Battle(const WorldPlan& plan, std::uint64_t seed, Score& score)
      : world_(plan), random_(seed), score_(score) {
    world_.before_b = [this](const Endpoint& from, Bytes datagram) { return seen(from, datagram); };
    world_.b.on_program = [this](Bytes packet) { arrived(packet); };
  }

  void fight(std::uint64_t replays) {
    const std::uint64_t end = score_.replayed + replays;
    for (std::uint32_t turn = 1; score_.replayed < end; ++turn) {
      send();
      replay_some();
      // Keys are thrown away when nobody used them for long; the next packet is an early one.
      if (turn % 2000 == 0) new_keys();
      if (turn % 11'000 == 0) restart(turn % 22'000 == 0);
    }
    release();
    settle();
  }

 private:
  // 1 remember  2 let it pass, or keep it until it is late
  bool seen(const Endpoint& from, Bytes datagram) {
    const auto header = wire::Header::parse(datagram);
    if (!header) return false;
    const bool carrier = header->type == wire::Type::labelled ||
                         header->type == wire::Type::direct || header->type == wire::Type::packet;
    if (!carrier) return false;
    Recorded one{from, {datagram.begin(), datagram.end()}};
    const bool first = header->kind == static_cast<std::uint8_t>(SessionKind::first);
    auto& kept = first ? firsts_ : packets_;
    if (kept.size() < kRemembered)
      kept.push_back(one);
    else
      kept[random_.below(kept.size())] = one;
    if (first || random_.below(64) != 0 || late_.size() >= kRemembered) return false;
    late_.push_back(std::move(one));
    return true;
  }
  void arrived(Bytes packet) {
    if (packet.size() != kPacket) return;
    const std::uint64_t number = Reader(packet.subspan(28)).u64();
    ++score_.delivered;
    if (++times_[number] > 1) ++score_.twice;
    if (number == expected_early_) ++score_.early;
  }

  void send() {
    auto bytes = world_.packet(false, false, kPacket);
    Writer(MutBytes(bytes).subspan(28)).u64(++number_);
    OwnFrame frame(bytes);
    world_.a.host->on_tun(frame.frame());
    ++score_.sent;
    settle();
  }
  void settle() {
    world_.run_until([] { return false; }, Duration{});
  }

  void give(const char* what, const Recorded& one, bool elsewhere = false) {
    ++score_.tried[what];
    ++score_.replayed;
    Endpoint from = one.from;
    if (elsewhere)
      from = {IpAddress::v4(0xc6336400u + static_cast<std::uint32_t>(random_.below(250))),
              static_cast<std::uint16_t>(1024 + random_.below(60'000))};
    std::vector<std::uint8_t> copy = one.bytes;
    world_.b.host->on_datagram(from, copy);
  }
  const Recorded& any(const std::vector<Recorded>& recorded) {
    return recorded[random_.below(recorded.size())];
  }
  void replay_some() {
    if (packets_.empty()) return;
    give("the packet that came just now", packets_.back());
    for (int i = 0; i < 6; ++i) give("an older packet", any(packets_));
    give("an older packet from another address", any(packets_), true);
    give("an older packet as if by another carrier", carried_otherwise(any(packets_)), true);
    if (late_.size() > 200 && random_.below(40) == 0) {
      give("a packet held back, first time", late_.front());
      give("a packet held back, second time", late_.front());
      packets_.push_back(std::move(late_.front()));
      late_.erase(late_.begin());
    }
    if (firsts_.empty() || random_.below(5) != 0) return;
    give("a first message", any(firsts_));
    give("the latest first message", firsts_.back());
    give("a first message from another address", any(firsts_), true);
    settle();
  }
  // The same session message with the other header.
  Recorded carried_otherwise(const Recorded& one) {
    const auto header = wire::Header::parse(one.bytes);
    if (header->type == wire::Type::packet) return one;
    const bool labelled = header->type == wire::Type::labelled;
    std::vector<std::uint8_t> bytes(wire::kLabelledSize);
    Writer writer(bytes);
    if (labelled)
      wire::Direct::write_front(writer, header->kind);
    else
      wire::Labelled::write_front(writer, header->kind, {1, 2});
    bytes.resize(writer.size());
    const std::size_t front = labelled ? wire::kLabelledSize : wire::kDirectSize;
    bytes.insert(bytes.end(), one.bytes.begin() + static_cast<std::ptrdiff_t>(front),
                 one.bytes.end());
    return {one.from, std::move(bytes)};
  }
  void release() {
    for (const Recorded& one : late_)
      for (int i = 0; i < 2; ++i) give("a packet held back until the end", one);
    late_.clear();
  }

  void new_keys() {
    world_.run_until([] { return false; }, std::chrono::seconds(200));
    expected_early_ = number_ + 1;
    send();
    world_.run_until([&] { return times_.contains(expected_early_); }, std::chrono::seconds(5));
    for (const Recorded& one : firsts_) give("every first message after a change of keys", one);
    settle();
  }
  // B forgets its sessions; an end that was not in order leaves less behind.
  void restart(bool clean) {
    world_.restart_b(clean);
    for (const Recorded& one : firsts_) give("every first message after a restart", one);
    for (int i = 0; i < 2000; ++i) give("packets of before a restart", any(packets_));
    // A notices by itself, and goes on with new keys.
    const std::uint64_t before = score_.delivered;
    for (int i = 0; i < 200 && score_.delivered == before; ++i) {
      send();
      world_.run_until([] { return false; }, std::chrono::milliseconds(100));
    }
    if (score_.delivered == before) fail("nothing goes on after a restart");
  }

  SmallWorld world_;
  SeededRandom random_;
  Score& score_;
  std::vector<Recorded> packets_, firsts_, late_;
  std::unordered_map<std::uint64_t, unsigned> times_;
  std::uint64_t number_ = 0, expected_early_ = 0;
};

// A group's packets have windows of their own, one a sender.
void group(Score& score) {
  SeededRandom random(3);
  const auto sender = Identity::generate(random);
  const GroupSecret secret = random.array<32>();
  GroupOpener opener(secret);
  TimePoint now{std::chrono::hours(1)};
  std::vector<std::vector<std::uint8_t>> kept;
  std::unordered_map<std::uint64_t, unsigned> times;
  const auto open = [&](std::vector<std::uint8_t> message) {
    const auto opened = opener.open(message, now);
    if (opened.result != GroupOpener::Result::opened) return;
    ++score.delivered;
    if (++times[Reader(opened.packet).u64()] > 1) ++score.twice;
  };
  std::uint64_t number = 0;
  for (std::uint64_t start = 1; start <= 4; ++start) {
    GroupSealer sealer(secret, sender->key(), start, random.u64());
    for (std::uint32_t i = 0; i < kGroupPackets / 4; ++i) {
      std::vector<std::uint8_t> message(GroupSealer::kOverhead + kPacket);
      Writer(MutBytes(message).subspan(wire::GroupData::kFront)).u64(++number);
      if (!sealer.seal(message)) fail("a group's packet was not sealed");
      kept.push_back(message);
      ++score.sent;
      if (random.below(64) != 0) open(message);
      for (int again = 0; again < 3; ++again) {
        ++score.tried["a group's older packet"];
        ++score.replayed;
        open(kept[random.below(kept.size())]);
      }
    }
  }
}

}  // namespace

// replay_bench FIGURES-FILE; exit 1 if anything was delivered twice.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: replay_bench FIGURES-FILE\n");
    return 2;
  }
  Score score;
  const double start = cpu_nanoseconds();
  group(score);
  const std::uint64_t of_groups = score.delivered;
  WorldPlan plan;
  plan.first_messages_a_second = 1'000'000;
  Battle(plan, 1, score).fight((kReplays - score.replayed) / 2);
  plan.shortcuts = true;
  Battle(plan, 2, score).fight(kReplays - score.replayed);
  Samples twice, each, tried;
  twice.add(static_cast<double>(score.twice));
  tried.add(static_cast<double>(score.replayed));
  each.add((cpu_nanoseconds() - start) / static_cast<double>(score.replayed));
  Report report(argv[1]);
  report.figure("security.replays_delivered", twice, "");
  report.figure("security.replays_tried", tried, "");
  report.figure("security.replay_ns_each", each, "ns");
  for (const auto& [name, count] : score.tried)
    std::printf("  %8llu %s\n", static_cast<unsigned long long>(count), name.c_str());
  std::printf("  %8llu packets were sent, %llu arrived once, %llu of them in a first message\n",
              static_cast<unsigned long long>(score.sent),
              static_cast<unsigned long long>(score.delivered),
              static_cast<unsigned long long>(score.early));
  // A bench in which nothing arrives would find no replay either.
  if (of_groups == 0 || score.early < 10 || score.delivered * 10 < score.sent * 9)
    fail("too little of what was sent arrived");
  if (score.twice != 0) fail("replays were delivered");
  return 0;
}
