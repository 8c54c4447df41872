// The driver with real sockets on loopback, at ports that the kernel chooses: nothing of the
// machine's own resolver or network is touched.
#include "dnsintercept/dns_server.hh"

#include <arpa/inet.h>
#include <boost/asio/steady_timer.hpp>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <unistd.h>

#include "dnsintercept/resolver_watch.hh"
#include "interceptor_fixture.hh"

using namespace i3;
using namespace i3::test;

namespace {

struct Bound {
  int descriptor;
  std::uint16_t port;
};

Bound bind_loopback(int type, const char* address = "127.0.0.1") {
  const int descriptor = ::socket(AF_INET, type | SOCK_NONBLOCK, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  ::inet_pton(AF_INET, address, &own.sin_addr);
  REQUIRE(::bind(descriptor, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
  socklen_t size = sizeof own;
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &size);
  if (type == SOCK_STREAM) REQUIRE(::listen(descriptor, 16) == 0);
  return {descriptor, ntohs(own.sin_port)};
}

// A stub, one upstream socket of each kind in the test's own hands, and clients.
struct Rig {
  boost::asio::io_context io;
  Names names;
  SystemRandom random;
  SystemClock clock;
  Log log;
  Bound udp, tcp, upstream_udp, upstream_tcp;
  int made = 0;
  std::unique_ptr<DnsServer> server;

  explicit Rig(const char* udp_address = "127.0.0.1")
      : udp(bind_loopback(SOCK_DGRAM, udp_address)), tcp(bind_loopback(SOCK_STREAM)) {
    // The upstream has one port for both protocols.
    upstream_tcp = bind_loopback(SOCK_STREAM);
    upstream_udp.descriptor = ::socket(AF_INET, SOCK_DGRAM, 0);
    upstream_udp.port = upstream_tcp.port;
    sockaddr_in own = address(upstream_udp.port);
    REQUIRE(::bind(upstream_udp.descriptor, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
    names.table["web.i3"] = {.kind = NameAnswer::Kind::known, .ipv4 = 0x64400007u};
    server = std::make_unique<DnsServer>(io, names, random, clock, log,
                                         DnsSockets{{udp.descriptor}, {tcp.descriptor}},
                                         [this](int family, int type) {
                                           ++made;
                                           return ::socket(family, type, 0);
                                         });
    server->set_upstreams({{IpAddress::v4(0x7f000001), upstream_udp.port}});
  }
  ~Rig() {
    server.reset();
    io.poll();
    ::close(upstream_udp.descriptor);
    ::close(upstream_tcp.descriptor);
  }

  static sockaddr_in address(std::uint16_t port, const char* host = "127.0.0.1") {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    ::inet_pton(AF_INET, host, &result.sin_addr);
    return result;
  }

  int client(int type, const char* host = "127.0.0.1") {
    const int descriptor = ::socket(AF_INET, type, 0);
    const sockaddr_in to = address(type == SOCK_DGRAM ? udp.port : tcp.port, host);
    REQUIRE(::connect(descriptor, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    return descriptor;
  }

  // Runs the loop until `descriptor` has something, and reads it.
  Message receive(int descriptor) {
    Message buffer(70000);
    for (const auto limit = clock.now() + 10s; clock.now() < limit;) {
      const ssize_t size = ::recv(descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (size >= 0) {
        buffer.resize(static_cast<std::size_t>(size));
        return buffer;
      }
      io.run_one_for(1ms);
    }
    FAIL("nothing arrived in ten seconds");
    return {};
  }
  Message receive_exactly(int descriptor, std::size_t size) {
    Message all;
    while (all.size() < size) {
      const Message part = receive(descriptor);
      if (part.empty()) break;
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
  int accept_upstream() {
    for (const auto limit = clock.now() + 10s; clock.now() < limit;) {
      const int descriptor = ::accept4(upstream_tcp.descriptor, nullptr, nullptr, SOCK_NONBLOCK);
      if (descriptor >= 0) return descriptor;
      io.run_one_for(1ms);
    }
    FAIL("no connection in ten seconds");
    return -1;
  }
};

Message framed(const Message& message) {
  Message frame(2 + message.size());
  Writer writer(frame);
  writer.u16(static_cast<std::uint16_t>(message.size()));
  writer.bytes(message);
  return frame;
}

std::vector<Message> unframed(Bytes bytes) {
  std::vector<Message> messages;
  while (bytes.size() >= 2) {
    const std::size_t size = bytes[0] * 256u + bytes[1];
    REQUIRE(bytes.size() >= 2 + size);
    messages.emplace_back(bytes.begin() + 2, bytes.begin() + 2 + static_cast<std::ptrdiff_t>(size));
    bytes = bytes.subspan(2 + size);
  }
  return messages;
}

void send_all(int descriptor, const Message& message) {
  REQUIRE(::send(descriptor, message.data(), message.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(message.size()));
}

}  // namespace

TEST_CASE("a question over UDP is answered from the address that was asked") {
  Rig rig("0.0.0.0");
  for (const char* host : {"127.0.0.1", "127.0.0.9"}) {
    const int client = rig.client(SOCK_DGRAM, host);  // connected: takes answers from there only
    send_all(client, question("web.i3", 1));
    CHECK(parsed(rig.receive(client)).answers().front().data() == "100.64.0.7");
    ::close(client);
  }
}

TEST_CASE("a question for the world passes over UDP and comes back") {
  Rig rig;
  const int client = rig.client(SOCK_DGRAM);
  send_all(client, question("www.example", 1, 0x1717));
  Message buffer(4096);
  sockaddr_in from{};
  socklen_t size = sizeof from;
  ssize_t got = -1;
  while (got < 0) {
    rig.io.run_one_for(1ms);
    got = ::recvfrom(rig.upstream_udp.descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT,
                     reinterpret_cast<sockaddr*>(&from), &size);
  }
  buffer.resize(static_cast<std::size_t>(got));
  const Message answer = server_answer(buffer);
  // Someone else who guessed everything but the sender's address is not believed.
  const Bound stranger = bind_loopback(SOCK_DGRAM);
  Message forged = answer;
  forged.back() = 66;
  ::sendto(stranger.descriptor, forged.data(), forged.size(), 0, reinterpret_cast<sockaddr*>(&from),
           size);
  ::sendto(rig.upstream_udp.descriptor, answer.data(), answer.size(), 0,
           reinterpret_cast<sockaddr*>(&from), size);
  const auto dns = parsed(rig.receive(client));
  CHECK(dns.id() == 0x1717);
  CHECK(dns.answers().front().data() == "192.0.2.1");
  ::close(stranger.descriptor);
  ::close(client);
}

TEST_CASE("a server that refuses is SERVFAIL at once, not after a timeout") {
  Rig rig;
  ::close(rig.upstream_udp.descriptor);
  rig.upstream_udp.descriptor = ::socket(AF_INET, SOCK_DGRAM, 0);
  const int client = rig.client(SOCK_DGRAM);
  const TimePoint start = rig.clock.now();
  send_all(client, question("www.example", 1));
  CHECK(parsed(rig.receive(client)).rcode() == 2);
  CHECK(rig.clock.now() - start < 1s);
  ::close(client);
}

TEST_CASE("many questions on one TCP connection, ours and the world's, each get their answer") {
  Rig rig;
  const int client = rig.client(SOCK_STREAM);
  Message stream;
  constexpr std::uint16_t kQuestions = 150;  // more than a connection may be owed at a time
  for (std::uint16_t i = 0; i < kQuestions; ++i) {
    const Message frame =
        framed(question(i % 2 ? "web.i3" : "n" + std::to_string(i) + ".example", 1, i));
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  send_all(client, stream);
  const int upstream = rig.accept_upstream();
  Message pending, answers;
  std::size_t asked = 0, answered = 0;
  while (answered < kQuestions) {
    rig.io.run_one_for(1ms);
    Message buffer(65536);
    const ssize_t size = ::recv(upstream, buffer.data(), buffer.size(), MSG_DONTWAIT);
    REQUIRE(size != 0);
    if (size > 0) pending.insert(pending.end(), buffer.begin(), buffer.begin() + size);
    while (pending.size() >= 2 && pending.size() >= 2u + pending[0] * 256u + pending[1]) {
      const auto end = pending.begin() + 2 + pending[0] * 256 + pending[1];
      send_all(upstream, framed(server_answer(Message(pending.begin() + 2, end))));
      pending.erase(pending.begin(), end);
      ++asked;
    }
    const ssize_t got = ::recv(client, buffer.data(), buffer.size(), MSG_DONTWAIT);
    REQUIRE(got != 0);
    if (got > 0) answers.insert(answers.end(), buffer.begin(), buffer.begin() + got);
    answered = 0;
    for (std::size_t at = 0; at + 2 <= answers.size(); ++answered) {
      at += 2u + answers[at] * 256u + answers[at + 1];
      if (at > answers.size()) break;
    }
  }
  CHECK(asked == kQuestions / 2);
  std::vector<bool> seen(kQuestions);
  for (const Message& message : unframed(answers)) {
    const auto dns = parsed(message);
    CHECK(dns.answers().front().data() == (dns.id() % 2 ? "100.64.0.7" : "192.0.2.1"));
    seen[dns.id()] = true;
  }
  CHECK(std::count(seen.begin(), seen.end(), true) == kQuestions);
  ::close(upstream);
  ::close(client);
}

TEST_CASE("a client that closed its sending side still gets its answer, then the end") {
  Rig rig;
  const int client = rig.client(SOCK_STREAM);
  send_all(client, framed(question("www.example", 1, 3)));
  ::shutdown(client, SHUT_WR);
  const int upstream = rig.accept_upstream();
  const Message asked = rig.receive(upstream);
  send_all(upstream, framed(server_answer(unframed(asked).front())));
  CHECK(parsed(unframed(rig.receive(client)).front()).id() == 3);
  CHECK(rig.receive(client).empty());
  ::close(upstream);
  ::close(client);
}

TEST_CASE("a broken frame ends the connection") {
  Rig rig;
  const int client = rig.client(SOCK_STREAM);
  send_all(client, {0, 3, 1, 2, 3});
  CHECK(rig.receive(client).empty());
  ::close(client);
}

TEST_CASE("more than 64 connections push the idle ones out") {
  Rig rig;
  std::vector<int> clients;
  for (int i = 0; i < 65; ++i) {
    clients.push_back(rig.client(SOCK_STREAM));
    send_all(clients.back(), framed(question("web.i3", 1)));
    CHECK(unframed(rig.receive(clients.back())).size() == 1);
  }
  CHECK(rig.receive(clients.front()).empty());
  send_all(clients.back(), framed(question("web.i3", 1)));
  CHECK(unframed(rig.receive(clients.back())).size() == 1);
  for (int descriptor : clients) ::close(descriptor);
}

TEST_CASE("a parked question is answered from outside the loop's own events") {
  Rig rig;
  rig.names.table["far.example"] = {.kind = NameAnswer::Kind::pending, .handle = 5};
  const int client = rig.client(SOCK_DGRAM);
  send_all(client, question("far.example", 1));
  while (rig.server->counters().parked == 0) rig.io.run_one_for(1ms);
  rig.server->complete(5, {.kind = NameAnswer::Kind::known, .ipv4 = 0x64400001u});
  CHECK(parsed(rig.receive(client)).answers().front().data() == "100.64.0.1");
  ::close(client);
}

TEST_CASE("a changed resolv.conf is told once, written in place or replaced") {
  namespace fs = std::filesystem;
  std::string folder = (fs::temp_directory_path() / "i3-watch-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()));
  const fs::path path = fs::path(folder) / "resolv.conf", next = fs::path(folder) / "next";
  std::ofstream(path) << "nameserver 192.0.2.1\n";
  boost::asio::io_context io;
  std::vector<ResolverConfig> told;
  {
    ResolverWatch watch(io, path.string(), [&](const ResolverConfig& c) { told.push_back(c); });
    CHECK(watch.current().nameservers.size() == 1);
    const SystemClock clock;
    const auto wait_for = [&](std::size_t count) {
      for (const auto limit = clock.now() + 4s; told.size() < count && clock.now() < limit;)
        io.run_one_for(10ms);  // under the five seconds of looking without being told
      CHECK(told.size() == count);
    };
    std::ofstream(path) << "nameserver 192.0.2.2\n";
    wait_for(1);
    std::ofstream(next) << "nameserver 192.0.2.3\n";
    fs::rename(next, path);
    wait_for(2);
    std::ofstream(path) << "nameserver 192.0.2.4\n";
    wait_for(3);
    CHECK(watch.current().nameservers.front().text() == "192.0.2.4");
  }
  io.poll();
  fs::remove_all(folder);
}
