#include "gateways/waypoint/splice.hh"

#include <boost/asio/io_context.hpp>
#include <boost/asio/write.hpp>
#include <doctest/doctest.h>

using namespace i3;
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// client <-> (a, splice, b) <-> server, over loopback.
struct World {
  asio::io_context io;
  SystemClock clock;
  std::vector<std::uint8_t> scratch = std::vector<std::uint8_t>(Splice::kPiece);
  tcp::socket client{io}, a{io}, b{io}, server{io};
  std::shared_ptr<Splice> splice;
  int ended = 0;

  World() {
    join(client, a);
    join(b, server);
    splice =
        std::make_shared<Splice>(std::move(a), std::move(b), clock, scratch, [this] { ++ended; });
    client.non_blocking(true);
    server.non_blocking(true);
  }
  void join(tcp::socket& one, tcp::socket& other) {
    tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
    one.connect(acceptor.local_endpoint());
    acceptor.accept(other);
  }
  // Runs until `done`, which does what it can each time.
  template <class Done>
  bool until(Done done) {
    for (int i = 0; i < 20000; ++i) {
      if (done()) return true;
      io.restart();
      io.run_one_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  // What arrives at `socket` until its end; the error that ended it.
  error_code read_all(tcp::socket& socket, std::string& text) {
    error_code error;
    const bool over = until([&] {
      char buffer[8192];
      const std::size_t size = socket.read_some(asio::buffer(buffer), error);
      text.append(buffer, size);
      return error && error != asio::error::would_block;
    });
    CHECK(over);
    return error;
  }
};

void write(tcp::socket& socket, std::string_view text) {
  asio::write(socket, asio::buffer(text));
}

}  // namespace

TEST_CASE("what the client had sent before comes first, and each end is passed on alone") {
  World world;
  world.splice->start({'a', 'b'});
  write(world.client, "cd");
  world.client.shutdown(tcp::socket::shutdown_send);
  std::string up, down;
  CHECK(world.read_all(world.server, up) == asio::error::eof);
  CHECK(up == "abcd");
  CHECK(world.ended == 0);
  CHECK(world.splice->half_closed());
  write(world.server, "answer");
  world.server.close();
  CHECK(world.read_all(world.client, down) == asio::error::eof);
  CHECK(down == "answer");
  CHECK(world.until([&] { return world.ended == 1; }));
  CHECK(world.splice->bytes_up() == 4);
  CHECK(world.splice->bytes_down() == 6);
}

TEST_CASE("a reader that pauses stops the sender, and loses nothing") {
  World world;
  world.splice->start({});
  std::string sent(32 << 20, ' ');
  for (std::size_t i = 0; i < sent.size(); i += 4096)
    sent[i] = static_cast<char>('a' + i / 4096 % 26);
  std::size_t written = 0;
  const auto push = [&] {
    error_code error;
    while (written < sent.size() && !error)
      written += world.client.write_some(asio::buffer(sent) + written, error);
    return error == asio::error::would_block;
  };
  // Full when neither we nor the relay get any further.
  std::size_t before = 0;
  int still = 0;
  CHECK(world.until([&] {
    push();
    still = written == before ? still + 1 : 0;
    before = written;
    return still > 50;
  }));
  CHECK(written < sent.size());
  std::string got;
  CHECK(world.until([&] {
    push();
    char buffer[65536];
    error_code error;
    const std::size_t size = world.server.read_some(asio::buffer(buffer), error);
    got.append(buffer, size);
    return got.size() == sent.size();
  }));
  CHECK(got == sent);
}

TEST_CASE("a reset is passed on as a reset, either way") {
  for (const bool by_client : {true, false}) {
    World world;
    world.splice->start({});
    reset(by_client ? world.client : world.server);
    std::string text;
    CHECK(world.read_all(by_client ? world.server : world.client, text) ==
          asio::error::connection_reset);
    CHECK(world.until([&] { return world.ended == 1; }));
  }
}

TEST_CASE("a relay that is stopped resets both and says nothing") {
  World world;
  world.splice->start({});
  world.splice->stop();
  std::string text;
  CHECK(world.read_all(world.client, text) == asio::error::connection_reset);
  CHECK(world.read_all(world.server, text) == asio::error::connection_reset);
  CHECK(world.ended == 0);
}
