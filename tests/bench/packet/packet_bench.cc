// Measures what a packet costs before it is sealed: parse, look up the peer, rewrite both
// addresses; with 1, 1,000 and 1,000,000 virtual addresses in the table.
//
// Destinations are met in random order, so a large table costs its cache misses here. Packets come
// in batches of 64, as from a driver; 'single' is the same one packet at a time.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <time.h>
#include <vector>

#include "proxy/packet/address_pool.hh"
#include "proxy/packet/inbound_rules.hh"
#include "proxy/packet/rewrite.hh"

namespace {

using namespace i3;

constexpr std::size_t kPacketSize = 1200;
constexpr std::size_t kRing = 64;

struct Samples {
  std::vector<double> values;

  void sort() { std::sort(values.begin(), values.end()); }
  double median() const { return values[values.size() / 2]; }
  double least() const { return values.front(); }
  double most() const { return values.back(); }
};

// This thread's CPU time: what the work costs, also on a machine that does other things too.
double cpu_nanoseconds() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) * 1e9 + static_cast<double>(spent.tv_nsec);
}

template <class Work>
double nanoseconds_each(std::size_t count, Work work) {
  const double start = cpu_nanoseconds();
  work();
  return (cpu_nanoseconds() - start) / static_cast<double>(count);
}

Id id_of(std::uint32_t number) {
  Id id;
  SeededRandom random(number);
  random.fill(id.bytes);
  return id;
}

AddressPool filled_pool(std::uint32_t entries) {
  SeededRandom random(1);
  AddressPool::Settings settings;
  settings.max_entries = entries;
  AddressPool pool(std::move(settings), random);
  for (std::uint32_t i = 0; i < entries; ++i) pool.assign(id_of(i), Standing::known);
  return pool;
}

using Packet = std::array<std::uint8_t, kPacketSize>;

Packet udp_packet(bool v4, const IpAddress& source) {
  Packet bytes{};
  Writer writer(bytes);
  const std::size_t header = v4 ? 20 : 40;
  if (v4) {
    writer.u32(0x45000000 | kPacketSize);
    writer.u32(0);
    writer.u32(0x40110000);
    writer.u32(source.to_v4());
    writer.u32(0);
  } else {
    writer.u32(0x60000000);
    writer.u32(static_cast<std::uint32_t>(kPacketSize - header) << 16 | 0x1140);
    writer.bytes(source.bytes);
    writer.zeros(16);
  }
  writer.u32(0x12345678);
  writer.u32(static_cast<std::uint32_t>(kPacketSize - header) << 16 | 0xabcd);
  return bytes;
}

// Destinations in random order, each an address of the pool.
std::vector<IpAddress> destinations(const AddressPool& pool, bool v4, std::size_t count) {
  SeededRandom random(2);
  std::vector<IpAddress> result(count);
  for (IpAddress& address : result) {
    const auto& entry = pool.at(static_cast<AddressPool::Slot>(random.below(pool.size())));
    address = v4 ? entry.ipv4.address() : entry.ipv6.address();
  }
  return result;
}

void set_destination(Packet& bytes, const IpAddress& address) {
  if (bytes[0] >> 4 == 4)
    std::copy_n(address.bytes.data() + 12, 4, bytes.data() + 16);
  else
    std::copy_n(address.bytes.data(), 16, bytes.data() + 24);
}

struct Path {
  const AddressPool& pool;
  IpAddress fresh_source;
  IpAddress fresh_destination;
  std::size_t batch;  // packets parsed, and their table cells fetched, before the first look-up
};

// All packets through parse, look-up and rewrite.
void pass(std::vector<Packet>& ring, const std::vector<IpAddress>& order, const Path& path) {
  std::array<std::optional<IpPacket>, kRing> parsed;
  std::size_t lost = 0;
  for (std::size_t start = 0; start < order.size(); start += path.batch) {
    const std::size_t count = std::min(path.batch, order.size() - start);
    for (std::size_t i = 0; i < count; ++i) {
      set_destination(ring[i], order[start + i]);
      parsed[i] = IpPacket::parse(ring[i]);
      if (parsed[i] && path.batch > 1) path.pool.prefetch(parsed[i]->destination());
    }
    for (std::size_t i = 0; i < count; ++i) {
      const bool sent = parsed[i] &&
                        path.pool.slot_of(parsed[i]->destination()) != AddressPool::kNoSlot &&
                        rewrite_addresses(*parsed[i], path.fresh_source, path.fresh_destination);
      if (!sent) ++lost;
    }
  }
  if (lost != 0) {
    std::fprintf(stderr, "packet_bench: %zu packets found no peer\n", lost);
    std::exit(1);
  }
}

struct Setting {
  std::size_t packets;
  int runs;
};

Samples measure_path(const AddressPool& pool, bool v4, std::size_t batch, const Setting& setting) {
  const IpAddress source = v4 ? IpAddress::v4(0x64400001) : IpAddress::v6({0xfd, 1});
  const IpAddress target = v4 ? IpAddress::v4(0x64550102) : IpAddress::v6({0xfd, 2});
  std::vector<Packet> ring(kRing, udp_packet(v4, source));
  const auto order = destinations(pool, v4, setting.packets);
  Samples samples;
  for (int run = -1; run < setting.runs; ++run) {
    const double each = nanoseconds_each(order.size(), [&] {
      pass(ring, order, {pool, source, target, batch});
    });
    if (run >= 0) samples.values.push_back(each);
  }
  samples.sort();
  return samples;
}

// The inbound judgement of a UDP packet whose flow is open, with so many peers having rules.
Samples measure_rules(std::uint32_t peers, const Setting& setting) {
  SeededRandom random(3);
  std::vector<Allow> lines;
  std::vector<PublicKey> keys(peers);
  for (PublicKey& key : keys) {
    random.fill(key.bytes);
    lines.push_back({key, Allow::Protocol::udp, {{0x5678, 0x5678}}});
  }
  InboundRules rules(lines, random);
  Packet bytes = udp_packet(true, IpAddress::v4(0x64400001));
  std::copy_n(IpAddress::v4(0x64400002).bytes.data() + 12, 4, bytes.data() + 16);
  const auto packet = IpView::parse(bytes);
  std::vector<std::uint32_t> order(setting.packets);
  for (auto& at : order) at = static_cast<std::uint32_t>(random.below(peers));
  Samples samples;
  std::size_t refused = 0;
  for (int run = -1; run < setting.runs; ++run) {
    const double each = nanoseconds_each(order.size(), [&] {
      for (const std::uint32_t at : order)
        if (rules.inbound(keys[at], *packet, TimePoint{}) != InboundVerdict::pass) ++refused;
    });
    if (run >= 0) samples.values.push_back(each);
  }
  if (refused != 0) std::exit(1);
  samples.sort();
  return samples;
}

std::string machine() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0)
      return std::to_string(std::thread::hardware_concurrency()) + " cores " +
             line.substr(line.find(':') + 2);
  return std::to_string(std::thread::hardware_concurrency()) + " cores";
}

class Report {
 public:
  explicit Report(const char* path) : out_(path, std::ios::app) {}

  // goal 0: none; every figure here is better lower.
  void figure(const std::string& name, const Samples& samples, const char* unit, double goal) {
    char line[512];
    const std::string goal_text = goal > 0 ? std::to_string(goal) : "null";
    std::snprintf(line, sizeof line,
                  "{\"figure\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"goal\":%s,"
                  "\"better\":\"lower\",\"against\":{},\"runs\":%zu,\"min\":%.3f,\"max\":%.3f,"
                  "\"machine\":\"%s\"}",
                  name.c_str(), samples.median(), unit, goal_text.c_str(), samples.values.size(),
                  samples.least(), samples.most(), machine().c_str());
    out_ << line << '\n';
    const char* verdict = goal <= 0 ? "" : samples.median() <= goal ? "met" : "missed";
    std::printf("%-38s %9.2f %-6s goal %-6s %-7s (%.2f to %.2f)\n", name.c_str(), samples.median(),
                unit, goal > 0 ? goal_text.substr(0, 4).c_str() : "-", verdict, samples.least(),
                samples.most());
  }

 private:
  std::ofstream out_;
};

Samples ratio(const Samples& large, const Samples& small) {
  return {{large.least() / small.median(), large.median() / small.median(),
           large.most() / small.median()}};
}

}  // namespace

// packet_bench FIGURES-FILE; I3_BENCH_FULL=1 takes longer and more runs.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: packet_bench FIGURES-FILE\n");
    return 2;
  }
  const bool full = std::getenv("I3_BENCH_FULL") != nullptr;
  const Setting setting = full ? Setting{2000000, 15} : Setting{300000, 7};
  Report report(argv[1]);
  Samples one[4];
  for (const std::uint32_t entries : {1u, 1000u, 1000000u}) {
    const AddressPool pool = filled_pool(entries);
    for (int kind = 0; kind < 4; ++kind) {
      const bool v4 = kind % 2 == 0, batched = kind < 2;
      const std::string suffix = std::string(v4 ? "" : "_ipv6") + (batched ? "" : "_single");
      const Samples samples = measure_path(pool, v4, batched ? kRing : 1, setting);
      report.figure("packet.ns_at_" + std::to_string(entries) + suffix, samples, "ns", 0);
      if (entries == 1) one[kind] = samples;
      if (entries == 1000000)
        report.figure("tables.cost_1m_vs_1" + suffix, ratio(samples, one[kind]), "ratio",
                      kind == 0 ? 2 : 0);
    }
  }
  for (const std::uint32_t peers : {1u, 1000u, 100000u})
    report.figure("packet.rules_ns_at_" + std::to_string(peers), measure_rules(peers, setting),
                  "ns", 0);
  return 0;
}
