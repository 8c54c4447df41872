// Owns the daemon's end of the control socket: one JSON request a line, one or more lines back.
// Request: {"command": "peers", "arguments": {...}}. Answer: lines {"partial": {...}} if the
// command streams, then {"ok": true, ...} or {"ok": false, "error": "one line"}.
// Everything runs on the io_context's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/base/control/control.hh"
#include "overlay/base/control/socket.hh"
#include "overlay/base/log.hh"

namespace i3 {

// Where one request's answer goes. Copies share it; the first ok() or fail() counts, later calls do
// nothing. If the last copy goes without an answer, the client is told that there was none. May
// outlive the server; call only on the io_context's thread.
class ControlReply {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void line(const Json& value, bool last) = 0;
    virtual bool gone() const = 0;
  };
  explicit ControlReply(std::shared_ptr<Sink> sink);

  // `fields` is an object; "ok": true is added.
  void ok(Json fields = Json::object()) const;
  void fail(std::string_view error) const;
  // One line more before the answer; does nothing after it.
  void partial(Json value) const;
  // The client left: there is no use in going on.
  bool gone() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// May answer at once or later. A ControlError (or another exception) that it throws is the answer.
using ControlHandler = std::function<void(const Json& arguments, ControlReply reply)>;

class ControlServer {
 public:
  // `log` must outlive the server.
  ControlServer(boost::asio::io_context& context, Log& log);
  ~ControlServer();  // closes every connection, removes the sockets that listen() made
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // May be called more than once. Throws as open_control_socket.
  void listen(const std::string& path, const std::string& group);
  // A socket that already listens (made by a privileged parent); not removed at the end.
  void adopt(OwnedFd listening, const std::string& group);

  // Replaces an earlier handler of the same name.
  void handle(const std::string& command, ControlHandler handler);
  // Runs a request as if it had come in by the socket: for tests and for callers in the process.
  void dispatch(const std::string& command, const Json& arguments, ControlReply reply) const;
  std::vector<std::string> commands() const;

  std::size_t connections() const;
  void close();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace i3
