// Owns a cable with a delay: two TAP interfaces, in two network namespaces, and every frame that
// enters one leaves the other after that time. The kernel here may have no netem.
// Usage: cable NETNS-FILE DEVICE NETNS-FILE DEVICE DELAY-MS [LOSS-PERCENT [SEED]]
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <random>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Frame {
  Clock::time_point due;
  std::vector<char> bytes;
};

struct End {
  int tap = -1;
  std::deque<Frame> arriving;  // in order of `due`, since the delay is the same for all
};

constexpr std::size_t kMaximumWaiting = 20000;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

int open_tap(const char* netns, const char* device) {
  int there = open(netns, O_RDONLY | O_CLOEXEC);
  if (there < 0 || setns(there, CLONE_NEWNET) != 0) give_up(netns);
  close(there);
  int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tap < 0) give_up("/dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  std::snprintf(request.ifr_name, IFNAMSIZ, "%s", device);
  if (ioctl(tap, TUNSETIFF, &request) != 0) give_up(device);
  return tap;
}

void take_in(End& from, End& to, Clock::duration delay, unsigned loss, std::mt19937& random) {
  std::array<char, 65536> buffer;
  while (true) {
    auto size = read(from.tap, buffer.data(), buffer.size());
    if (size <= 0) return;
    if (random() % 100 < loss || to.arriving.size() >= kMaximumWaiting) continue;
    to.arriving.push_back({Clock::now() + delay, {buffer.data(), buffer.data() + size}});
  }
}

void give_out(End& end) {
  while (!end.arriving.empty() && end.arriving.front().due <= Clock::now()) {
    const auto& bytes = end.arriving.front().bytes;
    // An interface that is down refuses the frame, as a cut cable would.
    [[maybe_unused]] auto written = write(end.tap, bytes.data(), bytes.size());
    end.arriving.pop_front();
  }
}

int wait_time(const std::array<End, 2>& ends) {
  auto next = Clock::time_point::max();
  for (const auto& end : ends) {
    if (!end.arriving.empty()) next = std::min(next, end.arriving.front().due);
  }
  if (next == Clock::time_point::max()) return -1;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fputs("usage: cable NETNS DEVICE NETNS DEVICE DELAY-MS [LOSS-PERCENT [SEED]]\n", stderr);
    return 2;
  }
  std::array<End, 2> ends;
  ends[0].tap = open_tap(argv[1], argv[2]);
  ends[1].tap = open_tap(argv[3], argv[4]);
  const auto delay = std::chrono::milliseconds(std::atoi(argv[5]));
  const unsigned loss = argc > 6 ? static_cast<unsigned>(std::atoi(argv[6])) : 0;
  const unsigned seed = argc > 7 ? static_cast<unsigned>(std::atoi(argv[7])) : 1;
  std::mt19937 random(seed);
  std::printf("delay %s ms, loss %u %%, seed %u\n", argv[5], loss, seed);
  std::fflush(stdout);
  while (true) {
    std::array<pollfd, 2> polls{{{ends[0].tap, POLLIN, 0}, {ends[1].tap, POLLIN, 0}}};
    poll(polls.data(), polls.size(), wait_time(ends));
    take_in(ends[0], ends[1], delay, loss, random);
    take_in(ends[1], ends[0], delay, loss, random);
    give_out(ends[0]);
    give_out(ends[1]);
  }
}
