// A daemon that is nothing but its platform: the real parent, and a worker that answers pings to
// any virtual address from user space and a few words on its control socket. For platform_test.sh.
#include <CLI/CLI.hpp>
#include <array>
#include <boost/asio.hpp>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <sstream>
#include <sys/socket.h>
#include <unistd.h>

#include "overlay/base/log.hh"
#include "proxy/platform/broker.hh"
#include "proxy/platform/conflicts.hh"
#include "proxy/platform/inherited.hh"
#include "proxy/platform/netlink.hh"
#include "proxy/platform/parent.hh"
#include "proxy/platform/platform_error.hh"

namespace asio = boost::asio;
using namespace i3;

namespace {

constexpr std::uint8_t kIcmp = 1, kIcmp6 = 58;

// Adds the difference that changing one byte makes to a ones' complement sum (RFC 1624, 3).
void change_type(std::uint8_t* icmp, std::uint8_t type) {
  std::uint32_t sum = static_cast<std::uint16_t>(~(icmp[2] << 8 | icmp[3]));
  sum += static_cast<std::uint16_t>(~(icmp[0] << 8 | icmp[1]));
  icmp[0] = type;
  sum += static_cast<std::uint32_t>(icmp[0] << 8 | icmp[1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  sum = ~sum;
  icmp[2] = static_cast<std::uint8_t>(sum >> 8);
  icmp[3] = static_cast<std::uint8_t>(sum);
}

// Turns an echo request into its reply, in place.
bool answer_ping(MutBytes packet) {
  if (packet.size() >= 28 && packet[0] == 0x45 && packet[9] == kIcmp && packet[20] == 8) {
    std::swap_ranges(packet.begin() + 12, packet.begin() + 16, packet.begin() + 16);
    change_type(&packet[20], 0);
    return true;
  }
  if (packet.size() >= 48 && packet[0] >> 4 == 6 && packet[6] == kIcmp6 && packet[40] == 128) {
    std::swap_ranges(packet.begin() + 8, packet.begin() + 24, packet.begin() + 24);
    change_type(&packet[40], 129);
    return true;
  }
  return false;
}

class Worker {
 public:
  explicit Worker(int fd)
      : held_(receive_inherited(fd)), broker_(UniqueFd(fd)), tun_(io_), control_(io_) {
    broker_.on_shutdown = [this] { io_.stop(); };
    broker_.on_reload = [this] { ++reloads_; };
    broker_.attach(io_);
    if (!held_.tun.empty()) {
      tun_.assign(held_.tun.front().release());
      wait_tun();
    }
    if (held_.control) {
      control_.assign(asio::local::stream_protocol(), held_.control.release());
      accept();
    }
    broker_.ready();
  }
  int run() {
    io_.run();
    return 0;
  }

 private:
  void wait_tun() {
    tun_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
      if (error) return;
      std::array<std::uint8_t, 65536> buffer;
      for (;;) {
        ssize_t size = ::read(tun_.native_handle(), buffer.data(), buffer.size());
        if (size <= 0) break;
        MutBytes packet(buffer.data(), static_cast<std::size_t>(size));
        if (answer_ping(packet) && ::write(tun_.native_handle(), packet.data(), packet.size()) < 0)
          std::cerr << "write failed\n";
      }
      wait_tun();
    });
  }

  void accept() {
    control_.async_accept([this](auto error, asio::local::stream_protocol::socket socket) {
      if (error) return;
      serve(std::make_shared<asio::local::stream_protocol::socket>(std::move(socket)));
      accept();
    });
  }

  void serve(std::shared_ptr<asio::local::stream_protocol::socket> socket) {
    auto line = std::make_shared<std::string>();
    asio::async_read_until(*socket, asio::dynamic_buffer(*line), '\n',
                           [this, socket, line](auto error, std::size_t size) {
                             if (error) return;
                             obey(line->substr(0, size - 1), [socket](std::string answer) {
                               boost::system::error_code ignored;
                               asio::write(*socket, asio::buffer(answer + "\n"), ignored);
                             });
                           });
  }

  using Say = std::function<void(std::string)>;
  static std::string said(const BrokerReply& reply) {
    static const char* const names[] = {"ok", "refused", "failed", "no_answer"};
    return std::string(names[static_cast<int>(reply.status)]) + " " + reply.text;
  }

  void obey(const std::string& line, const Say& say) {
    std::istringstream words(line);
    std::string command, first, rest, why;
    words >> command >> first;
    std::getline(words >> std::ws, rest);
    auto answer = [say](BrokerReply reply) { say(said(reply)); };
    if (command == "hello") return say(hello());
    if (command == "read") return broker_.async_read_file(first, answer);
    if (command == "read-now") return say(said(broker_.read_file(first)));
    if (command == "replace") return broker_.async_replace_file(first, rest, answer);
    if (command == "refresh") return broker_.async_refresh_files(answer);
    if (command == "route") return broker_.async_add_route(*parse_prefix(first, why), answer);
    if (command == "unroute") return broker_.async_remove_route(*parse_prefix(first, why), answer);
    if (command == "mtu")
      return broker_.async_set_mtu(static_cast<std::uint16_t>(std::stoul(first)), answer);
    if (command == "mark") return say(mark());
    if (command == "state") return say(said(broker_.open_state()));
    if (command == "place") return broker_.async_place_dns(placement(first), answer);
    if (command == "withdraw") return broker_.async_withdraw_dns(answer);
    if (command == "underlay") return say(underlay());
    if (command == "sockets") return say(sockets());
    if (command == "exit") std::_Exit(std::stoi(first));
    if (command == "open") return say(try_open(first));
    if (command == "garbage") return garbage();
    say("unknown command");
  }

  std::string hello() {
    std::string routes;
    for (const IpPrefix& route : held_.routes) routes += " " + route.text();
    return "hello incarnation=" + std::to_string(held_.incarnation) +
           " pid=" + std::to_string(::getpid()) + " reloads=" + std::to_string(reloads_) +
           " seed=" + std::to_string(held_.seed[0]) + " routes=" + routes;
  }
  std::string mark() {
    BrokerReply reply = broker_.upstream_socket(false, false);
    std::uint32_t value = 0;
    socklen_t size = sizeof value;
    ::getsockopt(reply.fd.get(), SOL_SOCKET, SO_MARK, &value, &size);
    return value != 0 ? "marked" : "unmarked";
  }
  // What an unprivileged process sees of the host's network, and whether it was told of a change.
  std::string underlay() {
    Netlink netlink;
    std::string text = watch_.changed() ? "changed" : "unchanged";
    for (const HostLink& link : netlink.links()) text += " link=" + link.name;
    for (const HostAddress& row : netlink.addresses()) text += " address=" + row.address.text();
    for (const HostRoute& route : netlink.routes())
      if (route.gateway) text += " via=" + route.gateway->text();
    return text;
  }
  std::string sockets() {
    std::string text = held_.udp.empty() ? "" : held_.udp[0].local.text();
    for (const DnsPair& pair : held_.stubs) text += " stub=" + pair.udp.local.text();
    for (const DnsPair& pair : held_.loopback) text += " loopback=" + pair.udp.local.text();
    return text + (held_.state ? " state" : "");
  }
  static std::string try_open(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return fd ? "opened" : "denied";
  }
  static PlacementRequest placement(const std::string& mode) {
    PlacementRequest request;
    request.mode = *placement_mode_from(mode);
    request.routing_domains = {"i3"};
    request.nameservers = {*IpAddress::parse("192.0.2.53")};
    return request;
  }
  // What no worker of ours sends; the parent must not outlive its trust in us.
  void garbage() {
    const char bytes[] = "\xff\xff\xff nonsense";
    ::send(3, bytes, sizeof bytes, 0);
  }

  asio::io_context io_;
  Inherited held_;
  Broker broker_;
  asio::posix::stream_descriptor tun_;
  asio::local::stream_protocol::acceptor control_;
  NetlinkWatch watch_;
  int reloads_ = 0;
};

struct Options {
  int worker = -1;
  std::string tun = "i3", ipv4, ipv6, control, state, udp, stub4, config;
  std::vector<std::string> files, replaceable;
  bool loopback = false, clean_up = false, firewalls = false;
  int hang_after_ms = 30000, fail_worker = 0;
  std::vector<std::string> pools;
  std::vector<std::string> again;  // the same command line for the worker
};

std::optional<TunAddress> tun_address(const std::string& text) {
  auto slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  return TunAddress{*IpAddress::parse(text.substr(0, slash)),
                    static_cast<unsigned>(std::stoul(text.substr(slash + 1)))};
}

// A configuration is here a list of further files, one a line.
std::vector<FileAccess> files_with_lines_of(const std::string& config,
                                            std::vector<FileAccess> files) {
  std::ifstream lines(config);
  for (std::string line; std::getline(lines, line);) files.push_back({line, false, false});
  return files;
}

PlatformRequest request_of(const Options& options) {
  PlatformRequest request;
  request.program = "platform_probe";
  if (!options.tun.empty()) {
    request.tun.emplace();
    request.tun->name = options.tun;
    request.tun->ipv4 = tun_address(options.ipv4);
    request.tun->ipv6 = tun_address(options.ipv6);
  }
  if (!options.stub4.empty()) {
    request.tun->host_addresses.push_back(*IpAddress::parse(options.stub4));
    request.dns.stubs.push_back(*IpAddress::parse(options.stub4));
  }
  request.dns.loopback = options.loopback;
  if (!options.udp.empty()) {
    std::string why;
    request.udp_listen.push_back(*parse_endpoint(options.udp, true, 0, why));
  }
  request.control_socket = options.control;
  request.state_file = options.state;
  for (const std::string& path : options.files) request.files.push_back({path, false, false});
  for (const std::string& path : options.replaceable) request.files.push_back({path, true, false});
  if (!options.config.empty()) {
    request.files.push_back({options.config, true, true});
    request.reread_files = [options, files = request.files] {
      return files_with_lines_of(options.config, files);
    };
    request.refuse_replacement = [](const std::string&, const std::string& text) {
      return std::string(text.starts_with("/") ? "it names another file" : "");
    };
  }
  request.hang_after = std::chrono::milliseconds(options.hang_after_ms);
  request.seed[0] = 42;
  return request;
}

int run(const Options& options, Log& log) {
  if (options.worker >= 0 && options.fail_worker != 0) return options.fail_worker;
  if (options.worker >= 0) return Worker(options.worker).run();
  if (options.clean_up) return clean_up_leftovers(options.control, "/nonexistent", log) ? 0 : 1;
  if (options.firewalls) {
    std::vector<std::string> found = dropping_firewalls();
    if (found.empty()) found.push_back("none");
    for (const std::string& firewall : found) std::cout << firewall << "\n";
    return 0;
  }
  if (!options.pools.empty()) {
    std::vector<IpPrefix> pools;
    std::string why;
    for (const std::string& pool : options.pools) pools.push_back(*parse_prefix(pool, why));
    std::cout << first_free_pool(pools, options.tun).text() << "\n";
    return 0;
  }
  return Parent(request_of(options), options.again, log).run();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app;
  app.add_option("--worker", options.worker);
  app.add_option("--tun", options.tun);
  app.add_option("--ipv4", options.ipv4);
  app.add_option("--ipv6", options.ipv6);
  app.add_option("--control", options.control);
  app.add_option("--state", options.state);
  app.add_option("--udp", options.udp);
  app.add_option("--stub4", options.stub4);
  app.add_option("--file", options.files);
  app.add_option("--replaceable", options.replaceable);
  app.add_option("--config", options.config);
  app.add_option("--fail-worker", options.fail_worker);
  app.add_option("--hang-after", options.hang_after_ms);
  app.add_flag("--loopback", options.loopback);
  app.add_option("--pools", options.pools);
  app.add_flag("--firewalls", options.firewalls);
  app.add_flag("--cleanup", options.clean_up);
  CLI11_PARSE(app, argc, argv);
  options.again.assign(argv, argv + argc);
  Log log = standard_error_log(LogLevel::debug, "probe");
  try {
    return run(options, log);
  } catch (const PlatformError& error) {
    std::cerr << error.what() << "\n";
    return error.exit_code();
  }
}
