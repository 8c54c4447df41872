#include "proxy/daemon/aside_socket.hh"

namespace i3 {
namespace {

using boost::asio::ip::udp;
using Error = boost::system::error_code;

// The socket's own family: an IPv6 one takes IPv4 addresses in mapped form, which is also ours.
udp::endpoint to_asio(const Endpoint& endpoint, bool v4_only) {
  if (v4_only) return {boost::asio::ip::address_v4(endpoint.address.to_v4()), endpoint.port};
  boost::asio::ip::address_v6::bytes_type bytes;
  std::copy(endpoint.address.bytes.begin(), endpoint.address.bytes.end(), bytes.begin());
  return {boost::asio::ip::address_v6(bytes), endpoint.port};
}

Endpoint from_asio(const udp::endpoint& endpoint) {
  Endpoint result;
  result.port = endpoint.port();
  if (endpoint.address().is_v4()) {
    result.address = IpAddress::v4(endpoint.address().to_v4().to_uint());
  } else {
    const auto bytes = endpoint.address().to_v6().to_bytes();
    std::copy(bytes.begin(), bytes.end(), result.address.bytes.begin());
  }
  return result;
}

}  // namespace

struct AsideSocket::Open {
  explicit Open(boost::asio::io_context& io) : socket(io) {}
  udp::socket socket;
  bool v4_only = false;
  udp::endpoint from;
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
};

AsideSocket::AsideSocket(boost::asio::io_context& io,
                         std::function<void(const Endpoint&, Bytes)> received,
                         std::function<void()> turn)
    : io_(io), received_(std::move(received)), turn_(std::move(turn)) {}

AsideSocket::~AsideSocket() {
  close();
}

std::optional<std::uint16_t> AsideSocket::open(bool v4_only) {
  close();
  for (const bool v4 : {false, true}) {
    if (v4_only && !v4) continue;
    auto open = std::make_shared<Open>(io_);
    open->v4_only = v4;
    Error error;
    open->socket.open(v4 ? udp::v4() : udp::v6(), error);
    if (!error && !v4) open->socket.set_option(boost::asio::ip::v6_only(false), error);
    if (!error) open->socket.bind({v4 ? udp::v4() : udp::v6(), 0}, error);
    if (!error) open->socket.non_blocking(true, error);
    const std::uint16_t port = error ? 0 : open->socket.local_endpoint(error).port();
    if (error) continue;
    open_ = open;
    wait(open);
    return port;
  }
  return std::nullopt;
}

void AsideSocket::wait(const std::shared_ptr<Open>& open) {
  open->socket.async_receive_from(
      boost::asio::buffer(open->buffer), open->from,
      [this, open](const Error& error, std::size_t size) {
        // Closed, and perhaps this with it: the socket alone is sure to be there.
        if (error == boost::asio::error::operation_aborted || !open->socket.is_open()) return;
        if (!error) {
          received_(from_asio(open->from), Bytes(open->buffer).first(size));
          turn_();
        }
        if (open->socket.is_open()) wait(open);
      });
}

void AsideSocket::send(const Endpoint& to, Bytes datagram) {
  if (!open_ || (open_->v4_only && !to.address.is_v4())) return;
  Error ignored;
  open_->socket.send_to(boost::asio::buffer(datagram.data(), datagram.size()),
                        to_asio(to, open_->v4_only), 0, ignored);
}

void AsideSocket::close() {
  if (!open_) return;
  Error ignored;
  open_->socket.close(ignored);
  open_.reset();
}

}  // namespace i3
