// The i3-ctl program itself, against a control socket whose answers are the manual's examples.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <sys/wait.h>
#include <thread>

#include "overlay/base/control/server.hh"
#include "overlay/base/keys.hh"
#include "temporary_folder.hh"

using namespace i3;
using i3::test::TemporaryFolder;

namespace {

struct Result {
  int code = -1;
  std::string out;
  std::string error;
};

std::string text_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Result run(const TemporaryFolder& folder, const std::string& arguments) {
  const std::string command = std::string(I3_CTL) + ' ' + arguments + " >" + (folder / "out") +
                              " 2>" + (folder / "error") + " </dev/null";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(folder / "out"),
          text_of(folder / "error")};
}

class Daemon {
 public:
  explicit Daemon(const std::string& path) : server_(context_, log_) {
    answer("status",
           {{"ready", true},
            {"daemon", "proxy"},
            {"version", "0.1.0"},
            {"key", "k"},
            {"ipv4", "100.64.0.9"},
            {"ipv6", "fd00::9"},
            {"uptime_s", 7322},
            {"dns", {{"mode", "redirect"}, {"server", "100.64.0.1:53"}, {"suffix", "i3"}}},
            {"nat", {{"kind", "none"}, {"udp", false}}},
            {"nodes", {{{"address", "192.0.2.1:5100"}, {"state", "up"}, {"rtt_ms", 1.25}}}},
            {"problems", {"the address book is empty"}}});
    answer("peers", {{"peers",
                      {{{"name", "home"},
                        {"ipv4", "100.64.0.7"},
                        {"path", "node"},
                        {"via", "192.0.2.1:5100"},
                        {"rtt_ms", nullptr},
                        {"rx_bytes", 1500},
                        {"tx_bytes", 7},
                        {"preserves_headers", true}}}}});
    answer("names", {{"names", Json::array()}});
    server_.handle("resolve", [](const Json& arguments, ControlReply reply) {
      if (text_argument(arguments, "name") != "home") return reply.fail("no name\n\"x\"");
      reply.ok({{"name", "home"},
                {"key", "k"},
                {"id", "00"},
                {"ipv4", "100.64.0.7"},
                {"ipv6", "fd00::7"}});
    });
    server_.handle("ping", [](const Json& arguments, ControlReply reply) {
      const bool lost = arguments["name"] == "off";
      for (int i = 1; i <= arguments["count"]; ++i)
        reply.partial(
            {{"seq", i}, {"rtt_ms", lost ? Json() : Json(2.5)}, {"path", "node"}, {"via", "v"}});
      reply.ok({{"name", arguments["name"]},
                {"sent", arguments["count"]},
                {"received", lost ? Json(0) : arguments["count"]}});
    });
    server_.handle("book", [](const Json& arguments, ControlReply reply) {
      reply.ok({{"name", "x"}, {"book", "b"}, {"added", {"x"}}, {"asked", arguments}});
    });
    server_.handle("allow", [](const Json& arguments, ControlReply reply) { reply.ok(arguments); });
    server_.handle("join", [](const Json& arguments, ControlReply reply) {
      reply.ok({{"asked", arguments}});
    });
    answer("metrics", {{"text", "i3_up 1\n"}});
    server_.listen(path, "");
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Daemon() {
    boost::asio::post(context_, [this] {
      server_.close();
      guard_.reset();
    });
    thread_.join();
  }

 private:
  void answer(const std::string& command, Json fields) {
    server_.handle(command, [fields](const Json&, ControlReply reply) { reply.ok(fields); });
  }
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_ =
      boost::asio::make_work_guard(context_);
  Log log_;
  ControlServer server_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("bad usage is exit 2 with one line, nobody listening is exit 1 with one line") {
  TemporaryFolder folder;
  for (const char* wrong : {"", "frob", "resolve", "ping home -c 0", "--timeout x status", "book",
                            "--check-config", "--log-level loud status"}) {
    const Result result = run(folder, wrong);
    CAPTURE(wrong);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
  }
  const Result nobody = run(folder, "--json --socket " + (folder / "s") + " status");
  CHECK(nobody.code == 1);
  CHECK(nobody.out.empty());
  CHECK(nobody.error == "i3-ctl: control socket " + (folder / "s") +
                            ": there is no such socket; is the daemon running?\n");
  CHECK(run(folder, "--help").code == 0);
  CHECK(run(folder, "--version").out.starts_with("i3-ctl "));
}

TEST_CASE("--json prints one object with the daemon's fields, before or after the command") {
  TemporaryFolder folder;
  Daemon daemon(folder / "s");
  const std::string socket = "--socket " + (folder / "s") + ' ';
  const Result before = run(folder, socket + "--json resolve home");
  CHECK(before.code == 0);
  CHECK(before.out ==
        "{\"id\":\"00\",\"ipv4\":\"100.64.0.7\",\"ipv6\":\"fd00::7\",\"key\":\"k\",\"name\":"
        "\"home\"}\n");
  CHECK(run(folder, socket + "resolve home --json").out == before.out);
  CHECK(Json::parse(run(folder, socket + "peers --json").out)["peers"][0]["path"] == "node");
  const Json ping = Json::parse(run(folder, socket + "ping home -c 2 --json").out);
  CHECK(ping["replies"].size() == 2);
  CHECK(ping["received"] == 2);
}

TEST_CASE("a refusal is exit 1, and its reason one line whatever the daemon wrote") {
  TemporaryFolder folder;
  Daemon daemon(folder / "s");
  const Result result = run(folder, "--socket " + (folder / "s") + " resolve nobody");
  CHECK(result.code == 1);
  CHECK(result.error == "i3-ctl: no name \"x\"\n");
  const Result unknown = run(folder, "--socket " + (folder / "s") + " ring");
  CHECK(unknown.code == 1);
  CHECK(unknown.error == "i3-ctl: this daemon knows no command ring\n");
}

TEST_CASE("a ping that nothing answers fails, and says so after its lines") {
  TemporaryFolder folder;
  Daemon daemon(folder / "s");
  const Result result = run(folder, "--socket " + (folder / "s") + " ping off -c 2");
  CHECK(result.code == 1);
  CHECK(result.out.starts_with("1: no answer\n2: no answer\n"));
  CHECK(result.error == "i3-ctl: nothing came back from off\n");
}

TEST_CASE("text is aligned, says what is missing, and what to do where there is nothing") {
  TemporaryFolder folder;
  Daemon daemon(folder / "s");
  const std::string socket = "--socket " + (folder / "s") + ' ';
  CHECK(run(folder, socket + "status").out ==
        "proxy:      ready\n"
        "version:    0.1.0\n"
        "key:        k\n"
        "addresses:  100.64.0.9, fd00::9\n"
        "names:      redirect at 100.64.0.1:53 for .i3\n"
        "NAT:        none, UDP is blocked\n"
        "up for:     2 h 2 min\n"
        "\n"
        "NODE            STATE  RTT     KEY\n"
        "192.0.2.1:5100  up     1.2 ms  -\n"
        "\n"
        "problem: the address book is empty\n");
  CHECK(run(folder, socket + "peers").out ==
        "NAME  IPV4        IPV6  STATE  PATH  VIA             RTT  RECEIVED  SENT  HEADERS    WHY\n"
        "home  100.64.0.7  -     -      node  192.0.2.1:5100  -    1.5 kB    7 B   preserved  -\n");
  CHECK(run(folder, socket + "names").out.starts_with("no names: add one with i3-ctl book add"));
  CHECK(run(folder, socket + "metrics").out == "i3_up 1\n");
}

TEST_CASE("arguments reach the daemon as the manual says") {
  TemporaryFolder folder;
  Daemon daemon(folder / "s");
  const std::string socket = "--json --socket " + (folder / "s") + ' ';
  const auto asked = [&](const std::string& command) {
    return Json::parse(run(folder, socket + command).out)["asked"];
  };
  CHECK(asked("book add home abc") == Json{{"action", "add"}, {"name", "home"}, {"key", "abc"}});
  CHECK(asked("book remove home") == Json{{"action", "remove"}, {"name", "home"}});
  CHECK(asked("book import i3-invite:abc") ==
        Json{{"action", "import"}, {"text", "i3-invite:abc"}});
  std::ofstream(folder / "book.xml") << "<address-book/>";
  CHECK(asked("book import " + (folder / "book.xml")) ==
        Json{{"action", "import"}, {"text", "<address-book/>"}});
  CHECK(asked("join i3-invite:ab cd") == Json{{"text", "i3-invite:abcd"}});
  CHECK(Json::parse(run(folder, socket + "allow alice --ports 22,80").out) ==
        Json{{"from", "alice"}, {"ports", "22,80"}});
  const Result missing = run(folder, socket + "book import " + (folder / "none"));
  CHECK(missing.code == 1);
  CHECK(missing.error ==
        "i3-ctl: " + (folder / "none") + " cannot be read: No such file or directory\n");
}

TEST_CASE("keygen needs no daemon, prints only the key, and never overwrites") {
  TemporaryFolder folder;
  const Result made = run(folder, "keygen " + (folder / "k"));
  CHECK(made.code == 0);
  REQUIRE(made.out.size() == 53);
  CHECK(PublicKey::from_text(made.out.substr(0, 52)));
  CHECK(made.error.empty());
  const Result again = run(folder, "keygen " + (folder / "k"));
  CHECK(again.code == 1);
  CHECK(again.error == "i3-ctl: key file " + (folder / "k") +
                           ": exists already; it is not overwritten, choose another name\n");
}

TEST_CASE("a bundle holds every answer, also of commands that fail") {
  TemporaryFolder folder;
  Daemon daemon(folder / "s");
  const Result result =
      run(folder, "--socket " + (folder / "s") + " debug bundle --output " + (folder / "b"));
  CHECK(result.code == 0);
  const Json bundle = Json::parse(text_of(folder / "b"));
  CHECK(bundle["answers"]["status"]["ready"] == true);
  CHECK(bundle["answers"].contains("peers"));
  CHECK_FALSE(bundle["answers"].contains("ring"));
}

TEST_CASE("--check-config judges any daemon's file, and --config finds the daemon by its file") {
  TemporaryFolder folder;
  std::ofstream(folder / "bad.xml") << "<i3-node/>";
  const Result bad = run(folder, "--check-config --config " + (folder / "bad.xml"));
  CHECK(bad.code == 2);
  CHECK(bad.error == (folder / "bad.xml") +
                         ":1:1: a node needs <listen address=\"ADDR:PORT\"/>, at least one\n");
  std::ofstream(folder / "proxy.xml") << "<i3-proxy><control socket=\"s\"/></i3-proxy>";
  CHECK(run(folder, "--check-config --config " + (folder / "proxy.xml")).code == 0);
  Daemon daemon(folder / "s");
  CHECK(run(folder, "metrics --config " + (folder / "proxy.xml")).out == "i3_up 1\n");
}
