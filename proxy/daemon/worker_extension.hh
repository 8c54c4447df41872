// Owns the place where a daemon that is a proxy and more adds to the worker: i3-gateway.
#pragma once

#include "overlay/base/control/metrics_text.hh"
#include "overlay/base/control/server.hh"
#include "proxy/host/edge.hh"
#include "proxy/settings/proxy_settings.hh"

namespace i3 {

class Worker;

// Virtual addresses at an edge: those of peers, and of names for each of them.
inline constexpr std::size_t kMaxEdgeAddresses = 262144;

// Lives as long as its worker; called from the worker's event loop only.
class WorkerExtension : public Edge {
 public:
  // Reads the settings, of which the host's part is returned. They count from begin() or
  // reloaded() on. Throws ConfigError.
  virtual ProxySettings parse(std::string text, const std::string& file,
                              const FileSource& source) = 0;
  // The host stands and nothing has moved yet. `state` is the state log of the run before, in
  // which lines of others are skipped.
  virtual void begin(Worker& worker, std::string_view state) = 0;
  // The event loop is about to run.
  virtual void start() {}
  virtual void reloaded() = 0;
  virtual void stop() {}
  // After every batch of work: what was gathered leaves.
  virtual void flush() {}
  virtual TimePoint next_deadline() const { return kNever; }
  virtual void on_timer() {}
  // Its lines of the state log, each with its newline.
  virtual std::string state_lines() const { return {}; }
  // Fields beside the proxy's, and metrics.
  virtual void add_status(Json& /*status*/) {}
  virtual void add_metrics(MetricsText& /*text*/) {}
  virtual void register_commands(ControlServer& /*server*/) {}
};

}  // namespace i3
