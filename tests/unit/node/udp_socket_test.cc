// A node's socket on all addresses of its machine: from which of them it answers. Loopback only.
#include "overlay/node/udp_socket.hh"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include "overlay/wire/header.hh"

using namespace i3;

namespace {

sockaddr_in system_address(const char* address, std::uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  inet_pton(AF_INET, address, &in.sin_addr);
  return in;
}

// A correspondent at 127.0.0.9.
struct Correspondent {
  OwnedFd fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  Endpoint at;

  Correspondent() {
    sockaddr_in in = system_address("127.0.0.9", 0);
    socklen_t size = sizeof in;
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&in), size) == 0);
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&in), &size) == 0);
    at = {IpAddress::v4(0x7f000009), ntohs(in.sin_port)};
  }
  void say(const char* to, std::uint16_t port) const {
    const sockaddr_in in = system_address(to, port);
    REQUIRE(::sendto(fd.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&in), sizeof in) == 1);
  }
  // Where the next datagram comes from; empty if none comes.
  std::string hears() const {
    pollfd ready{fd.get(), POLLIN, 0};
    if (::poll(&ready, 1, 2000) != 1) return "";
    char byte = 0;
    sockaddr_in in{};
    socklen_t size = sizeof in;
    ::recvfrom(fd.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&in), &size);
    char text[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    return text;
  }
};

struct Bench {
  UdpSocket socket{UdpSocket::bind(*Endpoint::parse("0.0.0.0:0"), false)};
  Correspondent host;
  std::uint16_t port() const { return socket.local().port; }

  // One datagram of the host's address, sent to `to`, is handled: proven, and answered, or not.
  void take(const char* to, bool proven, bool answered) {
    host.say(to, port());
    pollfd ready{socket.fd(), POLLIN, 0};
    REQUIRE(::poll(&ready, 1, 2000) == 1);
    for (const UdpSocket::Datagram& datagram : socket.receive()) {
      socket.answering(&datagram);
      if (proven) socket.vouch();
      if (answered) tell();
      socket.answering(nullptr);
    }
    socket.flush();
  }
  void tell() {
    const std::uint8_t byte = 1;
    socket.send(host.at, Bytes(&byte, 1), false);
  }
};

}  // namespace

TEST_CASE("each datagram is answered from where it came to, whatever came before") {
  Bench bench;
  bench.take("127.0.0.1", true, true);
  CHECK(bench.host.hears() == "127.0.0.1");
  bench.take("127.0.0.2", false, true);
  CHECK(bench.host.hears() == "127.0.0.2");
}

TEST_CASE("what bears a proven host's address without proof does not turn its traffic elsewhere") {
  Bench bench;
  bench.take("127.0.0.1", true, false);
  bench.take("127.0.0.2", false, false);
  bench.tell();
  bench.socket.flush();
  CHECK(bench.host.hears() == "127.0.0.1");
  // It proves itself at another of our addresses: it is answered from there.
  bench.take("127.0.0.2", true, false);
  bench.tell();
  bench.socket.flush();
  CHECK(bench.host.hears() == "127.0.0.2");
}

TEST_CASE("who proved nothing yet is answered from where it spoke to last") {
  Bench bench;
  bench.take("127.0.0.1", false, false);
  bench.take("127.0.0.2", false, false);
  bench.tell();
  bench.socket.flush();
  CHECK(bench.host.hears() == "127.0.0.2");
}

TEST_CASE("a flood of anything else leaves what keeps going what stands a queue of its own") {
  UdpSocket socket(UdpSocket::bind(*Endpoint::parse("127.0.0.1:0"), false));
  REQUIRE(socket.open_lane());
  const Correspondent stranger, host;
  const sockaddr_in in = system_address("127.0.0.1", socket.local().port);
  const auto say = [&](const Correspondent& from, const std::vector<std::uint8_t>& bytes) {
    ::sendto(from.fd.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&in),
             sizeof in);
  };
  const auto message = [](wire::Type type, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    Writer writer(bytes);
    wire::Header{type, 0, 0}.write(writer);
    return bytes;
  };
  // More than the kernel keeps.
  const auto flood = message(wire::Type::probe, 1400);
  for (int i = 0; i < 20'000; ++i) say(stranger, flood);
  say(host, message(wire::Type::labelled, 100));
  say(host, message(wire::Type::refresh, 96));
  std::size_t others = 0;
  for (auto batch = socket.receive(); !batch.empty(); batch = socket.receive())
    for (const UdpSocket::Datagram& datagram : batch) {
      CHECK(datagram.bytes[1] == static_cast<std::uint8_t>(wire::Type::probe));
      ++others;
    }
  CHECK(others > 0);
  CHECK(others < 20'000);
  const auto kept = socket.receive_lane();
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].from == host.at);
  CHECK(kept[0].bytes.size() == 100);
  CHECK(kept[1].bytes.size() == 96);
}

TEST_CASE("a port with two queues is nobody else's: a second program is told that it is in use") {
  UdpSocket socket(UdpSocket::bind(*Endpoint::parse("127.0.0.1:0"), false));
  REQUIRE(socket.open_lane());
  CHECK_THROWS_AS(UdpSocket::bind(socket.local(), false), SocketError);
}
