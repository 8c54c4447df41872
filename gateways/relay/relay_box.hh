// Owns a box for sealed packets in the gateway's worker: the trigger by which they come, and what
// becomes of them (docs/middleboxes.md, docs/DESIGN.md decision 26).
#pragma once

#include "gateways/kind.hh"
#include "gateways/relay/sealed_relay.hh"
#include "proxy/host/stops.hh"

namespace i3 {

class Worker;

class RelayBox final : public GatewayKind, public SealedStop {
 public:
  RelayBox(Worker& worker, const GatewaySettings& settings);
  ~RelayBox() override;

  // SealedStop
  void on_sealed(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) override;

  bool on_cookie(Bytes cookie, TimePoint now) override;
  void on_consent_ask(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) override;

  // GatewayKind
  void start() override;
  void reloaded(const GatewaySettings& settings) override;
  void add_status(Json& status) override;
  void add_metrics(MetricsText& text) override;

 private:
  void apply(const GatewaySettings& settings);

  Worker& worker_;
  RelaySettings settings_;
  SealedRelay relay_;
};

}  // namespace i3
