// Floods one UDP port with all that strangers can send, from as many addresses as there are, as
// fast as one processor can: to a node every message of a host that knows nobody there, to a host
// those and first messages that are made for its key. Runs until it is told to end; then prints
// datagrams a second.
#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/bench/path/first_message.hh"
#include "tests/unit/node/strangers.hh"

namespace {

using namespace i3;

constexpr std::size_t kBatch = 64;
constexpr std::size_t kMessages = 4096;

volatile std::sig_atomic_t ended = 0;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

double seconds() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void stay_on(unsigned processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  sched_setaffinity(0, sizeof set, &set);
}

// Every kind as often as every other one.
std::vector<test::Message> messages(bool to_node, const PublicKey& key, const Endpoint& at) {
  SeededRandom random(11);
  const auto identity = Identity::generate(random);
  wire::NodeContact node;
  node.key = key;
  node.v4 = at;
  test::Stranger stranger(*identity, node, public_id(key), random);
  Sessions sessions(*identity, random, SessionOptions{});
  std::vector<test::Message> all;
  const unsigned kinds = to_node ? test::Stranger::kKinds : test::Stranger::kRing + 8;
  while (all.size() < kMessages) {
    const auto kind = static_cast<unsigned>(all.size()) % kinds;
    const Endpoint from{IpAddress::v4(0x0a800000u + random.u32() % 0x400000), 4000};
    if (!to_node && kind >= test::Stranger::kRing)
      all.push_back(bench::first_message(sessions, key, all.size(), TimePoint{}));
    else
      all.push_back(stranger.say(kind, from));
  }
  return all;
}

}  // namespace

// flood_source ADDRESS:PORT node|host KEY NETWORK PROCESSOR: from addresses of NETWORK/10, which
// has to be this machine's own ('ip route add local NETWORK/10 dev lo').
int main(int argc, char** argv) {
  const auto to = argc == 6 ? Endpoint::parse(argv[1]) : std::nullopt;
  const auto key = argc == 6 ? PublicKey::from_text(argv[3]) : std::nullopt;
  const auto network = argc == 6 ? IpAddress::parse(argv[4]) : std::nullopt;
  if (!to || !key || !network || !to->address.is_v4() || !network->is_v4()) {
    std::fprintf(stderr, "usage: flood_source ADDRESS:PORT node|host KEY NETWORK PROCESSOR\n");
    return 2;
  }
  auto all = messages(std::strcmp(argv[2], "node") == 0, *key, *to);
  std::signal(SIGTERM, [](int) { ended = 1; });
  stay_on(static_cast<unsigned>(std::atoi(argv[5])));
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on) != 0) fail("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(to->port);
  address.sin_addr.s_addr = htonl(to->address.to_v4());
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(in_pktinfo))> bytes{};
  };
  std::array<Control, kBatch> controls;
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> batch{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    msghdr& header = batch[i].msg_hdr;
    header.msg_name = &address;
    header.msg_namelen = sizeof address;
    header.msg_iov = &parts[i];
    header.msg_iovlen = 1;
    header.msg_control = controls[i].bytes.data();
    header.msg_controllen = sizeof controls[i].bytes;
    cmsghdr* info = CMSG_FIRSTHDR(&header);
    info->cmsg_level = IPPROTO_IP;
    info->cmsg_type = IP_PKTINFO;
    info->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  }
  SeededRandom random(12);
  std::uint64_t sent = 0;
  std::size_t next = 0;
  const double start = seconds();
  while (ended == 0) {
    for (std::size_t i = 0; i < kBatch; ++i, ++next) {
      test::Message& message = all[next % kMessages];
      parts[i] = {message.data(), message.size()};
      in_pktinfo info{};
      // A few thousand sources come again and again, the others once.
      const std::uint32_t chance = random.u32();
      const std::uint32_t source = chance % 4 == 0 ? chance % 0x3fffff : chance % 4096;
      info.ipi_spec_dst.s_addr = htonl(network->to_v4() + 1 + source % 0x3ffffe);
      std::memcpy(CMSG_DATA(CMSG_FIRSTHDR(&batch[i].msg_hdr)), &info, sizeof info);
    }
    const int now = sendmmsg(fd, batch.data(), kBatch, 0);
    if (now > 0) sent += static_cast<std::uint64_t>(now);
    if (now < 0 && errno != ENOBUFS && errno != ECONNREFUSED && errno != EINTR) fail("sendmmsg");
  }
  std::printf("%.0f\n", static_cast<double>(sent) / (seconds() - start));
  return 0;
}
