#include "gateways/middlebox/plugins/protocol_log.hh"

#include <doctest/doctest.h>

#include "tests/unit/middlebox/talk.hh"

using namespace i3;
using namespace i3::inspect;
using i3::test::kWall;
using i3::test::Talk;

namespace {

struct Log2 {
  std::vector<std::string> lines;
  ProtocolLog log{[this](const std::string& line) { lines.push_back(line); }};
  void take(const std::vector<std::uint8_t>& packet) { log.packet(*IpView::parse(packet), kWall); }
  void open(Talk& talk) {
    take(talk.syn());
    take(talk.syn_ack());
  }
  void close(Talk& talk) {
    take(talk.fin(true));
    take(talk.fin(false));
  }
};

}  // namespace

TEST_CASE("an FTP conversation reads as in the paper's Figure 10") {
  Log2 log;
  Talk talk(21);
  log.open(talk);
  log.take(talk.say(false, "220 ProFTPD 1.2.7 Server\r\n"));
  log.take(talk.say(true, "AUTH GSSAPI\r\n"));
  log.take(talk.say(false, "500 AUTH not understood\r\n"));
  log.take(talk.say(true, "USER bad"));
  log.take(talk.say(true, "guy\r\n"));
  log.take(talk.say(false, "331 Password required\r\n"));
  log.take(talk.say(true, "PASS secret\r\n"));
  log.take(talk.say(false, "230-Welcome\r\n230 User badguy logged in.\r\n"));
  log.take(talk.say(true, "PASV\r\n"));
  log.take(talk.say(false, "227 Entering Passive Mode (10,2,51,9,129,20).\r\n"));
  log.take(talk.say(true, "STOR eggdrop\r\n"));
  log.take(talk.say(false, "150 Opening\r\n226 Transfer complete.\r\n"));
  log.take(talk.say(true, "QUIT\r\n"));
  log.take(talk.say(false, "221 Goodbye.\r\n"));
  log.close(talk);
  const std::string at = "1085568092.160498 #1 ";
  CHECK(log.lines ==
        std::vector<std::string>{at + "10.1.244.127/33042 > 10.2.51.9/ftp start",
                                 at + "response (220 ProFTPD 1.2.7 Server)",
                                 at + "AUTH GSSAPI (syntax error)", at + "USER badguy (logged in)",
                                 at + "PASV (227 10.2.51.9/33044)", at + "STOR eggdrop (complete)",
                                 at + "QUIT (closed)", at + "finish"});
}

TEST_CASE("HTTP requests are said, on any port, and bodies are not taken for requests") {
  Log2 log;
  Talk talk(8080);
  log.open(talk);
  log.take(talk.say(true,
                    "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"
                    "GET /not HTTP/1.1\r\n\r\nGET /js/cssniff.js HTTP/1.1\r\n\r\n"));
  log.take(talk.say(false, "HTTP/1.1 200 OK\r\n\r\n"));
  log.close(talk);
  CHECK(log.lines == std::vector<std::string>{"1085568092.160498 %1 start 10.1.244.127 > 10.2.51.9",
                                              "%1 POST /form", "%1 GET /js/cssniff.js",
                                              "1085568092.160498 %1 finish"});
}

TEST_CASE("what speaks no HTTP is not looked at, and nothing forges a line") {
  Log2 log;
  Talk ssh(22);
  log.open(ssh);
  log.take(ssh.say(true, "SSH-2.0-OpenSSH\r\nGET / HTTP/1.1\r\n"));
  log.close(ssh);
  CHECK(log.lines.empty());
  Talk talk(80);
  log.open(talk);
  log.take(talk.say(true, "GET /\x1b[2J\r1085568092 #9 HTTP/1.1\r\n"));
  CHECK(log.lines.at(1) == "%1 GET /?[2J?1085568092 #9");
}
