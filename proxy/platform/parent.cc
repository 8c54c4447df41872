// 1 acquire  2 spawn  3 serve signals, the worker and its life  4 stop it  5 undo
#include "proxy/platform/parent.hh"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "proxy/platform/conflicts.hh"
#include "proxy/platform/host_files.hh"
#include "proxy/platform/parent_impl.hh"
#include "proxy/platform/platform_error.hh"
#include "proxy/platform/sockets.hh"
#include "proxy/platform/tun.hh"

namespace i3 {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kGrace = 2500ms;          // for a worker to save its state
constexpr auto kLastBreath = 1s;         // between closing its socket and having ended
constexpr int kQuestionsUnanswered = 6;  // within hang_after
constexpr std::size_t kQuickDeaths = 5;
constexpr auto kQuickDeathsWithin = 10s;
constexpr auto kLongestPause = std::chrono::seconds(30);
constexpr auto kLivedWell = 60s;  // forgets earlier deaths
constexpr int kWorkerSocket = 3;
constexpr int kAboveStandard = 10;
constexpr int kExecFailed = 126;
constexpr std::uint16_t kDnsPort = 53;

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

int milliseconds_until(steady_clock::time_point when) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(when - steady_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 60000));
}

bool host_has_ipv6() {
  return ::access("/proc/sys/net/ipv6", F_OK) == 0;
}

bool interface_is_there(unsigned index) {
  char name[IF_NAMESIZE];
  return ::if_indextoname(index, name) != nullptr;
}

}  // namespace

IpPrefix TunAddress::network() const {
  IpPrefix result{address, length};
  unsigned keep = length + (address.is_v4() ? 96 : 0);
  for (unsigned bit = keep; bit < 128; ++bit)
    result.address.bytes[bit / 8] =
        static_cast<std::uint8_t>(result.address.bytes[bit / 8] & ~(0x80u >> bit % 8));
  return result;
}

Parent::Impl::Impl(PlatformRequest asked, std::vector<std::string> argv, Log& logger)
    : request(std::move(asked)), worker_argv(std::move(argv)), log(logger) {
  sigset_t handled = handled_signals();
  ::sigprocmask(SIG_BLOCK, &handled, &old_signals);
  acquire();
}

Parent::Impl::~Impl() {
  if (worker > 0) stop_worker();
  undo();
  explicit_bzero(request.seed.data(), request.seed.size());
  ::sigprocmask(SIG_SETMASK, &old_signals, nullptr);
}

// Checks come before changes, and what others see comes last.
void Parent::Impl::acquire() {
  try {
    if (!request.control_socket.empty() && control_alive(request.control_socket))
      throw PlatformError("another " + request.program + " is running: it answers on " +
                          request.control_socket);
    if (request.tun && !has_capability("CAP_NET_ADMIN"))
      throw lacks_privilege("CAP_NET_ADMIN", "make the interface " + request.tun->name);
    user = worker_user();
    // Opened now, so that an update of the package while we run changes nothing.
    executable.reset(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
    if (!executable) throw system_error("cannot open /proc/self/exe", errno);
    sigset_t handled = handled_signals();
    signals.reset(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) throw system_error("cannot receive signals", errno);

    held.seed = request.seed;
    for (const Endpoint& local : request.udp_listen) held.udp.push_back(bind_udp(local, "overlay"));
    for (const Endpoint& local : request.tcp_listen)
      held.tcp.push_back(listen_tcp(local, "listening"));
    if (request.tun) acquire_tun();
    acquire_dns();
    if (request.nat) {
      nat_named = request.nat->named();
      nat = std::make_unique<NatTable>(
          held.tun_name, held.ipv6,
          std::make_unique<Forwarding>(request.nat->forwarding_record, log), log);
    }
    if (request.inspect) acquire_inspection();
    acquire_waypoints();
    if (!request.state_file.empty()) held.state = open_state_file(request.state_file);
    if (!request.control_socket.empty()) {
      held.control =
          listen_control(request.control_socket, request.control_group, request.program, log);
      control_bound = true;
    }
    confine_parent();
  } catch (...) {
    undo();
    ::sigprocmask(SIG_SETMASK, &old_signals, nullptr);
    throw;
  }
}

void Parent::Impl::acquire_tun() {
  const TunRequest& wanted = *request.tun;
  std::vector<IpPrefix> networks = wanted.routes;
  bool ipv6 = wanted.ipv6 && host_has_ipv6();
  if (wanted.ipv4) networks.push_back(wanted.ipv4->network());
  if (ipv6) networks.push_back(wanted.ipv6->network());
  for (const IpPrefix& network : networks)
    for (const std::string& conflict : pool_conflicts(network, wanted.name))
      throw PlatformError("pool " + network.text() + " collides with " + conflict +
                          ": choose another in " + request.pool_setting);

  TunDevice device = open_tun({wanted.name, wanted.queues, wanted.virtio_header});
  held.tun_name = device.name;
  held.tun_index = device.index;
  held.tun = std::move(device.queues);
  held.virtio_header = wanted.virtio_header;
  held.mtu = wanted.mtu;
  held.ipv6 = ipv6;
  if (wanted.ipv6 && !ipv6) log.warning("no_ipv6_on_host", {{"interface", wanted.name}});

  netlink.bring_up(held.tun_index, wanted.mtu);
  for (const auto& own : {wanted.ipv4, ipv6 ? wanted.ipv6 : std::nullopt}) {
    if (!own) continue;
    netlink.add_address(held.tun_index, own->address, own->address.is_v4() ? 32 : 128);
    netlink.add_route(held.tun_index, own->network(), own->address);
  }
  for (const IpAddress& address : wanted.host_addresses)
    if (address.is_v4() || ipv6)
      netlink.add_address(held.tun_index, address, address.is_v4() ? 32 : 128);
  for (const IpPrefix& route : wanted.routes)
    if (route.is_v4() || ipv6) netlink.add_route(held.tun_index, route, std::nullopt);
}

void Parent::Impl::acquire_dns() {
  for (const IpAddress& stub : request.dns.stubs)
    if (stub.is_v4() || held.ipv6) held.stubs.push_back(bind_dns(stub, kDnsPort));
  if (!request.dns.loopback) return;
  held.loopback.push_back(bind_dns(IpAddress::v4(0x7f000001), 0));
  try {
    held.loopback.push_back(bind_dns(*IpAddress::parse("::1"), 0));
  } catch (const PlatformError& error) {
    log.debug("no_ipv6_loopback", {{"reason", error.what()}});
  }
}

// The worker has the interfaces as well; when both processes are gone, so are they.
void Parent::Impl::acquire_inspection() {
  inspection = std::make_unique<Inspection>(*request.inspect, netlink, log);
  const auto copy = [](int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); };
  held.inspect_in = copy(inspection->entrance());
  if (inspection->exit() >= 0) held.inspect_out = copy(inspection->exit());
  if (request.inspect->plugins.empty()) return;
  held.plugins =
      listen_control(request.inspect->plugins, request.control_group, request.program, log);
  plugins_bound = true;
}

// The listeners have the TUN's own addresses, which are this host's whatever its networks do.
void Parent::Impl::acquire_waypoints() {
  for (const Endpoint& listen : request.zone_listen)
    held.zone.push_back(bind_dns(listen.address, listen.port));
  if (!request.waypoints || !request.tun) return;
  WaypointTable::Places places{held.tun_name, {}, {}, {}};
  const auto listen = [&](const std::optional<TunAddress>& own) {
    held.waypoints.push_back(listen_tcp({own->address, 0}, "waypoints"));
    return held.waypoints.back().local;
  };
  if (!request.waypoints->ranges4.empty() && request.tun->ipv4)
    places.listener4 = listen(request.tun->ipv4);
  if (request.waypoints->prefix6 && held.ipv6) places.listener6 = listen(request.tun->ipv6);
  for (const BoundSocket& socket : held.udp) places.udp.push_back(socket.local.port);
  waypoints = std::make_unique<WaypointTable>(*request.waypoints, std::move(places), log);
}

void Parent::Impl::spawn() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    log.error("worker_not_started", {{"reason", std::strerror(errno)}});
    respawn_at = steady_clock::now() + 1s;
    return;
  }
  channel.reset(ends[0]);
  UniqueFd theirs(ends[1]);
  pid_t self = ::getpid();
  pid_t child = ::fork();
  if (child == 0) become_worker(theirs.get(), self);
  if (child < 0) {
    log.error("worker_not_started", {{"reason", std::strerror(errno)}});
    channel.reset();
    respawn_at = steady_clock::now() + 1s;
    return;
  }
  worker = child;
  born = steady_clock::now();
  ready = false;
  unanswered = 0;
  // A failure shows as the worker's end.
  send_inherited(channel.get(), held);
  log.info("worker_started", {{"pid", child}, {"incarnation", held.incarnation}});
  ++held.incarnation;
  if (nat) nat->new_worker();
  if (waypoints) waypoints->new_worker();
}

// In the child: one open socket, no privilege, a fresh memory layout, and no life after the parent.
void Parent::Impl::become_worker(int socket, pid_t parent) {
  const char* failed = nullptr;
  int high_socket = ::fcntl(socket, F_DUPFD_CLOEXEC, kAboveStandard);
  int program = ::fcntl(executable.get(), F_DUPFD_CLOEXEC, kAboveStandard);
  if (high_socket < 0 || program < 0 || ::dup2(high_socket, kWorkerSocket) < 0)
    failed = "descriptors";
  ::close_range(kWorkerSocket + 1, ~0u, CLOSE_RANGE_CLOEXEC);
  // The terminal's ctrl-C reaches the whole group: only the parent decides what it means.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  sigset_t handled = handled_signals();
  ::sigprocmask(SIG_UNBLOCK, &handled, nullptr);
  if (!failed) failed = drop_everything(user);
  // After the change of user, which forgets it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != parent) ::_exit(kExecFailed);

  std::vector<std::string> arguments = worker_argv;
  arguments.push_back("--worker");
  arguments.push_back(std::to_string(kWorkerSocket));
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::unsetenv("NOTIFY_SOCKET");
  if (!failed) ::execveat(program, "", argv.data(), environ, AT_EMPTY_PATH);
  log.error("worker_not_started",
            {{"reason", failed ? failed : "exec"}, {"error", std::strerror(errno)}});
  ::_exit(kExecFailed);
}

int Parent::Impl::timeout_ms() const {
  if (inspection && inspection->next() < steady_clock::now() + 60s) {
    const int worker_ms = worker_timeout_ms();
    const int program_ms = milliseconds_until(inspection->next());
    return worker_ms < 0 ? program_ms : std::min(worker_ms, program_ms);
  }
  return worker_timeout_ms();
}

int Parent::Impl::worker_timeout_ms() const {
  if (worker <= 0) return milliseconds_until(respawn_at);
  if (!channel) return milliseconds_until(hung_up + kLastBreath);
  return ready ? milliseconds_until(next_question) : -1;
}

void Parent::Impl::on_signals() {
  signalfd_siginfo info{};
  while (::read(signals.get(), &info, sizeof info) == sizeof info) {
    switch (info.ssi_signo) {
      case SIGTERM:
      case SIGINT:
        if (!ending) log.info("ending", {{"signal", info.ssi_signo == SIGINT ? "INT" : "TERM"}});
        ending = true;
        break;
      case SIGHUP:
        refresh_files();
        notify(NoticeKind::reload);
        break;
      default:
        break;  // SIGCHLD: the caller reaps
    }
  }
}

void Parent::Impl::reap(bool wait) {
  if (worker <= 0) return;
  int status = 0;
  pid_t ended = ::waitpid(worker, &status, wait ? 0 : WNOHANG);
  if (ended != worker) return;
  worker = -1;
  channel.reset();
  on_worker_end(status);
}

void Parent::Impl::reap_program() {
  if (!inspection) return;
  siginfo_t info{};
  // Looked at first: the worker's end is its own affair.
  if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid <= 0 ||
      info.si_pid == worker)
    return;
  int status = 0;
  const pid_t ended = ::waitpid(info.si_pid, &status, WNOHANG);
  inspection->ended(ended, status);
}

void Parent::Impl::on_worker_end(int status) {
  if (ending) return;
  bool by_itself = WIFEXITED(status);
  int code = by_itself ? WEXITSTATUS(status) : WTERMSIG(status);
  log.warning("worker_died", {{by_itself ? "exit_code" : "signal", code}});
  if (request.tun && !interface_is_there(held.tun_index)) {
    log.error("interface_deleted", {{"interface", held.tun_name}});
    ending = true;
    exit_code = 1;
    return;
  }
  if (by_itself && code != 0 && held.incarnation == 1 && !was_ready) {
    // It said what is wrong; another one would say the same.
    ending = true;
    exit_code = code == kExecFailed ? 1 : code;
    return;
  }
  auto now = steady_clock::now();
  if (now - born >= kLivedWell) {
    deaths.clear();
    pause = 0s;
  }
  deaths.push_back(now);
  while (deaths.size() > kQuickDeaths) deaths.pop_front();
  bool quick = deaths.size() == kQuickDeaths && now - deaths.front() <= kQuickDeathsWithin;
  if (quick || pause > 0s) {
    pause = std::min(std::max(pause * 2, 1s), kLongestPause);
    // A resolver without its stub would be a host without names.
    placement.reset();
    log.error("worker_keeps_dying", {{"next_try_s", pause.count()}});
  }
  respawn_at = now + pause;
}

void Parent::Impl::ask_whether_alive() {
  if (worker > 0 && !channel && steady_clock::now() >= hung_up + kLastBreath)
    return kill_worker("it closed its socket");
  if (!ready || worker <= 0 || steady_clock::now() < next_question) return;
  next_question = steady_clock::now() + request.hang_after / kQuestionsUnanswered;
  if (unanswered >= kQuestionsUnanswered) return kill_worker("it hangs");
  ++unanswered;
  notify(NoticeKind::are_you_alive);
}

void Parent::Impl::kill_worker(const char* reason) {
  if (worker <= 0) return;
  log.error("worker_killed", {{"reason", reason}});
  ::kill(worker, SIGKILL);
  reap(true);
}

void Parent::Impl::notify(NoticeKind kind) {
  if (!channel) return;
  BrokerNotice notice;
  notice.kind = kind;
  send_packet(channel.get(), notice.write());
}

void Parent::Impl::stop_worker() {
  ending = true;
  notify(NoticeKind::shutdown);
  auto deadline = steady_clock::now() + kGrace;
  while (worker > 0 && steady_clock::now() < deadline) {
    // The worker may still ask for its state to be written.
    pollfd wait[2] = {{signals.get(), POLLIN, 0}, {channel.get(), POLLIN, 0}};
    ::poll(wait, 2, milliseconds_until(deadline));
    on_signals();
    if (channel && wait[1].revents & POLLIN) on_channel();
    reap(false);
    if (wait[1].revents & POLLHUP) channel.reset();  // its end follows
  }
  if (worker > 0) {
    ::kill(worker, SIGKILL);
    reap(true);
  }
  channel.reset();
}

void Parent::Impl::undo() {
  placement.reset();
  nat.reset();
  inspection.reset();
  if (plugins_bound) ::unlink(request.inspect->plugins.c_str());
  plugins_bound = false;
  waypoints.reset();
  if (control_bound) ::unlink(request.control_socket.c_str());
  control_bound = false;
  explicit_bzero(held.seed.data(), held.seed.size());
  held = Inherited{};  // the interface goes with its last descriptor, addresses and routes with it
}

Parent::Parent(PlatformRequest request, std::vector<std::string> worker_argv, Log& log)
    : impl_(std::make_unique<Impl>(std::move(request), std::move(worker_argv), log)) {}
Parent::~Parent() = default;

int Parent::run() {
  Impl& parent = *impl_;
  while (!parent.ending) {
    if (parent.worker <= 0 && steady_clock::now() >= parent.respawn_at) parent.spawn();
    pollfd wait[2] = {{parent.signals.get(), POLLIN, 0}, {parent.channel.get(), POLLIN, 0}};
    ::poll(wait, 2, parent.timeout_ms());
    if (wait[0].revents) parent.on_signals();
    if (parent.channel && wait[1].revents) parent.on_channel();
    parent.reap(false);
    parent.reap_program();
    if (parent.inspection) parent.inspection->tend();
    parent.ask_whether_alive();
  }
  ::sd_notify(0, "STOPPING=1");
  // The resolver first, while the stub still answers.
  parent.placement.reset();
  parent.stop_worker();
  parent.undo();
  return parent.exit_code;
}

bool clean_up_leftovers(const std::string& control_socket, const std::string& resolv_conf,
                        Log& log) {
  bool clean = true;
  struct stat status {};
  bool there = !control_socket.empty() && ::lstat(control_socket.c_str(), &status) == 0;
  if (there && control_alive(control_socket)) {
    log.error("still_running", {{"socket", control_socket}});
    return false;
  }
  if (there && S_ISSOCK(status.st_mode)) {
    clean = ::unlink(control_socket.c_str()) == 0;
    log.info("removed", {{"socket", control_socket}});
  }
  try {
    if (cleanup_resolv_conf(resolv_conf)) log.info("restored", {{"file", resolv_conf}});
  } catch (const std::exception& error) {
    log.error("not_restored", {{"file", resolv_conf}, {"reason", error.what()}});
    clean = false;
  }
  return clean;
}

}  // namespace i3
