#include "proxy/platform/inspection.hh"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dnsintercept/nft_context.hh"
#include "proxy/platform/platform_error.hh"
#include "proxy/platform/tun.hh"

namespace i3 {
namespace {

using std::chrono::steady_clock;
constexpr auto kPause = std::chrono::seconds(1);
// Larger than any packet that an end may send: nothing is cut here.
constexpr std::uint16_t kMtu = 9000;
// Behind all rules that people write with numbers of the usual size.
constexpr const char* kLast = "1000000";

UniqueFd open_link(const std::string& name, Netlink& netlink) {
  TunDevice device = open_tun({name, 1, false});
  netlink.bring_up(device.index, kMtu);
  return std::move(device.queues[0]);
}

std::vector<std::string> words_of(const std::string& text, const std::string& link) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + ' ') {
    if (c != ' ') {
      word += c;
      continue;
    }
    for (std::size_t at; (at = word.find("{tun}")) != word.npos;) word.replace(at, 5, link);
    if (!word.empty()) words.push_back(std::exchange(word, {}));
  }
  return words;
}

}  // namespace

Inspection::Inspection(const InspectRequest& request, Netlink& netlink, Log& log)
    : request_(request), log_(log), next_(steady_clock::now()) {
  if (request_.program.empty()) next_ = steady_clock::time_point::max();
  entrance_ = open_link(request_.link, netlink);
  if (request_.inline_) exit_ = open_link(request_.link + "-out", netlink);
  const std::string verdict = request_.inline_ ? "fwd to \"" + request_.link + "-out\"" : "drop";
  nft_ = std::make_unique<NftContext>();
  const std::string table = nft_table_name("i3_", request_.link);
  if (!nft_->run("add table netdev " + table + " { flags owner; }\nadd chain netdev " + table +
                 " last { type filter hook ingress device \"" + request_.link + "\" priority " +
                 kLast + "; policy drop; }\nadd rule netdev " + table + " last " + verdict))
    throw PlatformError("nftables refuses what keeps the packets of " + request_.link +
                        " from the kernel: " + nft_->reason());
}

Inspection::~Inspection() {
  if (program_ <= 0) return;
  ::kill(program_, SIGTERM);
  for (int tries = 0; tries < 50; ++tries) {
    if (::waitpid(program_, nullptr, WNOHANG) != 0) return;
    ::usleep(10'000);
  }
  ::kill(program_, SIGKILL);
  ::waitpid(program_, nullptr, 0);
}

void Inspection::tend() {
  if (program_ <= 0 && steady_clock::now() >= next_) start_program();
}

bool Inspection::ended(pid_t pid, int status) {
  if (pid <= 0 || pid != program_) return false;
  log_.warning("program_ended", {{"program", request_.program},
                                 {WIFEXITED(status) ? "exit_code" : "signal",
                                  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)}});
  program_ = -1;
  next_ = steady_clock::now() + kPause;
  return true;
}

// As the operator wrote it, without a shell, with the privileges that root has.
void Inspection::start_program() {
  std::vector<std::string> words = words_of(request_.program, request_.link);
  next_ = steady_clock::time_point::max();
  if (words.empty()) return;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (::getppid() == parent) ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  if (child < 0) {
    log_.error("program_not_started", {{"reason", std::strerror(errno)}});
    next_ = steady_clock::now() + kPause;
    return;
  }
  program_ = child;
  log_.info("program_started", {{"pid", child}, {"program", request_.program}});
}

}  // namespace i3
