// Owns what the three kinds of gateway have in common, as the gateway's worker sees them.
#pragma once

#include "overlay/base/control/metrics_text.hh"
#include "overlay/base/control/server.hh"
#include "proxy/host/edge.hh"
#include "proxy/settings/gateway_settings.hh"

namespace i3 {

// One kind, made only where its element is in the settings. Called from the worker's event loop.
class GatewayKind {
 public:
  virtual ~GatewayKind() = default;

  // As of Edge (proxy/host/edge.hh); the first kind that takes it has it.
  virtual std::optional<Inbound::Result> from_peer(Peer& /*peer*/, IpPacket& /*packet*/,
                                                   MutBytes /*answer*/, TimePoint /*now*/) {
    return std::nullopt;
  }
  virtual Peer* to_peer(IpPacket& /*packet*/, TimePoint /*now*/) { return nullptr; }
  virtual bool on_control(Peer& /*peer*/, Bytes /*plaintext*/, TimePoint /*now*/) { return false; }

  // The event loop is about to run; it is over soon.
  virtual void start() {}
  virtual void stop() {}
  // Its element as it is from now on. A kind whose element is gone or new needs a restart.
  virtual void reloaded(const GatewaySettings& settings) = 0;
  // After every batch of work.
  virtual void flush() {}
  virtual TimePoint next_deadline() const { return kNever; }
  virtual void on_timer() {}
  // Lines for the state log, each with its newline; begin() of the worker gives them back.
  virtual std::string state_lines() const { return {}; }
  virtual void add_status(Json& /*status*/) {}
  virtual void add_metrics(MetricsText& /*text*/) {}
  virtual void register_commands(ControlServer& /*server*/) {}
};

}  // namespace i3
