#include "gateways/waypoint/splice.hh"

#include <boost/asio/post.hpp>

namespace i3 {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {
// Then others have their turn.
constexpr int kPiecesATurn = 8;
}  // namespace

void reset(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

Splice::Splice(tcp::socket client, tcp::socket server, const Clock& clock, MutBytes scratch,
               std::function<void()> ended)
    : client_(std::move(client)),
      server_(std::move(server)),
      clock_(clock),
      scratch_(scratch),
      ended_(std::move(ended)),
      up_{&client_, &server_},
      down_{&server_, &client_},
      last_moved_(clock.now()) {
  assert(scratch.size() >= kPiece);
}

void Splice::start(std::vector<std::uint8_t> first) {
  error_code ignored;
  for (tcp::socket* socket : {&client_, &server_}) {
    socket->non_blocking(true, ignored);
    socket->set_option(tcp::no_delay(true), ignored);
    socket->set_option(asio::socket_base::keep_alive(true), ignored);
  }
  up_.rest = std::move(first);
  const auto self = shared_from_this();
  turn(up_);
  turn(down_);
}

void Splice::stop() {
  ended_ = nullptr;
  finish(true);
}

void Splice::turn(Direction& direction) {
  if (over_) return;
  for (int i = 0; i < kPiecesATurn; ++i) {
    switch (step(direction)) {
      case Step::moved:
        last_moved_ = clock_.now();
        continue;
      case Step::wait_read:
        return wait(direction, *direction.from, tcp::socket::wait_read);
      case Step::wait_write:
        return wait(direction, *direction.to, tcp::socket::wait_write);
      case Step::done:
        if (up_.finished && down_.finished) finish(false);
        return;
      case Step::broken:
        return finish(true);
    }
  }
  asio::post(client_.get_executor(),
             [self = shared_from_this(), &direction] { self->turn(direction); });
}

// 1 what waits is written  2 the end, where there is nothing more  3 a piece is read, and written
Splice::Step Splice::step(Direction& direction) {
  if (!direction.rest.empty()) return write_rest(direction);
  error_code error;
  if (direction.ended) {
    direction.finished = true;
    direction.to->shutdown(tcp::socket::shutdown_send, error);
    return error ? Step::broken : Step::done;
  }
  const std::size_t size = direction.from->read_some(asio::buffer(scratch_.data(), kPiece), error);
  if (error == asio::error::would_block) return Step::wait_read;
  if (error == asio::error::eof) {
    direction.ended = true;
    return Step::moved;
  }
  if (error) return Step::broken;
  std::size_t sent = direction.to->write_some(asio::buffer(scratch_.data(), size), error);
  if (error == asio::error::would_block) sent = 0;
  if (error && error != asio::error::would_block) return Step::broken;
  direction.bytes += sent;
  const Bytes left = Bytes(scratch_).subspan(sent, size - sent);
  if (!left.empty()) direction.rest.assign(left.begin(), left.end());
  return Step::moved;
}

Splice::Step Splice::write_rest(Direction& direction) {
  error_code error;
  const auto left = asio::buffer(direction.rest) + direction.at;
  const std::size_t sent = direction.to->write_some(left, error);
  if (error == asio::error::would_block) return Step::wait_write;
  if (error) return Step::broken;
  direction.at += sent;
  direction.bytes += sent;
  if (direction.at == direction.rest.size()) {
    // Given back, for thousands of idle connections.
    direction.rest = {};
    direction.at = 0;
  }
  return Step::moved;
}

void Splice::wait(Direction& direction, tcp::socket& socket, tcp::socket::wait_type what) {
  socket.async_wait(what, [self = shared_from_this(), &direction](error_code error) {
    if (!error) self->turn(direction);
  });
}

void Splice::finish(bool broken) {
  if (over_) return;
  over_ = true;
  error_code ignored;
  for (tcp::socket* socket : {&client_, &server_})
    if (broken)
      reset(*socket);
    else
      socket->close(ignored);
  if (auto ended = std::exchange(ended_, nullptr)) ended();
}

}  // namespace i3
