// What relaying costs a process, sockets and all: labelled datagrams of 1400 bytes come over
// loopback as fast as a second thread sends them, and go on to a third socket. Once by a loop of
// recvmmsg and sendmmsg that looks at nothing, once by the node's own socket and core with UDP_GRO
// and UDP_SEGMENT. In turn in one run; the figure is the ratio of the CPU time a packet.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <netinet/udp.h>
#include <poll.h>

#include "overlay/node/node_core.hh"
#include "overlay/node/udp_socket.hh"
#include "tests/bench/path/figures.hh"

namespace {

using namespace i3;
using namespace i3::bench;

constexpr std::size_t kDatagram = 1400;
constexpr std::size_t kBurst = 40;  // datagrams that a sender's kernel hands over at once
const Endpoint kLoopback{IpAddress::v4(0x7f000001), 0};

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "relay_socket_bench: %s\n", why);
  std::exit(1);
}

bool wait_readable(int fd) {
  pollfd waited{fd, POLLIN, 0};
  return poll(&waited, 1, 100) > 0;
}

// Sends bursts to `to` until it is destroyed.
class Sender {
 public:
  Sender(const Endpoint& to, Bytes datagram) : to_(to) {
    for (std::size_t i = 0; i < kBurst; ++i) burst_.emplace_back(datagram.begin(), datagram.end());
    thread_ = std::thread([this] { run(); });
  }
  ~Sender() {
    stop_ = true;
    thread_.join();
  }

 private:
  void run() {
    UdpSocket socket(UdpSocket::bind(kLoopback, false));
    while (!stop_) {
      for (const auto& datagram : burst_) socket.send(to_, datagram, true);
      socket.flush();
    }
  }
  Endpoint to_;
  std::vector<std::vector<std::uint8_t>> burst_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class Silent final : public NodeIo {
 public:
  void send(const Endpoint&, Bytes) override {}
};

// A node with one trigger that leads to `target`.
class NodeRelay {
 public:
  explicit NodeRelay(const Endpoint& target) {
    NodeCoreSettings settings;
    settings.contact.v4 = *Endpoint::parse("203.0.113.7:5100");
    core_ = std::make_unique<NodeCore>(std::move(settings), *identity_, random_, log_, io_);
    core_->start(now_);
    TriggerSpec spec;
    random_.fill(spec.id.bytes);
    random_.fill(spec.owner.bytes);
    spec.member = spec.owner;
    spec.observed = target;
    spec.lifetime = std::chrono::seconds(120);
    const auto stored = const_cast<TriggerTable&>(core_->triggers()).put(spec, now_, 0);
    if (stored.result != TriggerTable::Put::stored) fail("the trigger was not stored");
    label_ = stored.label;
  }
  Endpoint at() const { return socket_.local(); }
  std::vector<std::uint8_t> datagram() const {
    std::vector<std::uint8_t> bytes(kDatagram, 0x5a);
    Writer writer(bytes);
    wire::Labelled::write_front(writer, 0, label_);
    return bytes;
  }
  // As NodeDriver does it.
  std::size_t turn() {
    if (!wait_readable(socket_.fd())) return 0;
    const auto datagrams = socket_.receive();
    for (const auto& one : datagrams) core_->prefetch(one.bytes);
    std::size_t forwarded = 0;
    for (const auto& one : datagrams) {
      const auto verdict = core_->on_datagram(one.from, one.bytes, now_, 0);
      if (!verdict.forward) continue;
      socket_.send(verdict.to, one.bytes, true);
      ++forwarded;
    }
    socket_.flush();
    return forwarded;
  }

 private:
  SeededRandom random_{1};
  Log log_;
  Silent io_;
  std::unique_ptr<Identity> identity_ = Identity::generate(random_);
  std::unique_ptr<NodeCore> core_;
  const TimePoint now_{std::chrono::seconds(1000)};
  wire::Label label_{};
  UdpSocket socket_{UdpSocket::bind(kLoopback, false)};
};

class PlainRelay {
 public:
  explicit PlainRelay(const Endpoint& target) : fd_(UdpSocket::bind(kLoopback, false)) {
    const int buffer = 4 << 20;
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    target_.sin_family = AF_INET;
    target_.sin_port = htons(target.port);
    target_.sin_addr.s_addr = htonl(target.address.to_v4());
    for (std::size_t i = 0; i < kBatch; ++i) vectors_[i] = {&storage_[i * 2048], 2048};
  }
  Endpoint at() const {
    sockaddr_in local{};
    socklen_t size = sizeof local;
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&local), &size);
    return {kLoopback.address, ntohs(local.sin_port)};
  }
  std::size_t turn() {
    if (!wait_readable(fd_.get())) return 0;
    for (std::size_t i = 0; i < kBatch; ++i) {
      vectors_[i].iov_len = 2048;
      messages_[i].msg_hdr = {};
      messages_[i].msg_hdr.msg_iov = &vectors_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
    const int count = recvmmsg(fd_.get(), messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      vectors_[at].iov_len = messages_[at].msg_len;
      messages_[at].msg_hdr.msg_name = &target_;
      messages_[at].msg_hdr.msg_namelen = sizeof target_;
    }
    if (count <= 0) return 0;
    const int sent =
        sendmmsg(fd_.get(), messages_.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }

 private:
  static constexpr std::size_t kBatch = 64;
  OwnedFd fd_;
  sockaddr_in target_{};
  std::vector<std::uint8_t> storage_ = std::vector<std::uint8_t>(kBatch * 2048);
  std::array<iovec, kBatch> vectors_{};
  std::array<mmsghdr, kBatch> messages_{};
};

// CPU time of this thread for each packet that went on.
template <class Relay>
double nanoseconds_each(Relay& relay, Bytes datagram, std::size_t packets) {
  const Sender sender(relay.at(), datagram);
  for (std::size_t warm = 0; warm < packets / 10;) warm += relay.turn();
  const double start = cpu_nanoseconds();
  std::size_t forwarded = 0;
  while (forwarded < packets) forwarded += relay.turn();
  return (cpu_nanoseconds() - start) / static_cast<double>(forwarded);
}

// What one call costs that sends `segments` datagrams of `size` bytes, each with its address or by
// a socket that is connected to it.
double nanoseconds_a_call(const Endpoint& to, bool connected, std::size_t size,
                          std::size_t segments, std::size_t calls) {
  const OwnedFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(to.port);
  address.sin_addr.s_addr = htonl(to.address.to_v4());
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  const int each = static_cast<int>(size);
  if (!fd || (connected && connect(fd.get(), name, sizeof address) != 0) ||
      (segments > 1 && setsockopt(fd.get(), SOL_UDP, UDP_SEGMENT, &each, sizeof each) != 0))
    fail("no socket that sends");
  const std::vector<std::uint8_t> bytes(size * segments, 0x5a);
  const double start = cpu_nanoseconds();
  for (std::size_t i = 0; i < calls; ++i)
    if (sendto(fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT, connected ? nullptr : name,
               connected ? 0 : sizeof address) < 0)
      fail("a datagram was not sent");
  return (cpu_nanoseconds() - start) / static_cast<double>(calls);
}

void report_connected(Report& report, const Endpoint& sink, bool full) {
  const std::size_t calls = full ? 200000 : 20000;
  const auto compare = [&](const char* what, std::size_t size, std::size_t segments) {
    Samples with, without, ratios;
    for (int run = 0; run < (full ? 15 : 7); ++run) {
      without.add(nanoseconds_a_call(sink, false, size, segments, calls / segments));
      with.add(nanoseconds_a_call(sink, true, size, segments, calls / segments));
      ratios.add(with.values.back() / without.values.back());
    }
    const std::string name = std::string("socket.") + what;
    report.figure(name + "_ns", without, "ns");
    report.figure(name + "_connected_ns", with, "ns");
    report.figure(name + "_connected_vs_not", ratios, "ratio");
  };
  compare("small", 128, 1);
  compare("super", kDatagram, kBurst);
}

}  // namespace

// relay_socket_bench FIGURES-FILE; I3_BENCH_FULL=1 takes longer and more runs.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: relay_socket_bench FIGURES-FILE\n");
    return 2;
  }
  const bool full = std::getenv("I3_BENCH_FULL") != nullptr;
  const std::size_t packets = full ? 2000000 : 200000;
  // Whom nobody reads: its buffer is full soon, and what comes then costs both the same.
  const UdpSocket sink(UdpSocket::bind(kLoopback, false));
  NodeRelay node(sink.local());
  PlainRelay plain(sink.local());
  const auto datagram = node.datagram();
  Samples node_ns, plain_ns, ratios;
  for (int run = 0; run < (full ? 9 : 5); ++run) {
    plain_ns.add(nanoseconds_each(plain, datagram, packets));
    node_ns.add(nanoseconds_each(node, datagram, packets));
    ratios.add(node_ns.values.back() / plain_ns.values.back());
  }
  Report report(argv[1]);
  report.figure("relay.user_packet_ns", node_ns, "ns");
  report.figure("relay.mmsg_packet_ns", plain_ns, "ns");
  report.figure("relay.user_vs_mmsg_cpu", ratios, "ratio", {0.4, 0});
  report_connected(report, sink.local(), full);
  return 0;
}
