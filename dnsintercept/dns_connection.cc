#include "dnsintercept/dns_connection.hh"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace i3 {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {
constexpr std::size_t kMaxQueued = 1u << 20;
}

asio::ip::address asio_address(const IpAddress& address) {
  if (address.is_v4()) return asio::ip::address_v4(address.to_v4());
  return asio::ip::address_v6(address.bytes);
}

IpAddress address_from(const asio::ip::address& address) {
  if (address.is_v4()) return IpAddress::v4(address.to_v4().to_uint());
  return IpAddress::v6(address.to_v6().to_bytes());
}

DnsConnection::DnsConnection(asio::ip::tcp::socket socket, Callbacks callbacks)
    : socket_(std::move(socket)), callbacks_(std::move(callbacks)) {}

void DnsConnection::start() {
  connected_ = true;
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  read();
}

void DnsConnection::connect(const Endpoint& server) {
  socket_.async_connect({asio_address(server.address), server.port},
                        [self = shared_from_this()](error_code error) {
                          if (self->closed_) return;
                          if (error) return self->end();
                          self->start();
                          self->write();
                        });
}

void DnsConnection::send(Bytes message) {
  if (closed_ || message.size() > 0xffff) return;
  std::vector<std::uint8_t> frame(2 + message.size());
  Writer writer(frame);
  writer.u16(static_cast<std::uint16_t>(message.size()));
  writer.bytes(message);
  queued_ += frame.size();
  queue_.push_back(std::move(frame));
  if (queued_ > kMaxQueued) {
    // Not from inside the caller, which may be walking over what `ended` changes.
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->end(); });
    return;
  }
  if (queue_.size() == 1) write();
}

void DnsConnection::write() {
  if (!connected_ || queue_.empty()) return;
  asio::async_write(socket_, asio::buffer(queue_.front()),
                    [self = shared_from_this()](error_code error, std::size_t) {
                      if (self->closed_) return;
                      if (error) return self->end();
                      self->queued_ -= self->queue_.front().size();
                      self->queue_.pop_front();
                      self->write();
                      if (self->half_closed_) self->end();
                    });
}

void DnsConnection::resume() {
  if (!paused_) return;
  paused_ = false;
  // Messages may wait in the stream already; delivered from the loop, not from inside an answer.
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->deliver(); });
}

void DnsConnection::read() {
  if (closed_ || paused_ || reading_ || half_closed_) return;
  const MutBytes space = stream_.space();
  reading_ = true;
  socket_.async_read_some(asio::buffer(space.data(), space.size()),
                          [self = shared_from_this()](error_code error, std::size_t size) {
                            self->reading_ = false;
                            if (self->closed_) return;
                            if (error == asio::error::eof) {
                              self->half_closed_ = true;
                              return self->end();
                            }
                            if (error) return self->end();
                            self->stream_.received(size);
                            self->deliver();
                          });
}

void DnsConnection::deliver() {
  while (!closed_ && !paused_ && !reading_) {
    const MutBytes message = stream_.next();
    if (message.empty()) break;
    callbacks_.message(message);
  }
  if (stream_.broken()) return end();
  read();
}

void DnsConnection::end() {
  if (closed_) return;
  // The owner decides in `ended` whether a half-closed connection still has answers to wait for.
  callbacks_.ended();
}

void DnsConnection::close() {
  if (closed_) return;
  closed_ = true;
  error_code ignored;
  socket_.close(ignored);
  // Callbacks may hold the owner, and may be running now.
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->callbacks_ = {}; });
}

}  // namespace i3
