// Owns the worker's part of i3-gateway: the kinds of gateway that the settings ask for, and who of
// them gets what.
#pragma once

#include <memory>
#include <vector>

#include "gateways/kind.hh"
#include "proxy/daemon/worker_extension.hh"

namespace i3 {

class Gateway final : public WorkerExtension {
 public:
  // WorkerExtension
  ProxySettings parse(std::string text, const std::string& file, const FileSource& source) override;
  void begin(Worker& worker, std::string_view state) override;
  void start() override;
  void reloaded() override;
  void stop() override;
  void flush() override;
  TimePoint next_deadline() const override;
  void on_timer() override;
  std::string state_lines() const override;
  void add_status(Json& status) override;
  void add_metrics(MetricsText& text) override;
  void register_commands(ControlServer& server) override;

  // Edge
  std::optional<Inbound::Result> from_peer(Peer& peer, IpPacket& packet, MutBytes answer,
                                           TimePoint now) override;
  Peer* to_peer(IpPacket& packet, TimePoint now) override;
  bool on_control(Peer& peer, Bytes plaintext, TimePoint now) override;

 private:
  GatewaySettings settings_;
  GatewaySettings parsed_;  // read, and not in use yet
  Worker* worker_ = nullptr;
  std::vector<std::unique_ptr<GatewayKind>> kinds_;
};

}  // namespace i3
