// Measures the way of a 1200-byte packet through two real hosts: at A from the TUN to the sealed
// datagram, at B from the datagram to the TUN; and what the datagram carries beyond the packet.
//
// Packets come in batches of 64 in buffers of their own. The cipher alone is measured over the same
// buffers in the same run: 'proxy.send_ns' and 'proxy.receive_ns' are without it (the paper's
// figures have none), '..._with_cipher_ns' are the whole way.
#include <cstdlib>

#include "overlay/session/cipher_choice.hh"
#include "proxy/packet/checksum.hh"
#include "tests/bench/path/figures.hh"
#include "tests/bench/path/small_world.hh"

namespace {

using namespace i3;
using namespace i3::bench;

constexpr std::size_t kPacket = 1200;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kStorage = Frame::kHeadroom + kPacket + Frame::kTailroom;
constexpr Against kSend{1000, 11000}, kReceive{1000, 4000};

struct Setting {
  std::size_t packets;
  int runs;
  std::uint32_t most_sessions;
};

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "path_bench: %s\n", why);
  std::exit(1);
}

// The buffers of a batch, one behind the other.
class Frames {
 public:
  void fill(Bytes packet) {
    for (std::size_t i = 0; i < kBatch; ++i)
      std::copy(packet.begin(), packet.end(), storage_.begin() + at(i));
  }
  Frame frame(std::size_t i) {
    return {MutBytes(storage_).subspan(i * kStorage, kStorage), Frame::kHeadroom,
            Frame::kHeadroom + kPacket};
  }
  MutBytes text_and_tag(std::size_t i) {
    return MutBytes(storage_).subspan(i * kStorage + Frame::kHeadroom, kPacket + kTransportTag);
  }
  MutBytes all() { return storage_; }

 private:
  static std::ptrdiff_t at(std::size_t i) {
    return static_cast<std::ptrdiff_t>(i * kStorage + Frame::kHeadroom);
  }
  std::vector<std::uint8_t> storage_ = std::vector<std::uint8_t>(kBatch * kStorage);
};

struct Way {
  Samples send, receive, own_send, own_receive, seal, open, overhead;
};

struct Nanoseconds {
  double out = 0, in = 0;
};

// A seals and sends a batch, B opens it and hands it to its programs; over and over.
Nanoseconds pass(SmallWorld& world, Bytes packet, std::size_t batches, std::size_t& datagram) {
  Frames frames;
  // The first large packet has the size of the way asked; that is over before anything is measured.
  world.a.held = world.b.held = nullptr;
  frames.fill(packet);
  world.a.host->on_tun(frames.frame(0));
  world.run_until([] { return false; }, std::chrono::seconds(2));
  std::vector<MutBytes> datagrams;
  datagrams.reserve(2 * kBatch);
  world.a.held = world.b.held = &datagrams;
  world.a.held_from = frames.all();
  const Endpoint from = world.seen_from();
  const std::size_t before = world.b.to_programs;
  Nanoseconds spent;
  for (std::size_t batch = 0; batch < batches; ++batch) {
    frames.fill(packet);
    datagrams.clear();
    double start = cpu_nanoseconds();
    for (std::size_t i = 0; i < kBatch; ++i) world.a.host->on_tun(frames.frame(i));
    spent.out += cpu_nanoseconds() - start;
    if (datagrams.size() != kBatch) fail("A did not send one datagram for each packet");
    datagram = datagrams.front().size();
    for (Bytes sent : datagrams)
      if (wire::Header::parse(sent)->type != world.carrier()) fail("A left its way to B");
    start = cpu_nanoseconds();
    for (std::size_t i = 0; i < kBatch; ++i) world.b.host->on_datagram(from, datagrams[i]);
    spent.in += cpu_nanoseconds() - start;
    if (datagrams.size() != kBatch) fail("B answered a packet");
  }
  world.a.held = world.b.held = nullptr;
  if (world.b.to_programs != before + batches * kBatch) fail("B did not receive all packets");
  return spent;
}

// The cipher and nothing else, over the same memory.
Nanoseconds cipher(Cipher which, Bytes packet, std::size_t batches) {
  Frames frames;
  const TransportKey key(SymmetricKey{1}, which);
  std::uint64_t counter = 0;
  Nanoseconds spent;
  for (std::size_t batch = 0; batch < batches; ++batch, counter += kBatch) {
    frames.fill(packet);
    double start = cpu_nanoseconds();
    for (std::size_t i = 0; i < kBatch; ++i) key.encrypt(counter + i, frames.text_and_tag(i));
    spent.out += cpu_nanoseconds() - start;
    start = cpu_nanoseconds();
    bool ok = true;
    for (std::size_t i = 0; i < kBatch; ++i)
      ok = key.decrypt(counter + i, frames.text_and_tag(i)) && ok;
    spent.in += cpu_nanoseconds() - start;
    if (!ok) fail("the cipher does not open what it sealed");
  }
  return spent;
}

Way measure(SmallWorld& world, Cipher which, bool tcp, bool v6, const Setting& setting) {
  const auto packet = world.packet(tcp, v6, kPacket);
  const std::size_t batches = setting.packets / kBatch;
  const auto packets = static_cast<double>(batches * kBatch);
  Way way;
  for (int run = -1; run < setting.runs; ++run) {
    std::size_t datagram = 0;
    const Nanoseconds bare = cipher(which, packet, batches);
    const Nanoseconds whole = pass(world, packet, batches, datagram);
    if (run < 0) continue;
    way.send.add(whole.out / packets);
    way.receive.add(whole.in / packets);
    way.seal.add(bare.out / packets);
    way.open.add(bare.in / packets);
    way.own_send.add((whole.out - bare.out) / packets);
    way.own_receive.add((whole.in - bare.in) / packets);
    way.overhead.add(static_cast<double>(datagram - kPacket));
  }
  return way;
}

void report_way(Report& report, const Way& way, const std::string& suffix) {
  report.figure("proxy.send_ns" + suffix, way.own_send, "ns", kSend);
  report.figure("proxy.receive_ns" + suffix, way.own_receive, "ns", kReceive);
  report.figure("proxy.send_with_cipher_ns" + suffix, way.send, "ns", kSend);
  report.figure("proxy.receive_with_cipher_ns" + suffix, way.receive, "ns", kReceive);
}

void report_cipher(Report& report, const Way& way, Cipher which) {
  const std::string name(which == Cipher::aes256_gcm ? "aes256gcm" : "chacha20poly1305");
  report.figure("cipher.seal_ns_" + name, way.seal, "ns");
  report.figure("cipher.open_ns_" + name, way.open, "ns");
}

// Two ends of many sessions, as the host's session layer holds them.
class ManySessions {
 public:
  explicit ManySessions(std::uint32_t count) {
    std::vector<std::uint8_t> storage(2048);
    for (PeerHandle peer = 0; peer < count; ++peer) {
      std::size_t size = a_.initiate(peer, key_b_->key(), kNoPsk, peer + 1, {}, storage, now_);
      auto first = b_.receive(SessionKind::first, MutBytes(storage).first(size), source_, now_);
      const auto* asks = std::get_if<FirstMessage>(&first);
      if (asks == nullptr) fail("a first message was refused");
      size = b_.respond(*asks, peer, true, {}, storage, now_);
      auto second = a_.receive(SessionKind::second, MutBytes(storage).first(size), source_, now_);
      if (!std::holds_alternative<Established>(second)) fail("a handshake failed");
    }
    for (std::size_t i = 0; i < 1u << 14; ++i)
      order_.push_back(static_cast<PeerHandle>(random_.below(count)));
  }

  // Sealing at one end and opening at the other, any session next.
  double nanoseconds_each(std::size_t batches) {
    Frames frames;
    double spent = 0;
    for (std::size_t batch = 0; batch < batches; ++batch) {
      const std::size_t first = batch * kBatch % order_.size();
      const double start = cpu_nanoseconds();
      bool ok = true;
      for (std::size_t i = 0; i < kBatch; i += kAhead) ok = seal(frames, i, first) && ok;
      for (std::size_t i = 0; i < kBatch; i += kAhead) ok = open(frames, i) && ok;
      spent += cpu_nanoseconds() - start;
      if (!ok) fail("a session did not carry a packet");
    }
    return spent / static_cast<double>(batches * kBatch);
  }

 private:
  // As the daemon's socket and TUN do it.
  static constexpr std::size_t kAhead = 16;
  static MutBytes message(Frames& frames, std::size_t i) {
    Frame frame = frames.frame(i);
    frame.grow_front(kTransportHeader);
    frame.grow_back(kTransportTag);
    return frame.bytes();
  }
  bool seal(Frames& frames, std::size_t at, std::size_t first) {
    for (const auto step : Sessions::kFetches)
      for (std::size_t i = at; i < at + kAhead; ++i) a_.prefetch(order_[first + i], step);
    bool ok = true;
    for (std::size_t i = at; i < at + kAhead; ++i)
      ok = a_.seal(order_[first + i], message(frames, i), now_) && ok;
    return ok;
  }
  bool open(Frames& frames, std::size_t at) {
    for (const auto step : Sessions::kFetches)
      for (std::size_t i = at; i < at + kAhead; ++i) b_.prefetch(message(frames, i), step);
    bool ok = true;
    for (std::size_t i = at; i < at + kAhead; ++i) {
      auto opened = b_.receive(SessionKind::transport, message(frames, i), source_, now_);
      ok = std::holds_alternative<Data>(opened) && ok;
    }
    return ok;
  }

  static SessionOptions options() {
    SessionOptions options;
    options.aes_preferred = aes_is_faster();
    options.handshakes_per_second = 1u << 30;
    return options;
  }

  SeededRandom random_{2};
  const std::unique_ptr<Identity> key_a_ = Identity::generate(random_);
  const std::unique_ptr<Identity> key_b_ = Identity::generate(random_);
  Sessions a_{*key_a_, random_, options()};
  Sessions b_{*key_b_, random_, options()};
  const TimePoint now_{std::chrono::seconds(1000)};
  const std::array<std::uint8_t, 18> source_{};
  std::vector<PeerHandle> order_;
};

void report_sessions(Report& report, const Setting& setting) {
  Samples one;
  for (const std::uint32_t count : {1u, 1000u, 10000u, 100000u}) {
    if (count > setting.most_sessions) break;
    ManySessions sessions(count);
    Samples samples;
    for (int run = -1; run < setting.runs; ++run) {
      const double each = sessions.nanoseconds_each(setting.packets / kBatch);
      if (run >= 0) samples.add(each);
    }
    report.figure("session.seal_open_ns_at_" + std::to_string(count), samples, "ns");
    if (count == 1)
      one = samples;
    else
      report.figure("session.cost_" + std::to_string(count) + "_vs_1", ratio(samples, one), "ratio",
                    {2, 0});
  }
}

// What a received message costs until its session's keys are known: its header read, its index
// looked up, and the session's peer; batches of 64 in random order, fetched ahead as the daemon
// does.
double index_nanoseconds(std::uint32_t count, std::size_t batches) {
  SeededRandom random(3);
  SlotTable table(random, count);
  std::vector<std::uint32_t> indices;
  for (PeerHandle peer = 0; peer < count; ++peer)
    indices.push_back(table.index(table.take(peer, kNever)));
  std::vector<std::array<std::uint8_t, kTransportHeader>> messages(1u << 14);
  for (auto& message : messages) Writer(message).u32(indices[random.below(count)]);
  std::uint64_t found = 0, expected = 0;
  const double start = cpu_nanoseconds();
  for (std::size_t batch = 0; batch < batches; ++batch) {
    const auto* first = messages.data() + batch * kBatch % messages.size();
    for (std::size_t i = 0; i < kBatch; ++i) table.prefetch(Reader(first[i]).u32());
    for (std::size_t i = 0; i < kBatch; ++i) {
      const SlotTable::Slot slot = table.find(Reader(first[i]).u32());
      if (slot != SlotTable::kNone && table.peer(slot) < count) ++found;
    }
    expected += kBatch;
  }
  const double spent = cpu_nanoseconds() - start;
  if (found != expected) fail("an index led nowhere");
  return spent / static_cast<double>(expected);
}

// `receive`: all of a received packet's own cost, with one session.
void report_index(Report& report, const Samples& receive, const Setting& setting) {
  Samples one, all;
  for (const std::uint32_t count : {1u, 1000u, 1000000u}) {
    Samples samples;
    for (int run = -1; run < setting.runs; ++run) {
      const double each = index_nanoseconds(count, 20 * setting.packets / kBatch);
      if (run >= 0) samples.add(each);
    }
    report.figure("session.index_ns_at_" + std::to_string(count), samples, "ns");
    if (count == 1)
      one = samples;
    else
      all = samples;
  }
  Samples cost;
  cost.add((receive.median() + all.median() - one.median()) / receive.median());
  report.figure("session.index_cost_1m_vs_1", cost, "ratio", {2, 0});
}

// Nanoseconds that `work` takes each time, over many times.
template <class Work>
Samples samples_of(const Setting& setting, Work work) {
  Samples samples;
  for (int run = -1; run < setting.runs; ++run) {
    const double start = cpu_nanoseconds();
    for (std::size_t i = 0; i < setting.packets; ++i) work(i);
    if (run >= 0) samples.add((cpu_nanoseconds() - start) / static_cast<double>(setting.packets));
  }
  return samples;
}

// Each library that computes AES-256-GCM here, and the checksum, at the size of a packet.
void report_parts(Report& report, const Setting& setting) {
  constexpr std::size_t kSize = 1400;
  std::vector<std::uint8_t> packet(kSize + AesGcm::kTag);
  for (const AesGcmMaker& maker : aes_gcm_makers()) {
    const auto aes = maker.make(AesGcm::Key{1});
    std::string name(maker.library);
    std::erase(name, ' ');
    AesGcm::Nonce nonce{};
    report.figure("cipher.seal_1400_ns_" + name,
                  samples_of(setting,
                             [&](std::size_t i) {
                               nonce[0] = static_cast<std::uint8_t>(i);
                               aes->encrypt(nonce, packet);
                             }),
                  "ns");
    // Opening in place gives what the next one would refuse: each opens a copy.
    aes->encrypt(nonce, packet);
    auto copy = packet;
    const Samples copying = samples_of(setting, [&](std::size_t) { copy = packet; });
    bool ok = true;
    Samples opening = samples_of(setting, [&](std::size_t) {
      copy = packet;
      ok = aes->decrypt(nonce, copy) && ok;
    });
    if (!ok) fail("a library does not open what it sealed");
    for (double& value : opening.values) value -= copying.median();
    report.figure("cipher.open_1400_ns_" + name, opening, "ns");
  }
  SeededRandom(1).fill(packet);
  ChecksumSum sum = 0;
  report.figure(
      "packet.checksum_1400_ns",
      samples_of(setting,
                 [&](std::size_t) { sum = sum_of(Bytes(packet).first(kSize), sum & 0xffff); }),
      "ns");
  if (sum == 0) fail("the checksum of noise is zero");
}

}  // namespace

// path_bench FIGURES-FILE; I3_BENCH_FULL=1 takes longer, more runs and 100,000 sessions.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: path_bench FIGURES-FILE\n");
    return 2;
  }
  const bool full = std::getenv("I3_BENCH_FULL") != nullptr;
  const Setting setting = full ? Setting{200000, 15, 100000} : Setting{20000, 7, 10000};
  Report report(argv[1]);
  const bool aes = aes_is_faster();
  const Cipher best = aes ? Cipher::aes256_gcm : Cipher::chacha20_poly1305;

  SmallWorld relayed({.shortcuts = false, .aes = aes});
  const Way by_node = measure(relayed, best, false, false, setting);
  report_way(report, by_node, "");
  report_way(report, measure(relayed, best, true, false, setting), "_tcp");
  report_way(report, measure(relayed, best, false, true, setting), "_ipv6");
  SmallWorld straight({.shortcuts = true, .aes = aes});
  const Way direct = measure(straight, best, false, false, setting);
  report_way(report, direct, "_direct");
  SmallWorld foreign({.shortcuts = false, .aes = aes, .same_pool = false});
  report_way(report, measure(foreign, best, true, false, setting), "_rewritten");
  report_cipher(report, by_node, best);
  if (aes) {
    SmallWorld chacha({.shortcuts = false, .aes = false});
    const Way way = measure(chacha, Cipher::chacha20_poly1305, false, false, setting);
    report_way(report, way, "_chacha20");
    report_cipher(report, way, Cipher::chacha20_poly1305);
  }
  report.figure("header.relay_bytes", by_node.overhead, "bytes", {37, 0});
  report.figure("header.direct_bytes", direct.overhead, "bytes", {32, 0});
  if (aes) report_parts(report, setting);
  report_index(report, by_node.own_receive, setting);
  report_sessions(report, setting);
  return 0;
}
