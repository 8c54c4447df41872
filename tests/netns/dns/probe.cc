// A stub with a fixed table of names, placed in the resolver of the namespace it runs in: what
// i3-proxy does with DNS, in one process. Prints "ready" when names resolve.
//
//   i3-dns-probe MODE [LINK STUB4 [every]]
//
// MODE as in the configuration. Without LINK it serves loopback only (redirect); with it, it also
// listens at STUB4:53, an address of LINK. "every": as if a policy had to see every query.
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <map>
#include <net/if.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

#include "dnsintercept/dns_server.hh"
#include "dnsintercept/placement.hh"
#include "dnsintercept/resolver_watch.hh"

using namespace i3;

namespace {

constexpr std::uint32_t kMark = 0x1353;
constexpr std::uint16_t kPort = 15353;
constexpr std::uint32_t kPool = 0x64400000;  // 100.64.0.0/10

class Table final : public NameService {
 public:
  NameAnswer resolve(std::string_view name, TimePoint) override {
    const auto found = names_.find(name);
    if (found != names_.end()) return found->second;
    if (name.ends_with(".i3") || name == "corp.example" || name.ends_with(".corp.example"))
      return {.kind = NameAnswer::Kind::unknown};
    return {};
  }
  std::optional<std::string> reverse(const IpAddress& address) override {
    for (const auto& [name, answer] : names_)
      if ((answer.ipv4 && address == IpAddress::v4(*answer.ipv4)) ||
          (answer.ipv6 && address == IpAddress::v6(*answer.ipv6)))
        return name;
    return std::nullopt;
  }
  bool owns(const IpAddress& address) override {
    if (address.is_v4()) return (address.to_v4() & 0xffc00000) == kPool;
    return address.bytes[0] == 0xfd && address.bytes[1] == 0x13;
  }

 private:
  std::map<std::string, NameAnswer, std::less<>> names_{
      {"web.i3",
       {NameAnswer::Kind::known, kPool + 7, std::array<std::uint8_t, 16>{0xfd, 0x13, 7}, 0}},
      {"intra.corp.example", {NameAnswer::Kind::known, kPool + 8, std::nullopt, 0}},
  };
};

int listen_at(int type, const IpAddress& address, std::uint16_t port) {
  const int family = address.is_v4() ? AF_INET : AF_INET6;
  const int descriptor = ::socket(family, type | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  if (address.is_v4()) four.sin_addr.s_addr = htonl(address.to_v4());
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  std::copy(address.bytes.begin(), address.bytes.end(), six.sin6_addr.s6_addr);
  const bool good =
      (address.is_v4() ? ::bind(descriptor, reinterpret_cast<sockaddr*>(&four), sizeof four)
                       : ::bind(descriptor, reinterpret_cast<sockaddr*>(&six), sizeof six)) == 0 &&
      (type == SOCK_DGRAM || ::listen(descriptor, 64) == 0);
  if (!good) throw std::runtime_error("cannot listen at " + address.text());
  return descriptor;
}

int marked_socket(int family, int type) {
  const int descriptor = ::socket(family, type | SOCK_CLOEXEC, 0);
  if (descriptor >= 0 && ::setsockopt(descriptor, SOL_SOCKET, SO_MARK, &kMark, sizeof kMark) != 0) {
    ::close(descriptor);
    return -1;
  }
  return descriptor;
}

int run(int argc, char** argv) {
  const auto mode = argc > 1 ? placement_mode_from(argv[1]) : std::nullopt;
  if (!mode) throw std::runtime_error("usage: i3-dns-probe MODE [LINK STUB4 [every]]");

  PlacementRequest request;
  request.mode = *mode;
  request.link_name = "i3-0";
  request.routing_domains = {"i3", "corp.example", "64.100.in-addr.arpa"};
  request.redirect_port4 = request.redirect_port6 = kPort;
  request.bypass_mark = kMark;
  std::vector<std::pair<IpAddress, std::uint16_t>> places{{*IpAddress::parse("127.0.0.1"), kPort},
                                                          {*IpAddress::parse("::1"), kPort}};
  std::vector<IpAddress> own;
  if (argc > 3) {
    request.link_name = argv[2];
    request.link_index = static_cast<int>(::if_nametoindex(argv[2]));
    request.stub4 = IpAddress::parse(argv[3]);
    places.emplace_back(request.stub4.value(), 53);
    own.push_back(*request.stub4);
    request.sees_every_query = argc > 4;
  }

  boost::asio::io_context io;
  Table names;
  SystemRandom random;
  const SystemClock clock;
  Log log = standard_error_log(LogLevel::info, "i3-dns-probe");
  DnsSockets sockets;
  for (const auto& [address, port] : places) {
    sockets.udp.push_back(listen_at(SOCK_DGRAM, address, port));
    sockets.tcp.push_back(listen_at(SOCK_STREAM, address, port));
  }
  DnsServer server(io, names, random, clock, log, sockets, marked_socket);
  std::unique_ptr<Placement> placement;
  ResolverWatch watch(io, request.resolv_conf, [&](const ResolverConfig& config) {
    server.set_upstreams(upstreams_of(config, own));
    placement->update(config.nameservers);
    std::fprintf(stderr, "%s\n", placement->description().c_str());
  });
  request.nameservers = watch.current().nameservers;
  server.set_upstreams(upstreams_of(watch.current(), own));
  placement = place(request, log);
  std::fprintf(stderr, "%s\n", placement->description().c_str());

  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code&, int) { io.stop(); });
  std::puts("ready");
  std::fflush(stdout);
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "i3-dns-probe: %s\n", error.what());
    return 1;
  }
}
