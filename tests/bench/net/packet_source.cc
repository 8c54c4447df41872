// Sends datagrams of one size as fast as it can, or so many a second, and says what each cost this
// machine's processors: its own CPU time, in which the kernel carries a packet as far as it goes
// without another process, and that of the threads in which the kernel does what is left over.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fstream>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <time.h>
#include <vector>

#include "overlay/base/endpoint.hh"

namespace {

using namespace i3;

constexpr std::size_t kBatch = 64;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

double own_nanoseconds() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) * 1e9 + static_cast<double>(spent.tv_nsec);
}

// Of ksoftirqd of all processors.
double left_over_nanoseconds() {
  double sum = 0;
  DIR* all = opendir("/proc");
  if (all == nullptr) return 0;
  while (const dirent* one = readdir(all)) {
    const std::string folder = std::string("/proc/") + one->d_name;
    std::string name;
    std::ifstream comm(folder + "/comm");
    if (!std::getline(comm, name) || name.rfind("ksoftirqd/", 0) != 0) continue;
    double ran = 0;
    std::ifstream(folder + "/schedstat") >> ran;
    sum += ran;
  }
  closedir(all);
  return sum;
}

std::vector<std::uint8_t> datagram(std::size_t size, const std::string& hex) {
  std::vector<std::uint8_t> bytes(size, 0x5a);
  for (std::size_t i = 0; 2 * i + 1 < hex.size() && i < size; ++i)
    bytes[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  return bytes;
}

// One processor, so that no packet is finished where its cost is not counted.
void stay() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(sched_getcpu()), &set);
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

// packet_source ADDRESS:PORT SIZE COUNT [BEGINNING-IN-HEX [SEGMENTS [A-SECOND]]]; with SEGMENTS
// above 1 that many leave as one super-packet. Prints nanoseconds a datagram.
int main(int argc, char** argv) {
  const auto to = argc > 3 ? Endpoint::parse(argv[1]) : std::nullopt;
  if (!to || !to->address.is_v4()) {
    std::fprintf(stderr,
                 "usage: packet_source ADDRESS:PORT SIZE COUNT [HEX [SEGMENTS [A-SECOND]]]\n");
    return 2;
  }
  const std::size_t size = std::stoul(argv[2]), count = std::stoul(argv[3]);
  const auto one = datagram(size, argc > 4 ? argv[4] : "");
  const std::size_t segments = argc > 5 ? std::stoul(argv[5]) : 1;
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < segments; ++i) bytes.insert(bytes.end(), one.begin(), one.end());
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(to->port);
  address.sin_addr.s_addr = htonl(to->address.to_v4());
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("connect");
  const int each = static_cast<int>(size);
  if (segments > 1 && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &each, sizeof each) != 0)
    fail("UDP_SEGMENT");
  iovec part{bytes.data(), bytes.size()};
  std::array<mmsghdr, kBatch> batch{};
  for (mmsghdr& message : batch) {
    message.msg_hdr.msg_iov = &part;
    message.msg_hdr.msg_iovlen = 1;
  }
  const double a_second = argc > 6 ? std::stod(argv[6]) : 0;
  if (a_second <= 0) stay();
  const auto begin = std::chrono::steady_clock::now();
  const double before = own_nanoseconds(), left_before = left_over_nanoseconds();
  std::size_t sent = 0;
  while (sent < count) {
    const int now = sendmmsg(fd, batch.data(), kBatch, 0);
    if (now < 0) fail("sendmmsg");
    sent += static_cast<std::size_t>(now) * segments;
    if (a_second > 0)
      std::this_thread::sleep_until(begin + std::chrono::nanoseconds(static_cast<std::int64_t>(
                                                static_cast<double>(sent) / a_second * 1e9)));
  }
  const double spent = own_nanoseconds() - before + left_over_nanoseconds() - left_before;
  std::printf("%.1f %zu\n", spent / static_cast<double>(sent), sent);
  return 0;
}
