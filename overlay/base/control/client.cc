#include "overlay/base/control/client.hh"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace i3 {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// An answer may be large (a book, a bundle), but not without end.
constexpr std::size_t kMaximumAnswer = std::size_t{64} << 20;

std::string reason_of(int error) {
  switch (error) {
    case ENOENT:
      return "there is no such socket; is the daemon running?";
    case ECONNREFUSED:
      return "nobody listens there; is the daemon running?";
    case EACCES:
    case EPERM:
      return "not allowed; it needs root or membership of the socket's group";
    default:
      return std::strerror(error);
  }
}

// True when the socket is ready before the deadline.
bool wait_for(int fd, short events, SteadyTime deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd waiting{fd, events, 0};
    const int ready =
        ::poll(&waiting, 1, static_cast<int>(std::min<long long>(left.count(), 60000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

}  // namespace

ControlClient::ControlClient(const std::string& path) : path_(path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    throw ControlError("control socket " + path + ": the path is too long; 107 bytes are allowed");
  std::memcpy(address.sun_path, path.c_str(), path.size());
  socket_ = OwnedFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_ ||
      ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw ControlError("control socket " + path + ": " + reason_of(errno));
}

Json ControlClient::call(const std::string& command, const Json& arguments,
                         std::chrono::milliseconds timeout, const Partial& on_partial) {
  const std::string request = to_line({{"command", command}, {"arguments", arguments}}) + '\n';
  if (request.size() > kMaximumControlRequest)
    throw ControlError("the request is too large; at most 1 MB is allowed");
  std::string_view rest = request;
  SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  while (!rest.empty()) {
    const ssize_t sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      break;  // a refusal may have been sent before the daemon closed
    } else if (errno != EINTR && (errno != EAGAIN || !wait_for(socket_.get(), POLLOUT, deadline))) {
      throw ControlError("the daemon at " + path_ + " does not take the request");
    }
  }
  for (;;) {
    const auto answer = from_line(read_line(std::chrono::steady_clock::now() + timeout));
    if (!answer || !answer->is_object())
      throw ControlError("the daemon at " + path_ + " sent something that is no answer");
    if (const auto partial = answer->find("partial"); partial != answer->end()) {
      if (on_partial) on_partial(*partial);
      continue;
    }
    if (answer->value("ok", Json()) == true) {
      Json fields = *answer;
      fields.erase("ok");
      return fields;
    }
    const auto error = answer->find("error");
    throw ControlError(error != answer->end() && error->is_string()
                           ? error->get<std::string>()
                           : "the daemon refused without saying why");
  }
}

std::string ControlClient::read_line(SteadyTime deadline) {
  for (std::size_t searched = 0;;) {
    if (const std::size_t end = received_.find('\n', searched); end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    searched = received_.size();
    if (searched > kMaximumAnswer)
      throw ControlError("the daemon at " + path_ + " sends an answer without end");
    char buffer[16384];
    const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (size > 0) {
      received_.append(buffer, static_cast<std::size_t>(size));
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
      throw ControlError("the daemon at " + path_ + " closed the connection without an answer");
    } else if (errno == EAGAIN && !wait_for(socket_.get(), POLLIN, deadline)) {
      throw ControlError("the daemon at " + path_ + " does not answer in time");
    }
  }
}

}  // namespace i3
