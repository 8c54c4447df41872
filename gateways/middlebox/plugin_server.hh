// Owns the unix socket on which a middle-box's plug-ins connect.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>

#include "gateways/middlebox/plugin_wire.hh"
#include "overlay/base/log.hh"
#include "proxy/platform/unique_fd.hh"

namespace i3 {

class PluginServer {
 public:
  using Plugin = std::uint32_t;
  static constexpr std::size_t kMaxPlugins = 16;
  // Of one that does not read, before it is sent away.
  static constexpr std::size_t kMaxUnsent = 8 * 1024 * 1024;

  struct Events {
    std::function<void(Plugin, const PluginHello&)> joined;
    std::function<void(Plugin)> left;  // of one that joined; not called for send_away()
    std::function<void(Plugin, const PluginVerdict&)> verdict;
    std::function<void(Plugin, const PluginText&)> text;
    std::function<void()> turn;  // after a batch of messages
  };
  // `socket` listens.
  PluginServer(boost::asio::io_context& io, UniqueFd socket, Events events, Log& log);
  ~PluginServer();

  // False if it takes no more, or is gone: it is to be sent away.
  bool send(Plugin plugin, const PluginMessage& message);
  void send_away(Plugin plugin);

 private:
  struct Connection;

  void accept();
  void read(const std::shared_ptr<Connection>& connection);
  void write(const std::shared_ptr<Connection>& connection);
  bool take(Connection& connection, const PluginMessage& message);
  void close(const std::shared_ptr<Connection>& connection);

  static constexpr std::chrono::milliseconds kAcceptPause{100};

  boost::asio::local::stream_protocol::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  Events events_;
  Log& log_;
  std::map<Plugin, std::shared_ptr<Connection>> connections_;
  Plugin next_ = 1;
};

}  // namespace i3
