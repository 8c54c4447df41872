#include "proxy/platform/broker.hh"

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "proxy/platform/broker_messages.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

// The parent's end of the socket, played by the test.
struct Ends {
  UniqueFd parent, worker;
  Ends() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    parent.reset(ends[0]);
    worker.reset(ends[1]);
  }
  std::optional<BrokerRequest> request() {
    return BrokerRequest::parse(receive_packet(parent.get()).bytes);
  }
  void reply(std::uint32_t id, BrokerStatus status, const std::string& text, int fd = -1) {
    BrokerNotice notice{NoticeKind::reply, id, static_cast<std::uint8_t>(status), text};
    REQUIRE(send_packet(parent.get(), notice.write(), fd));
  }
  void notify(NoticeKind kind) {
    BrokerNotice notice;
    notice.kind = kind;
    REQUIRE(send_packet(parent.get(), notice.write()));
  }
};

const IpPrefix kRoute{*IpAddress::parse("10.0.0.1"), 32};

}  // namespace

TEST_CASE("an asynchronous request is answered once, by its own reply") {
  Ends ends;
  boost::asio::io_context io;
  Broker broker(std::move(ends.worker));
  broker.attach(io);
  std::vector<std::string> answers;
  broker.async_add_route(kRoute, [&](BrokerReply reply) { answers.push_back("1" + reply.text); });
  broker.async_add_route(kRoute, [&](BrokerReply reply) { answers.push_back("2" + reply.text); });
  auto first = ends.request(), second = ends.request();
  REQUIRE(first);
  REQUIRE(second);
  ends.reply(second->id, BrokerStatus::ok, "b");
  ends.reply(first->id, BrokerStatus::refused, "a");
  ends.reply(first->id, BrokerStatus::ok, "again");
  ends.reply(first->id + 100, BrokerStatus::ok, "unasked");
  io.poll();
  CHECK(answers == std::vector<std::string>{"2b", "1a"});
}

TEST_CASE("events wait for their handlers until the broker is attached") {
  Ends ends;
  boost::asio::io_context io;
  Broker broker(std::move(ends.worker));
  int reloads = 0, shutdowns = 0;
  ends.notify(NoticeKind::reload);
  ends.notify(NoticeKind::shutdown);
  broker.on_reload = [&] { ++reloads; };
  broker.on_shutdown = [&] { ++shutdowns; };
  io.poll();
  CHECK(reloads == 0);
  io.restart();
  broker.attach(io);
  io.poll();
  CHECK(reloads == 1);
  CHECK(shutdowns == 1);
}

TEST_CASE("a call that waits leaves events and other replies to the io_context") {
  Ends ends;
  boost::asio::io_context io;
  Broker broker(std::move(ends.worker), 50ms);
  int reloads = 0;
  bool routed = false;
  broker.on_reload = [&] { ++reloads; };
  broker.attach(io);
  broker.async_add_route(kRoute, [&](BrokerReply reply) { routed = reply.ok(); });
  auto route = ends.request();
  REQUIRE(route);
  ends.notify(NoticeKind::reload);
  ends.reply(route->id, BrokerStatus::ok, "");
  ends.reply(route->id + 1, BrokerStatus::ok, "mine");
  CHECK(broker.set_mtu(1400).text == "mine");
  CHECK(reloads == 0);
  CHECK_FALSE(routed);
  io.poll();
  CHECK(reloads == 1);
  CHECK(routed);
}

TEST_CASE("a call without an answer ends with the timeout") {
  Ends ends;
  Broker broker(std::move(ends.worker), 20ms);
  CHECK(broker.ready().status == BrokerStatus::no_answer);
}

TEST_CASE("when the parent goes, open requests end and the worker is told") {
  Ends ends;
  boost::asio::io_context io;
  Broker broker(std::move(ends.worker));
  bool told = false;
  BrokerStatus status = BrokerStatus::ok;
  broker.on_parent_gone = [&] { told = true; };
  broker.attach(io);
  broker.async_add_route(kRoute, [&](BrokerReply reply) { status = reply.status; });
  ends.parent.reset();
  io.poll();
  CHECK(told);
  CHECK(status == BrokerStatus::no_answer);
}

TEST_CASE("an attached broker answers that it is alive") {
  Ends ends;
  boost::asio::io_context io;
  Broker broker(std::move(ends.worker));
  broker.attach(io);
  ends.notify(NoticeKind::are_you_alive);
  io.poll();
  auto answer = ends.request();
  REQUIRE(answer);
  CHECK(answer->kind == RequestKind::alive);
}

TEST_CASE("more requests than may wait fail, and no earlier one is lost") {
  Ends ends;
  boost::asio::io_context io;
  Broker broker(std::move(ends.worker));
  broker.attach(io);
  std::size_t failed = 0, fine = 0;
  for (std::size_t i = 0; i < Broker::kMaximumPending + 5; ++i)
    broker.async_add_route(kRoute, [&](BrokerReply reply) { ++(reply.ok() ? fine : failed); });
  io.poll();
  CHECK(failed == 5);
  while (auto request = ends.request()) {
    ends.reply(request->id, BrokerStatus::ok, "");
    io.poll();
  }
  CHECK(fine == Broker::kMaximumPending);
}

TEST_CASE("a new text reaches the parent as memory that nobody can change") {
  Ends ends;
  boost::asio::io_context io;
  Broker broker(std::move(ends.worker));
  broker.attach(io);
  broker.async_replace_file("/book", "text", [](BrokerReply) {});
  Packet packet = receive_packet(ends.parent.get());
  REQUIRE(packet.fd);
  CHECK(::write(packet.fd.get(), "x", 1) < 0);
  char text[8] = {};
  CHECK(::pread(packet.fd.get(), text, sizeof text, 0) == 4);
  CHECK(std::string(text) == "text");
}

TEST_CASE("a file's text comes from the descriptor that the parent gives") {
  Ends ends;
  boost::asio::io_context io;
  Broker broker(std::move(ends.worker));
  broker.attach(io);
  std::string text;
  broker.async_read_file("/book", [&](BrokerReply reply) { text = reply.text; });
  auto request = ends.request();
  REQUIRE(request);
  UniqueFd memory(::memfd_create("file", 0));
  REQUIRE(::write(memory.get(), "contents", 8) == 8);
  ends.reply(request->id, BrokerStatus::ok, "", memory.get());
  io.poll();
  CHECK(text == "contents");
}
