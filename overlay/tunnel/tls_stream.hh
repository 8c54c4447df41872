// Owns one TLS connection of a tunnel: frames in, frames out, at either end.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <functional>
#include <memory>

#include "overlay/tunnel/frame_stream.hh"
#include "overlay/tunnel/send_queue.hh"
#include "overlay/tunnel/tls_context.hh"

namespace i3 {

// Everything happens on the io_context's one thread. It holds itself while operations are under
// way; close() ends them and forgets the callbacks, none of which is called afterwards.
class TlsStream : public std::enable_shared_from_this<TlsStream> {
 public:
  struct Events {
    std::function<void()> open;                          // the handshake is done
    std::function<bool(const wire::Frame&)> frame;       // false: the connection is closed
    std::function<void()> turn;                          // after each batch of frames
    std::function<void(const std::string& why)> closed;  // not after close()
  };

  TlsStream(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context& context, Clock& clock,
            Events events);

  // The client's side: connects and shakes hands.
  void connect(const Endpoint& to);
  // The server's side of a connection that was accepted. What begins with no frame gets
  // `other_protocol` as its answer.
  void accept(std::string other_protocol);
  // Dropped without a word where the connection is not open.
  void send(const wire::Frame& frame);
  void close();

  bool is_open() const { return open_ && !closed_; }
  std::optional<PublicKey> key() { return peer_key(stream_.native_handle()); }
  Endpoint local() const { return local_; }
  Endpoint remote() const { return remote_; }
  const SendQueue& queue() const { return queue_; }
  // When the last bytes came.
  TimePoint heard() const { return heard_; }

 private:
  void shake_hands(boost::asio::ssl::stream_base::handshake_type side);
  void read();
  void on_bytes(std::size_t count);
  void pump();
  void fail(const std::string& why);
  void refuse();

  Clock& clock_;
  Events events_;
  boost::asio::ssl::stream<boost::asio::ip::tcp::socket> stream_;
  Endpoint local_, remote_;
  FrameStream frames_;
  SendQueue queue_;
  std::vector<std::uint8_t> in_, out_;
  std::string other_protocol_;
  TimePoint heard_{};
  bool open_ = false, closed_ = false, writing_ = false, any_frame_ = false;
};

// Of Asio's kind, and back.
boost::asio::ip::tcp::endpoint to_tcp(const Endpoint& endpoint);
Endpoint from_tcp(const boost::asio::ip::tcp::endpoint& endpoint);

}  // namespace i3
