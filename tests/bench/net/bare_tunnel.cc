// The least that a program between a TUN device and a socket can do: one thread, no cipher, no
// table, no timer; a packet read is a packet sent. What it adds to a round trip is what this
// machine takes for waking one process after the other. That is no bound: it changes with the
// processors that the kernel puts the processes on.
#include <arpa/inet.h>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr std::uint16_t kPort = 5200;

int open_tun(const char* name) {
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0 ? fd : -1;
}

int open_socket(const char* peer) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in local{}, remote{};
  local.sin_family = remote.sin_family = AF_INET;
  local.sin_port = remote.sin_port = htons(kPort);
  const bool good = inet_pton(AF_INET, peer, &remote.sin_addr) == 1 &&
                    bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) == 0 &&
                    connect(fd, reinterpret_cast<const sockaddr*>(&remote), sizeof remote) == 0;
  return good ? fd : -1;
}

// All that is there, one by one.
void pass(int from, int to) {
  static std::array<char, 65536> packet;
  for (ssize_t size; (size = read(from, packet.data(), packet.size())) > 0;)
    if (write(to, packet.data(), static_cast<std::size_t>(size)) < 0) continue;  // lost
}

}  // namespace

// bare_tunnel DEVICE ADDRESS/BITS PEER: needs ip of iproute2.
int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bare_tunnel DEVICE ADDRESS/BITS PEER\n");
    return 2;
  }
  const std::string device = argv[1];
  const int tun = open_tun(argv[1]), udp = open_socket(argv[3]);
  const std::string set_up = "ip address add " + std::string(argv[2]) + " dev " + device +
                             " && ip link set " + device + " mtu 1400 up";
  if (tun < 0 || udp < 0 || std::system(set_up.c_str()) != 0) {
    std::perror("bare_tunnel");
    return 1;
  }
  for (;;) {
    std::array<pollfd, 2> ready{{{tun, POLLIN, 0}, {udp, POLLIN, 0}}};
    if (poll(ready.data(), ready.size(), -1) < 0) return 1;
    if (ready[0].revents != 0) pass(tun, udp);
    if (ready[1].revents != 0) pass(udp, tun);
  }
}
