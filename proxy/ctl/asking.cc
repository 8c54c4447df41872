#include "proxy/ctl/asking.hh"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <unistd.h>

namespace i3 {
namespace {
constexpr const char* kUsualSockets[] = {"/run/i3/proxy.sock", "/run/i3/gateway.sock",
                                         "/run/i3/node.sock"};
}

ControlClient Asking::connect() {
  if (!socket.empty()) {
    asked_at_ = socket;
    return ControlClient(socket);
  }
  // The first that exists; one that a killed daemon left behind does not hide another daemon's.
  std::optional<ControlError> first;
  for (const char* path : kUsualSockets) {
    if (::access(path, F_OK) != 0) continue;
    try {
      asked_at_ = path;
      return ControlClient(path);
    } catch (const ControlError& error) {
      if (!first) first = error;
    }
  }
  if (first) throw *first;
  throw ControlError(
      "no daemon is running: none of /run/i3/proxy.sock, /run/i3/gateway.sock, /run/i3/node.sock "
      "exists");
}

Json Asking::ask(const std::string& command, const Json& arguments,
                 const ControlClient::Partial& on_partial) {
  const auto timeout = std::chrono::milliseconds(static_cast<long long>(timeout_s * 1000));
  if (show_exchange) std::cerr << "ask " << command << ' ' << to_line(arguments) << '\n';
  Json answer = connect().call(command, arguments, timeout, on_partial);
  if (show_exchange) std::cerr << "answer " << to_line(answer) << '\n';
  return answer;
}

void Asking::show(const Json& answer, const std::function<void(std::ostream&)>& text) const {
  if (json) {
    std::cout << to_line(answer) << '\n';
  } else {
    text(std::cout);
  }
  if (!std::cout.flush()) throw ControlError("standard output cannot be written");
}

std::string text_of(const std::string& file) {
  std::ifstream stream;
  if (file != "-") {
    errno = 0;
    stream.open(file, std::ios::binary);
    if (!stream) throw ControlError(file + " cannot be read: " + std::strerror(errno));
  }
  std::istream& source = file == "-" ? std::cin : stream;
  std::string text;
  char block[65536];
  while (source.read(block, sizeof block), source.gcount() > 0) {
    text.append(block, static_cast<std::size_t>(source.gcount()));
    if (text.size() > kMaximumControlRequest) throw ControlError(file + " is larger than 1 MB");
  }
  if (source.bad() || (text.empty() && !source.eof()))
    throw ControlError(file + " cannot be read: " + std::strerror(errno != 0 ? errno : EIO));
  return text;
}

}  // namespace i3
