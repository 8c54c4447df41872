// 1 first bytes, where the port has names in them  2 the name: those bytes', the waypoint's, the
// default's  3 its virtual address  4 an ordinary connection there through our own TUN  5 relay
#include "gateways/waypoint/visitor.hh"

#include <boost/asio/write.hpp>

#include "dnsintercept/dns_connection.hh"

namespace i3 {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::uint16_t kHttpPort = 80, kTlsPort = 443;
constexpr auto kHalfClosedFor = std::chrono::minutes(10);
// A fatal alert, unrecognized_name (RFC 6066 3).
constexpr char kAlert[] = {0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70};

}  // namespace

Visitor::Visitor(tcp::socket client, Place place, VisitorHall& hall, const Clock& clock,
                 MutBytes scratch, VisitorCounters& counters)
    : client_(std::move(client)),
      server_(client_.get_executor()),
      timer_(client_.get_executor()),
      place_(std::move(place)),
      hall_(hall),
      clock_(clock),
      scratch_(scratch),
      counters_(counters) {
  // An IPv6 waypoint is one name's alone.
  const bool shared = place_.waypoint.address.is_v4();
  kind_ = shared && place_.waypoint.port == kHttpPort  ? Kind::http
          : shared && place_.waypoint.port == kTlsPort ? Kind::tls
                                                       : Kind::by_address;
}

void Visitor::start() {
  error_code ignored;
  client_.non_blocking(true, ignored);
  if (kind_ == Kind::by_address) {
    if (place_.bound.empty()) return nobody();
    ++counters_.by_address;
    return name_found(place_.bound);
  }
  deadline(place_.bound.empty() ? kFirstBytesWithin : kServerSpeaksFirst, &Visitor::on_silence);
  read();
}

void Visitor::read() {
  client_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
    if (error || self->over_ || self->decided_) return;
    const std::size_t before = self->first_.size();
    const std::size_t room = std::min<std::size_t>(kMaxFirstBytes - before, self->scratch_.size());
    error_code failure;
    const std::size_t size =
        self->client_.read_some(asio::buffer(self->scratch_.data(), room), failure);
    if (failure == asio::error::would_block) return self->read();
    if (failure) return self->close(true);
    const Bytes read = Bytes(self->scratch_).first(size);
    self->first_.insert(self->first_.end(), read.begin(), read.end());
    if (before == 0)
      self->deadline(kFirstBytesWithin, &Visitor::on_silence);  // it does speak first
    if (self->first_.size() < self->needed_) return self->read();
    if (self->kind_ == Kind::http && before > 0 && !http_host_may_show(self->first_, before))
      return self->read();
    self->on_bytes();
  });
}

void Visitor::on_bytes() {
  const FirstBytes found = kind_ == Kind::tls ? read_tls_hello(first_) : read_http_host(first_);
  if (found.state == FirstBytes::State::more && first_.size() < kMaxFirstBytes) {
    needed_ = found.needed;
    return read();
  }
  if (found.encrypted) ++counters_.encrypted;
  if (found.state == FirstBytes::State::named) {
    if (const std::string name = hall_.name_of_host(found.name); !name.empty()) {
      ++(kind_ == Kind::tls ? counters_.by_server_name : counters_.by_host);
      return name_found(name);
    }
    // A name that is nobody's, and not one that hides another: an encrypted ClientHello's does.
    const bool hides = kind_ == Kind::tls && found.encrypted;
    if (!hides) return nobody();
  }
  if (!place_.bound.empty()) {
    ++counters_.by_address;
    return name_found(place_.bound);
  }
  if (const std::string name = hall_.default_name(); !name.empty()) {
    ++counters_.by_default;
    return name_found(name);
  }
  nobody();
}

void Visitor::on_silence() {
  if (decided_) return;
  if (first_.empty() && !place_.bound.empty()) {
    ++counters_.by_address;
    return name_found(place_.bound);
  }
  ++counters_.silent;
  decided_ = true;
  close(true);
}

void Visitor::nobody() {
  ++counters_.unknown;
  decided_ = true;
  failed("421 Misdirected Request");
}

void Visitor::name_found(const std::string& name) {
  decided_ = true;
  name_ = name;
  deadline(kConnectWithin, &Visitor::on_connect_timeout);
  hall_.find(name, place_.waypoint.address.is_v4(),
             [self = shared_from_this()](std::optional<IpAddress> address) {
               if (self->over_) return;
               if (address) return self->connect(*address);
               ++self->counters_.unreachable;
               self->failed("502 Bad Gateway");
             });
}

void Visitor::connect(const IpAddress& address) {
  const Endpoint server{address, place_.waypoint.port};
  error_code error;
  server_.open(address.is_v4() ? tcp::v4() : tcp::v6(), error);
  if (error) return on_connected(error, server);
  server_.async_connect({asio_address(address), server.port},
                        [self = shared_from_this(), server](error_code failure) {
                          if (!self->over_) self->on_connected(failure, server);
                        });
}

void Visitor::on_connected(const error_code& error, const Endpoint& server) {
  if (error) {
    ++counters_.unreachable;
    return failed("502 Bad Gateway");
  }
  timer_.cancel();
  ++counters_.connected;
  error_code ignored;
  hall_.connected(place_.client, server, server_.local_endpoint(ignored).port(), name_);
  const std::weak_ptr<Visitor> weak = shared_from_this();
  splice_ =
      std::make_shared<Splice>(std::move(client_), std::move(server_), clock_, scratch_, [weak] {
        if (const auto self = weak.lock()) self->close(false);
      });
  splice_->start(std::move(first_));
}

// An HTTP client is told why, a TLS client by an alert that nobody has that name; all others by a
// reset.
void Visitor::failed(const char* http_status) {
  if (over_ || splice_ || !farewell_.empty()) return;
  error_code ignored;
  server_.close(ignored);
  if (kind_ == Kind::tls && name_.empty() && !first_.empty())
    return say(std::string(kAlert, sizeof kAlert));
  if (kind_ != Kind::http || first_.empty()) return close(true);
  const std::string text = std::string(http_status) + "\n";
  say("HTTP/1.1 " + std::string(http_status) +
      "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
      std::to_string(text.size()) + "\r\n\r\n" + text);
}

// Closing with unread bytes would reset, and take what we say away again.
void Visitor::say(std::string text) {
  farewell_ = std::move(text);
  deadline(kFarewell, &Visitor::give_up);
  asio::async_write(client_, asio::buffer(farewell_),
                    [self = shared_from_this()](error_code error, std::size_t) {
                      if (self->over_) return;
                      if (error) return self->close(true);
                      error_code ignored;
                      self->client_.shutdown(tcp::socket::shutdown_send, ignored);
                      self->drain();
                    });
}

void Visitor::drain() {
  client_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
    if (error || self->over_) return;
    error_code failure;
    self->client_.read_some(asio::buffer(self->scratch_.data(), self->scratch_.size()), failure);
    if (failure && failure != asio::error::would_block) return self->close(false);
    self->drain();
  });
}

void Visitor::give_up() {
  close(false);
}

void Visitor::deadline(std::chrono::nanoseconds after, void (Visitor::*then)()) {
  timer_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(after));
  timer_.async_wait([self = shared_from_this(), then](error_code error) {
    if (!error && !self->over_) (self.get()->*then)();
  });
}

bool Visitor::stale(TimePoint now) const {
  return splice_ && splice_->half_closed() && now - splice_->last_moved() > kHalfClosedFor;
}

void Visitor::close(bool with_reset) {
  if (over_) return;
  const std::uint64_t number = place_.number;
  const auto self = shared_from_this();
  over_ = true;
  error_code ignored;
  timer_.cancel(ignored);
  server_.close(ignored);
  if (client_.is_open()) with_reset ? reset(client_) : static_cast<void>(client_.close(ignored));
  hall_.ended(number);
}

void Visitor::stop() {
  over_ = true;
  error_code ignored;
  timer_.cancel(ignored);
  if (splice_) splice_->stop();
  server_.close(ignored);
  if (client_.is_open()) reset(client_);
}

}  // namespace i3
