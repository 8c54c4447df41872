// Owns the glue between the interceptor and the sockets.
#include "dnsintercept/dns_server.hh"

#include <boost/asio/steady_timer.hpp>

#include "dnsintercept/upstream_sockets.hh"

namespace i3 {

namespace asio = boost::asio;
using boost::system::error_code;

class DnsServer::Impl : public std::enable_shared_from_this<Impl>, private DnsOutput {
 public:
  Impl(asio::io_context& io, NameService& names, Random& random, const Clock& clock, Log& log,
       UpstreamSocketFactory make_socket, InterceptorSettings settings)
      : io_(io),
        clock_(clock),
        log_(log),
        core_(names, random, *this, std::move(settings)),
        upstreams_(std::make_shared<UpstreamSockets>(
            io, clock, log, std::move(make_socket),
            UpstreamSockets::Callbacks{[this](const DnsChannel& channel, MutBytes message) {
                                         core_.on_response(channel, message, clock_.now());
                                         arm();
                                       },
                                       [this](const DnsChannel& channel, bool answered) {
                                         core_.on_channel_closed(channel, answered);
                                         arm();
                                       }})),
        timer_(io) {}

  void start(const DnsSockets& sockets) {
    listeners_ = std::make_unique<DnsListeners>(
        io_, clock_, log_, sockets,
        DnsListeners::Callbacks{[this](const DnsClient& client, Bytes message) {
                                  core_.on_question(client, message, clock_.now());
                                  arm();
                                },
                                [this](const DnsClient& client) {
                                  core_.on_client_gone(client);
                                  upstreams_->close_client(client.socket);
                                }});
  }

  void stop() {
    stopped_ = true;
    error_code ignored;
    listeners_->stop();
    upstreams_->stop();
    timer_.cancel(ignored);
  }

  void set_upstreams(std::vector<Endpoint> servers) {
    upstreams_->set_servers(servers);
    core_.set_upstreams(std::move(servers));
  }
  void complete(std::uint64_t handle, const NameAnswer& answer) {
    core_.complete(handle, answer, clock_.now());
    arm();
  }
  void complete(std::uint64_t handle, Rcode rcode) { core_.complete(handle, rcode); }
  const InterceptorCounters& counters() const { return core_.counters(); }

 private:
  // The timer is set anew only for an earlier deadline, hence not for every question.
  void arm() {
    const TimePoint deadline = core_.next_deadline();
    if (stopped_ || deadline >= armed_for_) return;
    armed_for_ = deadline;
    timer_.expires_after(std::max(deadline - clock_.now(), Duration::zero()));
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (error || self->stopped_) return;
      self->armed_for_ = kNever;
      self->core_.poll(self->clock_.now());
      self->arm();
    });
  }

  // DnsOutput
  void answer(const DnsClient& client, Bytes message) override {
    listeners_->answer(client, message);
  }
  bool ask(const DnsChannel& channel, Bytes message) override {
    return upstreams_->ask(channel, message);
  }
  void silent(const DnsChannel& channel) override { upstreams_->silent(channel); }

  asio::io_context& io_;
  const Clock& clock_;
  Log& log_;
  Interceptor core_;
  std::shared_ptr<UpstreamSockets> upstreams_;
  std::unique_ptr<DnsListeners> listeners_;
  asio::steady_timer timer_;
  TimePoint armed_for_ = kNever;
  bool stopped_ = false;
};

DnsServer::DnsServer(asio::io_context& io, NameService& names, Random& random, const Clock& clock,
                     Log& log, DnsSockets sockets, UpstreamSocketFactory make_socket,
                     InterceptorSettings settings)
    : impl_(std::make_shared<Impl>(io, names, random, clock, log, std::move(make_socket),
                                   std::move(settings))) {
  impl_->start(sockets);
}

DnsServer::~DnsServer() {
  impl_->stop();
}

void DnsServer::set_upstreams(std::vector<Endpoint> servers) {
  impl_->set_upstreams(std::move(servers));
}
void DnsServer::complete(std::uint64_t handle, const NameAnswer& answer) {
  impl_->complete(handle, answer);
}
void DnsServer::complete(std::uint64_t handle, Rcode rcode) {
  impl_->complete(handle, rcode);
}
const InterceptorCounters& DnsServer::counters() const {
  return impl_->counters();
}

}  // namespace i3
