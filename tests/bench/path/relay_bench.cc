// Measures what a node spends on one labelled packet, from datagram to forwarding verdict, with 1,
// 1,000 and 1,000,000 triggers. Labels are met in random order, so a large table costs its cache
// misses here, as far as fetching ahead for a batch, as the driver does, leaves any; writing the
// label into the packet is part of the time, sockets are not.
#include <cstdlib>
#include <memory>

#include "overlay/node/node_core.hh"
#include "tests/bench/path/figures.hh"

namespace {

using namespace i3;
using namespace i3::bench;

constexpr std::size_t kDatagram = 1236;  // 1200 bytes of packet and what a relay adds
constexpr std::size_t kBatch = 64;       // datagrams that the driver receives at once
constexpr std::uint32_t kRowsPerKey = 1000;

struct Setting {
  std::size_t packets;
  int runs;
};

class Silent final : public NodeIo {
 public:
  void send(const Endpoint&, Bytes) override {}
};

class Node {
 public:
  explicit Node(std::uint32_t triggers) {
    NodeCoreSettings settings;
    settings.contact.v4 = *Endpoint::parse("203.0.113.7:5100");
    settings.triggers.per_prefix = triggers;
    core_ = std::make_unique<NodeCore>(std::move(settings), *identity_, random_, log_, io_);
    core_->start(now_);
    fill(triggers);
  }

  double nanoseconds_each(const Setting& setting) {
    const double start = cpu_nanoseconds();
    std::size_t lost = 0;
    for (std::size_t i = 0; i < setting.packets; i += kBatch) {
      for (std::size_t j = 0; j < kBatch; ++j) {
        Writer writer(batch_[j]);
        wire::Labelled::write_front(writer, 0, met_[(i + j) % met_.size()].label);
      }
      for (const auto& message : batch_) core_->prefetch(message);
      for (std::size_t j = 0; j < kBatch; ++j) {
        const auto verdict = core_->on_datagram(sender_, batch_[j], now_, 0);
        if (!verdict.forward || verdict.to.port != met_[(i + j) % met_.size()].port) ++lost;
      }
    }
    const double spent = cpu_nanoseconds() - start;
    if (lost != 0) {
      std::fprintf(stderr, "relay_bench: %zu packets were not forwarded\n", lost);
      std::exit(1);
    }
    return spent / static_cast<double>(setting.packets);
  }

 private:
  // Straight into the node's own table: as many proofs would take minutes, and the way of a packet
  // begins behind them.
  void fill(std::uint32_t triggers) {
    auto& table = const_cast<TriggerTable&>(core_->triggers());
    std::vector<wire::Label> labels;
    PublicKey owner;
    for (std::uint32_t i = 0; i < triggers; ++i) {
      if (i % kRowsPerKey == 0) random_.fill(owner.bytes);
      TriggerSpec spec;
      random_.fill(spec.id.bytes);
      spec.owner = spec.member = owner;
      spec.observed = {IpAddress::v4(0x0a000000 + i), static_cast<std::uint16_t>(4000 + i % 1000)};
      spec.lifetime = std::chrono::seconds(120);
      const auto stored = table.put(spec, now_, 0);
      if (stored.result != TriggerTable::Put::stored) {
        std::fprintf(stderr, "relay_bench: trigger %u was not stored\n", i);
        std::exit(1);
      }
      labels.push_back(stored.label);
    }
    for (std::size_t i = 0; i < kMet; ++i) {
      const std::uint64_t next = random_.below(triggers);
      met_.push_back({labels[next], static_cast<std::uint16_t>(4000 + next % 1000)});
    }
  }

  SeededRandom random_{1};
  Log log_;
  Silent io_;
  std::unique_ptr<Identity> identity_ = Identity::generate(random_);
  std::unique_ptr<NodeCore> core_;
  const TimePoint now_{std::chrono::seconds(1000)};
  const Endpoint sender_ = *Endpoint::parse("198.51.100.9:4000");
  struct Met {
    wire::Label label;
    std::uint16_t port;
  };
  // In the order of the packets, so that the table's misses are measured and not those of a list
  // of a million labels.
  static constexpr std::size_t kMet = 1u << 18;
  std::vector<Met> met_;
  std::array<std::array<std::uint8_t, kDatagram>, kBatch> batch_{};
};

}  // namespace

// relay_bench FIGURES-FILE; I3_BENCH_FULL=1 takes longer and more runs.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: relay_bench FIGURES-FILE\n");
    return 2;
  }
  const bool full = std::getenv("I3_BENCH_FULL") != nullptr;
  const Setting setting = full ? Setting{4000000, 15} : Setting{500000, 7};
  Report report(argv[1]);
  Samples one;
  for (const std::uint32_t triggers : {1u, 1000u, 1000000u}) {
    Node node(triggers);
    Samples samples;
    node.nanoseconds_each(setting);
    for (int i = 0; i < setting.runs; ++i) samples.add(node.nanoseconds_each(setting));
    report.figure("relay.label_ns_at_" + std::to_string(triggers), samples, "ns");
    if (triggers == 1)
      one = samples;
    else
      report.figure("relay.label_cost_" + std::to_string(triggers) + "_vs_1", ratio(samples, one),
                    "ratio", {triggers == 1000000 ? 2.0 : 0.0, 0});
  }
  return 0;
}
