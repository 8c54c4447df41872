// Owns the load of the gateway's benchmarks: questions at a steady rate, and many open connections.
//
//   i3-test-load names SERVER PREFIX DOMAIN RATE SECONDS   questions for PREFIX-0.DOMAIN and so on
//   i3-test-load ask SERVER PREFIX DOMAIN COUNT            so many names, one after the other, each
//       for A and AAAA at once, as programs ask, until both are answered
//   i3-test-load echo ADDRESS PORT                         a TCP server, until it is killed
//   i3-test-load flows ADDRESS PORT COUNT FILE             COUNT connections there, each of which
//       says a line and hears it back; open until FILE exists, when each does so once more
//
// names prints "asked N answered N p50_us N p99_us N", ask "answered N p50_us N", flows "open N"
// and then "echoed N p50_us N".
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "tests/bench/net/dns_question.hh"

using namespace i3;

namespace {

constexpr double kPatienceUs = 5e6;
constexpr int kMostInVain = 4;  // names without an answer in a row: there is no server

double now_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::micro>(now).count();
}

double part_of(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

sockaddr_in place(const char* address, int port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, address, &result.sin_addr) != 1) std::exit(2);
  return result;
}

int must(int result, const char* what) {
  if (result >= 0) return result;
  std::perror(what);
  std::exit(1);
}

// ---- names ----

constexpr std::uint16_t kA = 1, kAaaa = 28;

// No error and at least one record.
bool is_answer(Bytes message, std::uint16_t& id) {
  Reader reader(message);
  id = reader.u16();
  const std::uint16_t flags = reader.u16();
  reader.u16();
  const std::uint16_t answers = reader.u16();
  return reader.ok() && (flags & 0x800f) == 0x8000 && answers > 0;
}

int dns_socket(const char* server) {
  const sockaddr_in to = place(server, 53);
  const int socket = must(::socket(AF_INET, SOCK_DGRAM, 0), "socket");
  must(::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
  return socket;
}

int names(char** argv) {
  const std::string prefix = argv[3], domain = argv[4];
  const double rate = std::atof(argv[5]), seconds = std::atof(argv[6]);
  const auto count = static_cast<std::size_t>(rate * seconds);
  const int socket = dns_socket(argv[2]);
  std::vector<double> asked_at(65536, 0), waited;
  std::size_t asked = 0;
  const double start = now_us();
  for (double now = start; waited.size() < count; now = now_us()) {
    while (asked < count && now - start >= static_cast<double>(asked) * 1e6 / rate) {
      const auto id = static_cast<std::uint16_t>(asked);
      const auto text = dns_question(id, prefix + '-' + std::to_string(asked) + '.' + domain, kA);
      asked_at[id] = now_us();
      must(static_cast<int>(::send(socket, text.data(), text.size(), 0)), "send");
      ++asked;
    }
    if (asked == count && now_us() - asked_at[static_cast<std::uint16_t>(asked - 1)] > kPatienceUs)
      break;
    pollfd wait{socket, POLLIN, 0};
    ::poll(&wait, 1, 1);
    std::uint8_t buffer[2048];
    for (ssize_t size; (size = ::recv(socket, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;) {
      std::uint16_t id = 0;
      if (!is_answer(Bytes(buffer, static_cast<std::size_t>(size)), id) || asked_at[id] == 0)
        continue;
      waited.push_back(now_us() - std::exchange(asked_at[id], 0));
    }
  }
  const std::size_t answered = waited.size();
  std::printf("asked %zu answered %zu p50_us %.0f p99_us %.0f\n", asked, answered,
              part_of(waited, 0.5), part_of(waited, 0.99));
  return 0;
}

// Both answers to the pair of questions that has this number, in time.
bool hear_both(int socket, std::uint16_t pair) {
  for (int heard = 0; heard < 2;) {
    std::uint8_t buffer[2048];
    const ssize_t size = ::recv(socket, buffer, sizeof buffer, 0);
    if (size < 0) return false;
    std::uint16_t id = 0;
    const bool good = is_answer(Bytes(buffer, static_cast<std::size_t>(size)), id);
    if (id / 2 != pair) continue;
    if (!good) return false;
    ++heard;
  }
  return true;
}

int ask(char** argv) {
  const std::string prefix = argv[3], domain = argv[4];
  const int socket = dns_socket(argv[2]);
  const timeval patience{static_cast<long>(kPatienceUs / 1e6), 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::vector<double> waited;
  const int count = std::atoi(argv[5]);
  int in_vain = 0;
  for (std::uint16_t pair = 0; pair < count && in_vain < kMostInVain; ++pair) {
    const std::string name = prefix + '-' + std::to_string(pair) + '.' + domain;
    const double start = now_us();
    for (const std::uint16_t type : {kA, kAaaa}) {
      const auto id = static_cast<std::uint16_t>(pair * 2 + (type == kA ? 0 : 1));
      const auto text = dns_question(id, name, type);
      must(static_cast<int>(::send(socket, text.data(), text.size(), 0)), "send");
    }
    if (!hear_both(socket, pair)) {
      ++in_vain;
      continue;
    }
    in_vain = 0;
    waited.push_back(now_us() - start);
  }
  const std::size_t answered = waited.size();
  std::printf("answered %zu p50_us %.0f\n", answered, part_of(waited, 0.5));
  return 0;
}

// ---- connections ----

void allow_many_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max = 65536;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int echo(char** argv) {
  allow_many_descriptors();
  const sockaddr_in own = place(argv[2], std::atoi(argv[3]));
  const int listener = must(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  must(::bind(listener, reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
  must(::listen(listener, 4096), "listen");
  const int poll = must(::epoll_create1(0), "epoll");
  const auto watch = [poll](int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    ::epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event);
  };
  watch(listener);
  for (;;) {
    epoll_event events[256];
    const int ready = ::epoll_wait(poll, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      const int from = events[i].data.fd;
      if (from == listener) {
        for (int fd; (fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) watch(fd);
        continue;
      }
      char buffer[4096];
      const ssize_t size = ::read(from, buffer, sizeof buffer);
      if (size > 0 && ::write(from, buffer, static_cast<std::size_t>(size)) == size) continue;
      if (size < 0 && errno == EAGAIN) continue;
      ::close(from);
    }
  }
}

struct Flow {
  int socket = -1;
  std::string said;
  double said_at = 0;
  bool heard = false;
};

// A line of each flow's own; its echo must be the same.
class Flows {
 public:
  Flows(const sockaddr_in& server, std::size_t count) : server_(server), flows_(count) {}

  // How many heard their line back in time.
  std::size_t round(const char* word) {
    waited_.clear();
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      Flow& flow = flows_[i];
      flow.heard = false;
      flow.said = std::string(word) + ' ' + std::to_string(i) + ' ' + std::to_string(::getpid());
      if (flow.socket < 0) continue;
      flow.said_at = now_us();
      flow.heard =
          ::send(flow.socket, flow.said.data(), flow.said.size(), MSG_NOSIGNAL) > 0 && hears(flow);
      if (flow.heard) waited_.push_back(now_us() - flow.said_at);
    }
    return waited_.size();
  }
  void open() {
    for (Flow& flow : flows_) {
      flow.socket = must(::socket(AF_INET, SOCK_STREAM, 0), "socket");
      const timeval patience{static_cast<long>(kPatienceUs / 1e6), 0};
      ::setsockopt(flow.socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      ::setsockopt(flow.socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
      if (::connect(flow.socket, reinterpret_cast<const sockaddr*>(&server_), sizeof server_) == 0)
        continue;
      ::close(std::exchange(flow.socket, -1));
    }
  }
  double median_us() { return part_of(waited_, 0.5); }

 private:
  static bool hears(const Flow& flow) {
    std::string heard(flow.said.size(), ' ');
    const ssize_t size = ::recv(flow.socket, heard.data(), heard.size(), MSG_WAITALL);
    return size == static_cast<ssize_t>(heard.size()) && heard == flow.said;
  }

  sockaddr_in server_;
  std::vector<Flow> flows_;
  std::vector<double> waited_;
};

int flows(char** argv) {
  allow_many_descriptors();
  Flows all(place(argv[2], std::atoi(argv[3])), static_cast<std::size_t>(std::atoi(argv[4])));
  all.open();
  std::printf("open %zu\n", all.round("first"));
  std::fflush(stdout);
  while (::access(argv[5], F_OK) != 0) ::usleep(50000);
  const std::size_t echoed = all.round("again");
  std::printf("echoed %zu p50_us %.0f\n", echoed, all.median_us());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "names" && argc == 7) return names(argv);
  if (what == "ask" && argc == 6) return ask(argv);
  if (what == "echo" && argc == 4) return echo(argv);
  if (what == "flows" && argc == 6) return flows(argv);
  std::fputs("usage: in the first lines of gateway_load.cc\n", stderr);
  return 2;
}
