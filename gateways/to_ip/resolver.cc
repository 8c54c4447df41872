#include "gateways/to_ip/resolver.hh"

#include <algorithm>
#include <ares.h>
#include <arpa/nameser.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <stdexcept>
#include <unordered_map>

#include "dnsintercept/resolver_watch.hh"

namespace i3 {
namespace {

using boost::asio::posix::stream_descriptor;

constexpr int kTimeoutMs = 1200;  // of the first try at a server; c-ares doubles it
constexpr int kTries = 2;
constexpr std::size_t kMostAddresses = 16;
constexpr std::uint8_t kServerFailure = 2;

std::uint8_t rcode_of(int status) {
  switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
      return 0;
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
      return 3;
    case ARES_ENOTIMP:
      return 4;
    case ARES_EREFUSED:
      return 5;
    default:
      return kServerFailure;
  }
}

std::uint32_t seconds(int ttl) {
  return static_cast<std::uint32_t>(std::max(ttl, 0));
}

void take4(const std::uint8_t* answer, int size, Resolved& into, std::uint32_t& ttl) {
  ares_addrttl records[kMostAddresses];
  int count = kMostAddresses;
  if (ares_parse_a_reply(answer, size, nullptr, records, &count) != ARES_SUCCESS) return;
  for (int i = 0; i < count; ++i) {
    into.addresses.push_back(IpAddress::v4(ntohl(records[i].ipaddr.s_addr)));
    ttl = std::min(ttl, seconds(records[i].ttl));
  }
}

void take6(const std::uint8_t* answer, int size, Resolved& into, std::uint32_t& ttl) {
  ares_addr6ttl records[kMostAddresses];
  int count = kMostAddresses;
  if (ares_parse_aaaa_reply(answer, size, nullptr, records, &count) != ARES_SUCCESS) return;
  for (int i = 0; i < count; ++i) {
    std::array<std::uint8_t, 16> bytes;
    std::copy_n(records[i].ip6addr._S6_un._S6_u8, bytes.size(), bytes.begin());
    // One that is IPv4 in IPv6's clothes is none.
    if (const auto address = IpAddress::v6(bytes); !address.is_v4())
      into.addresses.push_back(address);
    ttl = std::min(ttl, seconds(records[i].ttl));
  }
}

// Both questions about one name.
struct Both {
  std::function<void(const Resolved&)> done;
  Resolved result;
  std::uint32_t ttl = 3600;
  int open = 2;
  int status4 = ARES_SUCCESS, status6 = ARES_SUCCESS;
};

}  // namespace

class Resolver::Impl : public std::enable_shared_from_this<Resolver::Impl> {
 public:
  Impl(boost::asio::io_context& io, std::vector<Endpoint> servers)
      : io_(io), timer_(io), servers_(std::move(servers)), fixed_(!servers_.empty()) {}

  void begin() {
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
      throw std::runtime_error("c-ares cannot start");
    ares_options options{};
    char lookups[] = "b";  // DNS only
    options.flags = ARES_FLAG_EDNS;
    options.ednspsz = 1232;
    options.timeout = kTimeoutMs;
    options.tries = kTries;
    options.lookups = lookups;
    options.sock_state_cb = [](void* self, ares_socket_t socket, int readable, int writable) {
      static_cast<Impl*>(self)->watch(socket, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = this;
    constexpr int given = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                          ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&channel_, &options, given) != ARES_SUCCESS)
      throw std::runtime_error("c-ares cannot start");
    if (fixed_) return use_servers();
    // c-ares reads resolv.conf once; this one follows it.
    file_ = std::make_unique<ResolverWatch>(io_, "/etc/resolv.conf",
                                            [this](const ResolverConfig&) { read_file(); });
    read_file();
  }

  void end() {
    ended_ = true;
    file_.reset();
    timer_.cancel();
    if (channel_ != nullptr) ares_destroy(channel_);
    channel_ = nullptr;
    sockets_.clear();
    ares_library_cleanup();
  }

  void resolve(const std::string& name, std::function<void(const Resolved&)> done) {
    auto* both = new Both{std::move(done), {}, 3600, 2, ARES_SUCCESS, ARES_SUCCESS};
    ++under_way_;
    // Names of one label are the search list's to complete.
    const auto ask = name.find('.') == name.npos ? ares_search : ares_query;
    ask(channel_, name.c_str(), ns_c_in, ns_t_a, on_answer<4>, new Call{this, both});
    ask(channel_, name.c_str(), ns_c_in, ns_t_aaaa, on_answer<6>, new Call{this, both});
    arm();
  }

  std::size_t under_way() const { return under_way_; }
  const std::vector<Endpoint>& servers() const { return servers_; }

 private:
  struct Call {
    Impl* self;
    Both* both;
  };
  struct Watched {
    explicit Watched(boost::asio::io_context& io, int socket) : descriptor(io, socket) {}
    ~Watched() {
      if (descriptor.is_open()) descriptor.release();  // c-ares closes it
    }
    stream_descriptor descriptor;
    bool want_read = false, want_write = false, reading = false, writing = false;
  };

  template <int family>
  static void on_answer(void* argument, int status, int, unsigned char* answer, int size) {
    const std::unique_ptr<Call> call(static_cast<Call*>(argument));
    Both& both = *call->both;
    if (status == ARES_SUCCESS) {
      if constexpr (family == 4)
        take4(answer, size, both.result, both.ttl);
      else
        take6(answer, size, both.result, both.ttl);
    }
    (family == 4 ? both.status4 : both.status6) = status;
    if (--both.open == 0) call->self->finish(call->both);
  }

  void finish(Both* raw) {
    std::shared_ptr<Both> both(raw);
    --under_way_;
    if (ended_) return;
    both->result.lifetime_s = both->ttl;
    if (both->result.addresses.empty()) {
      const std::uint8_t four = rcode_of(both->status4), six = rcode_of(both->status6);
      both->result.rcode = four == six || six == 0 ? four : four == 0 ? six : std::max(four, six);
      // One of the two questions failed: that the other has no answer says little.
      if (four == kServerFailure || six == kServerFailure) both->result.rcode = kServerFailure;
    }
    boost::asio::post(io_, [self = weak_from_this(), both] {
      if (const auto impl = self.lock(); impl && !impl->ended_) both->done(both->result);
    });
  }

  void read_file() {
    servers_ = upstreams_of(file_->current(), {});
    use_servers();
  }

  void use_servers() {
    std::string list;
    for (const Endpoint& server : servers_) list += (list.empty() ? "" : ",") + server.text();
    if (!list.empty()) ares_set_servers_ports_csv(channel_, list.c_str());
  }

  void watch(int socket, bool readable, bool writable) {
    if (!readable && !writable) {
      // Let go of while the number still means this socket: c-ares closes it, and opens the next
      // server's with the same one.
      const auto gone = sockets_.find(socket);
      if (gone == sockets_.end()) return;
      gone->second->descriptor.release();
      sockets_.erase(gone);
      return;
    }
    auto& watched = sockets_[socket];
    if (!watched) watched = std::make_shared<Watched>(io_, socket);
    watched->want_read = readable;
    watched->want_write = writable;
    wait(socket, watched);
  }

  void wait(int socket, const std::shared_ptr<Watched>& watched) {
    const auto start = [&](bool& running, stream_descriptor::wait_type kind, bool write) {
      if (std::exchange(running, true)) return;
      watched->descriptor.async_wait(
          kind, [self = weak_from_this(), weak = std::weak_ptr<Watched>(watched), socket,
                 write](const boost::system::error_code& error) {
            const auto impl = self.lock();
            const auto alive = weak.lock();
            if (error || !impl || !alive || impl->ended_) return;
            (write ? alive->writing : alive->reading) = false;
            ares_process_fd(impl->channel_, write ? ARES_SOCKET_BAD : socket,
                            write ? socket : ARES_SOCKET_BAD);
            const auto still = impl->sockets_.find(socket);
            if (still != impl->sockets_.end() && still->second == alive) impl->wait(socket, alive);
            impl->arm();
          });
    };
    if (watched->want_read) start(watched->reading, stream_descriptor::wait_read, false);
    if (watched->want_write) start(watched->writing, stream_descriptor::wait_write, true);
  }

  void arm() {
    timeval next{};
    if (ares_timeout(channel_, nullptr, &next) == nullptr) {
      timer_.cancel();
      return;
    }
    timer_.expires_after(std::chrono::seconds(next.tv_sec) +
                         std::chrono::microseconds(next.tv_usec) + std::chrono::milliseconds(1));
    timer_.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
      const auto impl = self.lock();
      if (error || !impl || impl->ended_) return;
      ares_process_fd(impl->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      impl->arm();
    });
  }

  boost::asio::io_context& io_;
  boost::asio::steady_timer timer_;
  std::vector<Endpoint> servers_;
  bool fixed_;
  bool ended_ = false;
  ares_channel channel_ = nullptr;
  std::unique_ptr<ResolverWatch> file_;
  std::unordered_map<int, std::shared_ptr<Watched>> sockets_;
  std::size_t under_way_ = 0;
};

Resolver::Resolver(boost::asio::io_context& io, std::vector<Endpoint> servers)
    : impl_(std::make_shared<Impl>(io, std::move(servers))) {
  impl_->begin();
}
Resolver::~Resolver() {
  impl_->end();
}
void Resolver::resolve(const std::string& name, std::function<void(const Resolved&)> done) {
  impl_->resolve(name, std::move(done));
}
std::size_t Resolver::under_way() const {
  return impl_->under_way();
}
std::vector<Endpoint> Resolver::servers() const {
  return impl_->servers();
}

}  // namespace i3
