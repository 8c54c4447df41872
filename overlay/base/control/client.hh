// Owns the asking end of the control socket; blocking, for i3-ctl and tests.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "overlay/base/control/control.hh"
#include "overlay/base/control/socket.hh"

namespace i3 {

class ControlClient {
 public:
  // Connects; throws ControlError at once, with a one-line reason, if nobody listens at `path` or
  // this user may not.
  explicit ControlClient(const std::string& path);

  using Partial = std::function<void(const Json& value)>;
  // The answer's fields without "ok". Throws ControlError with the daemon's one line if it refuses,
  // or if no line comes for `timeout`.
  Json call(const std::string& command, const Json& arguments = Json::object(),
            std::chrono::milliseconds timeout = std::chrono::seconds(30),
            const Partial& on_partial = {});

 private:
  std::string read_line(std::chrono::steady_clock::time_point deadline);

  std::string path_;
  OwnedFd socket_;
  std::string received_;
};

}  // namespace i3
