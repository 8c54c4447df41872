// Owns a middle-box in the gateway's worker: packets of conversations through this host are shown
// on an interface, judged by plug-ins, and sent on (docs/middleboxes.md, docs/DESIGN.md decision
// 26).
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>

#include "gateways/kind.hh"
#include "gateways/middlebox/judges.hh"
#include "gateways/middlebox/plugin_server.hh"
#include "overlay/base/token_bucket.hh"
#include "proxy/host/boxes.hh"

namespace i3 {

class Worker;

struct MiddleboxCounters {
  std::uint64_t shown = 0;      // written to the interface
  std::uint64_t not_shown = 0;  // its queue was full
  std::uint64_t came_out = 0;   // of the second interface, where there is one
  std::uint64_t malformed = 0;  // of that: no IP packet, or larger than an end takes
  std::uint64_t alerts = 0, alerts_unsent = 0;
};

// A packet: 1 from one end's session  2 onto the interface, and where the mode is inline only what
// comes out of the other one goes on  3 plug-ins  4 into the other end's session
class Middlebox final : public GatewayKind, public Middle {
 public:
  Middlebox(Worker& worker, const GatewaySettings& settings);
  ~Middlebox() override;

  // Middle
  bool admits(const PublicKey& end) const override;
  void inspect(const PublicKey& from, const PublicKey& to, MutBytes packet) override;

  // GatewayKind
  void start() override;
  void stop() override;
  void reloaded(const GatewaySettings& settings) override;
  TimePoint next_deadline() const override {
    return plugins_ ? judges_.next_deadline() : kNever;  // after stop() nobody is waited for
  }
  void on_timer() override;
  void add_status(Json& status) override;
  void add_metrics(MetricsText& text) override;

 private:
  static constexpr int kBatch = 64;  // packets read a turn
  static constexpr std::size_t kLargest = 9216;

  void wait();
  void read();
  void judge(MutBytes packet);
  void on_text(const std::string& plugin, const PluginText& text);
  void send_alert(const std::string& plugin, const std::string& text);
  std::string name_of(const IpAddress& virtual_address) const;

  Worker& worker_;
  AddressBooks books_;
  MiddleboxSettings settings_;
  UniqueFd entrance_;
  std::unique_ptr<boost::asio::posix::stream_descriptor> exit_;
  Judges judges_;
  std::unique_ptr<PluginServer> plugins_;
  TokenBucket alerts_{10, 50};
  std::vector<std::uint8_t> buffer_;
  MiddleboxCounters counters_;
};

}  // namespace i3
