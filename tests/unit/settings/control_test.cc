// The control socket with real sockets: a server on a thread of its own, clients here.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <doctest/doctest.h>
#include <future>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "overlay/base/control/client.hh"
#include "overlay/base/control/server.hh"
#include "temporary_folder.hh"

using namespace i3;
using i3::test::TemporaryFolder;

namespace {

class Daemon {
 public:
  explicit Daemon(const std::string& path) : server_(context_, log_) {
    server_.handle("echo", [](const Json& arguments, ControlReply reply) {
      reply.ok({{"got", arguments}});
    });
    server_.handle("stream", [](const Json&, ControlReply reply) {
      for (int i = 1; i <= 3; ++i) reply.partial({{"seq", i}});
      reply.ok();
      reply.fail("too late to count");
      reply.partial({{"seq", 4}});
    });
    server_.handle("throws",
                   [](const Json& arguments, ControlReply) { text_argument(arguments, "name"); });
    server_.handle("forgets", [](const Json&, ControlReply) {});
    server_.handle("keeps", [this](const Json&, ControlReply reply) { kept_.push_back(reply); });
    server_.handle("release", [this](const Json&, ControlReply reply) {
      for (const auto& kept : kept_) kept.ok({{"late", true}});
      kept_.clear();
      reply.ok();
    });
    server_.handle("large", [](const Json&, ControlReply reply) {
      reply.ok({{"text", std::string(5'000'000, 'x')}});
    });
    server_.handle("bytes", [](const Json&, ControlReply reply) {
      reply.ok({{"text", "\xff\xfe"}});
    });
    server_.listen(path, "no-such-group-i3");
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Daemon() {
    boost::asio::post(context_, [this] {
      kept_.clear();
      server_.close();
      guard_.reset();
    });
    thread_.join();
  }
  std::size_t connections() {
    std::promise<std::size_t> result;
    boost::asio::post(context_, [&] { result.set_value(server_.connections()); });
    return result.get_future().get();
  }

 private:
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_ =
      boost::asio::make_work_guard(context_);
  Log log_;
  ControlServer server_;
  std::vector<ControlReply> kept_;
  std::thread thread_;
};

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const ControlError& error) {
    return error.what();
  }
  return "no error";
}

// A client that sends anything at all.
class RawClient {
 public:
  explicit RawClient(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void finish() { ::shutdown(fd_.get(), SHUT_WR); }
  // Until the daemon closes.
  std::string rest() {
    std::string text;
    char buffer[4096];
    for (ssize_t size; (size = ::recv(fd_.get(), buffer, sizeof buffer, 0)) > 0;)
      text.append(buffer, static_cast<std::size_t>(size));
    return text;
  }

 private:
  OwnedFd fd_;
};

}  // namespace

TEST_CASE("a request is answered, and several on one connection in turn") {
  TemporaryFolder folder;
  Daemon daemon(folder / "run/d.sock");
  ControlClient client(folder / "run/d.sock");
  CHECK(client.call("echo", {{"a", 1}}) == Json{{"got", {{"a", 1}}}});
  CHECK(client.call("echo") == Json{{"got", Json::object()}});
  CHECK(client.call("commands")["commands"].size() == 9);
}

TEST_CASE("the socket is for its owner and group only, and goes with the daemon") {
  TemporaryFolder folder;
  const std::string path = folder / "d.sock";
  {
    Daemon daemon(path);
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    CHECK(S_ISSOCK(status.st_mode));
    CHECK((status.st_mode & 0777u) == 0660);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a command streams lines before its answer, and nothing after it") {
  TemporaryFolder folder;
  Daemon daemon(folder / "d.sock");
  ControlClient client(folder / "d.sock");
  std::vector<int> seen;
  const Json answer = client.call("stream", Json::object(), std::chrono::seconds(10),
                                  [&](const Json& value) { seen.push_back(value["seq"]); });
  CHECK(seen == std::vector<int>{1, 2, 3});
  CHECK(answer == Json::object());
  CHECK(client.call("echo").contains("got"));
}

TEST_CASE("what a handler throws is the answer, and one that forgets to answer is told") {
  TemporaryFolder folder;
  Daemon daemon(folder / "d.sock");
  ControlClient client(folder / "d.sock");
  CHECK(error_of([&] { client.call("throws"); }) == "the argument name is missing");
  CHECK(error_of([&] {
          client.call("throws", {{"name", 7}});
        }) == "the argument name has to be text");
  CHECK(error_of([&] { client.call("throws", Json::array()); }) == "the argument name is missing");
  CHECK(error_of([&] { client.call("forgets"); }) == "the daemon gave no answer to this request");
  CHECK(error_of([&] { client.call("frob"); }) == "this daemon knows no command frob");
}

TEST_CASE("an answer may come later, also after its client has left") {
  TemporaryFolder folder;
  const std::string path = folder / "d.sock";
  Daemon daemon(path);
  {
    RawClient leaves(path);
    leaves.send("{\"command\":\"keeps\"}\n");
    ControlClient(path).call("echo");
  }
  auto late = std::async(std::launch::async, [&] { return ControlClient(path).call("keeps"); });
  while (daemon.connections() < 2) std::this_thread::yield();
  // Each release answers what is kept by then.
  while (late.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
    ControlClient(path).call("release");
  CHECK(late.get() == Json{{"late", true}});
}

TEST_CASE("what is no request is refused in one line, and the connection goes on") {
  TemporaryFolder folder;
  Daemon daemon(folder / "d.sock");
  RawClient client(folder / "d.sock");
  client.send("hello\n[]\n{}\n{\"command\":7}\n\n" + std::string(40, '[') +
              "\n{\"command\":\"echo\"}\n");
  client.finish();
  const std::string bad =
      "{\"error\":\"the request is no JSON object, or nested too deeply\",\"ok\":false}\n";
  const std::string none = "{\"error\":\"the request names no command\",\"ok\":false}\n";
  CHECK(client.rest() == bad + bad + none + none + bad + bad + "{\"got\":{},\"ok\":true}\n");
}

TEST_CASE("a request of more than a megabyte is refused and the connection closed") {
  TemporaryFolder folder;
  Daemon daemon(folder / "d.sock");
  RawClient client(folder / "d.sock");
  client.send(std::string(kMaximumControlRequest + 20000, 'x'));
  CHECK(client.rest() == "{\"error\":\"the request is larger than 1 MB\",\"ok\":false}\n");
  CHECK(error_of([&] {
          ControlClient(folder / "d.sock").call("echo", {{"text", std::string(1 << 20, 'x')}});
        }) == "the request is too large; at most 1 MB is allowed");
}

TEST_CASE("a large answer and bytes that are no text arrive") {
  TemporaryFolder folder;
  Daemon daemon(folder / "d.sock");
  ControlClient client(folder / "d.sock");
  CHECK(client.call("large")["text"].get<std::string>().size() == 5'000'000);
  CHECK(client.call("bytes")["text"] == "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("more connections than allowed are told so, and places become free again") {
  TemporaryFolder folder;
  const std::string path = folder / "d.sock";
  Daemon daemon(path);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kMaximumControlConnections; ++i)
    clients.push_back(std::make_unique<RawClient>(path));
  while (daemon.connections() < kMaximumControlConnections) std::this_thread::yield();
  CHECK(RawClient(path).rest() == "{\"error\":\"too many connections; try again\",\"ok\":false}\n");
  clients.clear();
  while (daemon.connections() > 0) std::this_thread::yield();
  CHECK(ControlClient(path).call("echo").contains("got"));
}

TEST_CASE("nobody listening is said at once, with the reason") {
  TemporaryFolder folder;
  const std::string path = folder / "d.sock";
  CHECK(error_of([&] { ControlClient client(path); }) ==
        "control socket " + path + ": there is no such socket; is the daemon running?");
  Log log;
  { OwnedFd stale = open_control_socket(path, "", log); }
  CHECK(error_of([&] { ControlClient client(path); }) ==
        "control socket " + path + ": nobody listens there; is the daemon running?");
}

TEST_CASE("a daemon that does not answer in time is given up") {
  TemporaryFolder folder;
  Daemon daemon(folder / "d.sock");
  ControlClient client(folder / "d.sock");
  CHECK(error_of([&] { client.call("keeps", Json::object(), std::chrono::milliseconds(50)); }) ==
        "the daemon at " + (folder / "d.sock") + " does not answer in time");
}

TEST_CASE("a socket left behind is replaced, one that answers is not, a file is not touched") {
  TemporaryFolder folder;
  const std::string path = folder / "d.sock";
  Log log;
  { OwnedFd stale = open_control_socket(path, "", log); }
  {
    Daemon daemon(path);
    CHECK_THROWS_AS(open_control_socket(path, "", log), ControlBusy);
    CHECK(error_of([&] { open_control_socket(path, "", log); }) ==
          "another one is running: it answers at " + path);
    CHECK(ControlClient(path).call("echo").contains("got"));
  }
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  CHECK(error_of([&] { open_control_socket(path, "", log); }) ==
        "control socket " + path + ": something else is there; remove it or choose another path");
}

TEST_CASE("a missing group is a warning") {
  TemporaryFolder folder;
  std::string said;
  Log log(LogLevel::warning, [&](LogLevel, std::string_view line) { said = line; });
  OwnedFd socket = open_control_socket(folder / "d.sock", "no-such-group-i3", log);
  CHECK(socket);
  CHECK(said.find("control_group_missing") != std::string::npos);
}

TEST_CASE("another user is refused even where the socket's rights would let it in" *
          doctest::skip(::geteuid() != 0)) {
  TemporaryFolder folder;
  const std::string path = folder / "d.sock";
  Daemon daemon(path);
  REQUIRE(::chmod((folder / ".").c_str(), 0755) == 0);
  REQUIRE(::chmod(path.c_str(), 0666) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
    int code = 3;
    try {
      ControlClient(path).call("echo");
    } catch (const ControlError& error) {
      code = std::string(error.what()).starts_with("not allowed") ? 0 : 1;
    }
    ::_exit(code);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
