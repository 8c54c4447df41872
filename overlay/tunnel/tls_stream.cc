#include "overlay/tunnel/tls_stream.hh"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <netinet/tcp.h>

namespace i3 {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

// One record of TLS, and the most that leaves the queue at once.
constexpr std::size_t kRecord = 16 << 10;
// Bytes that the kernel takes before the network does: what waits beyond them waits in the queue,
// where the oldest can still be dropped.
constexpr int kUnsent = 32 << 10;
// Bytes that nobody acknowledges for so long end the connection.
constexpr int kUserTimeoutMs = 20'000;

void set_options(tcp::socket& socket) {
  Error ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const int fd = socket.native_handle();
  ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsent, sizeof kUnsent);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof kUserTimeoutMs);
}

}  // namespace

tcp::endpoint to_tcp(const Endpoint& endpoint) {
  if (endpoint.address.is_v4())
    return {asio::ip::address_v4(endpoint.address.to_v4()), endpoint.port};
  return {asio::ip::address_v6(endpoint.address.bytes), endpoint.port};
}

Endpoint from_tcp(const tcp::endpoint& endpoint) {
  const auto address = endpoint.address();
  if (address.is_v4()) return {IpAddress::v4(address.to_v4().to_uint()), endpoint.port()};
  return {IpAddress::v6(address.to_v6().to_bytes()), endpoint.port()};
}

TlsStream::TlsStream(tcp::socket socket, asio::ssl::context& context, Clock& clock, Events events)
    : clock_(clock), events_(std::move(events)), stream_(std::move(socket), context) {}

void TlsStream::connect(const Endpoint& to) {
  stream_.next_layer().async_connect(to_tcp(to), [self = shared_from_this()](const Error& error) {
    if (self->closed_) return;
    if (error) return self->fail(error.message());
    self->shake_hands(asio::ssl::stream_base::client);
  });
}

void TlsStream::accept(std::string other_protocol) {
  other_protocol_ = std::move(other_protocol);
  shake_hands(asio::ssl::stream_base::server);
}

void TlsStream::shake_hands(asio::ssl::stream_base::handshake_type side) {
  Error error;
  tcp::socket& socket = stream_.next_layer();
  local_ = from_tcp(socket.local_endpoint(error));
  if (!error) remote_ = from_tcp(socket.remote_endpoint(error));
  if (error) return fail(error.message());
  set_options(socket);
  stream_.async_handshake(side, [self = shared_from_this()](const Error& result) {
    if (self->closed_) return;
    if (result) return self->fail(result.message());
    self->open_ = true;
    self->heard_ = self->clock_.now();
    self->in_.resize(kRecord);
    if (self->events_.open) self->events_.open();
    self->read();
  });
}

void TlsStream::read() {
  if (closed_) return;
  stream_.async_read_some(asio::buffer(in_),
                          [self = shared_from_this()](const Error& error, std::size_t count) {
                            if (self->closed_) return;
                            if (error) return self->fail(error.message());
                            self->on_bytes(count);
                          });
}

void TlsStream::on_bytes(std::size_t count) {
  heard_ = clock_.now();
  bool wanted = true;
  const bool fine = frames_.feed(Bytes(in_).first(count), [&](Bytes bytes) {
    const auto frame = wire::parse_frame(bytes);
    if (!frame) return false;
    any_frame_ = true;
    wanted = events_.frame(*frame);
    return wanted && !closed_;
  });
  if (closed_) return;
  if (!fine && !any_frame_ && !other_protocol_.empty()) return refuse();
  if (!fine) return fail(wanted ? "what came is no frame" : "a frame that has no place here");
  if (events_.turn) events_.turn();
  read();
}

// As a web server would that does not understand.
void TlsStream::refuse() {
  open_ = false;
  asio::async_write(
      stream_, asio::buffer(other_protocol_),
      [self = shared_from_this()](const Error&, std::size_t) { self->fail("speaks otherwise"); });
}

void TlsStream::send(const wire::Frame& frame) {
  if (!is_open()) return;
  queue_.push(frame, clock_.now());
  if (writing_) return;
  writing_ = true;
  // What this turn of the loop still brings leaves in the same record.
  asio::post(stream_.get_executor(), [self = shared_from_this()] { self->pump(); });
}

void TlsStream::pump() {
  if (closed_) return;
  out_.clear();
  queue_.take(out_, kRecord, clock_.now());
  if (out_.empty()) {
    writing_ = false;
    return;
  }
  asio::async_write(stream_, asio::buffer(out_),
                    [self = shared_from_this()](const Error& error, std::size_t) {
                      if (self->closed_) return;
                      if (error) return self->fail(error.message());
                      self->pump();
                    });
}

void TlsStream::fail(const std::string& why) {
  if (closed_) return;
  const auto closed = std::move(events_.closed);
  close();
  if (closed) closed(why);
}

// The callbacks go when nobody is inside one of them any more.
void TlsStream::close() {
  if (closed_) return;
  closed_ = true;
  Error ignored;
  stream_.next_layer().close(ignored);
  asio::post(stream_.get_executor(), [self = shared_from_this()] { self->events_ = {}; });
}

}  // namespace i3
