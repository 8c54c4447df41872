// The metrics port with real sockets on loopback: a server on a thread of its own, clients here.
#include "overlay/base/control/metrics_server.hh"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <doctest/doctest.h>
#include <future>
#include <thread>

#include "overlay/base/control/metrics_text.hh"

using namespace i3;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

class Served {
 public:
  Served() {
    tcp::acceptor acceptor(context_, {asio::ip::address_v4::loopback(), 0});
    where_ = acceptor.local_endpoint();
    server_ = std::make_unique<MetricsServer>(context_, OwnedFd(acceptor.release()), true, [this] {
      ++asked_;
      return std::string("i3_test 1\n");
    });
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Served() {
    asio::post(context_, [this] {
      server_.reset();
      guard_.reset();
    });
    thread_.join();
  }
  std::size_t connections() {
    std::promise<std::size_t> result;
    asio::post(context_, [&] { result.set_value(server_->connections()); });
    return result.get_future().get();
  }
  void wait_for_connections(std::size_t count) {
    while (connections() != count) std::this_thread::yield();
  }
  tcp::socket connect() {
    tcp::socket socket(mine_);
    socket.connect(where_);
    return socket;
  }
  // All that comes back until the server closes.
  std::string ask(const std::string& request) {
    tcp::socket socket = connect();
    boost::system::error_code error;
    asio::write(socket, asio::buffer(request), error);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    return answer;
  }
  int asked() const { return asked_; }

 private:
  asio::io_context context_;
  asio::io_context mine_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_ =
      asio::make_work_guard(context_);
  tcp::endpoint where_;
  std::atomic<int> asked_ = 0;
  std::unique_ptr<MetricsServer> server_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("GET /metrics is answered with the text, and the connection ends") {
  Served served;
  const std::string answer = served.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.find("Content-Type: text/plain; version=0.0.4") != std::string::npos);
  CHECK(answer.find("Connection: close\r\n") != std::string::npos);
  CHECK(answer.find("Content-Length: 10\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\ni3_test 1\n"));
  CHECK(served.ask("GET /metrics?x=1 HTTP/1.0\r\n\r\n").ends_with("i3_test 1\n"));
}

TEST_CASE("HEAD says how long the text is and does not send it") {
  Served served;
  const std::string answer = served.ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.find("Content-Length: 10\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("nothing but GET and HEAD of /metrics is answered with metrics") {
  Served served;
  CHECK(served.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404"));
  CHECK(served.ask("GET /metrics/x HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404"));
  CHECK(served.ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            .starts_with("HTTP/1.1 405"));
  CHECK(served.ask("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 405"));
  CHECK(served.ask("no http at all\r\n\r\n").empty());
  CHECK(served.ask("GET /metrics HTTP/9.9\r\n\r\n").empty());
  CHECK(served.asked() == 0);
}

TEST_CASE("a request larger than 8 KB is not read to its end") {
  Served served;
  CHECK(served.ask("GET /metrics HTTP/1.1\r\nX: " + std::string(20'000, 'x')).empty());
  CHECK(served.asked() == 0);
}

TEST_CASE("seventeen connections at once: the last is closed, and places become free again") {
  Served served;
  std::vector<tcp::socket> idle;
  for (std::size_t i = 0; i < MetricsServer::kMaximumConnections; ++i)
    idle.push_back(served.connect());
  served.wait_for_connections(MetricsServer::kMaximumConnections);
  CHECK(served.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").empty());
  idle.clear();
  served.wait_for_connections(0);
  CHECK(served.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("i3_test 1\n"));
}

TEST_CASE("metrics say what they are before their samples, with label values escaped") {
  MetricsText text("i3_x_");
  text.gauge("peers", "Peers").sample(3);
  text.counter("events_total", "Events").sample("event", "a\"b\\c\nd", 7).sample("event", "e", 0);
  CHECK(text.text() ==
        "# HELP i3_x_peers Peers\n# TYPE i3_x_peers gauge\ni3_x_peers 3\n"
        "# HELP i3_x_events_total Events\n# TYPE i3_x_events_total counter\n"
        "i3_x_events_total{event=\"a\\\"b\\\\c\\nd\"} 7\ni3_x_events_total{event=\"e\"} 0\n");
}
