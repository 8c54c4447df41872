// Asks one DNS server for the address of one name again and again, 64 questions under way at a
// time, and says how many answers a second came back and how many of them had an address.
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "overlay/base/endpoint.hh"
#include "tests/bench/net/dns_question.hh"

namespace {

using namespace i3;
using Timer = std::chrono::steady_clock;

constexpr std::size_t kUnderWay = 64;
constexpr auto kPatience = std::chrono::milliseconds(500);

}  // namespace

// dns_source ADDRESS:PORT NAME SECONDS. Prints answers a second, and the percentage with an
// address.
int main(int argc, char** argv) {
  const auto to = argc == 4 ? Endpoint::parse(argv[1]) : std::nullopt;
  if (!to || !to->address.is_v4()) {
    std::fprintf(stderr, "usage: dns_source ADDRESS:PORT NAME SECONDS\n");
    return 2;
  }
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(to->port);
  address.sin_addr.s_addr = htonl(to->address.to_v4());
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::perror("connect");
    return 1;
  }
  std::uint16_t id = 0;
  std::size_t answers = 0, with_address = 0;
  const auto ask = [&] {
    const auto bytes = dns_question(++id, argv[2], 1);
    if (send(fd, bytes.data(), bytes.size(), 0) < 0) std::perror("send");
  };
  for (std::size_t i = 0; i < kUnderWay; ++i) ask();
  const auto start = Timer::now();
  const auto end = start + std::chrono::milliseconds(std::lround(std::stod(argv[3]) * 1000));
  while (Timer::now() < end) {
    std::array<std::uint8_t, 4096> answer;
    pollfd readable{fd, POLLIN, 0};
    // What was lost is asked again.
    if (poll(&readable, 1, static_cast<int>(kPatience.count())) == 0)
      for (std::size_t i = 0; i < kUnderWay; ++i) ask();
    for (ssize_t size; (size = recv(fd, answer.data(), answer.size(), MSG_DONTWAIT)) > 0; ask()) {
      ++answers;
      if (size > 12 && (answer[3] & 0xf) == 0 && answer[7] != 0) ++with_address;
    }
  }
  const double seconds = std::chrono::duration<double>(Timer::now() - start).count();
  std::printf(
      "%.0f %.1f\n", static_cast<double>(answers) / seconds,
      answers == 0 ? 0.0 : 100 * static_cast<double>(with_address) / static_cast<double>(answers));
  return 0;
}
