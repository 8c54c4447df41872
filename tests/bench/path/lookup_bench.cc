// Measures what the daemon adds to a name: question in, answer out, through the real interceptor,
// name service, host and state log; without the sockets on either side.
//
// 'first' is a name that was never resolved before, 'again' one that was. Names of the address book
// get their addresses at start (docs/DESIGN.md, decision 17), key names when they are first asked
// for. The slower kind gives the figure, both are shown. 'passthrough' is a name for the Internet
// under a policy of three routes: forwarding the question and returning the answer together.
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/daemon/names.hh"
#include "proxy/daemon/state_file.hh"
#include "tests/bench/path/figures.hh"

namespace {

using namespace i3;
using namespace i3::bench;

constexpr Against kFirst{7.4, 74}, kAgain{1.5, 15}, kPassthrough{4, 40};

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "lookup_bench: %s\n", why);
  std::exit(1);
}

// The state log of the daemon, on a file that is gone when the process ends.
UniqueFd nameless_file() {
  const char* folder = std::getenv("TMPDIR");
  std::string path = std::string(folder ? folder : "/tmp") + "/i3-lookup-bench-XXXXXX";
  UniqueFd fd(::mkstemp(path.data()));
  if (!fd) fail("no temporary file");
  ::unlink(path.c_str());
  return fd;
}

UniqueFd one_end() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("no socket pair");
  ::close(ends[1]);
  return UniqueFd(ends[0]);
}

class Outside final : public HostIo, public DnsOutput {
 public:
  void send(const Endpoint&, Bytes) override {}
  void to_tun(Bytes) override {}
  void set_route(const VirtualIp&, bool) override {}
  void log_state(const std::string& line) override { state_.append(line); }

  void answer(const DnsClient&, Bytes message) override {
    ++answers;
    answer_size = message.size();
    rcode = message[3] & 0xf;
    answer_count = message[7];
  }
  bool ask(const DnsChannel& channel, Bytes message) override {
    asked = channel;
    forwarded_size = message.size();
    std::copy(message.begin(), message.end(), forwarded.begin());
    return true;
  }
  void silent(const DnsChannel&) override {}

  std::size_t answers = 0, answer_size = 0;
  unsigned rcode = 0, answer_count = 0;
  DnsChannel asked;
  std::array<std::uint8_t, 512> forwarded{};
  std::size_t forwarded_size = 0;

 private:
  Log log_;
  Broker broker_{one_end()};
  StateFile state_{nameless_file(), "", broker_, log_};
};

Policy policy() {
  Route suffix;
  suffix.suffix = "corp.example";
  suffix.decision.via = Via::gateway;
  Route pattern;
  std::string why;
  pattern.pattern = NamePattern::parse("(build|ci)-[0-9]+\\.lab\\.example", why);
  if (!pattern.pattern) fail("no pattern");
  pattern.decision.via = Via::gateway;
  Route dropped;
  dropped.suffix = "ads.example";
  dropped.decision.via = Via::drop;
  return Policy({suffix, pattern, dropped});
}

using Message = std::vector<std::uint8_t>;

// As glibc and systemd-resolved ask: recursion desired, an OPT record.
Message question(const std::string& name, std::uint16_t id) {
  Message message(12 + name.size() + 2 + 4 + 11);
  Writer writer(message);
  writer.u16(id);
  writer.u16(0x0100);
  writer.u16(1);
  writer.zeros(4);
  writer.u16(1);
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    writer.u8(static_cast<std::uint8_t>(dot - at));
    writer.bytes(as_bytes(std::string_view(name).substr(at, dot - at)));
    at = dot + 1;
  }
  writer.u8(0);
  writer.u16(dns_type::a);
  writer.u16(dns_class::in);
  writer.u8(0);
  writer.u16(dns_type::opt);
  writer.u16(1232);
  writer.zeros(6);
  if (!writer.ok() || writer.size() != message.size()) fail("a question of the wrong size");
  return message;
}

// What a server answers to a question of ours: one A record.
Message server_answer(Bytes asked) {
  Message message(asked.begin(), asked.end() - 11);
  message[2] |= 0x80;
  message[7] = 1;
  message[11] = 0;
  for (unsigned byte : {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1})
    message.push_back(static_cast<std::uint8_t>(byte));
  return message;
}

std::vector<PublicKey> keys(Random& random, std::size_t count) {
  std::vector<PublicKey> result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(Identity::generate(random)->key());
  return result;
}

// A host with `names` address-book entries, and everything between it and the DNS sockets.
class Stub {
 public:
  Stub(Random& random, std::size_t names) : random_(random), identity_(Identity::generate(random)) {
    HostSettings settings;
    std::vector<KnownHost> book;
    for (const PublicKey& key : keys(random, names))
      book.push_back({"host-" + std::to_string(book.size()), key, true});
    settings.directory = Directory(std::move(book), {});
    host_ =
        std::make_unique<Host>(*identity_, clock_, random_, log_, outside_, std::move(settings));
    names_ = std::make_unique<Names>(*host_, "i3", policy());
    interceptor_ = std::make_unique<Interceptor>(*names_, random_, outside_);
    interceptor_->set_upstreams({*Endpoint::parse("192.0.2.53:53")});
  }

  // Microseconds for each question, all of which have an address.
  Samples resolve(const std::vector<Message>& questions) {
    Samples samples;
    for (const Message& message : questions) {
      const double start = wall_nanoseconds();
      interceptor_->on_question(client_, message, clock_.now());
      samples.add((wall_nanoseconds() - start) / 1000);
      if (outside_.rcode != 0 || outside_.answer_count != 1) fail("a name has no address");
    }
    return samples;
  }

  // Microseconds for question and answer together, without those of the server between them.
  Samples pass_through(const std::vector<Message>& questions) {
    Samples samples;
    for (const Message& message : questions) {
      const std::size_t before = outside_.answers;
      double start = wall_nanoseconds();
      interceptor_->on_question(client_, message, clock_.now());
      const double there = wall_nanoseconds() - start;
      Message answer = server_answer(Bytes(outside_.forwarded).first(outside_.forwarded_size));
      start = wall_nanoseconds();
      interceptor_->on_response(outside_.asked, answer, clock_.now());
      samples.add((there + wall_nanoseconds() - start) / 1000);
      if (outside_.answers != before + 1 || outside_.answer_size != answer.size())
        fail("an answer did not come back");
    }
    return samples;
  }

 private:
  Random& random_;
  SystemClock clock_;
  Log log_;
  Outside outside_;
  std::unique_ptr<Identity> identity_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<Names> names_;
  std::unique_ptr<Interceptor> interceptor_;
  DnsClient client_{DnsTransport::udp, 0, *Endpoint::parse("127.0.0.1:40000"), {}};
};

std::vector<Message> questions(const std::vector<std::string>& names) {
  std::vector<Message> result;
  for (const std::string& name : names)
    result.push_back(question(name, static_cast<std::uint16_t>(result.size() * 7919)));
  return result;
}

struct Medians {
  Samples first, again, first_book, again_book, passthrough;
};

// One life of a host: everything once as new and once as known.
void run(Random& random, std::size_t count, Medians& medians) {
  Stub stub(random, count);
  std::vector<std::string> book, by_key, outside;
  for (std::size_t i = 0; i < count; ++i) {
    book.push_back("host-" + std::to_string(i) + ".i3");
    outside.push_back("www-" + std::to_string(i) + ".example.org");
  }
  for (const PublicKey& key : keys(random, count)) by_key.push_back(key.text() + ".i3");
  const auto of_book = questions(book), of_keys = questions(by_key);
  medians.first_book.add(stub.resolve(of_book).median());
  medians.again_book.add(stub.resolve(of_book).median());
  medians.first.add(stub.resolve(of_keys).median());
  medians.again.add(stub.resolve(of_keys).median());
  medians.passthrough.add(stub.pass_through(questions(outside)).median());
}

}  // namespace

// lookup_bench FIGURES-FILE; I3_BENCH_FULL=1 takes more names and runs.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: lookup_bench FIGURES-FILE\n");
    return 2;
  }
  const bool full = std::getenv("I3_BENCH_FULL") != nullptr;
  SystemRandom random;
  Medians medians;
  for (int i = 0; i < (full ? 15 : 7); ++i) run(random, full ? 20000 : 4000, medians);
  Report report(argv[1]);
  const auto slower = [](const Samples& a, const Samples& b) {
    return a.median() > b.median() ? a : b;
  };
  report.figure("lookup.first_us", slower(medians.first, medians.first_book), "us", kFirst);
  report.figure("lookup.again_us", slower(medians.again, medians.again_book), "us", kAgain);
  report.figure("lookup.passthrough_us", medians.passthrough, "us", kPassthrough);
  report.figure("lookup.first_key_name_us", medians.first, "us");
  report.figure("lookup.first_book_name_us", medians.first_book, "us");
  report.figure("lookup.again_key_name_us", medians.again, "us");
  report.figure("lookup.again_book_name_us", medians.again_book, "us");
  return 0;
}
