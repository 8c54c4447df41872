// Owns one client's TCP connection at a waypoint: whom it wants, the connection there, and the
// relay between the two.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <optional>

#include "gateways/from_ip/first_bytes.hh"
#include "gateways/waypoint/splice.hh"
#include "overlay/base/endpoint.hh"

namespace i3 {

// What a visitor needs of the gateway.
class VisitorHall {
 public:
  virtual ~VisitorHall() = default;
  // The overlay's name in "foo.i3.example.org"; empty for names outside the zone, and for those
  // that mean nobody.
  virtual std::string name_of_host(const std::string& host) = 0;
  // Whom clients get that name nobody; empty: nobody.
  virtual std::string default_name() = 0;
  // `done` once, perhaps at once: the virtual address, of the waypoint's family where there is
  // one; nothing for a name that leads nowhere.
  virtual void find(const std::string& name, bool four,
                    std::function<void(std::optional<IpAddress>)> done) = 0;
  // The connection to `server` from our port stands.
  virtual void connected(const Endpoint& client, const Endpoint& server, std::uint16_t port,
                         const std::string& name) = 0;
  virtual void ended(std::uint64_t number) = 0;
};

struct VisitorCounters {
  std::uint64_t accepted = 0, by_host = 0, by_server_name = 0, encrypted = 0, by_address = 0,
                by_default = 0, unknown = 0, silent = 0, connected = 0, unreachable = 0,
                no_waypoint = 0, too_many = 0;
};

class Visitor : public std::enable_shared_from_this<Visitor> {
 public:
  struct Place {
    std::uint64_t number = 0;
    Endpoint client;
    Endpoint waypoint;    // what the client asked for, with its port
    std::string bound{};  // what this address means to it; empty: nothing
  };
  static constexpr auto kFirstBytesWithin = std::chrono::seconds(10);
  // A client that waits for the server to speak first is bound, or it is gone.
  static constexpr auto kServerSpeaksFirst = std::chrono::seconds(2);
  static constexpr auto kConnectWithin = std::chrono::seconds(15);
  static constexpr auto kFarewell = std::chrono::seconds(2);

  Visitor(boost::asio::ip::tcp::socket client, Place place, VisitorHall& hall, const Clock& clock,
          MutBytes scratch, VisitorCounters& counters);

  void start();
  void stop();  // resets; the hall hears nothing more
  // For the sweep: a half-closed connection on which nothing moved for long.
  bool stale(TimePoint now) const;
  const Place& place() const { return place_; }

 private:
  enum class Kind { http, tls, by_address };

  void read();
  void on_bytes();
  void name_found(const std::string& name);
  void nobody();
  void connect(const IpAddress& address);
  void on_connected(const boost::system::error_code& error, const Endpoint& server);
  void failed(const char* http_status);
  void say(std::string text);
  void drain();
  void deadline(std::chrono::nanoseconds after, void (Visitor::*then)());
  void on_silence();
  void on_connect_timeout() { failed("504 Gateway Timeout"); }
  void give_up();
  void close(bool with_reset);

  boost::asio::ip::tcp::socket client_, server_;
  boost::asio::steady_timer timer_;
  Place place_;
  VisitorHall& hall_;
  const Clock& clock_;
  MutBytes scratch_;
  VisitorCounters& counters_;
  Kind kind_;
  std::vector<std::uint8_t> first_;
  std::size_t needed_ = 1;
  std::string name_;
  std::string farewell_;
  std::shared_ptr<Splice> splice_;
  bool decided_ = false, over_ = false;
};

}  // namespace i3
