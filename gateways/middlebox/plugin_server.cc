#include "gateways/middlebox/plugin_server.hh"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace i3 {

using boost::asio::local::stream_protocol;

// Handlers hold it, so it may outlive its place in the server's table by a moment.
struct PluginServer::Connection {
  Connection(stream_protocol::socket from, Plugin plugin)
      : socket(std::move(from)), number(plugin) {}
  stream_protocol::socket socket;
  Plugin number;
  std::string name;  // empty: has not said it yet
  bool open = true;
  PluginStream stream;
  std::array<std::uint8_t, 65536> buffer{};
  std::vector<std::uint8_t> unsent, sending;
};

PluginServer::PluginServer(boost::asio::io_context& io, UniqueFd socket, Events events, Log& log)
    : acceptor_(io, stream_protocol(), socket.release()),
      pause_(io),
      events_(std::move(events)),
      log_(log) {
  accept();
}

PluginServer::~PluginServer() {
  for (const auto& [number, connection] : connections_) {
    connection->open = false;
    boost::system::error_code ignored;
    connection->socket.close(ignored);
  }
}

void PluginServer::accept() {
  acceptor_.async_accept(
      [this](const boost::system::error_code& error, stream_protocol::socket socket) {
        if (error == boost::asio::error::operation_aborted) return;
        if (!error && connections_.size() < kMaxPlugins) {
          auto connection = std::make_shared<Connection>(std::move(socket), next_++);
          connections_[connection->number] = connection;
          read(connection);
        }
        if (!error) return accept();
        // Out of descriptors, and who connected still waits.
        pause_.expires_after(kAcceptPause);
        pause_.async_wait([this](const boost::system::error_code& ended) {
          if (!ended) accept();
        });
      });
}

void PluginServer::read(const std::shared_ptr<Connection>& connection) {
  connection->socket.async_read_some(
      boost::asio::buffer(connection->buffer),
      [this, connection](const boost::system::error_code& error, std::size_t size) {
        if (!connection->open) return;
        connection->stream.add(Bytes(connection->buffer).first(error ? 0 : size));
        bool good = !error;
        while (good && connection->open) {
          const auto message = connection->stream.next();
          if (!message) break;
          good = take(*connection, *message);
        }
        if (connection->open && (!good || connection->stream.broken())) close(connection);
        if (connection->open) read(connection);
        events_.turn();
      });
}

bool PluginServer::take(Connection& connection, const PluginMessage& message) {
  if (const auto* hello = std::get_if<PluginHello>(&message)) {
    if (!connection.name.empty()) return false;
    connection.name = hello->name;
    log_.info("plugin_joined", {{"plugin", hello->name}, {"judges", hello->judges ? "yes" : "no"}});
    events_.joined(connection.number, *hello);
    return true;
  }
  if (connection.name.empty()) return false;
  if (const auto* verdict = std::get_if<PluginVerdict>(&message))
    events_.verdict(connection.number, *verdict);
  else if (const auto* text = std::get_if<PluginText>(&message))
    events_.text(connection.number, *text);
  else
    return false;
  return true;
}

void PluginServer::close(const std::shared_ptr<Connection>& connection) {
  const bool joined = !connection->name.empty();
  if (joined) log_.warning("plugin_left", {{"plugin", connection->name}});
  const Plugin number = connection->number;
  send_away(number);
  if (joined) events_.left(number);
}

void PluginServer::send_away(Plugin plugin) {
  const auto found = connections_.find(plugin);
  if (found == connections_.end()) return;
  found->second->open = false;
  boost::system::error_code ignored;
  found->second->socket.close(ignored);
  connections_.erase(found);
}

bool PluginServer::send(Plugin plugin, const PluginMessage& message) {
  const auto found = connections_.find(plugin);
  if (found == connections_.end()) return false;
  Connection& connection = *found->second;
  if (connection.unsent.size() > kMaxUnsent) return false;
  const std::vector<std::uint8_t> bytes = written(message);
  connection.unsent.insert(connection.unsent.end(), bytes.begin(), bytes.end());
  if (connection.sending.empty()) write(found->second);
  return true;
}

void PluginServer::write(const std::shared_ptr<Connection>& connection) {
  connection->sending = std::exchange(connection->unsent, {});
  boost::asio::async_write(connection->socket, boost::asio::buffer(connection->sending),
                           [this, connection](const boost::system::error_code& error, std::size_t) {
                             connection->sending.clear();
                             if (!connection->open) return;
                             if (error) return close(connection);
                             if (!connection->unsent.empty()) write(connection);
                           });
}

}  // namespace i3
