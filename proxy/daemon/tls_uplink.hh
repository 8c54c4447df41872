// Owns the host's end of a tunnel: finds a node that serves one, keeps it, notices when it dies.
#pragma once

#include <boost/asio/steady_timer.hpp>

#include "overlay/base/log.hh"
#include "overlay/base/random.hh"
#include "overlay/tunnel/tls_stream.hh"

namespace i3 {

// Where a node may serve TLS, and who it must be; without a key it is believed whoever it is.
struct TunnelTarget {
  Endpoint address;
  std::optional<PublicKey> key;
  bool operator==(const TunnelTarget&) const = default;
};

// Everything happens on the io_context's one thread.
class TlsUplink {
 public:
  static constexpr std::size_t kMaxTargets = 8;  // of one round
  static constexpr Duration kStagger = std::chrono::milliseconds(250);
  static constexpr Duration kDialFor = std::chrono::seconds(5);
  // Between rounds that reached nobody: this, doubled up to the most.
  static constexpr Duration kFirstPause = std::chrono::seconds(1),
                            kMostPause = std::chrono::seconds(15);
  // A silent tunnel is asked, more urgently when we sent something, and given up.
  static constexpr Duration kAskIdle = std::chrono::seconds(15);
  static constexpr Duration kAskBusy = std::chrono::seconds(1);
  static constexpr Duration kGiveUp = std::chrono::seconds(3);

  struct Events {
    std::function<std::vector<TunnelTarget>()> targets;  // best first
    std::function<void(const Endpoint& node, MutBytes)> received;
    std::function<void()> turn;     // after each batch
    std::function<void()> changed;  // opened, or lost
  };

  TlsUplink(boost::asio::io_context& io, Clock& clock, Random& random, Log& log, Events events);
  ~TlsUplink();

  // Opens a tunnel and keeps one open, or lets it go.
  void want(bool wanted);
  // Begins anew at once, from other addresses.
  void restart();

  bool is_open() const { return open_ != nullptr; }
  // Of the open tunnel.
  const wire::TunnelWelcome& welcome() const { return welcome_; }
  const Endpoint& node() const { return node_; }
  // Why there is none, for status; empty where nothing failed yet.
  const std::string& trouble() const { return trouble_; }
  std::uint64_t dropped() const { return dropped_ + (open_ ? open_->queue().dropped() : 0); }

  void send(const Endpoint& to, Bytes datagram);

 private:
  struct Attempt {
    TunnelTarget target;
    std::shared_ptr<TlsStream> stream;
    TimePoint since{};
  };

  void dial();
  void start_attempt();
  void shaken(const TlsStream* stream);
  bool on_frame(const TlsStream* stream, const wire::Frame& frame);
  bool welcomed(const TlsStream* stream, const wire::TunnelWelcome& welcome);
  void ended(const TlsStream* stream, const std::string& why);
  void fail(const TunnelTarget& target, const std::string& why);
  void drop_all();
  void tick();
  void arm(Duration after);

  boost::asio::io_context& io_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  Events events_;
  std::unique_ptr<boost::asio::ssl::context> tls_;  // made when it is first needed
  boost::asio::steady_timer timer_;
  bool wanted_ = false;
  std::vector<TunnelTarget> round_;  // still to be tried, the next one last
  std::vector<Attempt> attempts_;
  std::shared_ptr<TlsStream> open_;
  wire::TunnelWelcome welcome_;
  Endpoint node_;
  std::string trouble_;
  TimePoint next_round_{}, next_attempt_{};
  Duration pause_ = kFirstPause;
  TimePoint sent_ = kNever;   // the first datagram since something came
  TimePoint asked_ = kNever;  // a ping that is not answered yet
  std::uint64_t dropped_ = 0;
  std::array<std::uint8_t, wire::kMaxMessage> buffer_;
};

}  // namespace i3
