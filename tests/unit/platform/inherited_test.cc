#include "proxy/platform/inherited.hh"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "proxy/platform/platform_error.hh"

using namespace i3;

namespace {

// Each descriptor is a pipe's end of its own, told apart by its inode.
UniqueFd distinct() {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[1]);
  return UniqueFd(ends[0]);
}

ino_t inode(const UniqueFd& fd) {
  struct stat status {};
  REQUIRE(::fstat(fd.get(), &status) == 0);
  return status.st_ino;
}

BoundSocket socket_on(const char* endpoint) {
  return {*Endpoint::parse(endpoint), distinct()};
}

Inherited everything() {
  Inherited held;
  held.seed.fill(0x5a);
  held.incarnation = 3;
  held.tun_name = "i3";
  held.tun_index = 17;
  held.mtu = 1400;
  held.virtio_header = true;
  held.ipv6 = true;
  held.tun.push_back(distinct());
  held.tun.push_back(distinct());
  held.routes = {{*IpAddress::parse("10.9.8.7"), 32}, {*IpAddress::parse("fd00::7"), 128}};
  held.udp.push_back(socket_on("[::]:5100"));
  held.tcp.push_back(socket_on("0.0.0.0:443"));
  held.stubs.push_back(
      {*IpAddress::parse("100.64.0.53"), socket_on("100.64.0.53:53"), socket_on("100.64.0.53:53")});
  held.loopback.push_back(
      {*IpAddress::parse("::1"), socket_on("[::1]:40000"), socket_on("[::1]:40001")});
  held.control = distinct();
  held.state = distinct();
  return held;
}

struct Channel {
  UniqueFd parent, worker;
  Channel() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    parent.reset(ends[0]);
    worker.reset(ends[1]);
  }
};

}  // namespace

TEST_CASE("a worker inherits each descriptor in its place, the key, and what it needs to know") {
  Channel channel;
  Inherited held = everything();
  REQUIRE(send_inherited(channel.parent.get(), held));
  Inherited got = receive_inherited(channel.worker.get());
  CHECK(got.seed == held.seed);
  CHECK(got.incarnation == 3);
  CHECK(got.tun_name == "i3");
  CHECK(got.tun_index == 17);
  CHECK(got.mtu == 1400);
  CHECK(got.virtio_header);
  CHECK(got.ipv6);
  CHECK(got.routes == held.routes);
  REQUIRE(got.tun.size() == 2);
  CHECK(inode(got.tun[1]) == inode(held.tun[1]));
  REQUIRE(got.udp.size() == 1);
  CHECK(got.udp[0].local == held.udp[0].local);
  CHECK(inode(got.udp[0].fd) == inode(held.udp[0].fd));
  REQUIRE(got.tcp.size() == 1);
  CHECK(inode(got.tcp[0].fd) == inode(held.tcp[0].fd));
  REQUIRE(got.stubs.size() == 1);
  CHECK(inode(got.stubs[0].udp.fd) == inode(held.stubs[0].udp.fd));
  CHECK(inode(got.stubs[0].tcp.fd) == inode(held.stubs[0].tcp.fd));
  REQUIRE(got.loopback.size() == 1);
  CHECK(got.loopback[0].tcp.local.port == 40001);
  CHECK(inode(got.control) == inode(held.control));
  CHECK(inode(got.state) == inode(held.state));
}

TEST_CASE("a daemon without interface, sockets or files inherits its key") {
  Channel channel;
  Inherited held;
  held.seed.fill(1);
  REQUIRE(send_inherited(channel.parent.get(), held));
  Inherited got = receive_inherited(channel.worker.get());
  CHECK(got.seed == held.seed);
  CHECK_FALSE(got.control);
  CHECK_FALSE(got.state);
}

TEST_CASE("without a parent, or with one that says something else, a worker does not start") {
  Channel closed;
  closed.parent.reset();
  CHECK_THROWS_AS(receive_inherited(closed.worker.get()), PlatformError);
  Channel other;
  REQUIRE(::send(other.parent.get(), "\xa0 hello", 7, 0) == 7);
  CHECK_THROWS_AS(receive_inherited(other.worker.get()), PlatformError);
}
