// Owns the HTTP port where Prometheus fetches a daemon's metrics: GET /metrics, and nothing else.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "overlay/base/control/socket.hh"

namespace i3 {

class MetricsServer {
 public:
  // One more connection is closed at once; whoever asks is given this long for all of it.
  static constexpr std::size_t kMaximumConnections = 16;
  static constexpr std::size_t kMaximumRequest = 8192;

  // `listening` is a TCP socket that listens. `text` is asked on the context's thread for each
  // request, as long as the server lives.
  MetricsServer(boost::asio::io_context& context, OwnedFd listening, bool v4,
                std::function<std::string()> text);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  std::size_t connections() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace i3
