// Owns two TCP connections that are one to their ends: what comes by either goes to the other.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "overlay/base/bytes.hh"
#include "overlay/base/time.hh"

namespace i3 {

// Nobody is read from while the other does not take: at most kPiece bytes wait for each side. An
// end of sending is passed on as such, a reset as a reset. Single-threaded.
class Splice : public std::enable_shared_from_this<Splice> {
 public:
  static constexpr std::size_t kPiece = 65536;

  // `scratch` of kPiece bytes outlives it; those of one thread share it.
  Splice(boost::asio::ip::tcp::socket client, boost::asio::ip::tcp::socket server,
         const Clock& clock, MutBytes scratch, std::function<void()> ended);

  // `first`: what the client has sent already.
  void start(std::vector<std::uint8_t> first);
  // Resets both; `ended` is not called.
  void stop();

  TimePoint last_moved() const { return last_moved_; }
  bool half_closed() const { return up_.finished || down_.finished; }
  std::uint64_t bytes_up() const { return up_.bytes; }
  std::uint64_t bytes_down() const { return down_.bytes; }

 private:
  struct Direction {
    boost::asio::ip::tcp::socket *from, *to;
    std::vector<std::uint8_t> rest{};
    std::size_t at = 0;
    bool ended = false;     // nothing more comes
    bool finished = false;  // and `to` was told
    std::uint64_t bytes = 0;
  };
  enum class Step { moved, wait_read, wait_write, done, broken };

  void turn(Direction& direction);
  Step step(Direction& direction);
  Step write_rest(Direction& direction);
  void wait(Direction& direction, boost::asio::ip::tcp::socket& socket,
            boost::asio::ip::tcp::socket::wait_type what);
  void finish(bool broken);

  boost::asio::ip::tcp::socket client_, server_;
  const Clock& clock_;
  MutBytes scratch_;
  std::function<void()> ended_;
  Direction up_, down_;
  TimePoint last_moved_{};
  bool over_ = false;
};

// The other side gets a reset instead of an orderly end.
void reset(boost::asio::ip::tcp::socket& socket);

}  // namespace i3
